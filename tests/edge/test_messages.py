"""Records to messages."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import codec
from edge.errors import InternalError
from edge.message_people import people
from edge.messages import Builder, Clock, Message
from edge.structures import CameraState, Frame, PoseEvent, Poses

WALL_NS = 1_800_000_000_000_000_000
MONO_NS = 5_000_000_000
clock = Clock(lambda: WALL_NS, lambda: MONO_NS)
frame = Frame(np.zeros((720, 1280, 3), np.uint8), 7, MONO_NS - 40_000_000, "cam0")
f32 = st.floats(width=32)  # not a number, infinite and huge ones too


def poses_of(points: List[List[float]], scores: List[float], box: List[float]) -> Poses:
    return Poses(
        np.array([points], np.float32),
        np.array([scores], np.float32),
        np.array([box], np.float32),
        np.array([3]),
        np.array([0.876], np.float32),
        "coco17",
    )


@st.composite
def any_poses(draw: Any) -> Poses:
    n, k = draw(st.integers(0, 4)), draw(st.integers(0, 5))

    def column(*shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        return np.array(draw(st.lists(f32, min_size=size, max_size=size)), "f4").reshape(shape)

    ids = np.array(draw(st.lists(st.integers(-1, 2**62), min_size=n, max_size=n)), np.int64)
    return Poses(column(n, k, 2), column(n, k), column(n, 4), ids, column(n), "coco17")


def read(message: Message) -> Dict[str, Any]:
    return codec.read(message.body, message.content_type)


def test_a_frame_message_to_the_letter() -> None:
    points = [[10.04, 20.06], [-3.25, 719.96], [55.0, 66.0]]
    builder = Builder("box", clock=clock)
    message = builder.frame(frame, poses_of(points, [0.5, 1.0, 0.0], [1, 2, 3.25, 4.06]))
    assert message.topic == "poses/v1/box/cam0/frame"
    assert (message.qos, message.retain, message.expiry_s) == (0, False, 2)
    assert read(message) == {
        "schema": "pose/1",
        "device": "box",
        "camera": "cam0",
        "boot_id": builder.boot_id,
        "seq": 0,
        "t_utc_ns": WALL_NS - 40_000_000,
        "t_mono_ns": MONO_NS - 40_000_000,
        "size": [1280, 720],
        "skeleton": "coco17",
        "people": [
            {
                "id": 3,
                "score": 88,
                "box": [10, 20, 32, 41],
                "keypoints": [100, 201, 50, -32, 7200, 100, 0, 0, 0],
            }
        ],
    }


def test_json_and_cbor_say_the_same() -> None:
    rng = np.random.default_rng(1)
    poses = Poses(
        (rng.normal(size=(5, 133, 2)) * 300).astype("f4"),
        rng.random((5, 133)).astype("f4"),
        (rng.random((5, 4)) * 4000).astype("f4"),
        np.arange(5),
        rng.random(5).astype("f4"),
        "w",
    )
    both = [Builder("box", name, clock=clock).frame(frame, poses) for name in ("json", "cbor")]
    records = [{**read(m), "boot_id": ""} for m in both]
    assert records[0] == records[1]
    assert [m.content_type for m in both] == ["application/json", "application/cbor"]
    assert len(both[1].body) < len(both[0].body) / 2
    assert codec.read(both[1].json) == read(both[1])


@pytest.mark.parametrize(
    ("far_px", "kind"), [(3276.7, "<i2"), (-3276.7, "<i2"), (3276.8, "<i4"), (-3276.9, "<i4")]
)
def test_keypoints_are_16_bits_while_they_fit(far_px: float, kind: str) -> None:
    rows = people(poses_of([[far_px, 0.0]], [1.0], [0, 0, 1, 1]))
    assert rows[0]["keypoints"].dtype == kind
    assert rows[0]["keypoints"].tolist() == [round(far_px * 10), 0, 100]


@given(any_poses())
def test_any_people_make_a_message_that_holds_the_contract(contract: Any, poses: Poses) -> None:
    for name in ("json", "cbor"):
        message = Builder("box", name, clock=clock).frame(frame, poses)
        record = read(message)
        contract(message.topic, record)
        assert len(record["people"]) == len(poses)
        for person in record["people"]:
            triples = np.reshape(person["keypoints"], (-1, 3))
            assert not triples[triples[:, 2] == 0].any()


@given(any_poses())
def test_coordinates_are_within_half_a_tenth(poses: Poses) -> None:
    for row, points, scores in zip(people(poses), poses.keypoints, poses.scores):
        triples = row["keypoints"].reshape(-1, 3).astype(np.float64)
        sane = (triples[:, 2] > 0) & (np.abs(points) < 1e8).all(1)
        assert np.all(np.abs(triples[sane, :2] - points[sane].astype(np.float64) * 10) <= 0.5)
        sure = np.isfinite(points).all(1) & (scores >= 0.005001) & (scores <= 1)
        assert np.all(triples[sure, 2] >= 1)


def test_nobody_is_a_message_too(contract: Any) -> None:
    message = Builder("box", clock=clock).frame(frame, Poses.empty(133, "wholebody133"))
    assert read(message)["people"] == []
    contract(message.topic, read(message))


def test_borrowed_arrays_may_change_after_the_call() -> None:
    poses = poses_of([[1.0, 2.0]], [1.0], [0, 0, 5, 5])
    message = Builder("box", clock=clock).frame(frame, poses)
    for array in (poses.keypoints, poses.scores, poses.boxes, poses.person_scores):
        array[:] = 9
    assert read(message)["people"][0]["keypoints"] == [10, 20, 100]
    assert read(message)["people"][0]["box"] == [0, 0, 50, 50]


def test_bytes_are_made_once() -> None:
    message = Builder("box", clock=clock).frame(frame, Poses.empty(1, "x"))
    assert message.body is message.body
    assert message.json is message.body


def test_every_topic_counts_for_itself_and_every_start_has_a_name() -> None:
    builder = Builder("box", clock=clock)
    nobody = Poses.empty(1, "x")
    event = PoseEvent("fall", "cam0", 1, MONO_NS, 1.0)
    made = [
        builder.frame(frame, nobody),
        builder.frame(frame, nobody),
        builder.event(event),
        builder.frame(frame, nobody),
        builder.event(event),
        builder.metrics({}),
    ]
    assert [m.payload["seq"] for m in made] == [0, 1, 0, 2, 1, 0]
    assert len({m.payload["boot_id"] for m in made}) == 1
    assert Builder("box").boot_id != builder.boot_id


def test_a_step_of_the_wall_clock_moves_only_the_utc_field() -> None:
    wall = [WALL_NS]
    builder = Builder("box", clock=Clock(lambda: wall[0], lambda: MONO_NS))
    first = read(builder.frame(frame, Poses.empty(1, "x")))
    wall[0] += 86_400 * 10**9
    second = read(builder.frame(frame, Poses.empty(1, "x")))
    assert second["t_utc_ns"] - first["t_utc_ns"] == 86_400 * 10**9
    assert {**second, "t_utc_ns": 0, "seq": 0} == {**first, "t_utc_ns": 0, "seq": 0}


def test_the_real_clocks_agree_on_now() -> None:
    now = Clock()
    assert abs(now.utc_ns(now.mono_ns()) - now.wall_ns()) < 10**9


def test_an_event(contract: Any) -> None:
    event = PoseEvent("wave", "cam0", 4, MONO_NS, np.float32(0.914), {"speed": np.float32(1.5)})  # type: ignore[dict-item]
    message = Builder("box", clock=clock).event(event)
    assert message.topic == "poses/v1/box/cam0/event/wave"
    assert (message.qos, message.retain, message.expiry_s) == (1, False, 0)
    record = read(message)
    assert (record["kind"], record["person"], record["score"]) == ("wave", 4, 91)
    assert record["data"] == {"speed": 1.5}
    contract(message.topic, record)


@pytest.mark.parametrize(
    ("before_ns", "same"),
    [(0, True), (10**9, True), (-(10**9), True), (60 * 10**9, True), (60 * 10**9 + 1, False)],
)
def test_an_event_near_its_cameras_last_frame_has_the_frames_date(
    before_ns: int, same: bool
) -> None:
    """The wall clock is set between the two messages: one instant keeps one date."""
    wall = [WALL_NS]
    builder = Builder("box", clock=Clock(lambda: wall[0], lambda: MONO_NS))
    told = read(builder.frame(frame, Poses.empty(1, "x")))
    wall[0] += 3_600 * 10**9
    event = PoseEvent("wave", "cam0", 4, frame.t_ns - before_ns, 1.0)
    expected_ns = told["t_utc_ns"] - before_ns + (0 if same else 3_600 * 10**9)
    assert read(builder.event(event))["t_utc_ns"] == expected_ns
    elsewhere = PoseEvent("wave", "cam1", 4, frame.t_ns, 1.0)
    assert read(builder.event(elsewhere))["t_utc_ns"] == told["t_utc_ns"] + 3_600 * 10**9


@pytest.mark.parametrize("kind", ["", "a/b", "#", "+", "Fall", "x" * 33, "fall\n"])
def test_a_kind_that_is_no_topic_level_never_reaches_a_broker(kind: str) -> None:
    with pytest.raises(InternalError, match="event kind"):
        Builder("box").event(PoseEvent(kind, "cam0", -1, 0, 1.0))


@given(f32)
def test_any_score_of_an_event_is_a_percentage(score: float) -> None:
    made = Builder("box", clock=clock).event(PoseEvent("fall", "cam0", -1, 0, score))
    assert 0 <= read(made)["score"] <= 100


@given(st.text(st.characters(codec=None), max_size=20), st.integers(0, 2**40))
def test_any_state_of_a_camera_holds_the_contract(contract: Any, detail: str, count: int) -> None:
    state = CameraState("cam0", "failed", detail, MONO_NS - 10**9, count, count, count, (640, 480))
    message = Builder("box", clock=clock).state(state, 3)
    assert (message.topic, message.qos, message.retain) == ("poses/v1/box/cam0/state", 1, True)
    record = read(message)
    assert record["since_utc_ns"] == WALL_NS - 10**9
    assert (record["people"], record["size"], record["dropped"]) == (3, [640, 480], count)
    contract(message.topic, record)


def test_birth_will_and_goodbye(contract: Any) -> None:
    builder = Builder("box", clock=clock)
    birth = builder.online(
        version="1",
        cameras=["cam0"],
        engines={"a/b": "0" * 64},
        clock={"source": "none", "error_ms": None},
    )
    for message, state in (
        (birth, "online"),
        (builder.offline("lost"), "offline"),
        (builder.offline("stopped"), "offline"),
    ):
        assert (message.topic, message.qos, message.retain) == ("poses/v1/box/status", 1, True)
        assert read(message)["state"] == state
        assert read(message)["boot_id"] == builder.boot_id
        contract(message.topic, read(message))
