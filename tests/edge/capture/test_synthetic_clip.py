"""Motion capture files: known poses come out as they went in, damaged files as one clear line."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture._synthetic import bvh, bvh_body, deepmimic
from edge.capture._synthetic.body import AT, LEG, THIGH, build
from edge.capture._synthetic.load import load
from edge.capture._synthetic.scene import Scene, Setup
from edge.errors import ConfigError, DataError, NoInputError

pytestmark = pytest.mark.one_python

ROOM = Path(__file__).resolve().parents[3] / "calibration"
SIDE = """
      JOINT {s}UpLeg
      {{ OFFSET {y} 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
        JOINT {s}Leg
        {{ OFFSET 0 -40 0 CHANNELS 3 Zrotation Yrotation Xrotation
          JOINT {s}Foot
          {{ OFFSET 0 -40 0 CHANNELS 3 Zrotation Yrotation Xrotation
            End Site {{ OFFSET 0 -5 15 }} }} }} }}"""
ARM = """
        JOINT {s}Shoulder
        {{ OFFSET {n} 20 0 CHANNELS 3 Zrotation Yrotation Xrotation
          JOINT {s}Arm
          {{ OFFSET {y} 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
            JOINT {s}ForeArm
            {{ OFFSET {l} 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
              JOINT {s}Hand
              {{ OFFSET {l} 0 0 CHANNELS 3 Zrotation Yrotation Xrotation
                End Site {{ OFFSET {n} 0 0 }} }} }} }} }}"""


def bvh_text(frames, interval="0.0333333"):
    """A person of 22 joints that stands with level arms; y up, looking along z."""
    legs = SIDE.format(s="Left", y=10) + SIDE.format(s="Right", y=-10)
    arms = ARM.format(s="Left", n=5, y=12, l=28) + ARM.format(s="Right", n=-5, y=-12, l=-28)
    tree = f"""HIERARCHY
ROOT Hips
{{ OFFSET 0 0 0
   CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
   {legs}
   JOINT Spine
   {{ OFFSET 0 12 0 CHANNELS 3 Zrotation Yrotation Xrotation
      {arms}
      JOINT Head
      {{ OFFSET 0 30 0 CHANNELS 3 Zrotation Yrotation Xrotation
         End Site {{ OFFSET 0 18 0 }} }} }} }}"""
    rows = "\n".join(" ".join(f"{v:.4f}" for v in row) for row in frames)
    return f"{tree}\nMOTION\nFrames: {len(frames)}\nFrame Time: {interval}\n{rows}\n"


# Channels in the order of the tree: hips 0-5, legs 6-14 and 15-23, spine 24, arms 27-38 and
# 39-50, head 51.
LEFT_THIGH_X, LEFT_SHANK_X, LEFT_ARM_Z, RIGHT_ARM_Z, CHANNELS = 8, 11, 30, 42, 54


def still(count=3, **changes):
    rows = np.zeros((count, CHANNELS))
    rows[:, 1] = 85
    for place, value in changes.items():
        rows[:, int(place[1:])] = value
    return rows


def bodies(clip, t_s=0.0):
    posture = clip.at(np.array([t_s]), np.zeros((1, 3)))
    return build(posture.frames, np.ones(1), posture.curl)


def direction(body, start, end):
    step = body.joints[0, AT[end]] - body.joints[0, AT[start]]
    return step / np.linalg.norm(step)


def test_bvh_rest_pose():
    body = bodies(bvh_body.read(bvh_text(still()), "x.bvh"))
    near = {"atol": 1e-6}
    np.testing.assert_allclose(direction(body, "left_thigh", "left_shank"), (0, 0, -1), **near)
    np.testing.assert_allclose(direction(body, "left_upper_arm", "left_hand"), (0, 1, 0), **near)
    np.testing.assert_allclose(direction(body, "right_upper_arm", "right_hand"), (0, -1, 0), **near)
    # Palms look down when arms are level: thumbs in front.
    assert body.keypoints[0, 95, 0] > body.keypoints[0, 91, 0] + 0.01
    nose, hips = body.keypoints[0, 0], body.keypoints[0, [11, 12]].mean(0)
    assert nose[0] > 0
    assert nose[2] > hips[2]


def test_bvh_angles():
    # The root is turned so that the person looks to the front at the start, whatever the file says.
    rows = still(c8=-90, c11=90, c30=-90, c42=-60, c4=123)
    body = bodies(bvh_body.read(bvh_text(rows), "x.bvh"))
    near = {"atol": 1e-6}
    np.testing.assert_allclose(direction(body, "left_thigh", "left_shank"), (1, 0, 0), **near)
    np.testing.assert_allclose(direction(body, "left_shank", "left_foot"), (0, 0, -1), **near)
    np.testing.assert_allclose(direction(body, "left_upper_arm", "left_hand"), (0, 0, -1), **near)
    lifted = np.array([0, -np.cos(np.radians(60)), np.sin(np.radians(60))])
    np.testing.assert_allclose(direction(body, "right_upper_arm", "right_hand"), lifted, **near)


def test_bvh_way_and_jump():
    rows = still(61)
    rows[:, 0] = np.linspace(0, 80, 61)  # to the left, one leg's length
    rows[40:45, 1] += 16
    clip = bvh_body.read(bvh_text(rows), "x.bvh")
    way = clip.travel - clip.travel[0]
    np.testing.assert_allclose(way[-1], (0, LEG), atol=1e-6)
    np.testing.assert_allclose(clip.lift[42], 16 / 80 * LEG, atol=1e-6)
    np.testing.assert_allclose(clip.lift[:40], 0, atol=1e-6)
    assert clip.span_s == pytest.approx(60 / 30, rel=1e-3)


def test_between_frames_bones_keep_their_length():
    rows = still(2)
    rows[1, LEFT_THIGH_X] = -90
    clip = bvh_body.read(bvh_text(rows, "0.1"), "x.bvh")
    for t_s in (0.0, 0.03, 0.05, 0.099, 0.2):
        body = bodies(clip, t_s)
        bone = body.joints[0, AT["left_shank"]] - body.joints[0, AT["left_thigh"]]
        assert np.linalg.norm(bone) == pytest.approx(THIGH)
    middle = direction(bodies(clip, 0.05), "left_thigh", "left_shank")
    np.testing.assert_allclose(middle, (0.7071, 0, -0.7071), atol=1e-3)


def test_other_names_and_axes():
    """Z up, other words for the joints, a name space before them."""
    text = bvh_text(still()).replace("UpLeg", "Hip").replace("Foot", "Ankle")
    text = text.replace("LeftLeg", "LeftKnee").replace("RightLeg", "RightKnee")
    text = text.replace("ForeArm", "Elbow").replace("Hand", "Wrist").replace("Head", "mixamo:Head")
    lines = []
    for word in text.split("OFFSET ")[1:]:
        x, y, z, *rest = word.split(" ", 3)
        lines.append(" ".join([z, x, y, *rest]))
    turned = text.split("OFFSET ")[0] + "".join("OFFSET " + line for line in lines)
    body = bodies(
        bvh_body.read(
            turned.replace("Yposition", "Q")
            .replace("Zposition", "Yposition")
            .replace("Q", "Zposition"),
            "x.bvh",
        )
    )
    np.testing.assert_allclose(direction(body, "left_thigh", "left_shank"), (0, 0, -1), atol=1e-6)
    np.testing.assert_allclose(direction(body, "left_upper_arm", "left_hand"), (0, 1, 0), atol=1e-6)


GOOD = bvh_text(still())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a BVH file"),
        ("hello", "is not a BVH file"),
        (GOOD.partition("MOTION")[0], "is not a BVH file"),
        (GOOD.replace("Frames: 3", "Frames: 4"), "cut off"),
        (GOOD[: len(GOOD) * 9 // 10], "cut off|could not convert"),
        (GOOD.replace("Frames: 3", "Frames: -3"), "-3 frames"),
        (GOOD.replace("Frames: 3", "Frames: 999999999"), "999999999 frames"),
        (GOOD.replace("0.0333333", "0"), "Frame Time 0"),
        (GOOD.replace("85.0000", "nan"), "not finite"),
        (GOOD.replace("85.0000", "eighty"), "not a valid BVH"),
        (GOOD.replace("Zrotation", "Wrotation"), "unknown channel 'Wrotation'"),
        (GOOD.replace("}", "", 1), "unexpected|not closed"),
        (GOOD.replace("OFFSET 0 0 0", "OFFSET 0 0", 1), "not a valid BVH"),
        (GOOD.replace("LeftUpLeg", "LeftThing"), "no joint for the left thigh"),
        (GOOD.replace("OFFSET 0 -40 0", "OFFSET 0 0 0"), "rest pose|no length"),
        ("HIERARCHY ROOT a { OFFSET 0 0", "is not a BVH file"),
        ("HIERARCHY ROOT a { OFFSET 0 MOTION", "cut off"),
        ("HIERARCHY MOTION", "not closed"),
    ],
)
def test_damaged_bvh(text, words, tmp_path):
    path = tmp_path / "x.bvh"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 40), st.text(max_size=6))
def test_bvh_with_a_piece_replaced(at, length, piece):
    """Whatever is cut out or put in: a clip of finite numbers, or DataError."""
    try:
        clip = bvh_body.read(GOOD[:at] + piece + GOOD[at + length :], "x.bvh")
    except DataError:
        return
    assert np.isfinite(clip.frames).all()


def angles(count=5, loop="none", **changes):
    rows = np.zeros((count, 44))
    rows[:, 0], rows[:, 2] = 0.0333, 0.9
    rows[:, [4, 8, 12, 16, 21, 25, 30, 35, 39]] = 1  # w of each quaternion
    for place, value in changes.items():
        rows[:, int(place[1:])] = value
    return {"Loop": loop, "Frames": rows.tolist()}


def test_joint_angles():
    knee, elbow = -np.pi / 2, np.pi / 2
    clip = deepmimic.read(json.dumps(angles(c20=knee, c29=elbow)), "x")
    body = bodies(clip)
    near = {"atol": 1e-6}
    np.testing.assert_allclose(direction(body, "right_thigh", "right_shank"), (0, 0, -1), **near)
    np.testing.assert_allclose(direction(body, "right_shank", "right_foot"), (-1, 0, 0), **near)
    np.testing.assert_allclose(direction(body, "right_forearm", "right_hand"), (1, 0, 0), **near)
    np.testing.assert_allclose(direction(body, "left_thigh", "left_foot"), (0, 0, -1), **near)


def test_joint_angles_of_a_ball_joint():
    half = np.radians(90) / 2
    turned = angles(c30=np.cos(half), c33=np.sin(half))  # left thigh about z: leg to the front
    body = bodies(deepmimic.read(json.dumps(turned), "x"))
    np.testing.assert_allclose(direction(body, "left_thigh", "left_shank"), (1, 0, 0), atol=1e-6)
    sideways = angles(c30=np.cos(half), c31=np.sin(half))  # about x, which is to the front
    body = bodies(deepmimic.read(json.dumps(sideways), "x"))
    np.testing.assert_allclose(direction(body, "left_thigh", "left_shank"), (0, 1, 0), atol=1e-6)


def test_a_clip_that_walks_goes_along_the_lane():
    table = angles(31, loop="wrap")
    for i, row in enumerate(table["Frames"]):
        row[1] = i * 0.04  # 1.2 m/s
    clip = deepmimic.read(json.dumps(table), "x")
    assert clip.loops
    assert clip.span_s == 0
    assert clip.speed == pytest.approx(1.2 * LEG / (0.421546 + 0.409870), rel=1e-2)
    assert np.abs(clip.travel).max() < 0.05
    scene = Scene(Setup(people=1, clip=clip, clip_name="x"))
    first, last = (scene.joints(i)[0, 11:13].mean(0) for i in (0, 30))
    assert 0.7 < np.linalg.norm((last - first)[:2]) < 1.7


def test_a_clip_whose_end_does_not_fit_its_beginning_is_no_loop():
    table = angles(31, loop="wrap")
    table["Frames"][-1][20] = -1.5
    clip = deepmimic.read(json.dumps(table), "x")
    assert not clip.loops
    assert clip.span_s == pytest.approx(1.0, rel=0.01)


def test_who_has_played_a_clip_is_replaced():
    clip = deepmimic.read(json.dumps(angles(31)), "x")
    scene = Scene(Setup(people=2, clip=clip, clip_name="x"))
    assert scene.poses(0).ids.tolist() == [0, 1]
    assert scene.poses(45).ids.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "not a clip of joint angles"),
        ("[]", "not a clip of joint angles"),
        ("{", "not a clip of joint angles"),
        ("[" * 100_000, "not a clip of joint angles"),
        ('{"Frames": []}', r"44 numbers, got \[0\]"),
        ('{"Frames": [[1, 2, 3]]}', r"44 numbers, got \[1, 3\]"),
        ('{"Frames": [[1], [1, 2]]}', "not a clip"),
        ('{"Frames": "abc"}', "not a clip"),
        (json.dumps(angles(c9=float("nan"))), "not finite"),
        (json.dumps(angles(c0=0.0)), "frames of 0.0 s"),
    ],
)
def test_damaged_joint_angles(text, words, tmp_path):
    path = tmp_path / "x.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        load(path)


def test_files(tmp_path):
    with pytest.raises(NoInputError, match="No such file"):
        load(tmp_path / "none.bvh")
    with pytest.raises(ConfigError, match=r"clips are \.bvh files"):
        load(tmp_path / "film.mp4")
    (tmp_path / "folder.bvh").mkdir()
    with pytest.raises(NoInputError, match=r"folder\.bvh"):
        load(tmp_path / "folder.bvh")
    (tmp_path / "b.bvh").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="not a text file"):
        load(tmp_path / "b.bvh")
    path = tmp_path / "good.bvh"
    path.write_text(GOOD, encoding="utf-8")
    assert load(path) is load(path)  # read once


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "x.bvh"
    path.write_text(GOOD, encoding="utf-8")
    before = load(path)
    path.write_text(bvh_text(still(7)), encoding="utf-8")
    assert len(load(path).frames) == 7 != len(before.frames)


def test_tree_reading():
    recording = bvh.read(GOOD, "x")
    assert len(recording.joints) == 22
    assert recording.values.shape == (3, CHANNELS)
    assert recording.rest()[[j.name for j in recording.joints].index("LeftFoot")].tolist() == [
        10,
        -80,
        0,
    ]


def test_recorded_clips_where_they_are_present():
    """Real recordings: people of our proportions, on the floor, facing and moving plausibly."""
    paths = [
        p
        for folder in ("motion", "motion-bvh")
        for p in sorted((ROOM / folder).glob("*.*"))
        if p.suffix in (".txt", ".bvh")
    ]
    for path in paths:
        clip = load(path)
        assert clip.lift.min() == 0
        assert clip.lift.max() < 0.8, path
        scene = Scene(Setup(people=1, clip=clip, clip_name=str(path)))
        heights = []
        for index in range(0, min(300, int(clip.length_s * 30)), 10):
            joints = scene.joints(index)
            if len(joints):
                heights.append(joints[0, :, 2].max())
                assert joints[0, :, 2].min() > -0.05, path
        assert 0.4 < np.max(heights) < 3.0, path
