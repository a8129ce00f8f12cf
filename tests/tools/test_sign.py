"""From a key pair to a daemon that loads what was signed and refuses what was not."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import List

import pytest

from edge.durable import write_whole
from tests.waiting import GIVE_UP_S
from tools import sign as sign_command
from tools.__main__ import main

MODELS = Path(__file__).resolve().parents[1] / "edge" / "golden" / "models"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(MODELS, tmp_path / "models")
    assert main(["keygen", str(tmp_path / "operator")]) == 0
    return tmp_path


def sign(place: Path, *more: str) -> int:
    return main(["sign", "--models", f"{place}/models", "--key", f"{place}/operator.key", *more])


def run_daemon(
    place: Path, key: str = "operator.pub", memory_bytes: int = 0
) -> subprocess.CompletedProcess[str]:
    (place / "edge.toml").write_text(
        f'[models]\ndir = "{place}/models"\n[trust]\nkey_file = "{place}/{key}"\n'
        '[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        f'[[cameras]]\nsource = "file://{place}/nothing.mp4"\n',
        encoding="utf-8",
    )
    return subprocess.run(
        [sys.executable, "-m", "edge", "run", "--config", str(place / "edge.toml")],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        preexec_fn=partial(limit_memory, memory_bytes) if memory_bytes else None,
        encoding="utf-8",
    )


def limit_memory(most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))


def test_a_box_of_4_gib_loads_signed_networks(place: Path) -> None:
    assert sign(place) == 0
    done = run_daemon(place, memory_bytes=4 << 30)
    assert done.returncode == 66, done.stderr
    assert "nothing.mp4" in done.stderr, "the networks were loaded, then the source was missing"


@pytest.mark.parametrize("name", ["extra.onnx", "second.onnx"])
def test_a_network_with_weights_elsewhere_is_not_signed(
    place: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(MODELS.parent / "conv_external.onnx", place / "models" / "twobox" / name)
    assert sign(place) == 65
    assert f"{name}: keeps weights in another file" in capsys.readouterr().err
    assert not (place / "models/manifest.json").exists()


def test_secret_key_is_for_its_owner_only_and_never_overwritten(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (place / "operator.key").stat().st_mode & 0o777 == 0o600
    before = (place / "operator.key").read_bytes()
    assert main(["keygen", str(place / "operator")]) == 78
    assert "never overwritten" in capsys.readouterr().err
    assert (place / "operator.key").read_bytes() == before


@pytest.mark.parametrize("lost", ["operator.key", "operator.pub"])
def test_half_of_a_pair_gets_no_other_half(place: Path, lost: str) -> None:
    (place / lost).rename(place / "elsewhere")
    before = sorted(p.name for p in place.iterdir())
    assert main(["keygen", str(place / "operator")]) == 78
    assert sorted(p.name for p in place.iterdir()) == before


def test_signed_models_are_loaded(place: Path) -> None:
    assert sign(place) == 0
    assert sign(place, "--check") == 0
    done = run_daemon(place)
    assert "loaded" in done.stderr
    assert done.returncode == 66, "all but the missing video is fine"


@pytest.mark.parametrize("file", ["twobox/model.onnx", "standing/model.toml", "manifest.json"])
def test_a_changed_file_stops_the_daemon_in_one_line(place: Path, file: str) -> None:
    assert sign(place) == 0
    path = place / "models" / file
    path.write_bytes(path.read_bytes() + b"\n")
    done = run_daemon(place)
    assert done.returncode == 65
    assert file in done.stderr
    assert "Traceback" not in done.stderr
    assert sign(place, "--check") == 65


def test_foreign_signature_and_unsigned_folder(place: Path) -> None:
    assert run_daemon(place).returncode == 66
    assert sign(place) == 0
    assert main(["keygen", str(place / "stranger")]) == 0
    done = run_daemon(place, "stranger.pub")
    assert done.returncode == 65
    assert "not signed with this key" in done.stderr


def test_the_signature_is_written_after_the_list_that_it_signs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two writes a reader refuses the folder."""
    assert sign(place) == 0
    models = place / "models"
    (models / "twobox" / "extra.json").write_text("{}", encoding="utf-8")
    before = (models / "manifest.json").read_bytes(), (models / "manifest.sig").read_bytes()
    states = []
    write = write_whole

    def watched(path: Path, data: bytes, mode: int) -> None:
        write(path, data, mode)
        states.append(
            ((models / "manifest.json").read_bytes(), (models / "manifest.sig").read_bytes())
        )
        refused.append(sign(place, "--check") == 65)

    refused: List[bool] = []
    monkeypatch.setattr(sign_command, "write_whole", watched)
    assert sign(place) == 0
    assert [state[0] != before[0] for state in states] == [True, True]
    assert [state[1] != before[1] for state in states] == [False, True]
    assert refused == [True, False]


def test_links_are_not_signed_and_so_not_loaded(place: Path) -> None:
    target = place / "models" / "twobox" / "model.onnx"
    target.rename(place / "elsewhere.onnx")
    target.symlink_to(place / "elsewhere.onnx")
    assert sign(place) == 0
    files = json.loads((place / "models" / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert "twobox/model.onnx" not in files
    assert run_daemon(place).returncode == 65


def test_a_linked_folder_is_refused_before_anything_is_signed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(place) == 0
    before = (place / "models/manifest.json").read_bytes()
    (place / "models/standing").rename(place / "elsewhere")
    (place / "models/standing").symlink_to(place / "elsewhere")
    assert sign(place) == 65
    assert "standing: is a link out of" in capsys.readouterr().err
    assert (place / "models/manifest.json").read_bytes() == before
    (place / "linked").symlink_to(place / "models")
    (place / "models/standing").unlink()
    assert main(["sign", "--models", f"{place}/linked", "--key", f"{place}/operator.key"]) == 0


def test_mistakes(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    key = f"{place}/operator.key"
    assert main(["sign", "--models", str(tmp_path / "none"), "--key", key]) == 66
    assert main(["sign", "--models", str(tmp_path / "empty"), "--key", key]) == 65
    assert main(["sign", "--models", f"{place}/models", "--key", f"{place}/operator.pub"]) == 78
    for line in capsys.readouterr().err.strip().splitlines():
        assert line.startswith("edge-tools")
