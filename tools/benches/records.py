"""Work that grows with the number of people: decode, track and smooth 1 to 300 on one core."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, List

import numpy as np

from edge import skeletons
from edge.models._simcc import decode
from edge.people.smoother import Smoother
from edge.people.tracker import Tracker
from edge.settings import config
from edge.structures import Poses
from tools.benches import Row, row

GOAL_MS = 5.0
PEOPLE, KEYPOINTS = 100, 133
CROWDS = (1, 3, 10, 30, 100, 300)
SIZE = (288, 384)  # size of the network's input; SimCC has twice as many bins


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Times of decoding, tracking and smoothing, and of decoding when the graph returns points."""
    rng = np.random.default_rng(0)
    simcc_x = rng.standard_normal((PEOPLE, KEYPOINTS, 2 * 192)).astype(np.float32)
    simcc_y = rng.standard_normal((PEOPLE, KEYPOINTS, 2 * 256)).astype(np.float32)
    logits = _times(lambda: decode(simcc_x, simcc_y, 2.0), rounds)
    return [
        row("records: SimCC decode from logits, 100 people", logits, "ms", GOAL_MS),
        *[_followed(people, rounds) for people in CROWDS],
    ]


def _followed(people: int, rounds: int) -> Row:
    name, goal = f"records: track + smooth, {people} people", GOAL_MS if people == PEOPLE else None
    return row(name, _track_and_smooth(people, rounds), "ms", goal, people=people)


def _times(work: Callable[[], object], rounds: int) -> List[float]:
    work()
    found = []
    for _ in range(max(rounds, 10)):
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1e3)
    return found


def _track_and_smooth(people: int, rounds: int) -> List[float]:
    """Times in ms of this thread, so that other work on the machine counts little."""
    skeleton = skeletons.get("wholebody133")
    tracker = Tracker(config.Track(min_hits=1), skeleton)
    smooth = Smoother(config.Smooth(), skeleton)
    crowd = _crowd(people)
    found = []
    for step in range(max(rounds, 10) + 5):
        t_ns = step * 33_000_000
        poses = crowd(step)
        start = time.thread_time()
        tracker.candidates(None, t_ns)
        followed = tracker.update(poses, t_ns)
        smooth(followed, t_ns)
        found.append((time.thread_time() - start) * 1e3)
    assert len(followed) == people
    return found[5:]


def _crowd(people: int) -> Callable[[int], Poses]:
    """People who walk side by side in a large picture."""
    rng = np.random.default_rng(1)
    base = rng.random((people, KEYPOINTS, 2)).astype(np.float32) * (60, 160)
    place = np.stack(np.divmod(np.arange(people), 20), -1)[:, None] * (200, 100) + 50
    scores = np.full((people, KEYPOINTS), 0.9, np.float32)
    nobody = np.full(people, -1, np.int64)

    def at(step: int) -> Poses:
        noise = rng.normal(0, 1, base.shape)
        points = (base + place[..., ::-1] + step * 2 + noise).astype(np.float32)
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        return Poses(points, scores, boxes, nobody, scores[:, 0].copy(), "wholebody133")

    return at
