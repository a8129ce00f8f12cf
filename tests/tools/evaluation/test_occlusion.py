"""Covered pictures: where occluders lie, what counts, and the command from labels to curves."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.structures import Poses
from tests.tools.evaluation.label_cases import COCO17, annotation, person, picture, table, write
from tools.__main__ import main
from tools.evaluation.figures import occlusion
from tools.evaluation.found import networks
from tools.evaluation.found.record import Found, Seen, Translation
from tools.evaluation.occluders import PARTS, cover
from tools.evaluation.truth import Gathering, People, Truth


def somebody(count: int = 1, crowd: bool = False) -> People:
    gathering = Gathering(17)
    for i in range(count):
        gathering.add(person(i, at=(100 + 150 * i, 100)), crowd=crowd)
    return gathering.people()


def grey() -> np.ndarray:
    return np.full((480, 640, 3), 90, np.uint8)


@pytest.mark.parametrize("part", list(PARTS))
def test_an_occluder_of_a_larger_share_holds_that_of_a_smaller(part: str) -> None:
    people, before = somebody(2), np.zeros((480, 640), bool)
    hidden_before = np.zeros((2, 17), bool)
    for share in (0.0, 0.2, 0.4, 0.6):
        image, hidden = cover(grey(), people, COCO17, part, share, seed=3)
        painted = (image != 90).any(2)
        assert (painted >= before).mean() > 0.999  # noise may hit the grey of the picture
        assert (hidden >= hidden_before).all()
        assert painted.any() == (share > 0)
        before, hidden_before = painted, hidden
    assert hidden_before.any()


def test_the_share_of_a_person_is_that_of_the_box() -> None:
    people = somebody()
    image, hidden = cover(grey(), people, COCO17, "person", 0.5, seed=1)
    x1, y1, x2, y2 = people.boxes[0]
    painted = (image != 90).any(2).sum()
    assert painted == pytest.approx(0.5 * (x2 - x1) * (y2 - y1), rel=0.02)
    under = image[people.keypoints[0, :, 1].astype(int), people.keypoints[0, :, 0].astype(int)]
    np.testing.assert_array_equal((under != 90).any(1), hidden[0])


def test_crowds_and_what_lies_outside_the_picture_are_left_alone() -> None:
    image, hidden = cover(grey(), somebody(crowd=True), COCO17, "person", 0.5, seed=1)
    assert (image == 90).all()
    assert not hidden.any()
    far = dataclasses.replace(somebody(), boxes=np.array([[-300.0, -300, -10, -10]]))
    image, _ = cover(grey(), far, COCO17, "person", 0.5, seed=1)
    assert (image == 90).all()
    edge = dataclasses.replace(somebody(), boxes=np.array([[600.0, 400, 700, 520]]))
    for seed in range(8):  # all sides
        cover(grey(), edge, COCO17, "person", 0.5, seed=seed)


def test_parts_without_a_label_have_no_occluder() -> None:
    people = somebody()
    people.visible[:, :7] = 0  # neither head nor shoulders
    image, _ = cover(grey(), people, COCO17, "head", 0.5, seed=1)
    assert (image == 90).all()


def test_shares_of_two_sets_are_of_their_sums() -> None:
    one = {"people": 1, "found": 1, "oks": 0.5, "judged": 1, "keypoints": 10, "right": 8}
    one.update(hidden=4, hidden_right=3, hidden_told=4)
    nobody = dict.fromkeys(one, 0)
    both = occlusion.shares([one, nobody])
    assert (both["right"], both["hidden_right"], both["people_found"]) == (0.8, 0.75, 1)
    assert both["clear_right"] == pytest.approx(5 / 6)
    assert occlusion.shares([nobody])["right"] is None


def played(settings: Any, truth: Truth, frames: int, quiet: bool) -> Found:
    """Networks that find everything that is not painted over, where it is."""
    found: Dict[str, Seen] = {}
    for one in truth.pictures:
        image = networks.read_picture(one)
        points = one.people.keypoints.astype(np.float32)
        x, y = points.astype(int).transpose(2, 0, 1)
        clear = (image[y, x] == 90).all(-1)
        n = len(points)
        boxes = one.people.boxes.astype(np.float32)
        scores = clear.astype(np.float32)
        poses = Poses(points, scores, boxes, np.arange(n), np.ones(n, np.float32), "coco17")
        found[one.key] = Translation(truth.points, COCO17.names)(poses)
    return Found("seer", np.ones(17, bool), found)


def test_the_command_writes_curves_and_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(networks, "run", played)
    rows: List[Dict[str, Any]] = [annotation(person(i), image=i + 1, id=i) for i in range(2)]
    for i in range(2):
        picture(tmp_path / f"{i + 1}.jpg")
    labels = write(tmp_path / "labels.json", table(rows, 2))
    words = ["occlusion", str(labels), str(labels), "--out", str(tmp_path / "out")]
    assert main([*words, "--shares", "0", "0.5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "out/occlusion.json").read_text(encoding="utf-8")) == result
    assert (tmp_path / "out/occlusion.png").stat().st_size > 5000
    assert set(result["curves"]) == set(PARTS)
    assert result["pictures"] == 4
    for curve in result["curves"].values():
        clear, half = curve
        assert (clear["right"], clear["hidden"]) == (1, 0)
        assert half["hidden"] > 0
        assert half["hidden_right"] == 0
        assert half["clear_right"] == 1
        assert half["right"] == pytest.approx(1 - half["hidden"] / half["keypoints"])
    assert main([*words, "--shares", "0.5", "--parts", "person"]) == 0
    assert "| person | 50 % |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [(["--shares", "1"], "--shares: each"), (["--most", "0"], "--most and --frames")],
)
def test_wrong_options_are_refused(
    tmp_path: Path, words: List[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write(tmp_path / "labels.json", table([annotation(person())]))
    assert main(["occlusion", str(labels), *words]) == 78
    assert text in capsys.readouterr().err
