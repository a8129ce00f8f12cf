"""Keypoint sets against the data sets' own tables."""

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import skeletons
from edge.errors import ConfigError
from edge.structures import Detections, Poses

# The data sets' own tables, and mmpose's conversions between them: tests/edge/thin_reference.py.
TABLES = json.loads(
    (Path(__file__).parent / "golden/reference/skeletons.json").read_text(encoding="utf-8")
)
SETS = ("coco17", "halpe26", "halpe136", "wholebody133")
ALL = skeletons.names()


def facts(name):
    s = skeletons.get(name)
    indices = {k: getattr(s, k).tolist() for k in ("edges", "flip", "upper", "lower")}
    sigmas = [round(float(v), 4) for v in s.sigmas]
    return {"names": list(s.names), "sigmas": sigmas, **indices}


def pairs(source, target):
    """Copied points as [source, target] pairs, and the derived ones' names."""
    first, second, missing = skeletons.conversion(source, target)
    copied: List[List[int]] = []
    derived: List[List[int]] = []
    for i, (a, b) in enumerate(zip(first.tolist(), second.tolist())):
        if i in missing:
            continue
        (copied if a == b else derived).append([a, i])
    return copied, [skeletons.get(target).names[i] for _, i in derived]


@pytest.mark.parametrize("name", SETS)
def test_sets_equal_their_tables(name):
    assert facts(name) == TABLES[name]


@pytest.mark.parametrize("name", sorted(TABLES["conversions"]))
def test_conversions_equal_the_reference(name):
    """Halpe has a neck and a hip of its own; for COCO's sets they are derived."""
    source, _, target = name.partition("_to_")
    copied, derived = pairs(source, target)
    assert sorted(copied) == sorted(TABLES["conversions"][name])
    from_coco = source == "wholebody133"
    assert derived == (["neck", "hip"] if from_coco else [])


@pytest.mark.parametrize("name", ALL)
def test_a_set_is_sound(name):
    s = skeletons.get(name)
    k = len(s)
    assert len(set(s.names)) == k
    assert s.edges.shape == (len(s.colours), 2)
    assert 0 <= s.edges.min() <= s.edges.max() < k
    assert (s.edges[:, 0] != s.edges[:, 1]).all()
    assert sorted(s.flip) == list(range(k))
    np.testing.assert_array_equal(s.flip[s.flip], np.arange(k))
    np.testing.assert_array_equal(s.sides[s.flip], np.array([0, 2, 1])[s.sides])
    assert sorted(np.concatenate(list(s.parts.values()))) == list(range(k))
    trunk = np.concatenate((s.parts["body"], s.parts["feet"]))
    assert sorted(np.concatenate((s.upper, s.lower))) == sorted(trunk)
    assert (s.sigmas > 0).all()
    assert (s.sigmas < 0.2).all()
    assert s.sigmas.dtype == np.float32
    assert [s.names[i] for i in s.body17] == list(skeletons.get("coco17").names)
    for array in (s.edges, s.flip, s.sigmas, s.colours, s.body17, s.parts["body"]):
        assert not array.flags.writeable


def test_mirrored_edges_are_edges_of_the_other_side():
    for name in ALL:
        s = skeletons.get(name)
        edges = {frozenset(e) for e in s.edges.tolist()}
        assert {frozenset(s.flip[list(e)].tolist()) for e in edges} == edges


def test_sides_of_the_face_are_the_persons_own():
    s = skeletons.get("wholebody133")
    face = s.parts["face"]
    left, right = skeletons.LEFT, skeletons.RIGHT
    # 300-W: 0..7 right half of the jaw, 36..41 right eye, 42..47 left eye, 48/54 mouth corners.
    assert set(s.sides[face[:8]]) == {right}
    assert set(s.sides[face[36:42]]) == {right}
    assert set(s.sides[face[42:48]]) == {left}
    assert [s.sides[face[i]] for i in (8, 30, 48, 54, 57, 55, 59, 65, 67)] == [
        0,
        0,
        right,
        left,
        0,
        left,
        right,
        left,
        right,
    ]


@pytest.mark.parametrize("source", ALL)
@pytest.mark.parametrize("target", ALL)
def test_conversion_keeps_the_place_of_every_shared_point(source, target):
    """Draw each anatomical point at its own place: after conversion it must be there still."""
    places: Dict[str, Any] = {}

    def place(name):
        name = {"left_foot_index": "left_big_toe", "mouth_left": "face-54"}.get(name, name)
        return places.setdefault(name, np.float32([7 * len(places) + 1, 3 * len(places) + 2]))

    for side in ("left", "right"):
        place(f"{side}_shoulder"), place(f"{side}_hip")
    places["neck"] = (places["left_shoulder"] + places["right_shoulder"]) / 2
    places["hip"] = (places["left_hip"] + places["right_hip"]) / 2
    a, b = skeletons.get(source), skeletons.get(target)
    keypoints = np.stack([place(n) for n in a.names])[None]
    want = np.stack([place(n) for n in b.names])
    scores = np.linspace(0.1, 0.9, len(a), dtype=np.float32)[None]
    out, out_scores = skeletons.convert(keypoints, scores, source, target)
    by_name = dict(zip(a.names, scores[0]))
    assert out.dtype == out_scores.dtype == np.float32
    missing = skeletons.conversion(source, target)[2]
    assert not out_scores[0, missing].any()
    assert not out[0, missing].any()
    shared = [i for i, n in enumerate(b.names) if n in by_name]
    np.testing.assert_array_equal(out[0, shared], want[shared])
    np.testing.assert_array_equal(out_scores[0, shared], [by_name[b.names[i]] for i in shared])
    for middle, of in (("neck", "shoulder"), ("hip", "hip")):
        if middle in b.names and middle not in a.names:
            i = b.names.index(middle)
            np.testing.assert_array_equal(out[0, i], places[middle])
            parents = [by_name[f"{s}_{of}"] for s in ("left", "right")]
            assert out_scores[0, i] == min(parents)


def test_points_of_other_names():
    blaze, whole = skeletons.get("blazepose33"), skeletons.get("wholebody133")
    got = {
        blaze.names[a]: whole.names[b]
        for a, b in pairs("blazepose33", "wholebody133")[0]
        if blaze.names[a] != whole.names[b]
    }
    assert got == {
        "left_foot_index": "left_big_toe",
        "right_foot_index": "right_big_toe",
        "left_index": "left_forefinger1",
        "right_index": "right_forefinger1",
        "left_pinky": "left_pinky_finger1",
        "right_pinky": "right_pinky_finger1",
        "right_eye_outer": "face-36",
        "right_eye_inner": "face-39",
        "left_eye_inner": "face-42",
        "left_eye_outer": "face-45",
        "mouth_right": "face-48",
        "mouth_left": "face-54",
    }
    # Each partner must lie on the same side: the flip tables of both sets agree.
    for a, b in got.items():
        mirrored = blaze.names[blaze.flip[blaze.names.index(a)]]
        assert got[mirrored] == whole.names[whole.flip[whole.names.index(b)]]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ALL), st.sampled_from(ALL), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_conversion_commutes_with_the_mirror(source, target, n, seed):
    rng = np.random.default_rng(seed)
    a, b = skeletons.get(source), skeletons.get(target)
    keypoints = rng.random((n, len(a), 2), np.float32) * 100
    scores = rng.random((n, len(a)), np.float32) * (rng.random((n, len(a))) > 0.3)
    scores = scores.astype(np.float32)
    once = skeletons.convert(keypoints[:, a.flip], scores[:, a.flip], source, target)
    plain = skeletons.convert(keypoints, scores, source, target)
    np.testing.assert_array_equal(once[0], plain[0][:, b.flip])
    np.testing.assert_array_equal(once[1], plain[1][:, b.flip])


def test_a_midpoint_with_one_parent_is_missing():
    keypoints = np.ones((1, 17, 2), np.float32)
    scores = np.ones((1, 17), np.float32)
    scores[0, 5] = 0
    _, got = skeletons.convert(keypoints, scores, "coco17", "halpe26")
    assert got[0, 18] == 0
    assert got[0, 19] == 1


def test_convert_poses():
    poses = Poses.of_boxes(
        Detections(np.zeros((3, 4), np.float32), np.ones(3, np.float32)), 17, "coco17"
    )
    assert skeletons.convert_poses(poses, "coco17") is poses
    out = skeletons.convert_poses(poses, "wholebody133")
    assert out.skeleton == "wholebody133"
    assert out.keypoints.shape == (3, 133, 2)
    assert out.boxes is poses.boxes
    assert len(skeletons.convert_poses(Poses.empty(17, "coco17"), "halpe136")) == 0


def test_unknown_names():
    with pytest.raises(ConfigError, match="no skeleton called 'coco'; there are: coco17"):
        skeletons.get("coco")
    with pytest.raises(ConfigError, match="halpe"):
        skeletons.body17("halpe")
    assert skeletons.get("coco17").index("nose", "neck", "left_hip").tolist() == [0, -1, 11]
