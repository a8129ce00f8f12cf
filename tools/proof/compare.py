"""How far a candidate's people are from those of FP32. Pure.

FP32 is the truth here: what counts is the loss that a smaller precision adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from edge.skeletons import Skeleton
from edge.structures import VISIBLE, Detections, Poses

MISSING = 0.0  # a candidate's keypoint of this score was not found at all
SAME_IOU = 0.5  # boxes that overlap by so much are the same person
FAR_PX = 1e6


@dataclass(frozen=True)
class Figures:
    """What a comparison found."""

    summary: Dict[str, Any]  # JSON values
    badness: np.ndarray  # [F] of each frame, 0 = no difference that shows


def pairs(truth: np.ndarray, found: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Rows of boxes [N,4] and [M,4] that are the same people, [P] and [P]."""
    overlap = geometry.iou(truth, found).astype(np.float64)
    costs = np.where(overlap >= SAME_IOU, 1 - overlap, np.inf)
    chosen = assign(costs, 1.0)
    rows = np.flatnonzero(chosen >= 0)
    return rows, chosen[rows]


def detections(truth: List[Detections], found: List[Detections]) -> Figures:
    """Boxes of a detector, frame by frame."""
    overlaps, drifts, badness = [np.zeros(0)], [np.zeros(0)], []
    matched = 0
    for a, b in zip(truth, found):
        rows, columns = pairs(a.boxes, b.boxes)
        matched += len(rows)
        overlap = geometry.iou(a.boxes[rows], b.boxes[columns]).diagonal()
        overlaps.append(overlap)
        drifts.append(b.scores[columns] - a.scores[rows])
        badness.append(len(a) + len(b) - 2 * len(rows) + float((1 - overlap).sum()))
    before, after = sum(map(len, truth)), sum(map(len, found))
    summary = {
        **_counts(before, after, matched),
        "mean_iou": _mean(np.concatenate(overlaps)),
        **_drift("score", np.concatenate(drifts)),
    }
    return Figures(summary, np.array(badness))


def poses(
    truth: List[Poses],
    found: List[Poses],
    skeleton: Skeleton,
    sure: Optional[List[np.ndarray]] = None,
) -> Figures:
    """Skeletons, frame by frame; people are the same when their boxes are.

    Args:
        truth: FP32's people of each frame.
        found: the candidate's.
        skeleton: of both.
        sure: [N,K] bool of each frame, of which keypoints the figures are, and of those people
            who have any (tools.proof.noise_floor). The figures of everybody are then beside them;
            lost and gained people are always everybody's.
    """
    matches = [pairs(a.boxes, b.boxes) for a, b in zip(truth, found)]
    nobody = Poses.empty(len(skeleton), skeleton.name)
    a = Poses.join([nobody, *(t.take(rows) for t, (rows, _) in zip(truth, matches))])
    b = Poses.join([nobody, *(f.take(columns) for f, (_, columns) in zip(found, matches))])
    similar = similarity(a, b, skeleton)
    before, after = sum(map(len, truth)), sum(map(len, found))
    counts = _counts(before, after, len(a))
    badness = _badness(truth, found, matches, similar)
    if sure is None:
        return Figures({**counts, **_apart(a, b, similar, skeleton)}, badness)
    no_one = np.zeros((0, len(skeleton)), bool)
    held = np.concatenate([no_one, *(s[rows] for s, (rows, _) in zip(sure, matches))])
    judged, rows = int(sum(s.any(1).sum() for s in sure)), np.flatnonzero(held.any(1))
    summary = {
        **counts,
        "judged": judged,
        "judged_recall": len(rows) / judged if judged else None,
        **_apart(a.take(rows), b.take(rows), similar[rows], skeleton, held[rows]),
        "everybody": _apart(a, b, similar, skeleton),
    }
    return Figures(summary, badness)


def _apart(
    a: Poses,
    b: Poses,
    similar: np.ndarray,
    skeleton: Skeleton,
    held: Optional[np.ndarray] = None,
) -> Dict[str, Any]:
    """How far the same people are apart; only `held` keypoints [N,K] of the parts count."""
    believed = a.scores > VISIBLE
    believed = believed if held is None else believed & held
    return {
        "mean_oks": _mean(similar),
        "least_oks": float(np.nanmin(similar)) if np.isfinite(similar).any() else None,
        "parts": _parts(a, b, believed, skeleton),
        **_drift("keypoint_score", (b.scores - a.scores)[believed]),
        **_drift("person_score", b.person_scores - a.person_scores),
    }


def similarity(a: Poses, b: Poses, skeleton: Skeleton) -> np.ndarray:
    """OKS [N] of the 17 COCO keypoints that FP32 (a) believes; NaN where it believes none.

    The area is that of the box around all keypoints FP32 believes, which is less than the
    person's: stricter than COCO. A keypoint that the candidate lost is infinitely far.
    """
    body = skeleton.body17[skeleton.body17 >= 0]
    weights = (a.scores[:, body] > VISIBLE).astype(np.float32)
    areas = geometry.areas_of(geometry.boxes_of(a.keypoints, a.scores, VISIBLE))
    lost = (b.scores[:, body] <= MISSING)[..., None]
    points = np.where(lost, np.float32(FAR_PX), b.keypoints[:, body])
    oks = [
        geometry.oks(
            a.keypoints[i : i + 1, body],
            points[i : i + 1],
            areas[i : i + 1],
            skeleton.sigmas[body],
            weights[i : i + 1],
        )[0, 0]
        for i in range(len(a))
    ]
    return np.where(weights.any(1), np.array(oks, np.float64), np.nan)


def agreed(truth: Poses, found: Poses, skeleton: Skeleton, least_oks: float) -> np.ndarray:
    """[N,K] bool: keypoints of one frame that were found again, of people who hardly moved."""
    rows, columns = pairs(truth.boxes, found.boxes)
    similar = similarity(truth.take(rows), found.take(columns), skeleton)
    same = np.zeros(truth.scores.shape, bool)
    there = found.scores[columns] > MISSING
    same[rows] = there & ~(similar < least_oks)[:, None]  # NaN: nothing that could move
    return same


def _parts(a: Poses, b: Poses, believed: np.ndarray, skeleton: Skeleton) -> Dict[str, Any]:
    """Distances in px of each body part's keypoints, and how many were lost."""
    apart = np.linalg.norm(a.keypoints.astype(np.float64) - b.keypoints, axis=-1)
    there = b.scores > MISSING
    found = {}
    for name, which in skeleton.parts.items():
        counted, kept = believed[:, which], there[:, which]
        if counted.any():
            px = apart[:, which][counted & kept]
            found[name] = {
                "mean_px": _mean(px),
                "p95_px": float(np.percentile(px, 95)) if len(px) else None,
                "keypoints": int(counted.sum()),
                "recall": float((counted & kept).sum() / counted.sum()),
            }
    return found


def _badness(
    truth: List[Poses],
    found: List[Poses],
    matches: List[Tuple[np.ndarray, np.ndarray]],
    similar: np.ndarray,
) -> np.ndarray:
    lost = np.array([len(a) + len(b) - 2 * len(r) for a, b, (r, _) in zip(truth, found, matches)])
    frame = np.repeat(np.arange(len(matches)), [len(rows) for rows, _ in matches])
    loss = np.bincount(frame, np.nan_to_num(1 - similar), minlength=len(matches))
    return np.asarray(lost + loss, np.float64)


def _counts(before: int, after: int, matched: int) -> Dict[str, Any]:
    return {
        "people": before,
        "lost": before - matched,
        "gained": after - matched,
        "recall": matched / before if before else None,
        "precision": matched / after if after else None,
    }


def _drift(name: str, values: np.ndarray) -> Dict[str, Any]:
    return {f"{name}_drift": _mean(values), f"{name}_change": _mean(np.abs(values))}


def _mean(values: np.ndarray) -> Any:
    some = values[np.isfinite(values)]
    return float(some.mean()) if some.size else None
