"""What a model is worth on labelled people: OKS, px and degrees, each joint for itself."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from tools.evaluation.figures.pairing import Pairs, pair
from tools.evaluation.found.record import Found
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Picture, Truth

# Joint -> its neighbours: the angle between the two limbs that meet there, in the picture.
ANGLES: Dict[str, Tuple[str, str]] = {
    "elbow": ("shoulder", "wrist"),
    "shoulder": ("hip", "elbow"),
    "hip": ("shoulder", "knee"),
    "knee": ("hip", "ankle"),
    "ankle": ("knee", "big_toe"),
}
_MISSING = 0.5  # of the box's longer side: the error of a labelled point that is not given


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Some pictures of a data set, as one."""

    truth: Truth

    @staticmethod
    def of(truth: Truth, pictures: Sequence[Picture]) -> Part:
        """Only these pictures."""
        return Part(dataclasses.replace(truth, pictures=list(pictures)))


def figures(parts: Sequence[Tuple[Truth, Found]]) -> Dict[str, Any]:
    """Figures over several data sets, as JSON values.

    Args:
        parts: each data set, cut down to the pictures that count, with its predictions.

    Returns:
        people, found; oks: mean over people, a missing person is 0; error: mean distance of the
        labelled points over the longer side of the box, at most and if missing .5; px and degrees:
        of the points and angles that both have.
    """
    pairs = [(truth, pair(truth, found)) for truth, found in parts]
    oks = np.concatenate([_oks(p, t.points) for t, p in pairs])
    error = np.concatenate([_errors(p) for _, p in pairs])
    px, degrees = _by_joint(pairs)
    return {
        "people": len(oks),
        "found": int(sum((p.found_rows >= 0).sum() for _, p in pairs)),
        "oks": _mean(oks),
        "error": _mean(error),
        "px": _mean(np.concatenate(list(px.values()) or [np.zeros(0)])),
        "degrees": _mean(np.concatenate(list(degrees.values()) or [np.zeros(0)])),
        "px_of": {name: _mean(values) for name, values in px.items()},
        "degrees_of": {name: _mean(values) for name, values in degrees.items()},
    }


def change(before: Optional[float], after: Optional[float]) -> Optional[float]:
    """Relative change; None if it has no meaning."""
    if before is None or after is None or before == 0:
        return None
    return (after - before) / before


def _mean(values: np.ndarray) -> Optional[float]:
    some = values[np.isfinite(values)]
    return float(some.mean()) if len(some) else None


def _oks(pairs: Pairs, points: PointSet) -> np.ndarray:
    """[G] of body and feet."""
    values: np.ndarray = pairs.oks(points.sigmas, points.all)
    return values


def _errors(pairs: Pairs) -> np.ndarray:
    """Errors [E] of every labelled point that counts, in longer sides of the box."""
    size = np.maximum((pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(1), 1e-9)
    gap = np.linalg.norm(pairs.found - pairs.truth, axis=-1) / size[:, None]
    gap = np.minimum(np.nan_to_num(gap, nan=_MISSING), _MISSING)
    return np.asarray(gap[pairs.counted])


def _by_joint(
    pairs: Sequence[Tuple[Truth, Pairs]],
) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
    """Errors in px and in degrees, left and right together."""
    px: Dict[str, List[np.ndarray]] = {}
    degrees: Dict[str, List[np.ndarray]] = {}
    for truth, found in pairs:
        gap = np.linalg.norm(found.found - found.truth, axis=-1)
        for place, name in enumerate(truth.points.names):
            if found.counted[:, place].any():
                some = gap[found.counted[:, place], place]
                px.setdefault(_joint(name), []).append(some[np.isfinite(some)])
        for joint in ANGLES:
            for side in ("left", "right"):
                degrees.setdefault(joint, []).append(_angle_errors(found, truth, side, joint))
    joined = [{n: np.concatenate(v) for n, v in table.items()} for table in (px, degrees)]
    return joined[0], {n: v for n, v in joined[1].items() if len(v)}


def _joint(name: str) -> str:
    side, _, rest = name.partition("_")
    return rest if side in ("left", "right") and rest else name


def _angle_errors(pairs: Pairs, truth: Truth, side: str, joint: str) -> np.ndarray:
    names = [f"{side}_{n}" for n in (joint, *ANGLES[joint])]
    places = [truth.points.index(n) for n in names]
    if min(places) < 0:
        return np.zeros(0)
    rows = pairs.counted[:, places].all(1)
    gap = _angle(pairs.found[rows][:, places]) - _angle(pairs.truth[rows][:, places])
    return np.abs(gap[np.isfinite(gap)])


def _angle(points: np.ndarray) -> np.ndarray:
    """Degrees [G] between both limbs, of points [G,3,2]: the joint, then both ends."""
    first, second = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return np.asarray(np.degrees(np.abs(np.arctan2(cross, (first * second).sum(1)))))
