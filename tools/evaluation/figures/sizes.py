"""Hands and faces by their size in the picture: how many are given, and how many are right."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from tools.evaluation.figures.accuracy import HANDS
from tools.evaluation.figures.pairing import Pairs
from tools.evaluation.truth import Truth

BANDS_PX = (0, 10, 15, 20, 30, 45, 70)  # least size of each band; the last has no end
RIGHT_SHARE = 0.2  # of the part's size: most median distance of the points of a right one
_LABELLED, _VISIBLE = 0.8, 0.5  # least shares of a part's points
_GROUPS: Sequence[Tuple[str, Sequence[str]]] = (
    (HANDS, ("left_hand", "right_hand")),
    ("face", ("face",)),
)


def figures(truth: Truth, pairs: Pairs) -> Dict[str, List[Dict[str, Any]]]:
    """Counts of visible hands and faces in bands of size; what has none is left out.

    A part's size is the longer side of the upright box around its labels. It is counted if most of
    its points are labelled and half of them are visible.

    Returns:
        For `hands` and `face` a list of: `least_px` of the band, `visible`, and of these
        `person_found`, `given` and `right` (median distance of at most RIGHT_SHARE of the size).
    """
    if not len(pairs.rows):
        return {}
    seen = np.stack(
        [truth.pictures[p].people.visible[r] for p, r in zip(pairs.pictures, pairs.rows)]
    )
    found: Dict[str, List[Dict[str, Any]]] = {}
    for name, parts in _GROUPS:
        each = [_judged(pairs, seen, truth.points.parts[part]) for part in parts]
        bands = _bands(np.concatenate(each)) if each else []
        if bands:
            found[name] = bands
    return found


def _judged(pairs: Pairs, seen: np.ndarray, which: np.ndarray) -> np.ndarray:
    """[M,4] size px, person found, given, right; of each visible one of a part."""
    if not len(which):
        return np.zeros((0, 4))
    some = pairs.counted[:, which]
    there = (some.mean(1) >= _LABELLED) & ((seen[:, which] == 2).mean(1) >= _VISIBLE)
    some, labels = some[there], pairs.truth[there][:, which]
    answers = pairs.found[there][:, which]
    spread = np.where(some[..., None], labels, np.nan)
    if not len(some):
        return np.zeros((0, 4))
    size = (np.nanmax(spread, 1) - np.nanmin(spread, 1)).max(-1)
    given = (np.isfinite(answers[..., 0]) & some).any(1)
    step = np.nan_to_num(answers - labels, nan=np.inf)
    apart = np.where(some, np.hypot(step[..., 0], step[..., 1]), np.nan)
    right = np.nanmedian(apart, 1) <= RIGHT_SHARE * size
    return np.stack((size, pairs.found_rows[there] >= 0, given, given & right), 1)


def _bands(judged: np.ndarray) -> List[Dict[str, Any]]:
    place = np.digitize(judged[:, 0], BANDS_PX) - 1
    rows = []
    for i in np.unique(place).tolist():
        _, found, given, right = judged[place == i].sum(0).astype(int).tolist()
        counts = {"person_found": found, "given": given, "right": right}
        rows.append({"least_px": BANDS_PX[i], "visible": int((place == i).sum()), **counts})
    return rows
