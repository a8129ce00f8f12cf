"""The stage of a scene: frames of some cameras, sizes, calibrations, and what a reload keeps."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, List, Optional, Tuple

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, DataError, NoInputError
from edge.loop.scenes import SceneStage, build_scenes, rig_of
from edge.messages import Builder, Clock
from edge.rig import pose2sim
from edge.scene_structures import SceneFrame
from edge.settings import config
from edge.settings.sections import Scene
from edge.structures import Frame, Poses
from tests.edge.scene.drawn_room import SIZE, people, ring, seen

NAMES = ["cam0", "cam1", "cam2", "cam3"]


def calibrated(folder: Path) -> Path:
    rig = ring()
    vectors = np.array([cv2.Rodrigues(turn)[0].reshape(3) for turn in rig.turns])
    (folder / "rig.toml").write_text(pose2sim.text_of(rig, vectors, 0.3), encoding="utf-8")
    return folder / "rig.toml"


def settings(folder: Path, **changes: Any) -> config.Config:
    cameras = [{"source": "synthetic://", "name": name} for name in NAMES]
    scene = {"name": "hall", "calibration": str(calibrated(folder)), **changes}
    return config.complete(config.build(config.Config, {"cameras": cameras, "scenes": [scene]}))


def frame(camera: int, step: int, size: Tuple[int, int] = SIZE) -> Frame:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    return Frame(image, step, step * 33_000_000 + 10**9, NAMES[camera])


def played(
    stage: SceneStage, steps: int, first: int = 0, sizes: Optional[List[Tuple[int, int]]] = None
) -> List[SceneFrame]:
    sizes = sizes or [SIZE] * 4
    found: List[SceneFrame] = []
    for step in range(first, first + steps):
        poses = seen(ring(), people([(0, 0, 0.2)], step / 30))
        for camera, size in enumerate(sizes):
            poses[camera].keypoints[:] = (poses[camera].keypoints + 0.5) * size[0] / SIZE[0] - 0.5
        found += stage([frame(c, step, sizes[c]) for c in range(4)], poses)
    return found


def test_people_of_a_step_become_one_message(tmp_path: Path, contract: Any) -> None:
    stage = build_scenes(settings(tmp_path), "coco17")[0]
    found = played(stage, 6)
    assert len(found) == 6
    truth = people([(0, 0, 0.2)], 5 / 30)
    for codec_name in ("json", "cbor"):
        builder = Builder("box", codec_name, 2, Clock(lambda: 10**18, lambda: 0))
        message = builder.scene(found[-1])
        from edge import codec

        record = codec.read(message.body, message.content_type)
        contract(message.topic, record)
        assert message.topic == "poses/v1/box/scene/hall/frame"
        assert (message.qos, message.retain, message.expiry_s) == (0, False, 2)
        assert record["cameras"] == NAMES
        person = record["people"][0]
        assert person["seen_as"] == {name: 100 * i for i, name in enumerate(NAMES)}
        points = np.reshape(person["keypoints"], (17, 4))
        assert np.abs(points[:, :3] - truth[0] * 1000).max() < 30
        assert person["error"] < 30
        assert person["score"] == points[:, 3].mean().round()


def test_nobody_and_far_away_are_messages_too(tmp_path: Path, contract: Any) -> None:
    stage = build_scenes(settings(tmp_path), "coco17")[0]
    nobody = [Poses.empty(17, "coco17")] * 4
    found = stage([frame(c, 0) for c in range(4)], nobody)[0]
    message = Builder("box").scene(found)
    contract(message.topic, message.payload)
    assert message.payload["people"] == []
    last = played(stage, 6, 1)[-1]
    last.joints.points[0, 0] = [40.0, 0, 0]  # beyond sint16 in mm
    last.joints.points[0, 1] = np.nan
    row = Builder("box").scene(last).payload["people"][0]["keypoints"]
    assert row.dtype == np.int32
    assert row[0] == 40000
    assert row[4:8].tolist() == [0, 0, 0, 0]


def test_a_step_of_some_cameras_waits_for_the_others(tmp_path: Path) -> None:
    stage = build_scenes(settings(tmp_path), "coco17")[0]
    played(stage, 5)
    poses = seen(ring(), people([(0, 0, 0.2)], 5 / 30))
    assert stage([frame(0, 5), frame(2, 5)], [poses[0], poses[2]]) == []
    (found,) = stage([frame(3, 5), frame(1, 5)], [poses[3], poses[1]])
    assert found.live.all()
    assert len(found) == 1


def test_other_cameras_of_the_box_are_not_of_the_scene(tmp_path: Path) -> None:
    whole = settings(tmp_path, cameras=NAMES[:3], views=NAMES[:3])
    stage = build_scenes(whole, "coco17")[0]
    last = played(stage, 6)[-1]
    assert last.cameras == tuple(NAMES[:3])
    assert last.seen_as.shape == (1, 3)


def test_4k_pictures_of_a_720p_calibration_give_the_same_joints(tmp_path: Path) -> None:
    small = played(build_scenes(settings(tmp_path), "coco17")[0], 6)[-1]
    sizes = [(3840, 2160), SIZE, (640, 360), (3840, 2160)]
    large = played(build_scenes(settings(tmp_path), "coco17")[0], 6, sizes=sizes)[-1]
    assert np.abs(small.joints.points - large.joints.points).max() < 0.002


def test_a_camera_of_another_shape_is_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = build_scenes(settings(tmp_path), "coco17")[0]
    with caplog.at_level(logging.WARNING):
        last = played(stage, 8, sizes=[(720, 1280), SIZE, SIZE, SIZE])[-1]
    assert last.live.tolist() == [False, True, True, True]
    assert [r.message for r in caplog.records] == [
        "scene hall: leaves cam0 out: pictures of 720 x 1280 px have another shape than the "
        "calibrated 1280 x 720 px"
    ]


def test_a_calibration_that_cannot_be_used_names_the_key(tmp_path: Path) -> None:
    scene = settings(tmp_path).scenes[0]
    with pytest.raises(NoInputError, match=r"scenes\[0\].calibration: .*none.toml: No such file"):
        rig_of(Scene("hall", "none.toml", NAMES, NAMES), "scenes[0]")
    (tmp_path / "bad.toml").write_text("[a]", encoding="utf-8")
    with pytest.raises(DataError, match=r"scenes\[0\].calibration: .*has 0 calibrated cameras"):
        rig_of(Scene("hall", str(tmp_path / "bad.toml"), NAMES, NAMES), "scenes[0]")
    views = [*NAMES[:3], "gopro"]
    with pytest.raises(ConfigError, match=r"scenes\[2\].views: .* has no camera 'gopro'"):
        rig_of(Scene("hall", scene.calibration, NAMES, views), "scenes[2]")


def test_the_same_scene_is_known_again(tmp_path: Path) -> None:
    whole = settings(tmp_path)
    one, two = [build_scenes(whole, "coco17")[0] for _ in range(2)]
    assert one.same_as(two)
    assert not one.same_as(build_scenes(whole, "halpe26")[0])
    assert not one.same_as(build_scenes(settings(tmp_path, max_gap_ms=50), "coco17")[0])
    text = Path(whole.scenes[0].calibration).read_text(encoding="utf-8")
    Path(whole.scenes[0].calibration).write_text(text.replace("640.0", "641.0"), encoding="utf-8")
    assert not one.same_as(build_scenes(whole, "coco17")[0])


def test_a_reload_keeps_a_scene_that_stays_and_numbers_on_after_one_that_changed(
    tmp_path: Path,
) -> None:
    from types import SimpleNamespace

    from edge.service.reload import _successor

    whole = settings(tmp_path)
    old, same = [build_scenes(whole, "coco17")[0] for _ in range(2)]
    played(old, 6)
    running: Any = SimpleNamespace(scenes=[old])
    kept: Any = SimpleNamespace(kept=set(NAMES))
    assert _successor(same, running, kept) is old
    one_new_camera: Any = SimpleNamespace(kept=set(NAMES[1:]))
    assert _successor(same, running, one_new_camera) is same
    assert played(same, 6, 10)[-1].ids.tolist() == [2]
    other = build_scenes(settings(tmp_path, max_gap_ms=40), "coco17")[0]
    assert _successor(other, running, kept) is other
    assert played(other, 6, 10)[-1].ids.tolist() == [2]
