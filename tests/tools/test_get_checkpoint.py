"""Official checkpoints from a local server: terms, hashes and the model that is made."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
import torch

from edge.errors import ConfigError, DataError, UnavailableError
from edge.recipe import load_recipe
from edge.settings.schema import name_problem
from tools.__main__ import main
from tools.arch import describe, names, random_weights, samples
from tools.fetch import checkpoints as official
from tools.fetch.checkpoints import Checkpoint, checkpoints, find

ARCH = "rtmpose-t-body17"


class Server(http.server.ThreadingHTTPServer):
    """Serves files from memory; `cut` of them end early."""

    daemon_threads = True

    def __init__(self) -> None:
        self.files: Dict[str, bytes] = {}
        self.cut: List[str] = []
        self.asked: List[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        name = self.path[1:]
        server.asked.append(name)
        data = server.files.get(name)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:100] if name in server.cut else data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def offered(
    server: Server, data: bytes, monkeypatch: Any, start: str = "", hashed: bool = True
) -> Checkpoint:
    """A checkpoint on the server; `start` is what its name says of its hash."""
    start = start or hashlib.sha256(data).hexdigest()[:8]
    name = f"tiny_256x192-{start}_20231122.pth" if hashed else "tiny_256x192-20231122.pth"
    server.files[name] = data
    one = Checkpoint("tiny", ARCH, server.address + name, "Apache-2.0", "OpenMMLab", ("COCO",))
    monkeypatch.setattr(official, "checkpoints", lambda: {"tiny": one})
    return one


@pytest.fixture
def made_nothing(monkeypatch: Any) -> List[Path]:
    """In place of export and import, which take long: a model that only has a recipe."""
    made: List[Path] = []

    def fake(one: Checkpoint, path: Path, models: Path, *more: Any) -> Dict[str, Any]:
        (models / one.name).mkdir(parents=True, exist_ok=True)
        (models / one.name / "model.toml").write_text("", encoding="utf-8")
        made.append(path)
        return {"onnx_sha256": "0" * 64}

    monkeypatch.setattr(official, "_made", fake)
    return made


def test_the_list_is_well_formed() -> None:
    assert find("rtmw-x-384") == find("rtmw-x-384x288") is not None
    for one in checkpoints().values():
        assert not name_problem(one.name)
        assert one.arch in names()
        assert one.address.startswith("https://download.openmmlab.com/mmpose/v1/projects/")
        assert one.address.endswith(".pth")
        assert one.training
        width_height = f"{describe(one.arch).height_px}x{describe(one.arch).width_px}"
        assert width_height in one.file_name or "rtmdet" in one.file_name
    x = checkpoints()["rtmw-x-384"]
    assert (x.arch, x.hash_start) == ("rtmw-x-384x288", "f840f204")
    assert checkpoints()["rtmw-m"].hash_start == "", "a date is no hash"
    assert checkpoints()["rtmdet-m-person"].hash_start == "235e8209"
    assert sum(not one.hash_start for one in checkpoints().values()) == 3
    addresses = [one.address for one in checkpoints().values()]
    assert len(set(addresses)) == len(addresses)


def test_without_consent_terms_are_shown_and_nothing_is_fetched(
    server: Server, place: Path, monkeypatch: Any, capsys: Any
) -> None:
    offered(server, b"weights", monkeypatch)
    assert main(["get", "tiny", "--models", str(place)]) == ConfigError.exit_code
    told = capsys.readouterr().err
    assert "Apache-2.0" in told
    assert "trained on: COCO" in told
    assert "non-commercial" in told
    assert "--accept-licence" in told
    assert server.asked == []


def test_the_hash_is_checked_recorded_and_compared_again(
    server: Server, place: Path, monkeypatch: Any, made_nothing: List[Path], capsys: Any
) -> None:
    one = offered(server, b"weights", monkeypatch)
    command = ["get", "tiny", "--accept-licence", "--models", str(place)]
    assert main(command) == 0
    record = json.loads((place / "tiny" / "checkpoint.json").read_text(encoding="utf-8"))
    assert record["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert record["address"] == one.address
    assert (record["licence"], record["training"]) == ("Apache-2.0", ["COCO"])
    assert main(command) == 0
    assert server.asked == [one.file_name], "it is there"
    assert len(made_nothing) == 1
    assert main([*command, "--force"]) == 0
    assert server.asked == [one.file_name], "it is in the cache"
    made_nothing[0].write_bytes(b"weightS")
    assert main([*command, "--force"]) == DataError.exit_code
    assert "its name says" in capsys.readouterr().err
    assert not made_nothing[0].exists()
    assert main([*command, "--force"]) == 0, "fetched again"


def test_a_name_without_a_hash_is_compared_with_the_record(
    server: Server, place: Path, monkeypatch: Any, made_nothing: List[Path], capsys: Any
) -> None:
    one = offered(server, b"weights", monkeypatch, hashed=False)
    command = ["get", "tiny", "--accept-licence", "--models", str(place), "--force"]
    assert main(command) == 0
    made_nothing[0].unlink()
    server.files[one.file_name] = b"other weights"
    assert main(command) == DataError.exit_code
    assert "and was" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["gone", "cut", "wrong hash", "no server", "no torch"])
def test_a_download_that_fails_leaves_nothing(
    server: Server, place: Path, monkeypatch: Any, made_nothing: List[Path], fault: str, capsys: Any
) -> None:
    one = offered(server, b"w" * 5000, monkeypatch, "00000000" if fault == "wrong hash" else "")
    if fault == "gone":
        server.files.clear()
    elif fault == "cut":
        server.cut.append(one.file_name)
    elif fault == "no server":
        lost = Checkpoint(
            "tiny", ARCH, "http://127.0.0.1:1/x.pth", one.licence, one.publisher, one.training
        )
        monkeypatch.setattr(official, "checkpoints", lambda: {"tiny": lost})
    elif fault == "no torch":
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
    wanted = DataError if fault == "wrong hash" else UnavailableError
    command = ["get", "tiny", "--accept-licence", "--models", str(place)]
    assert main(command) == wanted.exit_code
    told = capsys.readouterr().err
    assert told.splitlines()[-1].startswith("edge-tools: tiny: ")
    assert made_nothing == []
    assert not list((place / "cache").rglob("*.pth")) + list((place / "cache").rglob("*.part"))
    assert not (place / "tiny").exists()


def test_an_unknown_name_has_a_hint(place: Path, capsys: Any) -> None:
    assert main(["get", "rtmw-x-385", "--models", str(place)]) == 66
    assert "did you mean rtmw-x-384?" in capsys.readouterr().err


@pytest.mark.soak
def test_a_checkpoint_becomes_a_model_in_one_step(
    server: Server, place: Path, monkeypatch: Any, tmp_path: Path
) -> None:
    """Weights at random, in a file as the trainer writes it: exported, compared, imported."""
    architecture = describe(ARCH)
    network = architecture.build()
    images = samples.inputs(architecture, samples.drawn_images(2))
    random_weights.randomise(network, 1, torch.from_numpy(images))
    path = tmp_path / "w.pth"
    torch.save({"state_dict": network.state_dict(), "meta": {}}, str(path))
    offered(server, path.read_bytes(), monkeypatch)
    assert main(["get", "tiny", "--accept-licence", "--models", str(place), "--json"]) == 0
    recipe = load_recipe(place / "tiny")
    assert (recipe.family, recipe.skeleton) == ("simcc", "coco17")
    assert recipe.licence == "Apache-2.0; trained on COCO"
    record = json.loads((place / "tiny" / "checkpoint.json").read_text(encoding="utf-8"))
    assert record["export"]["largest_errors"]
