from __future__ import annotations

import collections
import os
import shutil
from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np
import pytest

from edge.capture.synthetic import Scene, Setup
from edge.errors import NoInputError
from edge.service.annotate import Annotator, contact_sheet, draw, draw_rules
from edge.structures import Frame, Outline, Poses, RuleSummary

SIZE = (320, 240)


def frame(index: int, camera: str = "cam0") -> Frame:
    picture = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    return Frame(picture, index, index * 40_000_000, camera)


def people() -> Poses:
    return Scene(Setup(people=2, motion="stand"), *SIZE).poses(0)


def test_people_are_drawn_where_they_are() -> None:
    picture = frame(0).image
    poses = people()
    before = picture.copy()
    draw(picture, poses)
    changed = (picture != before).any(2)
    x, y = poses.keypoints[0, 11].astype(int)  # a hip
    assert changed[y - 3 : y + 4, x - 3 : x + 4].any()
    x1, y1, x2, y2 = (
        int(v)
        for v in np.concatenate([poses.boxes[:, :2].min(0) - 25, poses.boxes[:, 2:].max(0) + 60])
    )
    outside = changed.copy()
    outside[max(y1, 0) : y2, max(x1, 0) : x2] = False
    assert not outside.any()


def test_nobody_and_unseen_points_are_drawn_as_nothing() -> None:
    picture = frame(0).image
    draw(picture, Poses.empty(133, "wholebody133"))
    assert (picture == 40).all()


@pytest.mark.parametrize("layout", ["nv12", "yuyv", "rgb", "gray"])
def test_frames_as_the_camera_gives_them_are_shown_in_colour(tmp_path: Path, layout: str) -> None:
    shapes = {
        "nv12": (SIZE[1] * 3 // 2, SIZE[0]),
        "yuyv": (SIZE[1], SIZE[0], 2),
        "gray": (SIZE[1], SIZE[0]),
    }
    image = np.full(shapes.get(layout, (SIZE[1], SIZE[0], 3)), 128, np.uint8)
    annotator = Annotator(tmp_path / "a.mp4", ["cam0"])
    raw = Frame(image, 0, 0, "cam0", layout=layout)
    annotator([raw], [Poses.empty(133, "wholebody133")])
    shown = annotator._canvas
    annotator.close()
    assert shown is not None
    assert shown.shape == (SIZE[1], SIZE[0], 3)
    grey = round(1.164383 * 112) if layout in ("nv12", "yuyv") else 128
    assert (np.abs(shown[40:].astype(int) - grey) <= 1).all()


def test_video_has_all_cameras_and_the_clips_rate(tmp_path: Path) -> None:
    annotator = Annotator(tmp_path / "a.mp4", ["cam0", "cam1", "cam2"])
    for i in range(10):
        frames = [frame(i, c) for c in ("cam0", "cam1", "cam2")]
        annotator(frames, [people()] * 3)
    annotator.close()
    annotator.close()
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 10
    assert abs(video.get(cv2.CAP_PROP_FPS) - 25) < 0.5
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * SIZE[0]


def test_full_disk_stops_the_video_in_one_line_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    annotator = Annotator(tmp_path / "a.mp4", ["cam0"])
    for i in range(3):
        annotator([frame(i)], [people()])
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1 << 20))
    for i in range(3, 6):
        annotator([frame(i)], [people()])
    assert "only 1 MB are free" in annotator.stopped
    assert len([r for r in caplog.records if "annotated video stopped" in r.message]) == 1
    monkeypatch.setattr(shutil, "disk_usage", shutil.disk_usage)
    assert int(cv2.VideoCapture(str(tmp_path / "a.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 3


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="create it"):
        Annotator(tmp_path / "none" / "a.mp4", ["cam0"])
    (tmp_path / "b.mp4").mkdir()
    annotator = Annotator(tmp_path / "b.mp4", ["cam0"])
    for i in range(3):
        annotator([frame(i)], [people()])
    assert "cannot be opened" in annotator.stopped


def test_a_single_picture_is_a_video_of_one(tmp_path: Path) -> None:
    annotator = Annotator(tmp_path / "a.mp4", ["cam0"])
    annotator([frame(0)], [people()])
    annotator.close()
    annotator.close()
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert video.read()[0]
    assert not video.read()[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1)])
@pytest.mark.parametrize("cameras", [1, 2])
def test_the_thinnest_pictures_are_shown(
    tmp_path: Path, size: Tuple[int, int], cameras: int
) -> None:
    names = [f"cam{i}" for i in range(cameras)]
    annotator = Annotator(tmp_path / "a.avi", names)
    for i in range(3):
        picture = np.full((size[1], size[0], 3), 200, np.uint8)
        frames = [Frame(picture, i, i * 40_000_000, name) for name in names]
        annotator(frames, [people()] * cameras)
    annotator.close()
    assert annotator.pictures == 3


def test_the_video_may_have_a_time_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("12:30.mp4", "12:31.MP4"):
        annotator = Annotator(Path(name), ["cam0"])
        for i in range(3):
            annotator([frame(i)], [people()])
        annotator.close()
        assert (annotator.pictures, annotator.stopped) == (3, "")
        assert Path(name).stat().st_size > 0


def test_a_name_that_opencv_crashes_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="not a name in UTF-8"):
        Annotator(tmp_path / os.fsdecode(b"caf\xe9.mp4"), ["cam0"])


def test_contact_sheet_puts_pictures_side_by_side() -> None:
    pictures = [np.full((4, 6, 3), i, np.uint8) for i in (1, 2, 3)]
    sheet = contact_sheet(pictures, 2)
    assert sheet.shape == (8, 12, 3)
    assert (sheet[0, 0, 0], sheet[0, 6, 0], sheet[4, 0, 0], sheet[4, 6, 0]) == (1, 2, 3, 0)


def test_what_rules_watch_and_know_is_drawn() -> None:
    picture, poses = frame(0).image, people()
    corners = np.array([10 + 10j, 60 + 10j, 60 + 60j])
    summary = RuleSummary(
        "bed", "zone", {}, labels={int(poses.ids[0]): "fallen"}, outlines=[Outline(corners, "bed")]
    )
    draw_rules(picture, poses, [summary])
    assert (picture[10, 20:55] != 40).any()
    x, y = poses.boxes[0, :2].astype(int)
    alone = np.full_like(picture, 40)
    draw_rules(alone, Poses.empty(17, "coco17"), [summary])
    assert (picture != alone).any(2)[max(y, 0) : y + 60, max(x, 0) : x + 60].any()


def test_rules_are_drawn_into_the_video(tmp_path: Path) -> None:
    asked = []

    def summaries(camera: str) -> List[RuleSummary]:
        asked.append(camera)
        return [RuleSummary("fall", "fall", {}, unsure="too dark")]

    annotator = Annotator(tmp_path / "v.mp4", ["cam0"], summaries)
    annotator([frame(0)], [people()])
    annotator.close()
    assert asked == ["cam0"]
