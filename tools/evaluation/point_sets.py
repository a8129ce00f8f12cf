"""Keypoint sets of labelled data: names, body parts and OKS sigmas.

Points are matched by name, never by place: tools that write such files leave points out and order
them in their own ways. Names are ours (edge.skeleton_sets); `plain_name` brings others to them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.errors import ConfigError
from edge.skeleton_sets import MIDPOINTS, SAME_POINT

WHOLEBODY = "wholebody133"
_BY_NAME = "by point: COCO-WholeBody's tables; head and neck .079 as in CrowdPose"
SIGMA_SOURCES = {
    "coco17": "COCO",
    "wholebody133": "COCO-WholeBody",
    "halpe26": "mmpose's table of Halpe-26",
    "halpe136": "mmpose's table of Halpe-136: .015 for face and hands; AlphaPose takes .025, so "
    "its AP cannot be compared",
}


def _words(text: str) -> Tuple[str, ...]:
    return tuple(text.split())


_LIMBS = "shoulder elbow wrist hip knee ankle"
# Sets that other data use, in their own order.
FOREIGN: Dict[str, Tuple[str, ...]] = {
    "crowdpose": (
        *(f"{side}_{limb}" for limb in _LIMBS.split() for side in ("left", "right")),
        "head",
        "neck",
    ),
    "aic": (
        *(f"{side}_{limb}" for side in ("right", "left") for limb in _LIMBS.split()[:3]),
        *(f"{side}_{limb}" for side in ("right", "left") for limb in _LIMBS.split()[3:]),
        "head",
        "neck",
    ),
    "mpii": _words(
        "right_ankle right_knee right_hip left_hip left_knee left_ankle hip neck upper_neck head "
        "right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist"
    ),
    "jhmdb": _words(
        "neck belly face_middle right_shoulder left_shoulder right_hip left_hip right_elbow "
        "left_elbow right_knee left_knee right_wrist left_wrist right_ankle left_ankle"
    ),
}
_SAME_AS = {"ochuman": "coco17", "mhp": "mpii", "coco": "coco17", "halpe": "halpe136"}
_ALIASES = {
    "head_top": "head",
    "top_head": "head",
    "pelvis": "hip",
    "mid_hip": "hip",
    "root": "hip",
    "thorax": "neck",
    "left_hand_wrist": "left_hand_root",
    "right_hand_wrist": "right_hand_root",
}
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
_JOINTS = "shoulder|elbow|wrist|hip|knee|ankle|eye|ear|heel|big|small|thumb|index|pinky|hand|foot"
_SIGMAS: Dict[str, float] = {"head": 0.079, "neck": 0.079, "upper_neck": 0.079}
_UNKNOWN_SIGMA = 0.079


@dataclass(frozen=True, eq=False)
class PointSet:
    """The keypoints that a data set labels."""

    name: str
    names: Tuple[str, ...]  # [K]
    sigmas: np.ndarray  # [K] f64
    parts: Dict[str, np.ndarray]  # each of edge.skeletons.PARTS -> i64 indices, may be empty
    sigma_source: str  # where the sigmas are from, for people

    def __len__(self) -> int:
        """The number of keypoints, K."""
        return len(self.names)

    def index(self, name: str) -> int:
        """The place of a keypoint; -1 if the set has none of that name."""
        return self.names.index(name) if name in self.names else -1

    @property
    def all(self) -> np.ndarray:
        """Every index [K]."""
        return np.arange(len(self.names))


def names() -> List[str]:
    """All sets that can be asked for by name."""
    return sorted({*skeletons.names(), *FOREIGN, *_SAME_AS})


def named(name: str) -> PointSet:
    """A set by name.

    Raises:
        ConfigError: there is no such set.
    """
    known = _SAME_AS.get(name, name)
    if known in FOREIGN:
        return of_names(FOREIGN[known], known)
    if known not in skeletons.names():
        raise ConfigError(f"no keypoint set called {name!r}; there are: {', '.join(names())}")
    skeleton = skeletons.get(known)
    # As in the tables: float32 would move an OKS by 1e-8.
    sigmas = np.round(skeleton.sigmas.astype(np.float64), 4)
    source = SIGMA_SOURCES.get(known, _BY_NAME)
    return PointSet(known, skeleton.names, sigmas, dict(skeleton.parts), source)


def of_names(points: Sequence[str], name: str = "") -> PointSet:
    """The set with these points; one of ours if it has the same points in the same order."""
    plain = tuple(plain_name(p) for p in points)
    for known in skeletons.names():
        if skeletons.get(known).names == plain:
            return named(known)
    for known, there in FOREIGN.items():
        name = known if there == plain and not name else name
    sigmas = np.array([_sigma(p) for p in plain])
    return PointSet(name or f"{len(plain)} points", plain, sigmas, _parts(plain), _BY_NAME)


def of_count(count: int) -> Optional[PointSet]:
    """The set that has this number of keypoints when a file names none; None: it is not known."""
    usual = {17: "coco17", 26: "halpe26", 133: WHOLEBODY, 136: "halpe136"}
    return named(usual[count]) if count in usual else None


def with_sigmas(points: PointSet, sigmas: Sequence[float], source: str) -> PointSet:
    """The same set with other sigmas.

    Raises:
        ConfigError: not one positive number for each keypoint.
    """
    values = np.asarray(sigmas, np.float64)
    if values.shape != (len(points),) or not (values > 0).all():
        raise ConfigError(f"{source}: expected {len(points)} sigmas above 0 for {points.name}")
    return PointSet(points.name, points.names, values, points.parts, source)


def plain_name(name: str) -> str:
    """Our name of a point: `L_Shoulder`, `Left Shoulder`, `LShoulder` -> `left_shoulder`."""
    if name in _own_names():
        return name
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=^[LR])(?=[A-Z])", "_", name)
    words = [w for w in re.split(r"[^a-z0-9]+", spaced.lower()) if w]
    if words and words[0] not in _SIDES:
        glued = re.fullmatch(rf"([lr])((?:{_JOINTS}).*)", words[0])
        words = [*glued.groups(), *words[1:]] if glued else words
    side = next((_SIDES[w] for w in words if w in _SIDES), "")
    rest = "_".join(w for w in words if w not in _SIDES)
    rest = {"bigtoe": "big_toe", "smalltoe": "small_toe"}.get(rest, rest)
    whole = f"{side}_{rest}" if side and rest else rest or side
    return _ALIASES.get(whole, whole)


def sources(points: PointSet, predicted: Sequence[str]) -> np.ndarray:
    """From which predicted points each labelled point is taken.

    Args:
        points: of the labelled data.
        predicted: [L] names of the predicted points.

    Returns:
        [K,2] i64 indices of two predicted points whose middle it is, twice the same for a copy;
        -1 -1 if the predictions have no such point.
    """
    where = {SAME_POINT.get(n, n): i for i, n in enumerate(predicted)}
    out = np.full((len(points), 2), -1, np.int64)
    for i, name in enumerate(points.names):
        own = SAME_POINT.get(name, name)
        pair = (own, own) if own in where else MIDPOINTS.get(own, (own, own))
        if pair[0] in where and pair[1] in where:
            out[i] = where[pair[0]], where[pair[1]]
    return out


@lru_cache(maxsize=None)
def _own_names() -> FrozenSet[str]:
    return frozenset(n for known in skeletons.names() for n in skeletons.get(known).names)


def _sigma(name: str) -> float:
    known = _known_sigmas()
    return known.get(name, known.get(SAME_POINT.get(name, name), _UNKNOWN_SIGMA))


def _known_sigmas() -> Mapping[str, float]:
    if len(_SIGMAS) < 10:
        for known in ("halpe26", WHOLEBODY):
            skeleton = skeletons.get(known)
            values = np.round(skeleton.sigmas.astype(np.float64), 4).tolist()
            _SIGMAS.update({n: s for n, s in zip(skeleton.names, values) if n not in _SIGMAS})
        _SIGMAS["hip"] = _SIGMAS["left_hip"]
    return _SIGMAS


def _parts(points: Sequence[str]) -> Dict[str, np.ndarray]:
    of = {n: part for part, at in skeletons.get(WHOLEBODY).parts.items() for n in _names(at)}
    found = {part: [] for part in skeletons.PARTS}  # type: Dict[str, List[int]]
    for i, name in enumerate(points):
        found[of.get(SAME_POINT.get(name, name), "body")].append(i)
    return {part: np.array(at, np.int64) for part, at in found.items()}


def _names(at: np.ndarray) -> List[str]:
    there = skeletons.get(WHOLEBODY).names
    return [there[i] for i in at]
