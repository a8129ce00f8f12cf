"""Real video -> calibrate -> quantize -> verify -> the daemon on INT8, with the real networks.

In `make test` the walk of test_readme.py has the short form of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from edge.recipe import load_recipe
from tools.__main__ import main
from tools.fetch.by_name import ensure_model, ensure_set
from tools.fetch.files import sha256_of

ROOT = Path(__file__).resolve().parents[2]
# A handful of frames cannot give good ranges: what is tested is the chain, and that it measures.
LOOSE = "\n[gate]\nmin_oks = 0.5\nmax_px = 100.0\nmin_recall = 0.3\n"

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the real models, and a set of a few frames of two cameras."""
    place = tmp_path_factory.mktemp("chain")
    clips = ensure_set("multiperson", quiet=True)
    for model in ("yolov4-tiny", "blazepose"):
        shutil.copytree(ensure_model(model, quiet=True), place / "models" / model)
        with (place / "models" / model / "model.toml").open("a", encoding="utf-8") as recipe:
            recipe.write(LOOSE)
    words: List[Any] = [
        "gym",
        "--detect",
        "yolov4-tiny",
        "--from",
        clips / "cam01.mp4",
        clips / "cam03.mp4",
        "--json",
    ]
    words += ["--frames", 4, "--heldout", 2, *where(place)]
    assert main(["calibrate", *map(str, words)]) == 0
    return place


def where(place: Path) -> List[Any]:
    return ["--models", place / "models", "--sets", place / "sets"]


def command(capsys: Any, *words: Any) -> Dict[str, Any]:
    assert main([*map(str, words), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("model", ["yolov4-tiny", "blazepose"])
def test_int8_is_made_and_proven(place: Path, capsys: Any, model: str) -> None:
    words = [model, "--set", "gym", *where(place)]
    capsys.readouterr()
    command(capsys, "quantize", *words, "--method", "mse", "--max-float", 0)
    proof = command(capsys, "verify", *words)
    figures = proof["figures"]
    assert (proof["result"], proof["passed"], proof["frames"]) == ("int8", True, 2)
    assert figures["people"] >= 3
    folder = place / "models" / model
    for network in load_recipe(folder).networks.values():
        file = (folder / network.file).with_suffix(".int8.onnx")
        record = json.loads(file.with_suffix(".gate.json").read_text(encoding="utf-8"))
        assert record["sha256"] == sha256_of(file) != record["fp32_sha256"]
        assert record["precision"] == "int8"
    if model == "blazepose":
        # INT8 differs, and not much: both prove that it was INT8 that was measured.
        assert 0.8 < figures["mean_oks"] < 1
        assert 0 < figures["parts"]["body"]["mean_px"] < 30
        assert set(figures["parts"]) >= {"body", "feet", "face"}
    else:
        assert 0.7 < figures["mean_iou"] < 1


def test_the_daemon_runs_on_it(place: Path) -> None:
    config = place / "edge.toml"
    config.write_text(
        f'[[cameras]]\nsource = "file://{place}/sets/gym/heldout"\n'
        f'[models]\ndir = "{place}/models"\n[runtime]\nprecision = "int8"\n'
        f'[track]\nmin_hits = 1\n[publish]\nsinks = ["jsonl:{place}/out.jsonl"]\n',
        encoding="utf-8",
    )
    run = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    done = subprocess.run(
        run, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert ".int8.onnx" in done.stderr or ".int8.onnx" in done.stdout
    records = [
        json.loads(line) for line in (place / "out.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    frames = [r for r in records if str(r.get("topic", "")).endswith("/frame")]
    assert len(frames) == 2
    assert sum(len(f["payload"]["people"]) for f in frames) >= 2
