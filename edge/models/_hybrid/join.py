"""Joins the people of two detectors, so that nobody is there twice."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from edge.structures import Detections

SAME_IOU = 0.4  # a box and a person with keypoints that overlap more may be the same person


def join(boxes: Detections, people: Detections, most: int) -> Detections:
    """Join boxes and people with keypoints into one record.

    A pair is one person: it has the detector's box, the keypoints, and a score that grows with both
    (the probability that not both are wrong). Pairs are those of the largest sum of overlaps.

    Args:
        boxes: [B] of the box detector.
        people: [P] with keypoints.
        most: the best so many are kept.

    Returns:
        Detections with keypoints, the best score first.
    """
    rows, which = pairs(boxes, people)
    keypoints = np.zeros((len(boxes), 17, 3), np.float32)
    if people.keypoints is not None:
        keypoints[rows] = people.keypoints[which]
    return with_rest(boxes, keypoints, people, (rows, which), most)


def pairs(found: Detections, others: Detections) -> Tuple[np.ndarray, np.ndarray]:
    """Rows [P] of two records that are the same people, by the largest sum of overlaps."""
    alike = geometry.iou(found.boxes, others.boxes)
    paired = assign(np.where(alike >= SAME_IOU, 1 - alike, np.inf), 1.0)
    return np.flatnonzero(paired >= 0), paired[paired >= 0]


def with_rest(
    found: Detections,
    keypoints: np.ndarray,
    others: Detections,
    same: Tuple[np.ndarray, np.ndarray],
    most: int,
) -> Detections:
    """People who were found, and the others who were not; who is in both has a higher score.

    Args:
        found: [N] people.
        keypoints: [N,17,3] f32 of them.
        others: people of the same frame.
        same: rows of both that are the same people.
        most: the best so many are kept.
    """
    rows, which = same
    scores = found.scores.copy()
    scores[rows] = 1 - (1 - scores[rows]) * (1 - others.scores[which])
    alone = np.ones(len(others), bool)
    alone[which] = False
    rest = others.take(alone)
    together = Detections(
        np.concatenate((found.boxes, rest.boxes)),
        np.concatenate((scores, rest.scores)).astype(np.float32, copy=False),
        np.concatenate((keypoints, keypoints[:0] if rest.keypoints is None else rest.keypoints)),
    )
    return together.take(np.argsort(-together.scores, kind="stable")[:most])
