"""`edge-tools export-labels` and `pick`: our own poses as labels, and frames worth the work."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Dict, List
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.errors import ConfigError, DataError
from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import MAGIC, RECORD, SUFFIX
from edge.structures import Poses
from tests.tools.training.training_cases import picture, standing
from tools.__main__ import main
from tools.training.data.sources import open_all, recordings_of
from tools.training.labels import doubts

FRAMES = 12


def poses(frame: int, jump: bool = False, skeleton: str = "wholebody133") -> Poses:
    count = len(skeletons.get(skeleton))
    points, scores = np.zeros((1, count, 2), np.float32), np.zeros((1, count), np.float32)
    marks = standing((60 + 4 * frame, 20), seed=1)
    points[0, :17], scores[0, :17] = marks[:, :2], 0.9
    scores[0, 9], scores[0, 10] = 0.2, 0.01  # hidden, and unknown
    if jump:
        points[0, :17] += (30, 30)
    box = np.array([[60 + 4 * frame, 20, 140 + 4 * frame, 220]], np.float32)
    return Poses(points, scores, box, np.array([7]), np.ones(1, np.float32), skeleton)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording of one camera and its video; in frame 6 the pose jumps."""
    folder = tmp_path / "recording"
    folder.mkdir()
    out = cv2.VideoWriter(str(tmp_path / "hall.mp4"), 0x7634706D, 10, (320, 240))
    records: List[bytes] = []
    for frame in range(FRAMES):
        out.write(picture([], seed=frame))
        one = RecordedFrame("hall", frame, frame * 10**8, 0, (320, 240), poses(frame, frame == 6))
        records.append(pack(one))
    out.release()
    write_segment(folder / f"0{SUFFIX}", records)
    return folder


def write_segment(path: Path, records: List[bytes]) -> None:
    data = [MAGIC]
    for payload in records:
        kind = b"P"
        crc = zlib.crc32(payload, zlib.crc32(kind))
        data += [RECORD.pack(len(payload) + 1, crc, kind[0]), payload]
    path.write_bytes(b"".join(data))


def test_exported_labels_are_read_back_by_name(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    words = ["export-labels", str(recording), "--videos", str(tmp_path / "hall.mp4")]
    assert main([*words, "--every", "4", "--out", str(out)]) == 0
    wanted = {f"images/hall/{i:06d}.jpg": poses(i) for i in (0, 4, 8)}
    for file in ("labels.json", "annotations.xml"):
        truth = open_all([out / file])[0]
        assert truth.points.names == skeletons.get("coco17").names
        assert [p.file for p in truth.pictures] == list(wanted)
        assert set(recordings_of(truth)) == {"hall"}
        for p in truth.pictures:
            assert p.path is not None
            person = wanted[p.file]
            assert p.people.visible[0].tolist() == [2] * 9 + [1, 0] + [2] * 6
            there = p.people.visible[0] > 0
            gap = p.people.keypoints[0][there] - person.keypoints[0, :17][there]
            assert np.abs(gap).max() < 0.01
            assert p.people.boxes[0] == pytest.approx(person.boxes[0], abs=0.01)


def test_points_in_another_order_come_back_at_their_names(recording: Path, tmp_path: Path) -> None:
    """CVAT writes points in an order of its own, and leaves out those that are outside."""
    out = tmp_path / "labels"
    words = ["export-labels", str(recording), "--videos", str(tmp_path / "hall.mp4")]
    assert main([*words, "--out", str(out)]) == 0
    tree = ElementTree.parse(out / "annotations.xml")
    for skeleton in tree.getroot().iter("skeleton"):
        marks = [p for p in skeleton if p.get("outside") == "0"]
        for p in list(skeleton):
            skeleton.remove(p)
        skeleton.extend(reversed(marks))
    tree.write(out / "annotations.xml")
    truth = open_all([out / "annotations.xml"])[0]
    nose = truth.points.index("nose")
    assert truth.pictures[0].people.keypoints[0, nose] == pytest.approx(
        poses(0).keypoints[0, 0], abs=0.01
    )


def test_the_task_of_cvat_has_the_same_points(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels"
    words = ["export-labels", str(recording), "--videos", str(tmp_path / "hall.mp4")]
    assert main([*words, "--points", "feet", "--out", str(out)]) == 0
    task = json.loads((out / "cvat_task.json").read_text(encoding="utf-8"))
    names = [s["name"] for s in task[0]["sublabels"]]
    assert names == list(skeletons.get("wholebody133").names[:23])
    svg = ElementTree.fromstring(f"<svg>{task[0]['svg']}</svg>")
    assert {c.get("data-label-name") for c in svg.iter("circle")} == set(names)
    edges = [(line.get("data-node-from"), line.get("data-node-to")) for line in svg.iter("line")]
    assert ("16", "14") in edges  # left ankle, left knee


def test_mistakes_of_export_are_one_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels"
    assert main(["export-labels", str(recording), "--out", str(out)]) == ConfigError.exit_code
    assert "--videos: is missing" in capsys.readouterr().err
    words = ["export-labels", str(recording), "--videos", str(tmp_path / "hall.mp4")]
    (out / "old").mkdir(parents=True)
    assert main([*words, "--out", str(out)]) == ConfigError.exit_code
    assert "is not empty; corrected labels may be in it" in capsys.readouterr().err
    bad = tmp_path / "picked.json"
    bad.write_text("{}", encoding="utf-8")
    more = ["--picked", str(bad), "--out", str(tmp_path / "new")]
    assert main([*words, *more]) == DataError.exit_code
    assert "is no file of `edge-tools pick`" in capsys.readouterr().err


def test_the_frame_in_which_a_pose_jumps_is_picked(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picked = tmp_path / "picked.json"
    words = ["pick", str(recording), "--every", "2", "--count", "2", "--out", str(picked), "--json"]
    assert main(words) == 0
    found = json.loads(picked.read_text(encoding="utf-8"))
    assert found["looked_at"] == FRAMES / 2
    assert (found["frames"][0]["camera"], found["frames"][0]["frame"]) == ("hall", 6)
    assert found["frames"][0]["reason"] == "frames"
    assert found["frames"][0]["doubts"]["frames"] == pytest.approx(np.hypot(30, 30) / 200, abs=0.01)
    out = tmp_path / "labels"
    export = ["export-labels", str(recording), "--videos", str(tmp_path / "hall.mp4")]
    assert main([*export, "--picked", str(picked), "--out", str(out)]) == 0
    names = {p.file for p in open_all([out / "labels.json"])[0].pictures}
    assert names == {f"images/hall/{row['frame']:06d}.jpg" for row in found["frames"]}


def row(camera: str, frame: int, **kinds: Any) -> Dict[str, Any]:
    return {"camera": camera, "frame": frame, "doubts": kinds}


def test_frames_are_chosen_by_rank_and_apart() -> None:
    rows = [row("a", i, flips=0.01 * i, frames=None) for i in range(10)]
    rows += [row("b", 3, flips=0.02, frames=0.5), row("b", 4, flips=None, frames=float("nan"))]
    taken = doubts.chosen(rows, 4, apart=3)
    frames = [(rows[p]["camera"], rows[p]["frame"]) for p, _, _ in taken]
    assert frames[0] == ("b", 3)
    assert frames[1] == ("a", 9)
    assert ("a", 8) not in frames
    assert dict(zip(frames, (r for _, _, r in taken)))["b", 3] == "frames"


def test_a_model_that_finds_mirrored_people_elsewhere_is_doubtful() -> None:
    image = picture([])
    person = poses(0)

    def look(frames: Any, people: Any) -> List[Poses]:
        """Finds in the mirror image what is right there, and moved by `off` px."""
        box = people[0].boxes
        points = person.keypoints[:, skeletons.get("wholebody133").flip].copy()
        points[..., 0] = 319 - points[..., 0] + off
        scores = person.scores[:, skeletons.get("wholebody133").flip].copy()
        return [Poses(points, scores, box, np.array([-1]), np.ones(1, np.float32), person.skeleton)]

    off = 0
    for off, wanted in ((0, 0.0), (20, 0.1)):  # noqa: B007 - `look` reads it
        assert doubts.flipped(look, image, person, 0) == pytest.approx([wanted], abs=0.005)
    nobody = lambda frames, people: [Poses.empty(133, "wholebody133")]  # noqa: E731
    assert doubts.flipped(nobody, image, person, 0).tolist() == [1.0]
