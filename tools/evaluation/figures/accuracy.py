"""How near found people are to the labels: OKS, PCK, PCKh, NME, and who was found at all.

A person who is not found, or a keypoint without a score, counts 0 in OKS and as wrong in PCK. NME
is of what was found, and says how much that is.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

import numpy as np

from tools.evaluation.figures.pairing import Pairs
from tools.evaluation.point_sets import PointSet

PCK_SHARES = (0.05, 0.1, 0.2)  # of the longer side of the person's box
PCKH_SHARE = 0.5  # of the head
FINE_OKS = 0.5
WHOLE = "whole body"
HANDS = "hands"
_EYES = ("face-36", "face-45")  # outer corners: the unit of the inter-ocular NME
_LEAST_FACE = 34  # labelled face points that give a head's size


def figures(pairs: Pairs, points: PointSet) -> Dict[str, Any]:
    """All figures of a data set, as JSON values; None where nothing counts."""
    parts = parts_of(points)
    return {
        "people": people(pairs),
        "oks": {name: oks(pairs, points, which) for name, which in parts.items()},
        "pck": {name: pck(pairs, which) for name, which in parts.items()},
        "pckh": pckh(pairs, points),
        "nme": nmes(pairs, points),
        "joints": joints(pairs, points),
    }


def parts_of(points: PointSet) -> Dict[str, np.ndarray]:
    """Name -> keypoint indices: each part that the set has, both hands, and everything."""
    found = {name.replace("_", " "): w for name, w in points.parts.items() if len(w)}
    hands = [points.parts[side] for side in ("left_hand", "right_hand")]
    if all(map(len, hands)):
        found[HANDS] = np.concatenate(hands)
    if len(found) > 1:
        found[WHOLE] = points.all
    return found


def people(pairs: Pairs) -> Dict[str, Any]:
    """Counts of labelled, found and false people."""
    total, found = len(pairs.rows), int((pairs.found_rows >= 0).sum())
    false = int(pairs.false.sum())
    return {
        "pictures": len(pairs.false),
        "labelled": total,
        "found": found,
        "missed": total - found,
        "false": false,
        "recall": found / total if total else None,
        "precision": found / (found + false) if found + false else None,
    }


def oks(pairs: Pairs, points: PointSet, which: np.ndarray) -> Dict[str, Any]:
    """OKS of some keypoints: all people with a label there, and those who were found."""
    each = pairs.oks(points.sigmas, which)
    there = np.isfinite(each)
    hit = there & (pairs.found_rows >= 0)
    given = (np.isfinite(pairs.found[:, which, 0]) & pairs.counted[:, which]).any(1)
    return {
        "mean": _mean(each[there]),
        "median": float(np.median(each[there])) if there.any() else None,
        "mean_of_found": _mean(each[hit]),
        "people": int(there.sum()),
        "given": int((there & given).sum()),
        "above_half": int((each[there] >= FINE_OKS).sum()),
    }


def pck(pairs: Pairs, which: np.ndarray) -> Dict[str, Any]:
    """Share of labelled keypoints nearer than PCK_SHARES of the box's longer side."""
    size = (pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(1)
    near = _apart(pairs)[:, which] / np.maximum(size, 1e-9)[:, None]
    counted = pairs.counted[:, which]
    return {f"{share:g}": _share(near < share, counted) for share in PCK_SHARES}


def pckh(pairs: Pairs, points: PointSet) -> Dict[str, Any]:
    """Share of the body's keypoints nearer than half a head, of people whose head is labelled."""
    size = head_sizes(pairs, points)
    there = np.isfinite(size)
    body = points.parts["body"]
    near = _apart(pairs)[:, body] < PCKH_SHARE * np.nan_to_num(size)[:, None]
    counted = pairs.counted[:, body] & there[:, None]
    return {"value": _share(near, counted), "people": int(there.sum())}


def head_sizes(pairs: Pairs, points: PointSet) -> np.ndarray:
    """[G] px: from head top to neck, else the diagonal of the labelled face; NaN = neither."""
    size = np.full(len(pairs.rows), np.nan)
    face = points.parts["face"]
    if len(face):
        some = pairs.counted[:, face]
        at = np.where(some[..., None], pairs.truth[:, face], np.nan)
        enough = some.sum(1) >= _LEAST_FACE
        span = np.nanmax(at[enough], 1) - np.nanmin(at[enough], 1)
        size[enough] = np.hypot(span[:, 0], span[:, 1])
    head, neck = points.index("head"), points.index("neck")
    if min(head, neck) >= 0:
        # The head's top may be a point that no prediction has: its label still is a measure.
        step = pairs.truth[:, head] - pairs.truth[:, neck]
        length = np.hypot(step[:, 0], step[:, 1])
        labelled = pairs.labelled[:, [head, neck]].all(1) & (length > 0)
        size[labelled] = length[labelled]
    return size


def nmes(pairs: Pairs, points: PointSet) -> Dict[str, Any]:
    """Mean distance of face and hands in units of the part's own box, of parts that were found."""
    found: Dict[str, Any] = {}
    for name in ("face", "left_hand", "right_hand"):
        which = points.parts[name]
        if len(which):
            found[name.replace("_", " ")] = _nme(pairs, which, _box_sides(pairs, which))
    eyes = [points.index(name) for name in _EYES]
    if min(eyes) >= 0:
        both = pairs.counted[:, eyes].all(1)
        step = pairs.truth[:, eyes[0]] - pairs.truth[:, eyes[1]]
        unit = np.where(both, np.hypot(step[:, 0], step[:, 1]), np.nan)
        found["face, eye to eye"] = _nme(pairs, points.parts["face"], unit)
    return found


def _nme(pairs: Pairs, which: np.ndarray, unit_px: np.ndarray) -> Dict[str, Any]:
    counted = pairs.counted[:, which]
    there = np.isfinite(unit_px) & (unit_px > 0)
    apart = np.where(counted, _apart(pairs)[:, which], np.nan)
    apart = np.where(np.isfinite(apart), apart, np.nan)
    given = there & np.isfinite(apart).any(1)
    each = np.nanmean(apart[given], 1) / unit_px[given]
    return {
        "mean": _mean(each),
        "median": float(np.median(each)) if len(each) else None,
        "labelled": int(there.sum()),
        "given": int(given.sum()),
    }


def _box_sides(pairs: Pairs, which: np.ndarray) -> np.ndarray:
    """Longer side [G] px of the box around the labelled points of a part; NaN = fewer than two."""
    counted = pairs.counted[:, which]
    enough = counted.sum(1) >= 2
    at = np.where(counted[..., None], pairs.truth[:, which], np.nan)
    out = np.full(len(enough), np.nan)
    out[enough] = (np.nanmax(at[enough], 1) - np.nanmin(at[enough], 1)).max(-1)
    return out


def joints(pairs: Pairs, points: PointSet) -> Dict[str, Any]:
    """Of each keypoint: labels, share given, PCK at .1, median distance in box sides."""
    size = (pairs.boxes[:, 2:] - pairs.boxes[:, :2]).max(1)
    near = _apart(pairs) / np.maximum(size, 1e-9)[:, None]
    found: Dict[str, Any] = {}
    for i, name in enumerate(points.names):
        counted = pairs.counted[:, i]
        some = near[counted, i]
        given = some[np.isfinite(some)]
        if counted.any():
            found[name] = {
                "labels": int(counted.sum()),
                "given": len(given) / int(counted.sum()),
                "pck": float((some < 0.1).mean()),
                "median": float(np.median(given)) if len(given) else None,
            }
    return found


def _apart(pairs: Pairs) -> np.ndarray:
    """[G,K] px; inf = missing."""
    step = pairs.found - pairs.truth
    return np.nan_to_num(np.hypot(step[..., 0], step[..., 1]), nan=np.inf)


def _share(right: np.ndarray, counted: np.ndarray) -> Optional[float]:
    total = int(counted.sum())
    return float((right & counted).sum() / total) if total else None


def _mean(values: np.ndarray) -> Optional[float]:
    return float(values.mean()) if len(values) else None
