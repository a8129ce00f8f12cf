"""Mistakes that a model's poses show: swapped sides, and points in another order.

The labels are compared with the poses that a model finds in the labelled boxes. A model errs too,
so a person counts only if the labels fit well after a swap and badly before.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Set, Tuple

import numpy as np

from edge import skeletons
from tools.evaluation.figures.pairing import Pairs, pair
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Picture, Truth
from tools.training.check.faults import Fault
from tools.training.data import frames
from tools.training.data.sources import recordings_of
from tools.training.judging import looks
from tools.training.judging.figures import Part

LOOKED_AT = 150  # pictures of a data set, at most
_POOR, _GOOD, _LESS = 0.3, 0.6, 0.3  # OKS before, after a swap, and the least gain
_FEWEST = 4  # points with a partner
_ALIKE = 0.6  # distance to another point over that to the own one, for points in wrong order
_OFF = 0.08  # of the box: a point that is nearer to its own place is in order
_WRONG_POINTS = 3


def faults(
    truth: Truth, model: Path, quiet: bool, count: int = LOOKED_AT
) -> Tuple[List[Fault], int]:
    """Swapped sides and wrong order in a data set.

    Args:
        truth: the data set.
        model: folder of a pose model.
        quiet: show no progress.
        count: pictures to look at, spread over all.

    Returns:
        The faults, and how many people were compared.
    """
    readable = [p for p in truth.pictures if len(p.people) and _is_there(truth, p)]
    some = _spread(readable, truth, count)
    if not some:
        return [], 0
    part = Part.of(truth, some).truth
    found = looks.run(model, part, some, f"poses of {truth.name}", quiet=quiet)
    pairs = pair(part, found)
    wrong = _order(pairs, part)
    if wrong:
        return [Fault("order", wrong, part, some[0])], len(pairs.rows)
    doubtful = _sides(pairs, part)
    if not doubtful:
        return [], len(pairs.rows)
    return _confirmed(doubtful, part, model, quiet), len(pairs.rows)


def _confirmed(doubtful: List[Fault], truth: Truth, model: Path, quiet: bool) -> List[Fault]:
    """The faults that the mirror images show, too: a model that is unsure of sides swaps there."""
    keys = {f.picture.key for f in doubtful}
    sizes = {p.key: image.shape[1] for p, image in _images(truth, keys)}
    flip = flip_of(truth.points)
    turned = [_mirrored(p, sizes[p.key], flip) for p in truth.pictures if p.key in sizes]
    part = Part.of(truth, turned).truth
    found = looks.run(model, part, turned, "mirror images", quiet=quiet, mirrored=True)
    again = {(f.picture.key, f.person) for f in _sides(pair(part, found), part)}
    return [f for f in doubtful if (f.picture.key, f.person) in again]


def _images(truth: Truth, keys: Set[str]) -> Iterator[Tuple[Picture, np.ndarray]]:
    return frames.each(truth, [p for p in truth.pictures if p.key in keys])


def _mirrored(picture: Picture, width: int, flip: np.ndarray) -> Picture:
    """The same people in the mirror image."""
    people = picture.people
    points = people.keypoints[:, flip].copy()
    points[..., 0] = width - 1 - points[..., 0]
    boxes = people.boxes.copy()
    boxes[:, [0, 2]] = width - people.boxes[:, [2, 0]]
    turned = dataclasses.replace(
        people, keypoints=points, visible=people.visible[:, flip], boxes=boxes
    )
    return dataclasses.replace(picture, people=turned)


def _is_there(truth: Truth, picture: Picture) -> bool:
    return picture.path is not None or picture.sequence in truth.videos


def _spread(pictures: Sequence[Picture], truth: Truth, count: int) -> List[Picture]:
    """At most `count` pictures, of every recording some."""
    if len(pictures) <= count:
        return list(pictures)
    named = dict(zip((id(p) for p in truth.pictures), recordings_of(truth)))
    order = sorted(pictures, key=lambda p: (named[id(p)], p.index, p.file))
    places = np.linspace(0, len(order) - 1, count).round().astype(int)
    return [order[i] for i in places.tolist()]


def flip_of(points: PointSet) -> np.ndarray:
    """[K] mirror partner of each point by its name; the point itself if it has none."""
    if points.name in skeletons.names():
        return np.asarray(skeletons.get(points.name).flip)
    other: Dict[str, str] = {"left": "right", "right": "left"}
    out = np.arange(len(points))
    for place, name in enumerate(points.names):
        side, _, rest = name.partition("_")
        partner = points.index(f"{other[side]}_{rest}") if side in other else -1
        out[place] = partner if partner >= 0 else place
    return out


def _sides(pairs: Pairs, truth: Truth) -> List[Fault]:
    flip = flip_of(truth.points)
    paired = np.flatnonzero(flip != np.arange(len(flip)))
    body = np.concatenate((truth.points.parts["body"], truth.points.parts["feet"]))
    halves = _halves(truth.points, np.intersect1d(paired, body))
    found: List[Fault] = []
    for row in range(len(pairs.rows)):
        texts = [
            name for name, which in halves.items() if _is_swapped(pairs, row, which, flip, truth)
        ]
        if texts:
            picture = truth.pictures[int(pairs.pictures[row])]
            said = "left and right" if len(texts) == 2 else f"left and right of the {texts[0]}"
            found.append(Fault("sides", f"{said} swapped", truth, picture, int(pairs.rows[row])))
    return found


def _halves(points: PointSet, which: np.ndarray) -> Dict[str, np.ndarray]:
    lower = [i for i in which.tolist() if any(w in points.names[i] for w in _LOWER)]
    upper = [i for i in which.tolist() if i not in lower]
    return {"upper body": np.array(upper, np.int64), "legs": np.array(lower, np.int64)}


_LOWER = ("hip", "knee", "ankle", "toe", "heel", "foot")


def _is_swapped(pairs: Pairs, row: int, which: np.ndarray, flip: np.ndarray, truth: Truth) -> bool:
    some = which[pairs.counted[row, which] & np.isfinite(pairs.found[row, which, 0])]
    some = some[np.isfinite(pairs.found[row, flip[some], 0])]
    if len(some) < _FEWEST:
        return False
    spread = 8 * np.square(truth.points.sigmas[some]) * pairs.areas[row]
    plain = np.square(pairs.found[row, some] - pairs.truth[row, some]).sum(-1)
    swapped = np.square(pairs.found[row, flip[some]] - pairs.truth[row, some]).sum(-1)
    before, after = np.exp(-plain / spread).mean(), np.exp(-swapped / spread).mean()
    return bool(before < _POOR + 0.2 and after > _GOOD and after - before > _LESS)


def _order(pairs: Pairs, truth: Truth) -> str:
    """Which labelled points lie at the places of others in most people; empty if none do."""
    nearest = _nearest(pairs)
    flip = flip_of(truth.points)
    wrong = {i: j for i, j in nearest.items() if j not in (i, int(flip[i]))}
    if len(wrong) < _WRONG_POINTS:
        return ""
    names = truth.points.names
    some = [f"{names[i]} lies at the {names[j]}" for i, j in list(wrong.items())[:3]]
    return f"{len(wrong)} of {len(nearest)} points: {', '.join(some)}"


def _nearest(pairs: Pairs) -> Dict[int, int]:
    """Labelled point -> the found point that it is nearest to, by the median over people."""
    rows = np.flatnonzero(pairs.found_rows >= 0)
    if len(rows) < 3:
        return {}
    size = np.maximum((pairs.boxes[rows, 2:] - pairs.boxes[rows, :2]).max(1), 1e-9)
    out: Dict[int, int] = {}
    found: Any = np.where(pairs.scores[rows][..., None] > 0, pairs.found[rows], np.nan)
    for place in range(pairs.truth.shape[1]):
        some = pairs.counted[rows, place]
        if some.sum() < 3:
            continue
        gap = np.linalg.norm(found[some] - pairs.truth[rows][some, place][:, None], axis=-1)
        gap = np.where(np.isfinite(gap), gap, 9e9) / size[some, None]
        median = np.median(gap, 0)
        own, best = float(median[place]), int(median.argmin())
        out[place] = best if own > _OFF and median[best] < _ALIKE * own else place
    return out
