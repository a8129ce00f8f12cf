"""Drawn people who strike, for tests: our synthetic bodies before a camera."""

from typing import Iterator, List, Sequence, Tuple

import numpy as np

from edge.structures import Poses
from tools.benches._blows import Blow, fighter, points_of
from tools.benches._mocap import looking, pixels, turned
from tools.benches._pairs import facing

HEIGHT_PX = 300.0
Drawn = Tuple[Poses, int]


def person(
    struck: Sequence[Blow], long_s: float, rate_hz: float, hits_s: Sequence[float] = ()
) -> np.ndarray:
    """Keypoints [T,17,3] m of somebody in a guard who strikes."""
    t_s = np.arange(int(long_s * rate_hz)) / rate_hz
    own = np.array([0.3, 0.5, 0.7])
    return points_of(fighter(t_s, own, list(struck), list(hits_s), np.ones(len(t_s))))


def seen(points: np.ndarray, rate_hz: float, pitch_deg: float = 15.0) -> Iterator[Drawn]:
    """Frames of people [T,N,17,3]: poses with ids from 1, and their time."""
    camera = looking((1280, 720), HEIGHT_PX * 6 / 1.72, 6.0, pitch_deg)
    truth = pixels(camera, points).astype(np.float32)
    ones = np.ones(truth.shape[1:3], np.float32)
    for t, people in enumerate(truth):
        boxes = np.concatenate((people.min(1) - 12, people.max(1) + 12), 1)
        ids = np.arange(len(people)) + 1
        yield (
            Poses(people, ones, boxes, ids, ones[:, 0], "coco17"),
            round(t / rate_hz * 1e9) + 10**9,
        )


def alone(struck: Sequence[Blow], long_s: float, rate_hz: float, side_rad: float) -> np.ndarray:
    """One person [T,1,17,3] who is seen from a side."""
    return turned(person(struck, long_s, rate_hz), side_rad)[:, None]


def sparring(
    one: Sequence[Blow], other: Sequence[Blow], long_s: float, rate_hz: float, gap_m: float = 0.75
) -> np.ndarray:
    """Two people [T,2,17,3] face to face."""
    people: List[np.ndarray] = [
        person(one, long_s, rate_hz, [b.end_s for b in other]),
        person(other, long_s, rate_hz, [b.end_s for b in one]),
    ]
    count = len(people[0])
    return facing(people, np.full(count, gap_m), np.full(count, 0.4))
