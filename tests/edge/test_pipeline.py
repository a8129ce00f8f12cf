"""The loop with stages that record what they are given; real stages are in test_daemon."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest

from edge.health import Health
from edge.people.look_schedule import Pacing
from edge.pipeline import Pipeline
from edge.stages import CameraStages
from edge.structures import CameraState, Detections, Frame, PoseEvent, Poses, RuleSummary
from tests.waiting import GIVE_UP_S

NAMES = ("a", "b", "c")


class Cameras:
    """Gives each camera's frames in step and notices what is not given back."""

    def __init__(self, steps: int, names: Sequence[str] = NAMES, pauses: int = 0) -> None:
        self.names, self.left, self.index, self.pauses = names, steps, 0, pauses
        self.held = 0
        self.most_held = 0

    def take(self, timeout_s: float) -> List[Frame]:
        if self.pauses or not self.left:
            self.pauses -= bool(self.pauses)
            return []
        self.left -= 1
        self.index += 1
        self.held += len(self.names)
        self.most_held = max(self.most_held, self.held)
        image = np.zeros((4, 6, 3), np.uint8)
        return [Frame(image, self.index, self.index * 10**7, n, arrival_ns=1) for n in self.names]

    def release(self, frames: Sequence[Frame]) -> None:
        self.held -= len(frames)

    def states(self) -> List[CameraState]:
        return [CameraState(n, "ok", "", 0) for n in self.names]

    @property
    def ended(self) -> bool:
        return not self.left and not self.pauses


class Tracker:
    def __init__(self, calm: bool = False, confirmed: bool = True) -> None:
        self.detections: List[Any] = []
        self.stills: List[bool] = []
        self.calm, self.confirmed = calm, confirmed
        self.boxes = np.zeros((0, 4), np.float32)

    def candidates(self, detections: Any, t_ns: int, still: bool = False) -> Poses:
        self.stills.append(still)
        self.detections.append(detections)
        return Poses.of_boxes(detections or Detections.empty(), 17, "coco17")

    def update(self, poses: Poses, t_ns: int) -> Poses:
        return poses


class Publisher:
    def __init__(self) -> None:
        self.frames: List[Any] = []
        self.events: List[PoseEvent] = []
        self.states: List[CameraState] = []
        self.rules: List[Sequence[RuleSummary]] = []

    def frame(self, frame: Frame, poses: Poses) -> None:
        self.frames.append((frame.camera, frame.index, len(poses)))

    def event(self, event: PoseEvent) -> None:
        self.events.append(event)

    def camera(self, state: CameraState, people: int, rules: Sequence[RuleSummary] = ()) -> None:
        self.states.append(state)
        self.rules.append(rules)


def one_box(frames: Sequence[Frame]) -> List[Detections]:
    one = Detections(np.array([[0, 0, 2, 2]], np.float32), np.ones(1, np.float32))
    return [one for _ in frames]


def pipeline(cameras: Cameras, **changes: Any) -> Pipeline:
    own = {
        n: CameraStages(Tracker(), lambda poses, t_ns: poses, [], phase=i / 3)
        for i, n in enumerate(cameras.names)
    }
    stages: Dict[str, Any] = {
        "cameras": cameras,
        "detect": one_box,
        "pose": lambda frames, people: list(people),
        "stages": own,
        "publisher": Publisher(),
    }
    return Pipeline(**{**stages, **changes})


def test_every_frame_is_published_in_order_and_given_back() -> None:
    cameras = Cameras(20)
    loop = pipeline(cameras)
    assert loop.run(lambda: False) == 20
    assert loop.publisher.frames == [(n, i, 1) for i in range(1, 21) for n in NAMES]  # type: ignore[attr-defined]
    assert cameras.held == 0
    assert cameras.most_held <= 3 * len(NAMES), "at most three steps are in the loop at once"


def test_frames_are_watched_before_they_go_back() -> None:
    cameras = Cameras(5)
    held: List[int] = []

    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        held.append(cameras.held)

    pipeline(cameras, watchers=[watch]).run(lambda: False)
    assert len(held) == 6, "five steps, and how the cameras ended"
    assert min(held[:5]) >= len(NAMES)


def test_no_frames_still_tells_the_states() -> None:
    loop = pipeline(Cameras(0, pauses=2))
    loop.run(lambda: False)
    assert [s.state for s in loop.publisher.states[: len(NAMES)]] == ["ok"] * len(NAMES)  # type: ignore[attr-defined]
    assert not loop.publisher.frames  # type: ignore[attr-defined]


def test_cameras_that_end_at_once_are_told_of() -> None:
    loop = pipeline(Cameras(0))
    assert loop.run(lambda: False) == 0
    assert [s.camera for s in loop.publisher.states] == list(NAMES)  # type: ignore[attr-defined]


def test_stop_and_max_steps() -> None:
    assert pipeline(Cameras(50)).run(lambda: False, max_steps=7) == 7
    loop = pipeline(Cameras(50))
    assert loop.run(lambda: loop.health.steps >= 3) == 3


def test_detector_sees_all_due_cameras_at_once_and_cameras_take_turns() -> None:
    calls: List[List[str]] = []

    def detect(frames: Sequence[Frame]) -> List[Detections]:
        calls.append([f.camera for f in frames])
        return one_box(frames)

    loop = pipeline(Cameras(10), detect=detect, pacing=Pacing(3))
    loop.run(lambda: False)
    assert calls[0] == list(NAMES), "a new camera is looked at right away"
    assert all(len(c) == 1 for c in calls[1:]), "later each in its own turn"
    for name, camera in loop.stages.items():
        due = [d is not None for d in camera.tracker.detections]  # type: ignore[attr-defined]
        assert sum(due[1:]) == 3, f"{name}: every third frame"


@pytest.mark.parametrize(("calm", "looks"), [(True, 4), (False, 10)])
def test_the_detector_rests_while_everybody_is_followed(calm: bool, looks: int) -> None:
    """Frames are 10 ms apart: in each third one, or in the next such one after 70 ms."""
    camera = CameraStages(Tracker(calm), lambda poses, t_ns: poses, [])
    cameras = Cameras(30, ["a"])
    loop = pipeline(cameras, stages={"a": camera}, pacing=Pacing(3, 70 * 10**6))
    loop.run(lambda: False)
    looked = [i for i, d in enumerate(camera.tracker.detections) if d is not None]  # type: ignore[attr-defined]
    assert len(looked) == looks
    assert set(np.diff(looked)) == ({9} if calm else {3})


@pytest.mark.parametrize(("carried", "looks"), [(False, 4), (True, 10)])
def test_the_detector_does_not_rest_while_somebody_is_carried(carried: bool, looks: int) -> None:
    camera = CameraStages(Tracker(calm=True), lambda poses, t_ns: poses, [])

    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        one = Poses.of_boxes(one_box(frames)[0], 17, "coco17")
        return [dataclasses.replace(one, carried=np.array([carried])) for _ in people]

    loop = pipeline(
        Cameras(30, ["a"]), stages={"a": camera}, pose=pose, pacing=Pacing(3, 70 * 10**6)
    )
    loop.run(lambda: False)
    assert sum(d is not None for d in camera.tracker.detections) == looks  # type: ignore[attr-defined]


class Scene(Cameras):
    """A textured room in which something changes from a frame on."""

    stirs_at = 1000

    def take(self, timeout_s: float) -> List[Frame]:
        room = np.random.default_rng(0).integers(50, 200, (96, 128, 3)).astype(np.uint8)
        frames = super().take(timeout_s)
        if self.index >= self.stirs_at:
            room[20:60, 80:110] = 255
        return [dataclasses.replace(f, image=room) for f in frames]


def looked_at(
    calm: bool, still_ms: int, box: List[int], stirs_at: int, confirmed: bool = True
) -> List[int]:
    """Which of 60 frames, 10 ms apart, the detector saw: each third may be one, calm_s is 70 ms."""
    camera = CameraStages(Tracker(calm, confirmed), lambda poses, t_ns: poses, [])
    camera.tracker.boxes = np.array(box, np.float32).reshape(-1, 4)  # type: ignore[misc]
    cameras = Scene(60, ["a"])
    cameras.stirs_at = stirs_at
    loop = pipeline(
        cameras,
        stages={"a": camera},
        pacing=Pacing(3, 70 * 10**6, still_ms * 10**6),
    )
    loop.run(lambda: False)
    return [i for i, d in enumerate(camera.tracker.detections) if d is not None]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("still_ms", "box", "stirs_at", "looks"),
    [
        (0, [], 1000, [0, 9, 18, 27, 36, 45, 54]),
        (70, [], 1000, [0, 9, 18, 27, 36, 45, 54]),
        (30, [], 1000, [0, 9, 18, 27, 36, 45, 54]),  # shorter than calm_s: nothing to add
        (220, [], 1000, [0, 18, 36, 54]),  # at 18, the next would come after 270 ms
        (400, [], 1000, [0, 36]),
        (220, [], 25, [0, 18, 27, 45]),  # frame 24 is another, 27 when it would have looked
        (400, [0, 0, 64, 96], 1000, [0, 18, 36, 54]),  # the less is seen, the shorter it rests
    ],
)
def test_the_detector_rests_longer_while_nothing_stirs(
    still_ms: int, box: List[int], stirs_at: int, looks: List[int]
) -> None:
    assert looked_at(True, still_ms, box, stirs_at) == looks


def test_whom_the_detector_did_not_find_it_looks_for_again_before_long() -> None:
    """Not in every turn: somebody who is followed, but lies on the floor, may never be found."""
    assert looked_at(True, 400, [], 1000, confirmed=False) == [0, 9, 18, 27, 36, 45, 54]


@pytest.mark.parametrize(
    ("still_ms", "box", "stirs_at", "looks"),
    [
        (0, [], 1000, 20),
        (220, [], 1000, 3),  # 0, 24, 48
        (220, [], 30, 4),  # 0, 24, 30, 54: as soon as somebody comes in
        (220, [0, 0, 64, 96], 1000, 20),  # somebody is there, but not followed surely
    ],
)
def test_an_empty_place_is_looked_at_when_it_stirs(
    still_ms: int, box: List[int], stirs_at: int, looks: int
) -> None:
    looked = looked_at(False, still_ms, box, stirs_at)
    assert len(looked) == looks
    assert stirs_at > 60 or 30 in looked


class Album(Cameras):
    """Each frame is a picture for itself."""

    def take(self, timeout_s: float) -> List[Frame]:
        return [dataclasses.replace(f, still=True) for f in super().take(timeout_s)]


@pytest.mark.parametrize("still", [False, True])
def test_pictures_for_themselves_are_all_looked_at_and_never_smoothed(still: bool) -> None:
    smoothed: List[int] = []

    def smooth(poses: Poses, t_ns: int) -> Poses:
        smoothed.append(t_ns)
        return poses

    camera = CameraStages(Tracker(calm=True), smooth, [])
    cameras = (Album if still else Cameras)(9, ["a"])
    pipeline(cameras, stages={"a": camera}, pacing=Pacing(3)).run(lambda: False)
    tracker: Any = camera.tracker
    assert tracker.stills == [still] * 9
    assert sum(d is not None for d in tracker.detections) == (9 if still else 3)
    assert len(smoothed) == (0 if still else 9)


def test_networks_of_the_next_step_run_while_the_last_is_told() -> None:
    """The second `look` must begin before the first `tell` ends, else neither goes on."""
    looked_twice, told = threading.Event(), []

    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        if frames[0].index == 2:
            looked_twice.set()
        return list(people)

    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        if frames and frames[0].index == 1:
            told.append(looked_twice.wait(GIVE_UP_S))

    pipeline(Cameras(2), pose=pose, watchers=[watch]).run(lambda: False)
    assert told == [True]


def add_one(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[Poses]:
    """A second half: everybody gets a score."""
    return [dataclasses.replace(p, person_scores=p.person_scores + 1) for p in poses]


@pytest.mark.parametrize("concurrent", [False, True])
def test_the_second_half_reaches_who_is_told_in_order(concurrent: bool) -> None:
    cameras = Cameras(20)
    told: List[Any] = []

    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        told.extend(float(p.person_scores[0]) for p in poses)

    loop = pipeline(cameras, parts=add_one, watchers=[watch], concurrent=lambda: concurrent)
    assert loop.run(lambda: False) == 20
    assert loop.publisher.frames == [(n, i, 1) for i in range(1, 21) for n in NAMES]  # type: ignore[attr-defined]
    assert told == [2.0] * 60
    assert cameras.held == 0
    assert cameras.most_held <= (3 + concurrent) * len(NAMES), "so many steps are in the loop"


def test_a_step_may_wait_between_the_halves() -> None:
    """Two steps are looked at while the second half of one runs: it holds up only the third."""
    looked_thrice, met = threading.Event(), []

    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        if frames[0].index == 3:
            looked_thrice.set()
        return list(people)

    def parts(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[Poses]:
        if frames[0].index == 1:
            met.append(looked_thrice.wait(GIVE_UP_S))
        return list(poses)

    cameras = Cameras(5)
    pipeline(cameras, pose=pose, parts=parts, concurrent=lambda: True).run(lambda: False)
    assert met == [True]
    assert cameras.most_held <= 4 * len(NAMES)


def test_a_long_end_of_a_step_lets_no_more_frames_be_lent() -> None:
    fifth = threading.Event()

    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        if frames[0].index == 5:
            fifth.set()
        return list(people)

    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        if frames and frames[0].index == 1:
            fifth.wait(0.5)

    cameras = Cameras(12)
    loop = pipeline(cameras, pose=pose, parts=add_one, watchers=[watch], concurrent=lambda: True)
    assert loop.run(lambda: False) == 12
    assert cameras.most_held <= 4 * len(NAMES)


def test_a_step_in_turn_does_not_overtake_one_that_is_being_filled_in() -> None:
    """As when an engine takes over from what left no cores, or the other way round."""
    second, turns = threading.Event(), iter((True, False))

    def parts(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[Poses]:
        if frames[0].index == 1:
            second.wait(0.5)
        return list(poses)

    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        second.set()

    loop = pipeline(Cameras(2), parts=parts, watchers=[watch], concurrent=lambda: next(turns))
    loop.run(lambda: False)
    assert loop.publisher.frames == [(n, i, 1) for i in (1, 2) for n in NAMES]  # type: ignore[attr-defined]


def test_the_second_half_can_come_and_go_between_steps() -> None:
    """As when a reload brings another model: the order stays, nothing is told twice."""
    told: List[float] = []
    loop = pipeline(Cameras(60), concurrent=lambda: len(told) % 7 < 4)

    def parts(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[Poses]:
        loop.between_steps(lambda: setattr(loop, "parts", None))
        return add_one(frames, poses)

    def tell(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        told.extend(float(p.person_scores[0]) for p in poses[:1])
        if len(told) % 5 == 0:
            loop.between_steps(lambda: setattr(loop, "parts", parts))

    loop.watchers = [tell]
    loop.run(lambda: False)
    assert loop.publisher.frames == [(n, i, 1) for i in range(1, 61) for n in NAMES]  # type: ignore[attr-defined]
    assert set(told) == {1.0, 2.0}


@pytest.mark.parametrize("concurrent", [False, True])
def test_an_error_in_the_second_half_reaches_the_caller(concurrent: bool) -> None:
    def parts(frames: Sequence[Frame], poses: Sequence[Poses]) -> List[Poses]:
        raise ValueError("broken hand")

    with pytest.raises(ValueError, match="broken hand"):
        pipeline(Cameras(50), parts=parts, concurrent=lambda: concurrent).run(lambda: False)
    assert not [t for t in threading.enumerate() if t.name in ("tell", "fill in")]


def test_error_behind_reaches_the_caller_and_ends_the_loop() -> None:
    def watch(frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        raise ValueError("broken sink")

    with pytest.raises(ValueError, match="broken sink"):
        pipeline(Cameras(50), watchers=[watch]).run(lambda: False)
    assert not [t for t in threading.enumerate() if t.name == "tell"]


def test_error_in_a_network_ends_the_thread_behind() -> None:
    def pose(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        raise ValueError("broken network")

    with pytest.raises(ValueError, match="broken network"):
        pipeline(Cameras(5), pose=pose).run(lambda: False)
    assert not [t for t in threading.enumerate() if t.name == "tell"]


def test_events_of_rules_are_published_and_counted() -> None:
    class Seen:
        count = 0

        def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
            self.count += len(poses)
            return [PoseEvent("seen", camera, -1, t_ns, 1.0)] * len(poses)

        def summary(self) -> RuleSummary:
            return RuleSummary("seen", "seen", {"count": self.count})

    loop = pipeline(Cameras(4, names=("a",)))
    loop.stages["a"].rules = [Seen()]
    loop.run(lambda: False)
    assert [e.t_ns for e in loop.publisher.events] == [i * 10**7 for i in range(1, 5)]  # type: ignore[attr-defined]
    assert loop.health.events == 4
    assert [r.data for r in loop.publisher.rules[-1]] == [{"count": 4}], "what the rules know"  # type: ignore[attr-defined]


def test_health_reports_rates_latency_and_stages() -> None:
    health = Health()
    loop = pipeline(Cameras(5), health=health)
    loop.pose = health.timed("pose", loop.pose)
    loop.run(lambda: False)
    report = health.report()
    assert report["frames"] == dict.fromkeys(NAMES, 5)
    assert report["people"] == dict.fromkeys(NAMES, 1)
    assert set(report["latency_ms"]) == {"p50", "p95", "p99"}
    assert report["stages_ms"]["pose"]["p50"] >= 0
    assert report["memory_mb"] > 1


class Halving:
    """A Carry that lets the pose model see each second step, and says what it was asked."""

    def __init__(self) -> None:
        self.kept, self.filled, self._turn = [], [], 0  # type: ignore[var-annotated]

    def look(self, pose: Any, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        self._turn += 1
        return pose(frames, people) if self._turn % 2 else list(people)  # type: ignore[no-any-return]

    def keep(self, frames: Sequence[Frame], tracked: Sequence[Poses]) -> None:
        self.kept.append([(f.index, len(p)) for f, p in zip(frames, tracked)])

    def fill_in(self, parts: Any, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        self.filled.append(len(frames))
        return parts(frames, people)  # type: ignore[no-any-return]


def test_a_carry_stands_between_the_loop_and_both_halves_of_the_pose_model() -> None:
    seen: List[int] = []

    def bodies(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        seen.append(frames[0].index)
        return list(people)

    carry, cameras = Halving(), Cameras(6, ("a",))
    loop = pipeline(cameras, pose=bodies, parts=lambda frames, people: list(people), carry=carry)
    assert loop.run(lambda: False) == 6
    assert seen == [1, 3, 5]
    assert carry.kept == [[(i, 1)] for i in range(1, 7)]
    assert carry.filled == [1] * 6
    assert [row[2] for row in loop.publisher.frames] == [1] * 6  # type: ignore[attr-defined]


def test_people_whom_a_rule_names_go_to_the_second_half_with_a_weight() -> None:
    """Those named at the end of one step matter in a later one."""
    weights: List[Any] = []

    class Naming:
        def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
            return []

        def summary(self) -> RuleSummary:
            return RuleSummary("x", "x", {}, labels={-1: "lying"})

    def parts(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        weights.extend(p.weights for p in people)
        return list(people)

    loop = pipeline(Cameras(8, ["a"]), parts=parts)
    loop.stages["a"].rules = [Naming()]
    loop.run(lambda: False)
    assert weights[0] is None
    assert weights[-1].tolist() == [1]
