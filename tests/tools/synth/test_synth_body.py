"""The body: shapes, bones, keypoints and clothes."""

from __future__ import annotations

import numpy as np
import pytest

from edge import skeletons
from edge.capture._synthetic.body import AT as SEGMENT
from edge.capture._synthetic.body import turns
from tools.render.body import mesh
from tools.render.body.keypoints import Keypoints
from tools.render.body.person import Person
from tools.render.body.posing import (
    Pose,
    Rig,
    least_turn,
    rotation,
    rotation_vector,
)
from tools.render.body.regions import FACE68, regions

NAMES = list(skeletons.get("wholebody133").names)
AVERAGE = {
    "age": 0.7,
    "gender": 0.5,
    "muscle": 0.5,
    "weight": 0.5,
    "height": 0.5,
    "proportions": 0.5,
    "african": 1.0,
    "asian": 1.0,
    "caucasian": 1.0,
}


def upright() -> np.ndarray:
    return np.tile(np.eye(3), (15, 1, 1))


def stature(**traits: float) -> float:
    rest = mesh.load().shape({**AVERAGE, **traits}, {})
    return float(np.ptp(rest[np.unique(mesh.load().faces["body"]), 2]))


def points(axes: np.ndarray, **pose: np.ndarray) -> np.ndarray:
    body = mesh.load()
    rest = body.shape(AVERAGE, {})
    rig = Rig(body, rest)
    return Keypoints(body, rig.heads, rest).of(*rig.bones(Pose(axes, **pose)))


def at(found: np.ndarray, name: str) -> np.ndarray:
    return found[NAMES.index(name)]


def test_traits_make_people_of_human_size() -> None:
    assert 1.6 < stature() < 1.85
    assert stature(age=1 / 3) < 1.5 < stature()
    assert stature(height=0.9) > stature(height=0.1) + 0.1
    assert stature(gender=0.0) > stature(gender=1.0)


def test_weight_makes_people_wide_and_not_tall() -> None:
    waist = np.abs(regions().trunk - 0.4) < 0.05
    waist &= ~regions().on_arm
    thin, heavy = (mesh.load().shape({**AVERAGE, "weight": w}, {})[waist] for w in (0.2, 0.95))
    assert np.ptp(heavy[:, 1]) > np.ptp(thin[:, 1]) + 0.03


def test_a_face_moves_by_its_actions_alone() -> None:
    still = mesh.load().shape(AVERAGE, {})
    moved = np.linalg.norm(mesh.load().shape(AVERAGE, {"jawOpen": 1.0}) - still, axis=1)
    assert moved[FACE68[8]] > 0.005, "the chin"
    assert moved[~regions().on_head].max() < 1e-3


def test_the_points_of_a_standing_person_are_in_their_places() -> None:
    found = points(upright())
    for side, sign in (("left", 1), ("right", -1)):
        chain = [at(found, f"{side}_{n}") for n in ("shoulder", "elbow", "wrist")]
        assert all(sign * p[1] > 0.05 for p in chain)
        assert chain[0][2] > chain[1][2] > chain[2][2], "arms hang"
        legs = [at(found, f"{side}_{n}")[2] for n in ("hip", "knee", "ankle", "heel")]
        assert legs == sorted(legs, reverse=True)
        toe, small = at(found, f"{side}_big_toe"), at(found, f"{side}_small_toe")
        assert toe[0] > at(found, f"{side}_heel")[0] + 0.15, "toes are in front"
        assert sign * (small[1] - toe[1]) > 0.03, "the small toe is outside"
    assert at(found, "nose")[0] > at(found, "left_ear")[0] + 0.05


def test_a_face_has_its_68_points_in_order() -> None:
    face = points(upright())[23:91]
    assert (np.diff(face[:9, 2]) < 0.004).all(), "the jaw falls to the chin"
    assert face[0, 1] < 0 < face[16, 1], "it starts at the person's right"
    mirror = face[[16, 26, 45, 54]] * [1, -1, 1]
    assert np.abs(mirror - face[[0, 17, 36, 48]]).max() < 0.012
    eyes, mouth = face[36:48].mean(0), face[48:68].mean(0)
    assert 0.05 < eyes[2] - mouth[2] < 0.1


def test_hands_have_five_fingers_that_close() -> None:
    open_hand = points(upright(), fingers=np.zeros((2, 5)))
    fist = points(upright(), fingers=np.ones((2, 5)))
    for first in (91, 112):
        for finger in range(5):
            base, tip = first + 1 + 4 * finger, first + 4 + 4 * finger
            long = np.linalg.norm(open_hand[tip] - open_hand[base])
            assert 0.04 < long < 0.12
            if finger:
                assert np.linalg.norm(fist[tip] - fist[base]) < 0.7 * long


def test_fingers_close_towards_the_palm() -> None:
    """Of a hanging left hand the palm faces the thigh, to the right; of a right one to the left."""
    open_hand = points(upright(), fingers=np.zeros((2, 5)))
    bent = points(upright(), fingers=np.full((2, 5), 0.4))
    for first, sign in ((91, 1), (112, -1)):
        for finger in range(1, 5):
            tip = first + 4 + 4 * finger
            assert sign * (open_hand[tip] - bent[tip])[1] > 0.015


def test_palms_face_the_thighs() -> None:
    found = points(upright(), fingers=np.zeros((2, 5)))
    for first in (91, 112):
        wrist, index, little = found[first], found[first + 5], found[first + 17]
        palm = np.cross(index - wrist, little - wrist)
        assert palm[1] > 0.002, "the index finger is in front"
        assert abs(palm[1]) > 2 * abs(palm[0])


@pytest.mark.parametrize(("side", "sign"), [("left", 1.0), ("right", -1.0)])
def test_an_arm_follows_its_segment(side: str, sign: float) -> None:
    axes = upright()
    raised = turns(np.array([sign * 90.0, 0, 0]))
    for part in ("upper_arm", "forearm", "hand"):
        axes[SEGMENT[f"{side}_{part}"]] = raised
    found = points(axes)
    arm = at(found, f"{side}_wrist") - at(found, f"{side}_shoulder")
    assert sign * arm[1] > 0.4
    assert abs(arm[2]) < 0.1


def test_turns_are_inverse_to_their_vectors() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        vector = rng.normal(size=3)
        vector *= rng.uniform(0, 3.1) / np.linalg.norm(vector)
        assert np.allclose(rotation_vector(rotation(vector)), vector, atol=1e-6)
        a, b = rng.normal(size=(2, 3))
        assert np.allclose(least_turn(a, b) @ a / np.linalg.norm(a), b / np.linalg.norm(b))
    half = rotation(np.array([0.0, np.pi, 0.0]))
    assert np.allclose(rotation(rotation_vector(half)), half, atol=1e-6)
    up = np.array([0, 0, 1.0])
    assert np.allclose(least_turn(up, -up) @ up, -up)


def test_a_person_is_the_same_from_the_same_numbers() -> None:
    one, same, other = (Person(np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert one.traits == same.traits != other.traits
    assert np.array_equal(one.surface.rest, same.surface.rest)
    assert np.array_equal(one.surface.colour, same.surface.colour)


def test_clothes_have_silhouettes_and_hide_the_skin_below() -> None:
    wider, bare = [], len(mesh.load().faces["body"])
    for seed in range(6):
        person = Person(np.random.default_rng(seed), child_share=0)
        surface = person.surface
        assert (surface.material == 0).sum() < 0.75 * bare, "skin below clothes is not drawn"
        posed = person.posed(Pose(upright()))
        knees = np.abs(posed.vertices[:, 2] - posed.keypoints[13, 2]) < 0.03
        skin = surface.source < 13380
        cloth = np.ptp(posed.vertices[knees & (surface.shown > 0) & ~skin, 1], axis=0)
        wider.append(float(cloth) if (knees & ~skin).any() else 0.0)
    assert max(wider) - min(wider) > 0.05, "trousers and skirts differ in width"


def test_hair_leaves_the_face_free() -> None:
    face = regions().scalp[FACE68[17:]]
    assert face.max() < 0.0
    top = mesh.load().template[np.unique(mesh.load().faces["body"])][:, 2].argmax()
    assert regions().scalp[top] > 0.05
