"""`edge-tools fit-anchors`: anchors from labels and from a calibration set; wrong use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np
import pytest

from edge.models.yolov4 import Yolov4Settings
from edge.recipe import load_recipe
from edge.settings.config import read_toml
from edge.settings.schema import build
from edge.structures import Detections, Frame
from tests.test_rooms import ROOT
from tools.__main__ import main
from tools.anchors import kmeans, sizes

MODELS = ROOT / "engines"


def fit(*words: object) -> int:
    return main(["fit-anchors", *map(str, words), "--models", str(MODELS)])


def labels(path: Path, groups: List[Tuple[int, int]], each: int = 20) -> Path:
    """COCO labels: pictures of 832 x 416 px, each with a person of every group, nearly its size."""
    rng = np.random.default_rng(0)
    images: List[Dict[str, object]] = []
    rows: List[Dict[str, object]] = []
    for picture in range(each):
        images.append({"id": picture, "file_name": f"{picture}.jpg", "width": 832, "height": 416})
        for wide, high in groups:
            w, h = np.array([wide, high]) * rng.uniform(0.95, 1.05, size=2)
            row = {"id": len(rows), "image_id": picture, "category_id": 1, "iscrowd": 0}
            rows.append({**row, "bbox": [0, 0, w, h], "area": w * h, "keypoints": [5, 5, 2] * 17})
    names = [{"id": 1, "name": "person"}]
    path.write_text(
        json.dumps({"images": images, "annotations": rows, "categories": names}), encoding="utf-8"
    )
    return path


GROUPS = [(10, 20), (30, 80), (60, 60), (90, 240), (200, 300), (380, 200)]


def test_anchors_are_the_sizes_of_the_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(labels(tmp_path / "l.json", GROUPS), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    # The picture is fitted to 416 x 416 px: half the size.
    wanted = sorted(((w / 2, h / 2) for w, h in GROUPS), key=lambda size: size[0] * size[1])
    found = told["anchors"]["stride16"] + told["anchors"]["stride32"]
    np.testing.assert_allclose(found, wanted, rtol=0.03)
    assert (told["people"], told["held_out"], told["pictures"]) == (96, 24, 20)
    assert told["mean_iou"] > 0.93 > told["mean_iou_of_model"]


def test_the_table_is_options_of_a_recipe(tmp_path: Path) -> None:
    out = tmp_path / "anchors.toml"
    assert fit(labels(tmp_path / "l.json", GROUPS), "--out", out) == 0
    settings = build(Yolov4Settings, read_toml(out)["options"], "options")
    assert {name: len(found) for name, found in settings.anchors.items()} == {
        name: len(found) for name, found in Yolov4Settings().anchors.items()
    }
    assert fit(tmp_path / "l.json", "--model", "hybrid-wide", "--out", out) == 0
    assert "anchors" in read_toml(out)["options"]["boxes_options"]
    assert load_recipe(MODELS / "hybrid-wide").networks["boxes"].width == 416


def test_a_large_box_is_no_more_important_than_a_small_one() -> None:
    """In px, both centres would go to the large boxes."""
    small = np.repeat([[8.0, 16.0], [16.0, 8.0]], 50, axis=0)
    large = np.array([[390.0, 400.0], [410.0, 400.0], [400.0, 390.0], [400.0, 410.0]])
    found = kmeans.fit(np.concatenate((small, large)), 3)
    np.testing.assert_allclose(found[2], (400, 400), rtol=0.05)
    assert kmeans.iou(small, found).max(1).min() > 0.9


def test_the_same_seed_gives_the_same_anchors() -> None:
    people = np.random.default_rng(1).uniform(10, 200, size=(300, 2))
    np.testing.assert_array_equal(kmeans.fit(people, 6, 3), kmeans.fit(people, 6, 3))


class OneBox:
    """In place of the models of a run: the box is as large as the picture is bright."""

    def __init__(self, settings: Any) -> None:
        assert settings.detect.model == "yolov4-tiny"

    def detect(self, frames: List[Frame]) -> List[Detections]:
        side = np.float32(frames[0].image[0, 0, 0])
        return [Detections(np.array([[0, 0, side, side]], np.float32), np.ones(1, np.float32))]

    def close(self) -> None:
        pass


def calibration_set(folder: Path, greys: List[int]) -> Path:
    lines = ['description = "d"', 'licence = ""', "seed = 0", 'rule = "r"', 'detect = "d"']
    lines += ['pose = "p"', "[[sources]]", 'name = "s"']
    for i, grey in enumerate(greys):
        name = f"{i}.png"
        folder.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((208, 208, 3), grey, np.uint8))
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        split = "held-out" if i == len(greys) - 1 else "calibration"
        lines += ["[[frames]]", f'file = "{name}"', f'split = "{split}"', 'source = "s"']
        lines += [f"index = {i}", "people = 1", f'sha256 = "{digest}"']
    (folder / "set.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_detector_finds_the_people_of_a_calibration_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sizes, "Models", OneBox)
    greys = [10, 30, 50, 70, 90, 110, 90]
    calibration_set(tmp_path / "hall", greys)
    assert fit("hall", "--sets", tmp_path, "--detect", "yolov4-tiny", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    found = told["anchors"]["stride16"] + told["anchors"]["stride32"]
    assert found == [[2.0 * g, 2.0 * g] for g in greys[:-1]], "208 px are shown as 416"
    assert (told["people"], told["held_out"], told["mean_iou"]) == (6, 1, 1.0)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["/no/labels.json"], 66, "/no/labels.json: no such labels"),
        (["{labels}", "--model", "blazepose"], 78, "--model blazepose: is of the family blazepose"),
        (["{labels}", "--model", "nosuch"], 66, "no such model"),
        (["{labels}", "--seed", "-1"], 78, "--seed -1: must be 0 or more"),
        (["{few}"], 65, "has 4 people of different sizes to fit to; 6 anchors need at least 6"),
        (["{labels}", "--out", "/no/a.toml"], 66, "--out /no/a.toml: No such file"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: List[str], code: int, line: str
) -> None:
    places = {
        "labels": labels(tmp_path / "l.json", GROUPS),
        "few": labels(tmp_path / "f.json", [(20, 40)], each=5),
    }
    assert fit(*(w.format(**places) for w in words)) == code
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
