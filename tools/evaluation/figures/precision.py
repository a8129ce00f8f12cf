"""AP and AR of each body part by the COCO protocol, and what a bootstrap needs of them."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from tools import average_precision as ap
from tools.evaluation.figures.accuracy import WHOLE, parts_of
from tools.evaluation.found.record import Found
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Truth


def figures(truth: Truth, found: Found) -> Dict[str, Any]:
    """Part -> AP, AP50, AP75, AP_medium, AP_large and the same of AR; None = nobody to find."""
    out: Dict[str, Any] = {}
    for name, which in counted_parts(truth.points, found).items():
        values = ap.average_precision(
            labels(truth, which),
            predictions(truth, found, which, name),
            truth.points.sigmas[which],
        )
        out[name] = {key: None if value < 0 else value for key, value in values.items()}
    return out


def counted_parts(points: PointSet, found: Found) -> Dict[str, np.ndarray]:
    """Part -> keypoints that the predictions can have; parts without any are left out."""
    parts = {name: which[found.given[which]] for name, which in parts_of(points).items()}
    return {name: which for name, which in parts.items() if len(which)}


def labels(truth: Truth, which: np.ndarray) -> ap.Truth:
    """Some keypoints of the labelled people, as the protocol takes them."""
    people = [p.people for p in truth.pictures]
    boxes = np.concatenate([p.boxes for p in people] or [np.zeros((0, 4))])
    wide = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    return ap.Truth(
        np.repeat(np.arange(len(people)), [len(p) for p in people]),
        np.concatenate([p.keypoints[:, which] for p in people]),
        np.concatenate([p.labelled[:, which] for p in people]),
        np.concatenate([p.areas for p in people]),
        wide,
        np.concatenate([p.crowd for p in people]),
    )


def predictions(truth: Truth, found: Found, which: np.ndarray, part: str) -> ap.Found:
    """Some keypoints of the found people.

    The size of a person is that of the body's keypoints. Of feet, face and hands, people without a
    score there are left out (xtcocotools 1.14).
    """
    seen = [found.of(p.key) for p in truth.pictures]
    points = np.concatenate([s.keypoints for s in seen])
    body = points[:, truth.points.parts["body"][found.given[truth.points.parts["body"]]]]
    size = body.max(1, initial=-np.inf) - body.min(1, initial=np.inf) if len(body) else body[:, 0]
    scores = np.concatenate([s.person_scores for s in seen])
    pictures = np.repeat(np.arange(len(seen)), [len(s) for s in seen])
    kept = np.ones(len(points), bool)
    if part not in ("body", WHOLE):
        kept = np.asarray((np.concatenate([s.scores for s in seen])[:, which] > 0).any(1))
    return ap.Found(pictures[kept], points[kept][:, which], scores[kept], np.prod(size, -1)[kept])


class Resampled:
    """AP of any selection of the pictures, for a bootstrap; pictures are matched once."""

    def __init__(self, truth: Truth, found: Found, part: str) -> None:
        which = counted_parts(truth.points, found)[part]
        all_ = ap.pictures(
            labels(truth, which),
            predictions(truth, found, which, part),
            truth.points.sigmas[which],
        )
        self._matches: Dict[int, ap.Matches] = {
            number: ap.match(*picture, ap.SIZES[""]) for number, picture in all_.items()
        }

    def __call__(self, chosen: np.ndarray) -> float:
        """AP of pictures [n] by number, repeated ones included; -1 with nobody to find."""
        some: List[ap.Matches] = [self._matches[i] for i in chosen.tolist() if i in self._matches]
        return ap.mean_precision(some)
