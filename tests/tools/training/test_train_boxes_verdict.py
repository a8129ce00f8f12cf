"""The verdict on a trained detector, and its command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import List, Sequence

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.recipe import Network, Recipe
from tests.tools.training.training_cases import labels
from tools.__main__ import main
from tools.importing.recipe import to_toml
from tools.training.boxes import judging, samples, start
from tools.training.data.sources import open_all

SIZE = (64, 64)


def found_at(rows: Sequence[samples.Labelled], shift: float) -> List[judging.Boxes]:
    """The labels, moved by a share of their width, as found boxes."""
    moved = [s.boxes + shift * (s.boxes[:, 2:3] - s.boxes[:, :1]) * [1, 0, 1, 0] for s in rows]
    return [(m.astype(np.float32), np.full(len(m), 0.9, np.float32)) for m in moved]


def test_a_detector_of_wrong_labels_is_refused(tmp_path: Path) -> None:
    rows = samples.gather(open_all([labels(tmp_path)]))
    right, wrong = (judging.figures(rows, found_at(rows, shift)) for shift in (0.0, 0.6))
    assert (right["ap"], right["ap50"], right["right"], right["false"]) == (1.0, 1.0, 8, 0)
    assert (wrong["ap50"], wrong["right"], wrong["false"]) == (0.0, 0, 8)
    fine = judging.Judged(right, right, [])
    worse = judging.Judged(right, wrong, [])
    assert judging.verdict(fine, fine, 0.02)["refused"] == ""
    assert "held-out" in judging.verdict(worse, fine, 0.02)["refused"]
    assert "reference loses 100.0%" in judging.verdict(fine, worse, 0.02)["refused"]
    assert "nobody" in judging.verdict(judging.Judged(None, wrong, []), None, 0.02)["refused"]


def test_boxes_in_a_crowd_are_neither_right_nor_false(tmp_path: Path) -> None:
    one = samples.gather(open_all([labels(tmp_path, ("monday",), 1)]))[0]
    crowd = np.array([[200.0, 20, 300, 220]], np.float32)
    row = dataclasses.replace(one, ignored=crowd)
    boxes = np.concatenate((one.boxes, [[210.0, 30, 240, 90]])).astype(np.float32)
    told = judging.figures([row], [(boxes, np.array([0.9, 0.8], np.float32))])
    assert (told["right"], told["false"]) == (1, 0)
    bare = judging.figures([one], [(boxes, np.array([0.9, 0.8], np.float32))])
    assert (bare["right"], bare["false"]) == (1, 1)


def small_detector(folder: Path) -> None:
    """A model folder with a detector that finds nobody."""
    folder.mkdir(parents=True)
    start.make("light-shuffle05", None, None, SIZE, 0).write(folder, {})


def test_the_command_trains_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_detector(tmp_path / "models/none")
    coco, out = labels(tmp_path / "labels"), tmp_path / "run"
    other = labels(tmp_path / "other", ("r",), 2)
    words = ["train", coco, "--name", "door", "--arch", "light-shuffle05", "--size", "64x64"]
    words += ["--steps", "10", "--batch", "2", "--threads", "1", "--models", tmp_path / "models"]
    words += ["--detector", "none", "--hold", "--reference", other, "--out", out, "--json"]
    assert main([str(w) for w in words]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "nobody is found" in told["refused"]
    assert told["trained_on"]["parts"]["test"] == {"tuesday": {"pictures": 4, "people": 4}}
    assert told["reference"]["after"]["people"] == 2
    assert not (tmp_path / "models/door").exists()
    assert "refused" in (out / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--arch", "light-mobile"], "--trunk movenet-multipose"),
        (["--arch", "light-shuffle05", "--trunk", "none"], "only light-mobile"),
        (["--arch", "light-shuffle05", "--skeleton", "halpe26"], "is a detector"),
        (["--arch", "light-shuffle05", "--size", "65x64"], "multiples of 32"),
        (["--size", "64x64"], "is for detectors"),
        (["--arch", "light-shuffle05", "--only-head"], "is for pose networks"),
        (["--arch", "rtmo-t"], "rtmo"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path, more: List[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(labels(tmp_path, frames=1)), "--name", "door", "--models", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "run"), *more]) == ConfigError.exit_code
    assert text in capsys.readouterr().err


def test_the_trunk_of_another_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    recipe = Recipe(family="rtmdet", networks={"main": Network("f.onnx", 64, 64)})
    (tmp_path / "other/model.toml").write_text(to_toml(recipe), "utf-8")
    with pytest.raises(ConfigError, match="not movenet"):
        start.make("light-mobile", None, tmp_path / "other", SIZE, 0)
