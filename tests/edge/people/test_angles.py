"""Joint angles: bodies with known angles, in space and through a camera."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import numpy as np
import pytest

from edge import skeletons
from edge.people.angles import PLANES, Angles, measure

SKELETON = skeletons.get("wholebody133")
UP = (0.0, 0.0, 1.0)
# Metres; the person faces +y, z is up, so that left is -x.
REST: Dict[str, Tuple[float, float, float]] = {
    "nose": (0, 0.12, 1.62),
    "ear": (0.08, 0, 1.62),
    "shoulder": (0.18, 0, 1.45),
    "elbow": (0.18, 0, 1.13),
    "wrist": (0.18, 0, 0.88),
    "hip": (0.09, 0, 0.93),
    "knee": (0.09, 0, 0.5),
    "ankle": (0.09, 0, 0.08),
    "heel": (0.09, -0.05, 0.0),
    "big_toe": (0.09, 0.18, 0.0),
}
TALL = 1.75
LEG, ARM, FOOT = ("knee", "ankle", "heel", "big_toe"), ("elbow", "wrist"), ("heel", "big_toe")


def about(axis: str, deg: float) -> np.ndarray:
    """Rotation by the right-hand rule."""
    c, s = np.cos(np.radians(deg)), np.sin(np.radians(deg))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


class Figure:
    """A body whose joints are turned one after the other, from the far end to the trunk."""

    def __init__(self) -> None:
        self.at: Dict[str, np.ndarray] = {}
        for part, (x, y, z) in REST.items():
            if part == "nose":
                self.at[part] = np.array([x, y, z], float)
                continue
            self.at[f"left_{part}"] = np.array([-x, y, z], float)
            self.at[f"right_{part}"] = np.array([x, y, z], float)

    def turn(self, side: str, joint: str, parts: Tuple[str, ...], turn: np.ndarray) -> Figure:
        centre = self.at[f"{side}_{joint}"]
        for part in parts:
            name = f"{side}_{part}"
            self.at[name] = centre + turn @ (self.at[name] - centre)
        return self

    def whole(self, turn: np.ndarray) -> Figure:
        self.at = {name: turn @ point for name, point in self.at.items()}
        return self

    def points(self) -> Tuple[np.ndarray, np.ndarray]:
        points = np.zeros((1, len(SKELETON), 3), np.float32)
        scores = np.zeros((1, len(SKELETON)), np.float32)
        for name, point in self.at.items():
            index = SKELETON.names.index(name)
            points[0, index], scores[0, index] = point, 0.9
        return points, scores

    def space(self, *names: str) -> Angles:
        points, scores = self.points()
        return measure(points, scores, "wholebody133", names, np.array([TALL]), UP)

    def picture(self, *names: str, turn_deg: float = 0.0) -> Angles:
        """As seen from the left side; turned further, towards a view from the front."""
        points, scores = self.points()
        seen = points @ about("z", -turn_deg).T.astype(np.float32)
        flat = np.stack((-seen[..., 1], -seen[..., 2]), -1) * 200  # the person looks to the left
        return measure(flat, scores, "wholebody133", names, np.array([TALL * 200]))


def test_at_rest_every_angle_is_zero_but_those_of_a_straight_limb() -> None:
    names = [n for n in PLANES if "rotation" not in n]
    found = Figure().space(*names).degrees[0]
    assert np.abs(found[[i for i, n in enumerate(names) if "ankle" not in n]]).max() < 1e-3
    assert np.isnan(Figure().space("left_hip_rotation").degrees).all()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("deg", [15.0, 60.0, 120.0])
def test_flexion_in_space(side: str, deg: float) -> None:
    forward = about("x", deg)  # z down goes to +y
    figure = Figure().turn(side, "knee", ("ankle", "heel", "big_toe"), about("x", -deg))
    assert figure.space(f"{side}_knee_flexion").degrees[0, 0] == pytest.approx(deg, abs=1e-3)
    figure = Figure().turn(side, "elbow", ("wrist",), forward)
    assert figure.space(f"{side}_elbow_flexion").degrees[0, 0] == pytest.approx(deg, abs=1e-3)
    for joint, parts in (("hip", LEG), ("shoulder", ARM)):
        name = f"{side}_{joint}_flexion"
        figure = Figure().turn(side, joint, parts, forward)
        assert figure.space(name).degrees[0, 0] == pytest.approx(deg, abs=1e-3)
        back = Figure().turn(side, joint, parts, about("x", -30))
        assert back.space(name).degrees[0, 0] == pytest.approx(-30, abs=1e-3)
        assert back.space(name).off_plane_deg[0, 0] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("joint", ["hip", "shoulder"])
def test_abduction_in_space_is_outward(side: str, joint: str) -> None:
    parts = {"hip": LEG, "shoulder": ARM}[joint]
    out = about("y", 40 if side == "left" else -40)
    figure = Figure().turn(side, joint, parts, out)
    found = figure.space(f"{side}_{joint}_abduction", f"{side}_{joint}_flexion")
    assert found.degrees[0, 0] == pytest.approx(40, abs=1e-3)
    assert found.off_plane_deg[0] == pytest.approx([0, 40], abs=0.1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_rotation_inward(side: str) -> None:
    to_the_midline = about("z", -25 if side == "left" else 25)
    bent = Figure().turn(side, "elbow", ("wrist",), about("x", 90))
    inward = bent.turn(side, "elbow", ("wrist",), to_the_midline)
    assert inward.space(f"{side}_shoulder_rotation").degrees[0, 0] == pytest.approx(25, abs=0.1)
    # Inward rotation of a hip swings the shank of a bent knee outwards.
    shank = ("ankle", "heel", "big_toe")
    bent = Figure().turn(side, "knee", shank, about("x", -90))
    swung = bent.turn(side, "knee", shank, to_the_midline)
    assert swung.space(f"{side}_hip_rotation").degrees[0, 0] == pytest.approx(25, abs=0.1)


def test_rotation_is_of_the_limb_also_when_it_is_raised() -> None:
    figure = Figure().turn("left", "elbow", ("wrist",), about("x", 90))
    figure.turn("left", "elbow", ("wrist",), about("z", -25))
    figure.turn("left", "shoulder", ARM, about("x", 60))
    found = figure.space("left_shoulder_rotation", "left_shoulder_flexion")
    assert found.degrees[0] == pytest.approx([25, 60], abs=0.1)


def test_the_trunk() -> None:
    above = ("shoulder", "elbow", "wrist", "ear")

    def upper(turn: np.ndarray) -> Figure:
        figure = Figure()
        centre = np.array([0, 0, REST["hip"][2]])
        for name in [n for n in figure.at if n == "nose" or n.partition("_")[2] in above]:
            figure.at[name] = centre + turn @ (figure.at[name] - centre)
        return figure

    names = ("trunk_lean", "trunk_side_bend", "trunk_rotation")
    assert upper(about("x", -20)).space(*names).degrees[0] == pytest.approx([20, 0, 0], abs=0.1)
    assert upper(about("y", -15)).space(*names).degrees[0] == pytest.approx([0, 15, 0], abs=0.1)
    assert upper(about("z", 30)).space(*names).degrees[0] == pytest.approx([0, 0, 30], abs=0.1)
    assert upper(about("x", -20)).picture("trunk_lean").degrees[0, 0] == pytest.approx(20, abs=0.1)
    assert upper(about("x", 20)).picture("trunk_lean").degrees[0, 0] == pytest.approx(-20, abs=0.1)


def test_angles_do_not_depend_on_where_the_body_stands_or_looks() -> None:
    figure = Figure().turn("left", "hip", LEG, about("x", 50))
    figure.turn("left", "knee", ("ankle", "heel", "big_toe"), about("x", -70))
    names = ("left_hip_flexion", "left_knee_flexion", "left_hip_abduction", "trunk_lean")
    before = figure.space(*names).degrees
    after = figure.whole(about("z", 130)).space(*names).degrees
    assert after == pytest.approx(before, abs=1e-3)


@pytest.mark.parametrize("deg", [10.0, 70.0, 130.0])
def test_from_the_side_the_picture_gives_the_angles_of_space(deg: float) -> None:
    figure = Figure().turn("left", "hip", LEG, about("x", deg))
    figure.turn("left", "knee", ("ankle", "heel", "big_toe"), about("x", -deg))
    figure.turn("left", "shoulder", ARM, about("x", deg + 40))
    figure.turn("left", "elbow", ("wrist",), about("x", deg))
    figure.turn("left", "ankle", FOOT, about("x", 12))
    names = [n for n in PLANES if n.startswith("left") and PLANES[n] != "space"]
    names = [n for n in names if "abduction" not in n]
    seen, true = figure.picture(*names), figure.space(*names)
    assert seen.degrees == pytest.approx(true.degrees, abs=0.1)
    assert seen.off_plane_deg.max() < 5
    assert seen.error_deg[0, names.index("left_knee_flexion")] < 8


def test_from_the_front_abduction_is_seen_and_flexion_is_not() -> None:
    figure = Figure().turn("left", "shoulder", ARM, about("y", 70))
    seen = figure.picture("left_shoulder_abduction", "left_knee_flexion", turn_deg=90)
    assert seen.degrees[0, 0] == pytest.approx(70, abs=0.1)
    assert seen.off_plane_deg[0, 0] < 25  # shoulders a little narrower than the mean
    assert seen.off_plane_deg[0, 1] > 60


@pytest.mark.parametrize("turn_deg", [20.0, 40.0, 60.0])
def test_the_angle_off_the_plane_and_the_error_grow_with_the_turn(turn_deg: float) -> None:
    figure = Figure().turn("left", "knee", ("ankle", "heel", "big_toe"), about("x", -90))
    figure.turn("left", "hip", LEG, about("x", 45))
    seen = figure.picture("left_knee_flexion", turn_deg=turn_deg)
    assert seen.off_plane_deg[0, 0] == pytest.approx(turn_deg, abs=8)
    wrong = abs(seen.degrees[0, 0] - 90)
    assert seen.error_deg[0, 0] >= 0.7 * wrong
    assert figure.picture("left_knee_flexion").error_deg[0, 0] < seen.error_deg[0, 0]


def test_missing_keypoints_give_no_angle() -> None:
    points, scores = Figure().points()
    scores[0, SKELETON.names.index("left_ankle")] = 0.1
    points[0, SKELETON.names.index("left_wrist")] = np.nan
    names = ("left_knee_flexion", "left_elbow_flexion", "left_hip_flexion")
    found = measure(points, scores, "wholebody133", names, np.array([TALL]), UP)
    assert np.isnan(found.degrees[0]).tolist() == [True, True, False]
    assert found.scores[0].tolist()[:2] == [0, 0]
    assert found.error_deg[0, 0] == 180


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("n", [0, 3])
def test_shapes(dimensions: int, n: int) -> None:
    points = np.zeros((n, 17, dimensions), np.float32)
    found: Any = measure(points, np.zeros((n, 17), np.float32), "coco17", list(PLANES), np.ones(n))
    for array in (found.degrees, found.scores, found.off_plane_deg, found.error_deg):
        assert array.shape == (n, len(PLANES))
        assert array.dtype == np.float32
    none = measure(points, np.zeros((n, 17), np.float32), "coco17", [], np.ones(n))
    assert none.degrees.shape == (n, 0)


def test_people_do_not_disturb_each_other() -> None:
    figures = [Figure().turn("left", "hip", LEG, about("x", d)).points() for d in (0, 30, 80)]
    points, scores = (np.concatenate(part) for part in zip(*figures))
    found = measure(points, scores, "wholebody133", ["left_hip_flexion"], np.full(3, TALL), UP)
    assert found.degrees[:, 0] == pytest.approx([0, 30, 80], abs=1e-3)
