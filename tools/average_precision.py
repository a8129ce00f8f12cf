"""Average precision and recall of poses by the COCO protocol, whole-body parts included.

The protocol has ten OKS thresholds from .50 to .95 and samples recall at 101 points. It takes the
20 best predictions of an image and also rates people of medium and large area separately (Lin et
al., ECCV 2014, and the COCO keypoint evaluation). Whole-body files store each part in its own field
(Jin et al., ECCV 2020). Crowds, people without a labelled keypoint of the part, and people of
another size count neither as right nor as wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from tools.metrics import EPS, oks

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST = 20  # predictions per image that count
SIZES = {"": (0.0, 1e10), "_medium": (32.0**2, 96.0**2), "_large": (96.0**2, 1e10)}
FIELDS: Dict[str, Tuple[str, ...]] = {
    "body": ("keypoints",),
    "foot": ("foot_kpts",),
    "face": ("face_kpts",),
    "lefthand": ("lefthand_kpts",),
    "righthand": ("righthand_kpts",),
}
FIELDS["wholebody"] = tuple(field for fields in FIELDS.values() for field in fields)


@dataclass(frozen=True)
class Truth:
    """Labelled people."""

    images: np.ndarray  # [G] i64 image ids
    keypoints: np.ndarray  # [G,K,2] f64 px
    labelled: np.ndarray  # [G,K] bool
    areas: np.ndarray  # [G] f64 px² of the person
    boxes: np.ndarray  # [G,4] f64 x y width height px
    crowd: np.ndarray  # True: a crowd, not one person


@dataclass(frozen=True)
class Found:
    """Predictions."""

    images: np.ndarray  # [N] i64
    keypoints: np.ndarray  # [N,K,2] f64 px
    scores: np.ndarray  # [N] f64
    areas: np.ndarray  # px², area of the box around the body's keypoints


Image = Tuple[Truth, Found, np.ndarray]
Matches = Tuple[np.ndarray, np.ndarray, np.ndarray, int]


def truth_of(annotations: Sequence[Mapping[str, Any]], part: str = "body") -> Truth:
    """People of a COCO annotation file (its "annotations"), with the field of one part."""
    points = _points(annotations, part)
    return Truth(
        np.array([a["image_id"] for a in annotations], np.int64),
        points[..., :2],
        points[..., 2] > 0,
        np.array([a["area"] for a in annotations], np.float64),
        np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4),
        np.array([a.get("iscrowd", 0) for a in annotations], bool),
    )


def found_of(results: Sequence[Mapping[str, Any]], part: str = "body") -> Found:
    """Predictions of a COCO result file, with the field of one part.

    A score of the part, such as `face_score`, replaces `score`. A prediction is ignored if all
    keypoint scores of the part are 0 (as in xtcocotools 1.14).
    """
    points = _points(results, part)
    body = _points(results, "body")[..., :2]
    low, high = body.min(1, initial=np.inf), body.max(1, initial=-np.inf)
    scores = [r.get(f"{part}_score", r["score"]) for r in results]
    found = Found(
        np.array([r["image_id"] for r in results], np.int64),
        points[..., :2],
        np.array(scores, np.float64),
        np.prod(high - low, 1) if len(results) else np.zeros(0),
    )
    return _take(found, np.asarray((points[..., 2] > 0).any(1)))


def average_precision(truth: Truth, found: Found, sigmas: np.ndarray) -> Dict[str, float]:
    """AP, AP50, AP75, AP_medium, AP_large, and the same for AR; -1 without people to find."""
    out: Dict[str, float] = {}
    there = pictures(truth, found, sigmas).values()
    for size, limits in SIZES.items():
        precision, recall = _curves([match(*image, limits) for image in there])
        for name, curve in (("AP", precision), ("AR", recall)):
            out[name + size] = _mean(curve)
            if not size:
                out[f"{name}50"], out[f"{name}75"] = _mean(curve[:1]), _mean(curve[5:6])
    order = ["AP", "AP50", "AP75", "AP_medium", "AP_large"]
    return {name: out[name] for name in order + [n.replace("AP", "AR") for n in order]}


def mean_precision(matches: Sequence[Matches]) -> float:
    """AP of some pictures, each as `match` gives it; -1 with nobody to find."""
    return _mean(_curves(list(matches))[0])


def similarities(truth: Truth, found: Found, sigmas: np.ndarray) -> np.ndarray:
    """OKS [N,G] of one image.

    For people without a labelled keypoint, distances are measured to a box three times as large, so
    predictions on them count as similar and are ignored.
    """
    alike = oks(found.keypoints, truth.keypoints, truth.areas, sigmas, truth.labelled)
    bare = np.flatnonzero(~truth.labelled.any(1))
    start, size = truth.boxes[bare, :2], truth.boxes[bare, 2:]
    low, high = (start - size)[None, :, None], (start + 2 * size)[None, :, None]
    points = found.keypoints[:, None]
    out = np.maximum(low - points, 0) + np.maximum(points - high, 0)
    gap = np.square(out).sum(-1) / np.square(2 * sigmas)
    alike[:, bare] = np.exp(-gap / (truth.areas[bare] + EPS)[None, :, None] / 2).mean(-1)
    return alike


def pictures(truth: Truth, found: Found, sigmas: np.ndarray) -> Dict[int, Image]:
    """By rising image id: people, their predictions with the best first, and their OKS."""
    sigmas = np.asarray(sigmas, np.float64)
    of_truth, of_found = _groups(truth.images), _groups(found.images)
    nobody = np.zeros(0, np.int64)
    out: Dict[int, Image] = {}
    for image in sorted({*of_truth, *of_found}):
        here = _take(truth, of_truth.get(image, nobody))
        seen = _take(found, of_found.get(image, nobody))
        seen = _take(seen, np.argsort(-seen.scores, kind="stable")[:MOST])
        out[image] = here, seen, similarities(here, seen, sigmas)
    return out


def _groups(images: np.ndarray) -> Dict[int, np.ndarray]:
    """Rows of each image id, in their order."""
    order = np.argsort(images, kind="stable")
    ids, starts = np.unique(images[order], return_index=True)
    return dict(zip(ids.tolist(), np.split(order, starts[1:])))


def match(truth: Truth, found: Found, alike: np.ndarray, limits: Tuple[float, float]) -> Matches:
    """Match each prediction, best first, to the most similar person who is still free.

    Returns:
        scores [N]; matched [T,N] bool; ignored [T,N] bool; the number of people to find.
    """
    low, high = limits
    ignored = truth.crowd | ~truth.labelled.any(1) | (truth.areas < low) | (truth.areas > high)
    n, t = len(found.scores), len(THRESHOLDS)
    taken = np.zeros((t, len(ignored)), bool)
    matched, excused = np.zeros((t, n), bool), np.zeros((t, n), bool)
    limit = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    for i in range(n):
        good = (alike[i] >= limit) & (~taken | truth.crowd)
        real, other = good & ~ignored, good & ignored
        open_to = np.where(real.any(1, keepdims=True), real, other)
        which = _last_best(np.where(open_to, alike[i], -1))
        hit = open_to.any(1)
        taken[hit, which[hit]] = True
        matched[:, i] = hit
        excused[:, i] = hit & ignored[which] if len(ignored) else False
    outside = (found.areas < low) | (found.areas > high)
    excused |= ~matched & outside
    return found.scores, matched, excused, int((~ignored).sum())


def _last_best(values: np.ndarray) -> np.ndarray:
    """Column [T] of each row's largest value [T,G]; the last of equal values."""
    if not values.shape[1]:
        return np.zeros(len(values), np.int64)
    return values.shape[1] - 1 - values[:, ::-1].argmax(1)


def _curves(images: List[Matches]) -> Tuple[np.ndarray, np.ndarray]:
    """Precision [T,101] at the recalls, and the recall reached [T]; -1 if there are no people."""
    precision = np.full((len(THRESHOLDS), len(RECALLS)), -1.0)
    recall = np.full(len(THRESHOLDS), -1.0)
    people = sum(count for *_, count in images)
    if not people:
        return precision, recall
    order = np.argsort(-np.concatenate([scores for scores, *_ in images]), kind="stable")
    matched, excused = (np.concatenate([m[k] for m in images], 1)[:, order] for k in (1, 2))
    right = np.cumsum(matched & ~excused, 1, dtype=np.float64)
    wrong = np.cumsum(~matched & ~excused, 1, dtype=np.float64)
    for t in range(len(THRESHOLDS)):
        reached = right[t] / people
        sure = right[t] / (right[t] + wrong[t] + EPS)
        # The best precision at this recall or a higher one.
        sure = np.append(np.maximum.accumulate(sure[::-1])[::-1], 0.0)
        precision[t] = sure[np.searchsorted(reached, RECALLS, side="left")]
        recall[t] = reached[-1] if len(reached) else 0.0
    return precision, recall


def _points(rows: Sequence[Mapping[str, Any]], part: str) -> np.ndarray:
    """[N,K,3]: x, y, and visibility or score."""
    if not rows:
        return np.zeros((0, 0, 3))
    flat = [[v for field in FIELDS[part] for v in row[field]] for row in rows]
    return np.array(flat, np.float64).reshape(len(rows), -1, 3)


def _take(record: Any, which: np.ndarray) -> Any:
    return type(record)(**{name: value[which] for name, value in vars(record).items()})


def _mean(values: np.ndarray) -> float:
    some = values[values > -1]
    return float(some.mean()) if some.size else -1.0
