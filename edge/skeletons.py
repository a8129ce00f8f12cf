"""Keypoint sets: names, edges, mirror partners and OKS sigmas; conversions between sets.

Points are matched by name, not by index: the feet of Halpe and of COCO-WholeBody are in different
order. A conversion invents no point: a point without a source has score 0.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List, Sequence, Tuple

import numpy as np

from edge.errors import ConfigError
from edge.skeleton_sets import (
    COCO17,
    FACE_MIRROR_PAIRS,
    FACE_MIRROR_RUNS,
    MIDPOINTS,
    SAME_POINT,
    SETS,
)
from edge.structures import Poses

PARTS = ("body", "feet", "face", "left_hand", "right_hand")
MIDDLE, LEFT, RIGHT = 0, 1, 2

# BGR, as in all images of the program. The body is coloured by side. Each finger has its own
# colour, so that a drawn hand can be read.
_SIDE_COLOURS = {MIDDLE: (255, 153, 51), LEFT: (0, 255, 0), RIGHT: (0, 128, 255)}
_FINGER_COLOURS = {
    "thumb": (0, 128, 255),
    "forefinger": (255, 153, 255),
    "middle": (255, 178, 102),
    "ring": (51, 51, 255),
    "pinky": (0, 255, 0),
}


@dataclass(frozen=True, eq=False)
class Skeleton:
    """One keypoint set. Its arrays are read-only and shared."""

    name: str
    names: Tuple[str, ...]  # [K]
    edges: np.ndarray  # [E,2] i64 keypoint indices
    flip: np.ndarray  # [K] i64 index of the mirror partner; of the point itself in the middle
    sigmas: np.ndarray  # [K] f32 of OKS: allowed deviation / sqrt(person area)
    parts: Dict[str, np.ndarray]  # each of PARTS -> i64 keypoint indices, may be empty
    upper: np.ndarray  # i64 indices, body and feet above the hips
    lower: np.ndarray  # i64 indices, body and feet from the hips down
    sides: np.ndarray  # [K] i8: MIDDLE, LEFT or RIGHT of the person
    colours: np.ndarray  # [E,3] u8 BGR of each edge in drawings
    body17: np.ndarray  # [17] i64 index of each COCO keypoint, -1 = none

    def __len__(self) -> int:
        """The number of keypoints, K."""
        return len(self.names)

    def index(self, *names: str) -> np.ndarray:
        """Indices [n] i64 of keypoints by name; -1 if this set has no such point."""
        return _fixed([self.names.index(n) if n in self.names else -1 for n in names])


def names() -> List[str]:
    """The names of all keypoint sets."""
    return list(SETS)


@lru_cache(maxsize=None)
def get(name: str) -> Skeleton:
    """The keypoint set of a name.

    Raises:
        ConfigError: no such set; the message lists all sets.
    """
    if name not in SETS:
        raise ConfigError(f"no skeleton called {name!r}; there are: {', '.join(SETS)}")
    points, edges, sigmas = SETS[name]
    kinds = [_part(n) for n in points]
    body_feet = [i for i, kind in enumerate(kinds) if kind in ("body", "feet")]
    return Skeleton(
        name=name,
        names=points,
        edges=_fixed(edges),
        flip=_fixed(_flip(points)),
        sigmas=_fixed(sigmas, np.float32),
        parts={p: _fixed([i for i, kind in enumerate(kinds) if kind == p]) for p in PARTS},
        upper=_fixed([i for i in body_feet if not _is_lower(points[i])]),
        lower=_fixed([i for i in body_feet if _is_lower(points[i])]),
        sides=_fixed([_side(n) for n in points], np.int8),
        colours=_fixed([_colour(points[a], points[b]) for a, b in edges], np.uint8),
        body17=_fixed([points.index(n) if n in points else -1 for n in COCO17]),
    )


def body17(name: str) -> np.ndarray:
    """Index [17] i64 of each COCO keypoint in a set; -1 if the set lacks it. Read-only."""
    return get(name).body17


def convert(
    keypoints: np.ndarray, scores: np.ndarray, source: str, target: str
) -> Tuple[np.ndarray, np.ndarray]:
    """Convert people to another keypoint set.

    If the source has no neck or hip, it is the midpoint of both shoulders or hips, with the lower
    of the two scores. Any other point that the source lacks is at 0, 0 with score 0.

    Args:
        keypoints: [N,K,2] f32, or in space [N,K,3]; borrowed.
        scores: [N,K] f32, borrowed; 0 = missing.
        source: name of their set.
        target: name of the wanted set, of L points.

    Returns:
        Keypoints [N,L,2] (or [N,L,3]) f32 and scores [N,L] f32, in new arrays.

    Raises:
        ConfigError: no such set.
    """
    first, second, missing = conversion(source, target)
    out = keypoints[:, first]
    out += keypoints[:, second]
    out *= np.float32(0.5)
    out_scores = np.minimum(scores[:, first], scores[:, second])
    out[:, missing] = 0
    out_scores[:, missing] = 0
    return out, out_scores


def convert_poses(poses: Poses, target: str) -> Poses:
    """Convert a record to another keypoint set; borrows its boxes, ids and person scores."""
    if poses.skeleton == target:
        return poses
    keypoints, scores = convert(poses.keypoints, poses.scores, poses.skeleton, target)
    world = poses.world
    if world is not None:
        points, sure = convert(world[..., :3], world[..., 3], poses.skeleton, target)
        world = np.concatenate((points, sure[..., None]), 2)
    straight = poses.straight
    if straight is not None:
        straight, _ = convert(straight, poses.scores, poses.skeleton, target)
    return dataclasses.replace(
        poses,
        keypoints=keypoints,
        scores=scores,
        skeleton=target,
        world=world,
        straight=straight,
    )


@lru_cache(maxsize=None)
def conversion(source: str, target: str) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The source points from which each target point is made.

    Returns:
        first, second: [L] i64 indices of source points whose mean is the target point; both are the
            same point for a copy.
        missing: i64 indices of target points without a source; their first and second are 0.
    """
    where = {SAME_POINT.get(n, n): i for i, n in enumerate(get(source).names)}
    pairs = [_parents(SAME_POINT.get(n, n), where) for n in get(target).names]
    missing = [i for i, (a, b) in enumerate(pairs) if min(a, b) < 0]
    filled = [pair if min(pair) >= 0 else (0, 0) for pair in pairs]
    first, second = [a for a, _ in filled], [b for _, b in filled]
    return _fixed(first), _fixed(second), _fixed(missing)


def _parents(name: str, where: Dict[str, int]) -> Tuple[int, int]:
    if name in where or name not in MIDPOINTS:
        own = where.get(name, -1)
        return own, own
    left, right = MIDPOINTS[name]
    return where.get(left, -1), where.get(right, -1)


def _fixed(values: Sequence[object], dtype: type = np.int64) -> np.ndarray:
    array: np.ndarray = np.array(values, dtype)
    array.setflags(write=False)
    return array


def _flip(points: Tuple[str, ...]) -> List[int]:
    mirror = {f"face-{a}": f"face-{b}" for a, b in _face_pairs()}
    swap = {"left": "right", "right": "left"}
    for name in points:
        other = re.sub(r"(?<![a-z])(left|right)(?![a-z])", lambda m: swap[m.group()], name)
        mirror.setdefault(name, other)
    return [points.index(mirror[name]) for name in points]


def _face_pairs() -> List[Tuple[int, int]]:
    runs = [(a + i, b - i) for a, b in FACE_MIRROR_RUNS for i in range(b - a + 1)]
    return runs + [p for a, b in FACE_MIRROR_PAIRS for p in ((a, b), (b, a))]


def _side(name: str) -> int:
    if name.startswith("face-"):
        number = int(name[5:])
        other = dict(_face_pairs()).get(number, number)
        # The first of a pair is the right one, except on the lower lip: its numbers start at the
        # person's left.
        lower_lip = 55 <= number <= 59 or 65 <= number <= 67
        return MIDDLE if other == number else (RIGHT, LEFT)[(number > other) != lower_lip]
    return LEFT if "left" in name else RIGHT if "right" in name else MIDDLE


def _part(name: str) -> str:
    if re.search("toe|heel|foot", name):
        return "feet"
    if re.search("face|mouth|inner|outer", name):
        return "face"
    if re.search("hand|thumb|finger|pinky|index", name):
        return "left_hand" if name.startswith("left") else "right_hand"
    return "body"


def _is_lower(name: str) -> bool:
    return re.search("hip|knee|ankle|toe|heel|foot", name) is not None


def _colour(start: str, end: str) -> Tuple[int, int, int]:
    for finger, colour in _FINGER_COLOURS.items():
        if re.search(f"{finger}(_finger)?[1-4]$", end):
            return colour
    sides = {_side(start), _side(end)} - {MIDDLE}
    return _SIDE_COLOURS[sides.pop() if len(sides) == 1 else MIDDLE]
