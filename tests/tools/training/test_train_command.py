"""`edge-tools train` from labels to a signed bundle, and its verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.errors import ConfigError
from tests.tools.training.training_cases import drawn
from tests.waiting import until
from tools.__main__ import main
from tools.fetch.by_name import ensure_model
from tools.training.judging import figures, verdict
from tools.training.judging.verdict import Judged

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with links to the real blazepose."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("blazepose", "yolov4-tiny"):
        (folder / name).symlink_to(ensure_model(name).resolve())
    return folder


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("labels"), ("a", "b"), 3)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("reference"), ("r",), 2)


def words(coco: Path, models: Path, out: Path, name: str, *more: Any) -> List[str]:
    fixed = ["--models", models, "--out", out, "--batch", "2", "--threads", "1", "--hold"]
    return ["train", str(coco), "--name", name, *map(str, more), *map(str, fixed)]


def test_own_labels_to_a_signed_bundle(
    coco: Path, models: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The walk-through of docs/training.md with two steps of training."""
    more = ["--reference", reference, "--steps", "2", "--rate", "1e-9", "--json"]
    assert main(["train", str(coco), "--check", "--model", "none", "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(words(coco, models, tmp_path / "run", "clinic", *more)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["refused"] == ""
    assert told["oks_lost"] == pytest.approx(0, abs=0.01)
    assert told["trained_on"]["people"] == {"train": {"a": 3}, "stop": {}, "test": {"b": 3}}
    assert sorted(p.name for p in (models / "clinic").iterdir()) == [
        "body.onnx",
        "face.onnx",
        "hand.onnx",
        "model.toml",
        "trained_on.json",
    ]
    page = (tmp_path / "run" / "page.html").read_text(encoding="utf-8")
    assert "Held-out recordings" in page
    assert "Joint angles in the picture" in page
    assert page.count("data:image/") >= 2  # the curve, and a picture
    assert "http" not in page.replace("http-equiv", "")
    key = tmp_path / "operator"
    assert main(["keygen", str(key)]) == 0
    bundle = tmp_path / "clinic.bundle"
    make = ["bundle", "make", "clinic", "--models", str(models), "--key", f"{key}.key"]
    assert main([*make, "--version", "1", "--out", str(bundle)]) == 0
    assert main(["bundle", "inspect", str(bundle), "--key", f"{key}.pub"]) == 0
    assert "clinic/body.onnx" in capsys.readouterr().out


def test_a_refused_model_is_not_installed(
    coco: Path, models: Path, reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--reference", reference, "--steps", "2", "--rate", "0.01"]
    assert main(words(coco, models, tmp_path / "run", "worse", *more)) == 1
    text = capsys.readouterr().out
    assert "refused: " in text
    assert not (models / "worse").exists()
    assert (tmp_path / "run" / "model" / "body.onnx").is_file()


def test_a_network_from_an_architecture_goes_the_same_way(
    coco: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--arch", "rtmpose-t-body17", "--steps", "2", "--recipe", "rtmpose"]
    assert main(words(coco, models, tmp_path / "run", "own", *more)) == 0
    assert "held out, OKS: -" in capsys.readouterr().out
    assert (models / "own" / "network.onnx").is_file()
    # A second run of the same name needs --force, and then replaces the model.
    again = words(coco, models, tmp_path / "run", "own", *more)
    assert main(again) == ConfigError.exit_code
    assert "add --force" in capsys.readouterr().err
    assert main([*again[:2], "--force", *again[2:]]) == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--name", "../x"], "--name: "),
        (["--rate", "0"], "--rate 0"),
        (["--checkpoint", "x.pth"], "--checkpoint: needs --arch"),
        (["--recipe", "fast"], "--recipe fast: there are: tune, article, rtmpose"),
        (["--hold-out", "c"], "--hold-out c: no such recording; there are: a, b"),
        (["--arch", "rtmo-s"], "is of the family rtmo"),
        (["--model", "yolov4-tiny"], "is of the family yolov4, not blazepose"),
        (["--name", "blazepose", "--force"], "exists already; choose another --name"),
        (["--most-lost", "2"], "--most-lost"),
    ],
)
def test_mistakes_are_one_line(
    more: List[str],
    message: str,
    coco: Path,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(words(coco, models, tmp_path / "run", "x", *more)) not in (0, 1)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("edge-tools: ")
    assert message in error


def test_sigterm_saves_and_the_same_command_goes_on(
    coco: Path, models: Path, reference: Path, tmp_path: Path
) -> None:
    more = ["--reference", reference, "--steps", "40", "--json"]
    command = words(coco, models, tmp_path / "run", "resumed", *more)
    program = [sys.executable, "-m", "tools", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    metrics = tmp_path / "run" / "metrics.jsonl"
    try:
        until(lambda: metrics.is_file() and metrics.stat().st_size, "a step")
        process.send_signal(signal.SIGTERM)
        text = process.communicate()[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the same command goes on from there" in text
    assert (tmp_path / "run" / "state.pt").is_file()


# The verdict ---------------------------------------------------------------------------------


def judged(before: Any, after: Any) -> Judged:
    def row(oks: float, error: float, found: int = 9) -> Dict[str, Any]:
        return {"oks": oks, "error": error, "found": found}

    return Judged(row(*before) if before else None, row(*after), [])


@pytest.mark.parametrize(
    ("held_out", "reference", "refused"),
    [
        (((0.5, 0.1), (0.6, 0.08)), ((0.9, 0.02), (0.885, 0.02)), ""),
        (((0.5, 0.1), (0.6, 0.08)), ((0.9, 0.02), (0.88, 0.02)), "lose 2.2% of their OKS"),
        (((0.5, 0.1), (0.6, 0.11)), ((0.9, 0.02), (0.9, 0.02)), "are worse by 10.0%"),
        (((0.5, 0.1), (0.6, 0.08)), None, ""),
        ((None, (0.6, 0.08)), None, ""),
        ((None, (0.0, 0.5, 0)), None, "nobody is found"),
    ],
)
def test_a_model_that_lost_is_refused(held_out: Any, reference: Any, refused: str) -> None:
    kept = judged(*reference) if reference else None
    told = verdict.verdict(judged(*held_out), kept, 0.02)
    assert refused in told["refused"]
    assert bool(refused) == bool(told["refused"])


def test_errors_are_px_and_degrees_of_each_joint(coco: Path) -> None:
    from tools.evaluation.found.record import Found, Seen
    from tools.training.data.sources import open_all

    truth = open_all([coco])[0]
    found = {}
    for p in truth.pictures:
        points = p.people.keypoints.copy()
        points[:, 9] += (10, 0)  # left wrist
        scores = np.ones((1, 17))
        scores[:, 16] = 0  # right ankle is missing
        found[p.key] = Seen(points, scores, np.ones(1), p.people.boxes, np.full(1, -1))
    told = figures.figures([(truth, Found("x", np.ones(17, bool), found))])
    assert told["px_of"]["wrist"] == pytest.approx(5)
    assert told["px_of"]["knee"] == 0
    assert told["degrees_of"]["elbow"] > 3
    assert told["degrees_of"]["knee"] == 0
    boxes = np.array([p.people.boxes[0] for p in truth.pictures])
    share = (10 / (boxes[:, 2:] - boxes[:, :2]).max(1)).mean()
    assert told["error"] == pytest.approx((share + 0.5) / 17, rel=0.01)
