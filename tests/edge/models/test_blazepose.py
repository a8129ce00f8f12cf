"""The cascade with fake networks that know where their crops were cut."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import skeletons
from edge.errors import ConfigError, DataError, InternalError
from edge.models import ModelOptions, load_model
from edge.models._blazepose import crops, decode, points
from edge.models._blazepose.body_memory import BodyMemory
from edge.models._blazepose.part_memory import ExpectedParts, PartMemory
from edge.structures import Poses
from tests.edge.models.blazepose_fakes import (
    SIDE,
    Person,
    cascade,
    frame,
    known,
    new,
    recipe,
    standing,
)

TOES = points.SMALL_TOES
REAL = np.setdiff1d(np.arange(133), TOES)
NAMES = skeletons.get("wholebody133").names


def apart(poses: Poses, row: int, person: Person) -> float:
    """Largest distance of any keypoint from the truth, px."""
    step = poses.keypoints[row, REAL] - person.keypoints[REAL]
    return float(np.hypot(step[:, 0], step[:, 1]).max())


def test_somebody_new_gets_all_keypoints_in_their_places() -> None:
    person = standing()
    model, runners = cascade(person)
    (poses,) = model([frame()], [new(person)])
    assert apart(poses, 0, person) < 0.5
    assert (poses.scores[0, REAL] > 0.9).all()
    assert (poses.scores[0, TOES] == 0).all(), "they have no source"
    assert poses.person_scores[0] == 1
    assert poses.ids.tolist() == [-1]
    np.testing.assert_array_equal(poses.boxes[0], person.box)
    assert [r.runs for r in runners.values()] == [1, 1, 1], "a new person costs no second pass"


def test_left_is_the_persons_left() -> None:
    """The left side of a person who faces the camera is on the right, also of the fingers."""
    person = standing()
    model, _ = cascade(person)
    (poses,) = model([frame()], [new(person)])
    for left in ("left_shoulder", "left_ankle", "left_heel", "left_big_toe", "left_hand_root"):
        right = left.replace("left", "right")
        xs = [poses.keypoints[0, NAMES.index(n), 0] for n in (right, left)]
        assert xs[0] < xs[1], left


def test_each_network_runs_once_for_all_people_of_all_cameras() -> None:
    trio = [standing(x) for x in (200.0, 500.0, 800.0)]
    model, runners = cascade(*trio)
    frames = [frame("a"), frame("b"), frame("c")]
    nobody = Poses.empty(133, "wholebody133")
    a, b, c = model(frames, [known(*trio[:2]), nobody, new(*trio)])
    assert [len(p) for p in (a, b, c)] == [2, 0, 3]
    assert {k: r.batches for k, r in runners.items()} == {"body": [5], "hand": [10], "face": [5]}
    for poses, people in ((a, trio[:2]), (c, trio)):
        for row, person in enumerate(people):
            assert apart(poses, row, person) < 0.5
    assert a.ids.tolist() == [1, 2]


def test_nobody_runs_nothing() -> None:
    model, runners = cascade(standing())
    nobody = Poses.empty(133, "wholebody133")
    assert [len(p) for p in model([frame(), frame("b")], [nobody, nobody])] == [0, 0]
    assert model([], []) == []
    assert [r.runs for r in runners.values()] == [0, 0, 0]


@pytest.mark.parametrize("degrees", [0, 35, -90, 170])
def test_known_people_are_shown_upright_and_whole(degrees: int) -> None:
    person = standing().moved(0, 0, np.radians(degrees))
    model, runners = cascade(person)
    (poses,) = model([frame()], [known(person)])
    assert apart(poses, 0, person) < 0.5
    for part, up, down in (("body", 0, [23, 24]), ("hand", None, None), ("face", None, None)):
        square = runners[part].squares[0]
        if up is not None:
            head, hips = person.body[up], person.body[down].mean(0)
            ahead = np.linalg.solve(square[:, :2], head - hips)
            assert abs(np.arctan2(ahead[0], -ahead[1])) < 0.02, "the head is above the hips"
            seen = np.linalg.solve(square[:, :2], (person.body - square[:, 2]).T).T
            assert (seen > 0).all()
            assert (seen < 256).all()
    fingers = person.hands[0][9] - person.hands[0][0]
    ahead = np.linalg.solve(runners["hand"].squares[0][:, :2], fingers)
    assert abs(np.arctan2(ahead[0], -ahead[1])) < 0.1, "fingers point up"
    eyes = person.mesh[263] - person.mesh[33]
    along = np.linalg.solve(runners["face"].squares[0][:, :2], eyes)
    assert abs(np.arctan2(along[1], along[0])) < 0.02, "eyes are level"


def test_crops_neither_drift_nor_collapse() -> None:
    """With its own output as candidates for long, the squares of the cascade do not drift."""
    person = standing()
    model, runners = cascade(person)
    candidates = known(person)
    sizes = []
    for _ in range(20):
        (candidates,) = model([frame()], [candidates])
        sizes.append([np.linalg.norm(r.squares[0][:, 0]) for r in runners.values()])
    assert len(candidates) == 1
    np.testing.assert_allclose(sizes[1:], np.tile(sizes[1], (19, 1)), rtol=0.01)


@pytest.mark.parametrize("output", ["landmarks", "score"])
def test_numbers_that_are_none_cost_that_person_only(output: str) -> None:
    pair = [standing(250.0), standing(750.0)]
    model, runners = cascade(*pair)

    def spoil(outputs: Dict[str, np.ndarray]) -> None:
        outputs[output][0, 0] = np.nan

    runners["body"].spoil = spoil
    (poses,) = model([frame()], [known(*pair)])
    assert poses.ids.tolist() == [2]
    assert apart(poses, 0, pair[1]) < 0.5
    assert model.refused == 1
    assert runners["hand"].batches == [2]


@pytest.mark.parametrize(
    ("part", "output"),
    [("hand", "landmarks"), ("hand", "presence"), ("face", "landmarks"), ("face", "score")],
)
def test_a_spoilt_hand_or_face_is_missing_alone(part: str, output: str) -> None:
    person = standing()
    model, runners = cascade(person)
    gone = points.HANDS[0] if part == "hand" else points.FACE

    def spoil(outputs: Dict[str, np.ndarray]) -> None:
        outputs[output][0, 0] = np.nan

    runners[part].spoil = spoil
    (poses,) = model([frame()], [known(person)])
    assert (poses.scores[0, gone] == 0).all()
    rest = np.setdiff1d(REAL, np.arange(133)[gone])
    assert (poses.scores[0, rest] > 0.9).all()
    assert np.isfinite(poses.keypoints).all()


def test_a_heatmap_that_is_not_finite_leaves_the_regressed_points() -> None:
    places = np.full((1, 33, 2), 128, np.float32)
    found = decode.refined(places, np.full((1, 39, 64, 64), np.nan, np.float32), 256)
    np.testing.assert_array_equal(found, places)


def test_a_pose_on_the_neighbour_is_refused() -> None:
    pair = [standing(400.0), standing(620.0)]
    model, runners = cascade(*pair)
    runners["body"].choose = lambda apart: 1
    (poses,) = model([frame()], [known(pair[0])])
    assert len(poses) == 0
    assert model.refused == 1
    runners["body"].choose = lambda apart: int(apart.argmin())
    assert len(model([frame()], [known(pair[0])])[0]) == 1, "and found again"


def test_of_two_with_one_pose_the_expected_one_keeps_it() -> None:
    """Close enough that the pose lies inside both boxes."""
    pair = [standing(470.0), standing(530.0)]
    model, runners = cascade(*pair)
    runners["body"].choose = lambda apart: 1
    (poses,) = model([frame()], [known(*pair)])
    assert poses.ids.tolist() == [2]
    (poses,) = model([frame()], [Poses.join([new(pair[0]), known(pair[1])])])
    assert poses.ids.tolist() == [1], "a known person comes before a new box"


def test_neighbours_keep_their_poses() -> None:
    pair = [standing(450.0), standing(550.0)]
    model, _ = cascade(*pair)
    (poses,) = model([frame()], [known(*pair)])
    assert [apart(poses, i, p) < 0.5 for i, p in enumerate(pair)] == [True, True]


def test_what_is_outside_the_picture_is_missing() -> None:
    person = standing(20.0, 500.0)
    model, runners = cascade(person)
    (poses,) = model([frame()], [known(person)])
    outside = person.keypoints[:, 0] < 0
    assert outside.sum() > 30
    assert (poses.scores[0, outside] == 0).all()
    assert (poses.scores[0, np.setdiff1d(np.flatnonzero(~outside), TOES)] > 0.9).all()
    assert runners["hand"].batches == [1], "the hand out there is not looked for"


def test_an_upper_body_is_looked_for_beyond_the_edge() -> None:
    """The hips are below the frame: first the box says so, then the remembered keypoints."""
    person = standing(500.0, SIDE + 20.0)
    model, runners = cascade(person)
    candidates = new(person)
    candidates.boxes[0, 3] = SIDE
    for _ in range(3):
        (found,) = model([frame()], [candidates])
        assert len(found) == 1
        step = found.keypoints[0, :17] - person.keypoints[:17]
        assert np.abs(step).max() < 2, "half the crop is black: the fake sees less well"
        square = runners["body"].squares[0]
        candidates = found
    seen = np.linalg.solve(square[:, :2], (person.body - square[:, 2]).T).T
    assert (seen > 0).all(), "the crop holds the hidden legs"
    assert (seen < 256).all()
    assert (found.scores[0, points.HIPS] == 0).all()


def test_memory_is_of_the_last_call_and_does_not_mix_cameras() -> None:
    memory = BodyMemory()
    person = standing(500.0, SIDE + 20.0)
    body_feet = person.keypoints[None, :23]
    shown = body_feet[..., 1] < SIDE
    scores = shown.astype(np.float32)
    boxes = person.box[None]
    memory.keep([frame("a")], np.zeros(1, np.int64), body_feet, shown)
    forgotten = np.where(shown[..., None], body_feet + 7, 0).astype(np.float32)
    found, known_scores = memory.complete("a", forgotten, scores, boxes)
    np.testing.assert_allclose(found[0], body_feet[0] + 7, atol=1e-3)
    assert (known_scores == 1).all()
    np.testing.assert_array_equal(memory.complete("b", forgotten, scores, boxes)[0], forgotten)
    far = forgotten + 300
    np.testing.assert_array_equal(memory.complete("a", far, scores, boxes)[0], far)
    memory.keep([frame("a")], np.zeros(0, np.int64), body_feet[:0], shown[:0])
    np.testing.assert_array_equal(memory.complete("a", forgotten, scores, boxes)[0], forgotten)


def test_the_second_half_takes_people_in_any_order_and_leaves_the_first_alone() -> None:
    """Tracking drops and reorders people: each still gets their own parts."""
    trio = [standing(x) for x in (200.0, 500.0, 800.0)]
    model, runners = cascade(*trio)
    (bodies,) = model.bodies([frame()], [known(*trio)])
    assert (bodies.scores[:, points.PARTS] == 0).all()
    assert runners["hand"].runs == runners["face"].runs == 0
    before = bodies.scores.copy()
    (whole,) = model.parts([frame()], [bodies.take(np.array([2, 0]))])
    assert whole.ids.tolist() == [3, 1]
    assert apart(whole, 0, trio[2]) < 0.5
    assert apart(whole, 1, trio[0]) < 0.5
    assert runners["hand"].batches == [4]
    np.testing.assert_array_equal(bodies.scores, before)


def test_hands_and_faces_are_begun_together_before_either_is_waited_for() -> None:
    person, order = standing(), []
    model, runners = cascade(person)
    for part, runner in runners.items():

        def run(part: str = part, whole: Any = runner.run) -> Any:
            order.append(f"run {part}")
            return whole()

        def begin(fill: Any, part: str = part) -> bool:
            order.append(f"begin {part}")
            return False

        vars(runner).update(begin=begin, run=run)
    model([frame()], [known(person)])
    assert order == [
        "begin body",
        "run body",
        "begin hand",
        "begin face",
        "run hand",
        "run face",
    ]


def test_the_second_half_alone_is_a_broken_promise() -> None:
    model, _ = cascade(standing())
    with pytest.raises(InternalError, match="bodies"):
        model.parts([frame()], [known(standing())])


def test_hands_are_expected_where_they_lay_beside_the_wrist() -> None:
    person = standing()
    recall, frames, which, ids = PartMemory(), [frame("a")], np.zeros(1, np.int64), np.array([7])
    body = person.body[None].astype(np.float32)
    found = ExpectedParts(person.keypoints[None, points.PARTS], np.ones((1, 110), np.float32))
    assert (recall.expected(frames, which, ids, body).scores == 0).all(), "no person is known yet"
    recall.keep(frames, which, ids, body, found)
    body[:, 15] += (30, -10)  # the left wrist
    body[:, 0] += (5, 5)  # the nose
    now = recall.expected(frames, which, ids, body)
    np.testing.assert_allclose(now.hands[0], person.hands[0] + (30, -10), atol=1e-3)
    np.testing.assert_allclose(now.hands[1], person.hands[1], atol=1e-3)
    np.testing.assert_allclose(now.faces[0], found.faces[0] + 5, atol=1e-3)
    for others, camera in ((np.array([8]), "a"), (np.array([-1]), "a"), (ids, "b")):
        assert (recall.expected([frame(camera)], which, others, body).scores == 0).all()
    recall.forget(frames)
    assert (recall.expected(frames, which, ids, body).scores == 0).all()


def test_candidates_that_are_nonsense_do_no_harm() -> None:
    person = standing()
    model, runners = cascade(person)
    people = known(*[person] * 4)
    people.boxes[0] = np.nan
    people.boxes[1] = -500, -500, -300, -200
    people.boxes[3] = 480, 480, 480, 480
    people.keypoints[2, ::3] = np.nan
    people.scores[2, 5] = np.inf
    (poses,) = model([frame()], [people])
    assert poses.ids.tolist() == [3]
    assert apart(poses, 0, person) < 0.5
    assert runners["body"].batches == [1]


def test_hands_and_faces_too_small_to_read_are_not_looked_at() -> None:
    tall = standing()
    middle = tall.body[[23, 24]].mean(0)
    small = Person(*[(p - middle) * 0.15 + middle for p in (tall.body, tall.hands, tall.mesh)])
    model, runners = cascade(small)
    (poses,) = model([frame()], [known(small)])
    assert len(poses) == 1
    assert runners["hand"].runs == runners["face"].runs == 0
    assert (poses.scores[0, 23:] == 0).all()


@pytest.mark.parametrize(("part", "score"), [("hand", 0.29), ("face", -0.1)])
def test_what_the_network_does_not_see_is_missing(part: str, score: float) -> None:
    person = standing()
    model, runners = cascade(person)

    def spoil(outputs: Dict[str, np.ndarray]) -> None:
        outputs["presence" if part == "hand" else "score"][:] = score

    runners[part].spoil = spoil
    (poses,) = model([frame()], [known(person)])
    gone = np.arange(91, 133) if part == "hand" else np.arange(23, 91)
    assert (poses.scores[0, gone] == 0).all()
    assert (poses.scores[0, np.setdiff1d(REAL, gone)] > 0.9).all()


def test_one_hand_found_by_both_arms_belongs_to_the_right_one() -> None:
    """Folded hands: the network says it is a right hand."""
    person = standing()
    shift = person.body[15] - person.body[16]
    person.body[14] += shift * 0.5
    person.body[[16, 18, 20, 22]] += shift * 0.97
    person.hands[1] = person.hands[0]
    model, runners = cascade(person)

    def spoil(outputs: Dict[str, np.ndarray]) -> None:
        outputs["handedness"][:] = 0.9

    runners["hand"].spoil = spoil
    (poses,) = model([frame()], [known(person)])
    assert poses.scores[0, 112] > 0.9
    assert poses.scores[0, 91] == 0


def test_somebody_elses_hand_is_refused() -> None:
    person, other = standing(300.0), standing(700.0)
    model, runners = cascade(person, other)
    runners["hand"].choose = lambda apart: 2  # the other's left hand
    (poses,) = model([frame()], [known(person)])
    assert (poses.scores[0, 91:] == 0).all()


def test_weak_people_are_left_out() -> None:
    person = standing()
    model, runners = cascade(person)

    def spoil(outputs: Dict[str, np.ndarray]) -> None:
        outputs["score"][:] = 0.005

    runners["body"].spoil = spoil
    assert len(model([frame()], [new(person)])[0]) == 0


def test_candidates_of_another_skeleton_are_a_broken_promise() -> None:
    model, _ = cascade(standing())
    with pytest.raises(InternalError, match="coco17"):
        model([frame()], [Poses.empty(17, "coco17")])


def test_recipes_that_do_not_fit_are_refused_in_one_line() -> None:
    _, runners = cascade(standing())
    with pytest.raises(ConfigError, match=r"skeleton: .*coco17"):
        load_model(recipe(skeleton="coco17"), runners, ModelOptions())
    lacking = {k: v for k, v in recipe().networks.items() if k != "hand"}
    with pytest.raises(ConfigError, match=r"\[networks.hand\]"):
        load_model(recipe(networks=lacking), runners, ModelOptions())
    runners["body"], runners["hand"] = runners["hand"], runners["body"]
    with pytest.raises(DataError, match=r"body.onnx: output 'landmarks' is \[\?, 63\]"):
        load_model(recipe(), runners, ModelOptions())


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_refinement_equals_the_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = (rng.normal(-3, 3, (2, 39, 16, 20))).astype(np.float32)
    places = rng.uniform(-20, 180, (2, 33, 2)).astype(np.float32)
    found = decode.refined(places, heat, 160)
    for n, k in np.ndindex(2, 33):
        np.testing.assert_allclose(found[n, k], plain(places[n, k], heat[n, k], 8), rtol=1e-4)


def plain(place: np.ndarray, heat: np.ndarray, step: int) -> np.ndarray:
    column, row = (int(np.floor(v / step)) for v in place)
    height, width = heat.shape
    if not (0 <= column < width and 0 <= row < height):
        return place
    rows = range(max(0, row - 3), min(height, row + 4))
    columns = range(max(0, column - 3), min(width, column + 4))
    chances = [(c, r, 1 / (1 + np.exp(-float(heat[r, c])))) for r in rows for c in columns]
    if max(p for _, _, p in chances) < 0.5:
        return place
    total = sum(p for _, _, p in chances)
    x, y = (sum(spot[i] * spot[2] for spot in chances) / total for i in (0, 1))
    return np.array([x, y]) * step


@settings(max_examples=40)
@given(st.floats(-3.1, 3.1), st.floats(0.3, 3.0), st.floats(-500, 500), st.integers(0, 2**32 - 1))
def test_squares_turn_grow_and_move_with_their_points(
    turn: float, zoom: float, shift: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[cos, sin], [-sin, cos]]) * zoom
    hands, faces = rng.uniform(0, 100, (3, 21, 2)), rng.uniform(0, 100, (3, 68, 2))
    bodies = rng.uniform(0, 100, (3, 33, 2))
    cases: Any = [
        (crops.hand_squares, hands),
        (crops.face_squares, faces),
        (crops.head_squares, bodies),
        (crops.arm_squares, bodies),
    ]
    for square, group in cases:
        one, two = square(group), square(group @ matrix + shift)
        np.testing.assert_allclose(two.sides, one.sides * zoom, rtol=1e-3)
        np.testing.assert_allclose(two.centres, one.centres @ matrix + shift, atol=0.05)
        np.testing.assert_allclose(np.cos(two.turns - one.turns - turn), 1, atol=1e-4)


def test_the_68_of_the_face_are_a_mirror_of_themselves() -> None:
    """Every point has a place of its own, and none but the midline's is its own mirror."""
    assert len(set(points.MESH_68.tolist())) == 68
    assert 0 <= points.MESH_68.min() <= points.MESH_68.max() < points.MESH_POINTS
    assert len(points.BODY_FEET_SOURCE) == 23
