"""Joints in metres: from the network's crop to rules and messages."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional

import numpy as np
import pytest

from edge import skeletons
from edge.errors import ConfigError
from edge.messages import Builder
from edge.models._blazepose import decode, in_space, points
from edge.models._blazepose.decode import Bodies
from edge.people import angles
from edge.people.filters.in_space import SpaceFilter
from edge.people.smoother import Smoother
from edge.recording.record import RecordedFrame, pack, unpack
from edge.rules import build_rule
from edge.settings.config import Smooth
from edge.structures import Frame, Poses
from tests.edge.rules.walking import STANDING

COCO = skeletons.get("coco17")
TALL, HZ = 400.0, 30.0


def in_metres(knee_deg: float) -> np.ndarray:
    """Somebody who looks at the camera and bends the left knee: the shank goes away from it."""
    metres = np.zeros((17, 3))
    metres[:, :2] = (STANDING - STANDING[11:13].mean(0)) * 1.7
    swing = np.radians(knee_deg)
    shank = np.linalg.norm(metres[15] - metres[13])
    metres[15] = metres[13] + shank * np.array([0, np.cos(swing), np.sin(swing)])
    return metres


def facing(knee_deg: float, with_world: bool = True) -> Poses:
    metres = in_metres(knee_deg)
    keypoints = (metres[None, :, :2] / 1.7 * TALL + 500).astype(np.float32)
    box = np.concatenate([keypoints.min(1), keypoints.max(1)], 1)
    scores = np.full((1, 17), 0.9, np.float32)
    world = np.concatenate((metres, np.full((17, 1), 0.8)), 1).astype(np.float32)[None]
    ids = np.array([1])
    return Poses(
        keypoints, scores, box, ids, scores[:, 0], "coco17", world=world if with_world else None
    )


def test_the_crops_turn_is_taken_back() -> None:
    raw = np.zeros((2, points.RAW_POINTS, 3), np.float32)
    raw[:, 0] = (0.0, -0.6, 0.1)  # above the hips in the crop
    raw[:, 1] = np.nan
    raw[1, 1] = 0
    outputs = {
        "landmarks": np.zeros((2, 5 * points.RAW_POINTS), np.float32),
        "score": np.ones((2, 1), np.float32),
        "world": raw.reshape(2, -1),
    }
    upright = np.array([[0.5, 0, 3], [0, 0.5, 4]])
    # Somebody lies with the head to the right: right in the picture is up in the crop.
    lying = np.array([[0, 0.25, 7], [-0.25, 0, 8]])
    matrices = np.stack((upright, lying)).astype(np.float32)
    found = decode.bodies(outputs, matrices, 256, decode.metres(outputs, matrices))
    assert found.world is not None
    assert (found.world[0] == 0).all(), "not finite"
    assert found.world[1, 0] == pytest.approx((0.6, 0, 0.1), abs=1e-6)
    assert decode.bodies(outputs, matrices, 256).world is None


def test_a_point_that_the_detector_moved_has_no_metres() -> None:
    own = np.full((1, 33, 2), 100, np.float32)
    found = Bodies(own, np.ones((1, 33), np.float32), np.ones(1), np.ones((1, 33, 3), np.float32))
    body_feet = own[:, points.BODY_FEET_SOURCE].copy()
    body_feet[0, 9] += 50
    seen, boxes = np.full((1, 23), 0.7, np.float32), np.array([[0, 0, 100, 300]], np.float32)
    world = in_space.of_network(found, np.array([True]), body_feet, seen, boxes)
    assert world.shape == (1, 133, 4)
    assert world[0, 10].tolist() == pytest.approx([1, 1, 1, 0.7])
    assert (world[0, [9, *points.SMALL_TOES, 100]] == 0).all()
    refused = in_space.of_network(found, np.array([False]), body_feet, seen, boxes)
    assert (refused == 0).all()


def test_the_filter_is_steady_at_rest_follows_and_starts_again() -> None:
    rng, follow = np.random.default_rng(0), SpaceFilter(COCO)
    follow.move(np.array([-1]))
    world = np.ones((1, 17, 4), np.float32)
    dt_s = np.full((1, 1), 1 / HZ, np.float32)
    shown = []
    for _ in range(90):
        noisy = world.copy()
        noisy[..., :3] += rng.normal(0, 0.02, (1, 17, 3))
        shown.append(follow.step(noisy, dt_s)[..., :3])
    assert np.std(np.stack(shown[30:]), 0).mean() < 0.6 * 0.02
    world[..., 0] = 2
    for _ in range(20):
        found = follow.step(world, dt_s)
    assert found[..., 0] == pytest.approx(2, abs=0.05)
    missing = world.copy()
    missing[:, 3, 3] = 0
    assert (follow.step(missing, dt_s)[0, 3] == 0).all()
    follow.step(missing, np.full((1, 1), 1, np.float32))
    world[:, 3, :3] = 7
    assert follow.step(world, dt_s)[0, 3, :3].tolist() == [7, 7, 7]


def test_smoothing_and_conversion_and_selection_keep_people_together() -> None:
    smooth = Smoother(Smooth(), COCO)
    both = Poses.join([facing(0), dataclasses.replace(facing(60), ids=np.array([-1]))])
    found = smooth(both, 10**9)
    assert found.world is not None
    assert both.world is not None
    assert found.world[1] == pytest.approx(both.world[1])
    mixed = Poses.join([facing(0), facing(0, with_world=False)])
    assert mixed.world is not None
    assert (mixed.world[1] == 0).all()
    assert smooth(facing(0, with_world=False), 2 * 10**9).world is None
    more = skeletons.convert_poses(both.take(np.array([1])), "wholebody133")
    assert more.world is not None
    left = [skeletons.get("wholebody133").index(n)[0] for n in ("left_knee", "left_ankle")]
    assert more.world[0, left, 3] == pytest.approx([0.8, 0.8])
    assert more.world[0, 100, 3] == 0


def test_a_frame_tells_millimetres_and_a_recording_keeps_them(contract: Any) -> None:
    poses = facing(30)
    image = np.zeros((4, 4, 3), np.uint8)
    message = Builder("box").frame(Frame(image, 0, 10**9, "gym"), poses)
    record = json.loads(message.body)
    contract(message.topic, record)
    assert poses.world is not None
    ankle = record["people"][0]["world"][4 * 15 : 4 * 16]
    assert ankle == [*np.rint(poses.world[0, 15, :3] * 1000).astype(int).tolist(), 80]
    plain = json.loads(Builder("box").frame(Frame(image, 0, 0, "gym"), facing(0, False)).body)
    assert "world" not in plain["people"][0]
    again = unpack(pack(RecordedFrame("gym", 0, 10**9, 0, (4, 4), poses)))
    assert again.poses.world is not None
    assert np.array_equal(again.poses.world, poses.world)


def test_an_angle_in_metres_is_that_of_the_body() -> None:
    found = angles.of_world(facing(70), ["left_knee_flexion", "left_shoulder_flexion"])
    assert found is not None
    assert found.degrees[0, 0] == pytest.approx(70, abs=1)
    assert found.error_deg[0, 0] == angles.WORLD_ERROR_DEG["knee_flexion"]
    assert np.isnan(found.degrees[0, 1]), "no better than the picture"
    assert angles.of_world(facing(70, with_world=False), ["left_knee_flexion"]) is None


def bends(with_world: bool, **options: Any) -> Any:
    """The rule after 4 knee bends towards the camera, and what it told."""
    rule = build_rule({"kind": "rom", "angle": "left_knee", **options}, "rules[0]")
    told = []
    for i in range(round(8.5 * HZ)):
        knee_deg = 45 - 40 * np.cos(np.pi * i / HZ)
        told += rule(facing(knee_deg, with_world), "gym", 10**9 + round(i / HZ * 1e9))
    return rule, [e for e in told if e.data["action"] == "repetition"]


def test_rom_counts_in_space_where_the_picture_is_refused(contract: Any) -> None:
    rule, told = bends(with_world=True)
    assert len(told) == 4
    assert {e.data["measured_in"] for e in told} == {"space"}
    assert told[1].data["peak_deg"] == pytest.approx(85, abs=4)
    assert "measured in space" in told[0].why
    assert rule.summary().unsure == ""
    message = Builder("box").event(told[0])
    contract(message.topic, json.loads(message.body))
    flat, nothing = bends(with_world=False)
    assert nothing == []
    assert "out of its plane" in flat.summary().unsure
    assert bends(with_world=True, max_error_deg=10)[1] == [], "too uncertain"


def test_custom_takes_space_where_the_picture_is_too_uncertain(contract: Any) -> None:
    when: Optional[str] = 'angle("left_knee") > 60 deg for 0.1 s'
    for with_world in (True, False):
        rule = build_rule({"kind": "custom", "name": "bent", "when": when}, "rules[0]")
        told = []
        for i in range(20):
            told += rule(facing(80, with_world), "gym", 10**9 + round(i / HZ * 1e9))
        assert [e.data.get("measured_in") for e in told] == (["space"] if with_world else [])
        for event in told:
            message = Builder("box").event(event)
            contract(message.topic, json.loads(message.body))


def test_only_a_model_with_metres_can_be_asked_for_them() -> None:
    from edge.loop.assemble import Models
    from edge.settings import config
    from tests.promises.whole_daemon import MODELS

    wanted = config.Config(
        models=config.Models(dir=str(MODELS)),
        detect=config.Detect(model="twobox"),
        pose=config.Pose(model="standing", world=True),
    )
    with pytest.raises(ConfigError, match=r"pose\.world: 'standing' gives no joints in metres"):
        Models(wanted)
