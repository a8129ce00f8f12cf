"""`edge-tools train --check`: every kind of mistake is found, and right labels are passed."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path
from typing import Any, Dict, Optional

import cv2
import numpy as np
import pytest

from tests.tools.training.training_cases import COCO17, labels, picture, standing
from tools.__main__ import main
from tools.evaluation.found.record import Found, Seen
from tools.evaluation.truth import Truth
from tools.training.check import exif, poses
from tools.training.check.faults import KINDS
from tools.training.data.sources import open_all
from tools.training.judging import looks


def check(tmp_path: Path, *paths: Path, code: int, more: Any = ()) -> Dict[str, Any]:
    out = tmp_path / "out"
    words = ["train", *map(str, paths), "--check", "--out", str(out), "--json", *map(str, more)]
    assert main(words) == code
    found: Dict[str, Any] = json.loads((out / "check.json").read_text(encoding="utf-8"))
    page = (out / "check.html").read_text(encoding="utf-8")
    assert all(f"<h2>{kind}: {count}" in page for kind, count in found["counts"].items())
    return found


NO_MODEL = ("--model", "none")


def test_right_labels_pass(tmp_path: Path) -> None:
    found = check(tmp_path, labels(tmp_path / "l", frames=5), code=0, more=NO_MODEL)
    assert found["counts"] == {}
    data = found["data"][0]
    assert data["recordings"] == {"monday": 5, "tuesday": 5}
    assert data["labelled"]["left_knee"] == 1


def change(**points: Any) -> Any:
    """Sets points of the first person."""

    def changed(marks: np.ndarray, number: int) -> np.ndarray:
        if number == 1:
            for name, place in points.items():
                marks[COCO17.index(name), :2] = place
        return marks

    return changed


@pytest.mark.parametrize(
    ("kind", "changed", "more"),
    [
        ("outside", change(nose=(400, 20)), {}),
        ("outside", change(left_wrist=(20, -9)), {}),
        ("box", lambda p, n: p, {"bbox": [10, 10, 20, 20]}),
        ("place", change(left_eye=(50, 50), right_eye=(50, 50), nose=(50, 50)), {}),
    ],
)
def test_mistakes_of_places(kind: str, changed: Any, more: Any, tmp_path: Path) -> None:
    path = labels(tmp_path / "l", frames=5, change=changed, **more)
    found = check(tmp_path, path, code=0 if kind == "place" else 1, more=NO_MODEL)
    assert list(found["counts"]) == [kind]


def test_a_box_mostly_outside_the_picture(tmp_path: Path) -> None:
    path = labels(tmp_path / "l", frames=5, bbox=[-400, 0, 560, 240])
    assert check(tmp_path, path, code=1, more=NO_MODEL)["counts"] == {"outside": 10}


def test_one_person_labelled_twice(tmp_path: Path) -> None:
    path = labels(tmp_path / "l", frames=5)
    table = json.loads(path.read_text(encoding="utf-8"))
    table["annotations"].append({**table["annotations"][3], "id": 99})
    path.write_text(json.dumps(table), encoding="utf-8")
    found = check(tmp_path, path, code=1, more=NO_MODEL)
    assert found["counts"] == {"twice": 1}
    assert "person 2" in found["faults"][0]["where"]


def test_missing_and_damaged_pictures_and_other_sizes(tmp_path: Path) -> None:
    path = labels(tmp_path / "l", frames=5)
    (tmp_path / "l/monday/000.jpg").unlink()
    (tmp_path / "l/monday/001.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "l/monday/002.jpg"), picture([], (160, 120)))
    found = check(tmp_path, path, code=1, more=NO_MODEL)
    assert found["counts"] == {"missing": 2, "size": 1}


def with_exif(path: Path, turn: int) -> None:
    """Write the mark into a JPEG."""
    tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, turn, 0) + b"\0" * 4
    block = b"Exif\0\0" + tiff
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_turn_of_a_jpeg(turn: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), picture([]))
    assert exif.orientation(path) == 1
    with_exif(path, turn)
    assert exif.orientation(path) == turn
    assert exif.is_turned(path) == (turn > 4)
    shown = cv2.imread(str(path))
    assert (shown.shape[0] > shown.shape[1]) == (turn > 4)


@pytest.mark.parametrize("said", [True, False])
def test_labels_of_the_other_turn(said: bool, tmp_path: Path) -> None:
    """Labelme's points are of the turned picture; these were made on the stored one."""
    people = [standing((200, 20), (80, 200))]
    cv2.imwrite(str(tmp_path / "a.jpg"), picture(people))
    with_exif(tmp_path / "a.jpg", 6)
    shapes = [
        {"label": name, "shape_type": "point", "points": [[x, y]], "group_id": 1}
        for name, (x, y, _) in zip(COCO17, people[0].tolist())
    ]
    size = {"imageWidth": 320, "imageHeight": 240} if said else {}
    table = {"shapes": shapes, "imagePath": "a.jpg", **size}
    (tmp_path / "a.json").write_text(json.dumps(table), encoding="utf-8")
    found = check(tmp_path, tmp_path, code=1, more=NO_MODEL)
    assert found["counts"]["turn"] == 1


def test_the_same_picture_twice_and_in_the_test(tmp_path: Path) -> None:
    one = labels(tmp_path / "one", ("a", "b"), 5)
    other = labels(tmp_path / "two", ("c", "d"), 5)
    image = cv2.imread(str(tmp_path / "one/a/002.jpg"))
    # Coded again, it has other bytes and looks the same.
    cv2.imwrite(str(tmp_path / "one/b/004.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    found = check(tmp_path, one, code=1, more=NO_MODEL)
    assert found["counts"] == {"duplicate": 1}
    assert "looks like a/002.jpg" in found["faults"][0]["text"]
    found = check(tmp_path, one, code=1, more=(*NO_MODEL, "--test", other))
    assert found["counts"]["leak"] == 1


def test_a_recording_that_hardly_counts(tmp_path: Path) -> None:
    found = check(tmp_path, labels(tmp_path / "l", ("a",), 3), code=0, more=NO_MODEL)
    assert found["counts"] == {"few": 1}


@pytest.fixture
def right_model(monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """A model that finds everybody where they are, whatever the labels say."""
    known: Dict[str, Any] = {"unsure": False}

    def run(folder: Any, truth: Truth, pictures: Any, label: str, **more: Any) -> Found:
        found = {}
        for place, p in enumerate(pictures):
            number = int(p.key)
            points = standing((60 + 8 * ((number - 1) % known["frames"]), 20), seed=number)[:, :2]
            if more.get("mirrored"):
                points[:, 0] = 319 - points[:, 0]
                points = points if known["unsure"] else points[poses.flip_of(truth.points)]
            one = points[None]
            found[p.key] = Seen(
                one, np.ones((1, 17)), np.ones(1), p.people.boxes[:1], np.full(1, -1), place
            )
        return Found("model", np.ones(17, bool), found)

    monkeypatch.setattr(looks, "run", run)
    return known


def faults(path: Path, known: Dict[str, Any], frames: int) -> Any:
    known["frames"] = frames
    return poses.faults(open_all([path])[0], Path("model"), quiet=True)[0]


def swapped(which: Optional[int], names: str = "") -> Any:
    def changed(marks: np.ndarray, number: int) -> np.ndarray:
        if which in (None, number):
            flip = poses.flip_of(open_points())
            rows = [
                i for i, n in enumerate(COCO17) if not names or any(w in n for w in names.split())
            ]
            marks[rows] = marks[flip[rows]]
        return marks

    return changed


def open_points() -> Any:
    from tools.evaluation import point_sets

    return point_sets.named("coco17")


def test_swapped_sides_are_found_and_right_ones_are_not(
    right_model: Dict[str, Any], tmp_path: Path
) -> None:
    assert faults(labels(tmp_path / "a", frames=5), right_model, 5) == []
    found = faults(labels(tmp_path / "b", frames=5, change=swapped(3)), right_model, 5)
    assert [(f.kind, f.picture.key, f.text) for f in found] == [
        ("sides", "3", "left and right swapped")
    ]
    legs = swapped(4, "hip knee ankle")
    found = faults(labels(tmp_path / "c", frames=5, change=legs), right_model, 5)
    assert [f.text for f in found] == ["left and right of the legs swapped"]


def test_a_model_that_is_unsure_of_sides_accuses_nobody(
    right_model: Dict[str, Any], tmp_path: Path
) -> None:
    right_model["unsure"] = True
    assert faults(labels(tmp_path, frames=5, change=swapped(3)), right_model, 5) == []


def test_points_in_another_order_are_found(right_model: Dict[str, Any], tmp_path: Path) -> None:
    order = [0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 1, 2, 3, 4]
    path = labels(tmp_path, frames=5, change=lambda p, n: p[order])
    found = faults(path, right_model, 5)
    assert [f.kind for f in found] == ["order"]
    assert "left_eye lies at the right_shoulder" in found[0].text


def test_points_of_any_set_have_partners() -> None:
    from tools.evaluation import point_sets

    flip = poses.flip_of(point_sets.of_names(["left_bar", "nose", "right_bar", "left_tip"]))
    assert flip.tolist() == [2, 1, 0, 3]


def test_every_kind_is_explained() -> None:
    assert all(text.endswith((".", "look.")) for text in KINDS.values())
    assert dataclasses.is_dataclass(Found)
