"""Joins the people of two detectors, so that nobody is there twice."""

from __future__ import annotations

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
    alike = geometry.iou(boxes.boxes, people.boxes)
    paired = assign(np.where(alike >= SAME_IOU, 1 - alike, np.inf), 1.0)
    rows, which = np.flatnonzero(paired >= 0), paired[paired >= 0]
    keypoints = np.zeros((len(boxes), 17, 3), np.float32)
    scores = boxes.scores.copy()
    if people.keypoints is not None:
        keypoints[rows] = people.keypoints[which]
    scores[rows] = 1 - (1 - scores[rows]) * (1 - people.scores[which])
    alone = np.ones(len(people), bool)
    alone[which] = False
    rest = people.take(alone)
    joined = Detections(
        np.concatenate((boxes.boxes, rest.boxes)),
        np.concatenate((scores, rest.scores)).astype(np.float32, copy=False),
        np.concatenate((keypoints, keypoints[:0] if rest.keypoints is None else rest.keypoints)),
    )
    return joined.take(np.argsort(-joined.scores, kind="stable")[:most])
