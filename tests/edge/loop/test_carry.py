"""A walker of noise whose keypoints are known: when the network runs, and what flow carries on."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.loop.build import Installed, build
from edge.loop.carry import Carry
from edge.people.tracker import Tracker
from edge.service import reload
from edge.settings import config
from edge.settings.config import Pose, Track
from edge.structures import Frame, Poses
from edge.view import View

SIZE = (640, 480)
MODELS = Path(__file__).parents[1] / "golden" / "models"
STEP_NS = 33_333_333
BODY = skeletons.get("coco17")
WHOLE = skeletons.get("wholebody133")


def noise(seed: int, size: Tuple[int, int]) -> np.ndarray:
    raw = np.random.default_rng(seed).uniform(0, 255, (size[1], size[0], 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), 2)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload,no-any-return]


WALL, COAT = noise(1, SIZE), noise(2, (100, 220))


def scene(x: int, y: int = 150, coat: np.ndarray = COAT) -> np.ndarray:
    image = WALL.copy()
    image[y : y + 220, x : x + 100] = coat
    return image


def walker(x: float, y: float = 150, skeleton: Any = BODY) -> np.ndarray:
    """Keypoints [K,2] inside the coat."""
    rng = np.random.default_rng(5)
    return (rng.uniform((15, 15), (85, 205), (len(skeleton), 2)) + [x, y]).astype(np.float32)


class Network:
    """A pose model that knows where the walker is; notes the frames that it sees."""

    def __init__(self, skeleton: Any = BODY) -> None:
        self.skeleton, self.seen, self.at = skeleton, [], 100.0  # type: ignore[var-annotated]
        self.size = SIZE

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        self.seen += [f.index for f in frames]
        return [self._found(who) for who in people]

    def _found(self, who: Poses) -> Poses:
        n = len(who)
        points = np.tile(walker(self.at, skeleton=self.skeleton), (n, 1, 1))
        scores = np.full((n, len(self.skeleton)), 0.9, np.float32)
        return dataclasses.replace(
            who,
            keypoints=points,
            scores=scores,
            person_scores=np.full(n, 0.9, np.float32),
            places=np.zeros((n, 1), np.float32),
            sightings=None,
        )


def candidates(x: float, ids: Sequence[int] = (1,), skeleton: Any = BODY) -> Poses:
    n = len(ids)
    points = np.tile(walker(x, skeleton=skeleton) + 3, (n, 1, 1))
    boxes = np.tile(np.array([x, 150, x + 100, 370], np.float32), (n, 1))
    scores = np.full((n, len(skeleton)), 0.5, np.float32)
    ids_ = np.array(ids, np.int64)
    return Poses(points, scores, boxes, ids_, np.ones(n, np.float32), skeleton.name)


def play(
    carry: Carry,
    network: Network,
    places: Sequence[int],
    first: int = 0,
    views: Optional[Sequence[Frame]] = None,
) -> List[Poses]:
    """One frame after the other, the walker at these places."""
    told = []
    for i, x in enumerate(places, first):
        network.at = x
        frame = views[i] if views else Frame(scene(x), i, i * STEP_NS, "a")
        poses = carry.look(network, [frame], [candidates(x, skeleton=network.skeleton)])
        carry.keep([frame], poses)
        told += poses
    return told


def options(every_s: float = 0.1, **more: Any) -> Pose:
    return dataclasses.replace(Pose(), every_s=every_s, **more)


@pytest.mark.parametrize("method", ["lucas-kanade", "farneback"])
def test_flow_carries_keypoints_between_runs_of_the_network(method: str) -> None:
    carry, network = Carry(options(flow=method), BODY), Network()
    places = [100 + 5 * i for i in range(10)]
    told = play(carry, network, places)
    assert network.seen == [0, 3, 6, 9]
    assert carry.carried == 6
    for poses, x in zip(told, places):
        assert np.abs(poses.keypoints[0] - walker(x)).max() < 1.5
        assert poses.scores.min() > 0.4
        assert poses.ids.tolist() == [1]
    assert told[1].places is None


@pytest.mark.parametrize("pause_s", [0.02, 0.04, 0.07, 0.2])
def test_the_frame_nearest_to_the_pause_is_looked_at(pause_s: float) -> None:
    network = Network()
    play(Carry(options(pause_s), BODY), network, [100] * 13)
    step = max(1, round(pause_s * 30))
    assert network.seen == list(range(0, 13, step))


def test_off_by_default() -> None:
    assert Carry.of(Pose(), BODY) is None
    assert Carry.of(options(), BODY) is not None


def test_the_network_looks_where_the_flow_is_lost() -> None:
    """The walker turns into somebody else: nothing of the coat is found again."""
    carry, network = Carry(options(1.0), BODY), Network()
    play(carry, network, [100, 105])
    frame = Frame(scene(110, coat=noise(9, (100, 220))), 2, 2 * STEP_NS, "a")
    carry.look(network, [frame], [candidates(110)])
    assert network.seen == [0, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"still": True},
        {"t_ns": 2 * STEP_NS + 300_000_000},
        {"t_ns": STEP_NS},
        {"image": scene(110)[:400]},
        {"camera": "b"},
    ],
)
def test_the_network_looks_at_a_frame_that_does_not_follow(change: Dict[str, Any]) -> None:
    carry, network = Carry(options(1.0), BODY), Network()
    play(carry, network, [100, 105])
    plain = Frame(scene(110), 2, 2 * STEP_NS, "a")
    carry.look(network, [dataclasses.replace(plain, **change)], [candidates(110)])
    assert network.seen == [0, 2]


@pytest.mark.parametrize(
    "people",
    [
        candidates(110, ids=(1, -1)),
        candidates(110, ids=(1, 7)),
        dataclasses.replace(candidates(110), sightings=np.ones((1, 17, 3), np.float32)),
        dataclasses.replace(candidates(110), sightings=np.zeros((1, 17, 3), np.float32)),
    ],
)
def test_the_network_looks_for_whom_the_last_frame_did_not_have(people: Poses) -> None:
    carry, network = Carry(options(1.0), BODY), Network()
    play(carry, network, [100, 105])
    found = carry.look(network, [Frame(scene(110), 2, 2 * STEP_NS, "a")], [people])
    assert network.seen == [0, 2]
    assert len(found[0]) == len(people)


def test_a_keypoint_that_flow_loses_is_predicted_with_a_lower_score() -> None:
    carry, network = Carry(options(1.0), BODY), Network()
    play(carry, network, [100])
    image = scene(105)
    points = walker(105)
    x, y = points[9].astype(int)
    image[y - 9 : y + 10, x - 9 : x + 10] = np.random.default_rng(3).integers(0, 255, (19, 19, 3))
    people = candidates(105)
    found = carry.look(network, [Frame(image, 1, STEP_NS, "a")], [people])[0]
    assert network.seen == [0]
    assert found.scores[0, 9] == pytest.approx(0.45)
    np.testing.assert_array_equal(found.keypoints[0, 9], people.keypoints[0, 9])


def test_two_cameras_and_a_batch_keep_their_order() -> None:
    carry, network = Carry(options(1.0), BODY), Network()
    frames = [Frame(scene(100), 0, 0, name) for name in "ab"]
    carry.keep(frames, carry.look(network, frames, [candidates(100)] * 2))
    later = [Frame(scene(104), 5, STEP_NS, "a"), Frame(scene(104), 6, STEP_NS, "c")]
    network.at = 104
    found = carry.look(network, later, [candidates(104)] * 2)
    assert network.seen == [0, 0, 6]
    assert [p.places is None for p in found] == [True, False]


@pytest.mark.parametrize("view", [View(90), View(180, "h"), View(0, "", 2.0)])
def test_a_turned_camera(view: View) -> None:
    """The picture lies turned in memory; keypoints are of the upright one."""
    carry, network = Carry(options(1.0), BODY), Network()
    places = [100, 104, 108]

    def stored(x: int) -> np.ndarray:
        image = scene(x)
        if view.aspect != 1:
            return np.ascontiguousarray(cv2.resize(image, (SIZE[0] // 2, SIZE[1])))
        turned: np.ndarray = cv2.rotate(
            image, cv2.ROTATE_90_COUNTERCLOCKWISE if view.turn == 90 else cv2.ROTATE_180
        )
        return np.ascontiguousarray(turned[:, ::-1] if view.flip else turned)

    frames = [Frame(stored(x), i, i * STEP_NS, "a", view=view) for i, x in enumerate(places)]
    if view.turn == 180:  # turned and mirrored: upright is the picture upside down
        frames = [
            dataclasses.replace(f, image=np.ascontiguousarray(scene(x)[::-1]))
            for f, x in zip(frames, places)
        ]
    assert frames[0].size == SIZE
    told = play(carry, network, places, views=frames)
    assert network.seen == [0]
    off = np.abs(told[2].keypoints[0] - walker(108)).max()
    assert off < (3 if view.aspect != 1 else 1.5)


def test_hands_and_faces_follow_the_body_where_the_network_did_not_look() -> None:
    carry, network = Carry(options(1.0), WHOLE), Network(WHOLE)
    seen: List[int] = []

    def parts(frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        seen.extend(f.index for f in frames)
        return [dataclasses.replace(p, places=None) for p in people]

    told = []
    for i, x in enumerate([100, 105]):
        network.at = x
        frame = Frame(scene(x), i, i * STEP_NS, "a")
        bodies = carry.look(network, [frame], [candidates(x, skeleton=WHOLE)])
        carry.keep([frame], bodies)
        bodies[0].keypoints[:, 23:] *= i == 0  # the first half gives no parts
        bodies[0].scores[:, 23:] *= i == 0
        told += carry.fill_in(parts, [frame], bodies)
    assert seen == [0]
    assert np.abs(told[1].keypoints[0] - walker(105, skeleton=WHOLE)).max() < 2
    assert told[1].scores.min() > 0.4


def test_with_the_tracker_a_walker_keeps_the_id_and_the_network_rests() -> None:
    carry, network, tracker = Carry(options(0.1), BODY), Network(), Tracker(Track(), BODY)
    ids, off = [], []
    for i in range(30):
        x = 100 + 6 * i
        network.at = x
        frame = Frame(scene(x), i, i * STEP_NS, "a")
        people = tracker.candidates(None, frame.t_ns) if i else candidates(x, (-1,))
        tracked = [tracker.update(p, frame.t_ns) for p in carry.look(network, [frame], [people])]
        carry.keep([frame], tracked)
        ids += tracked[0].ids.tolist()
        off += [np.abs(p - walker(x)).max() for p in tracked[0].keypoints]
    assert set(ids) == {1} or len(set(ids)) == 1
    assert len(ids) >= 28
    assert len(network.seen) <= 13
    assert max(off) < 2


def test_nothing_frame_sized_is_kept() -> None:
    carry, network = Carry(options(1.0), BODY), Network()
    large = np.zeros((2160, 3840, 3), np.uint8)
    large[:480, :640] = scene(100)
    frame = Frame(large, 0, 0, "a")
    carry.keep([frame], carry.look(network, [frame], [candidates(100)]))
    kept = carry._people["a"]
    assert kept.crops.nbytes < 40_000
    assert not np.shares_memory(kept.crops, large)


def test_the_pause_changes_by_a_reload_and_the_networks_stay() -> None:
    tables = {
        "cameras": [{"source": "synthetic://walk", "name": "a"}],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox"},
        "pose": {"model": "standing"},
        "publish": {"sinks": ["jsonl:/dev/null"]},
    }
    changed = config.build(config.Config, tables)
    quick = dataclasses.replace(
        changed, pose=dataclasses.replace(changed.pose, every_s=0.1, flow="farneback")
    )
    with contextlib.ExitStack() as stack:
        running = build(config.complete(changed), stack, Installed())
        models = running.models
        assert running.pipeline.carry is None
        reload.swap_in(running, reload.prepare(running, config.complete(quick)))
        assert isinstance(running.pipeline.carry, Carry)
        assert running.models is models
        reload.swap_in(running, reload.prepare(running, config.complete(changed)))
        assert running.pipeline.carry is None
