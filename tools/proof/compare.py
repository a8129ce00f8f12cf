"""Compare the people that a candidate finds with those that FP32 finds. Pure.

FP32 is taken as the truth: a smaller precision is judged by what it loses against FP32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from edge.skeletons import Skeleton
from edge.structures import VISIBLE, Detections, Poses

MISSING = 0.0  # score of a keypoint that the candidate did not find
SAME_IOU = 0.5  # boxes that overlap this much or more are the same person
FAR_PX = 1e6


@dataclass(frozen=True)
class Comparison:
    """How a candidate differs from FP32.

    Attributes:
        summary: figures over all frames, as JSON values.
        frame_errors: [F] one figure a frame, to rank frames by; 0 = no difference.
    """

    summary: Dict[str, Any]
    frame_errors: np.ndarray


def match_boxes(fp32: np.ndarray, candidate: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Rows of boxes [N,4] and of boxes [M,4] that are the same people, [P] each."""
    overlap = geometry.iou(fp32, candidate).astype(np.float64)
    costs = np.where(overlap >= SAME_IOU, 1 - overlap, np.inf)
    chosen = assign(costs, 1.0)
    rows = np.flatnonzero(chosen >= 0)
    return rows, chosen[rows]


def compare_detections(fp32: List[Detections], candidate: List[Detections]) -> Comparison:
    """Compare the boxes of a detector, frame by frame."""
    overlaps, drifts, frame_errors = [np.zeros(0)], [np.zeros(0)], []
    matched = 0
    for a, b in zip(fp32, candidate):
        rows, columns = match_boxes(a.boxes, b.boxes)
        matched += len(rows)
        overlap = geometry.iou(a.boxes[rows], b.boxes[columns]).diagonal()
        overlaps.append(overlap)
        drifts.append(b.scores[columns] - a.scores[rows])
        frame_errors.append(len(a) + len(b) - 2 * len(rows) + float((1 - overlap).sum()))
    before, after = sum(map(len, fp32)), sum(map(len, candidate))
    summary = {
        **_counts(before, after, matched),
        "mean_iou": _mean(np.concatenate(overlaps)),
        **_drift("score", np.concatenate(drifts)),
    }
    return Comparison(summary, np.array(frame_errors))


def compare_poses(
    fp32: List[Poses],
    candidate: List[Poses],
    skeleton: Skeleton,
    stable: Optional[List[np.ndarray]] = None,
) -> Comparison:
    """Compare poses, frame by frame; people are matched by their boxes.

    Args:
        fp32: people of FP32 in each frame.
        candidate: people of the candidate in each frame.
        skeleton: of both.
        stable: [N,K] bool of each frame: keypoints that FP32 keeps under noise
            (tools.proof.noise_floor). OKS and px are then of people with such a keypoint, and px
            and recall of such keypoints; the figures of everybody are in `everybody`. Counts of
            lost and gained people are always of everybody.
    """
    matches = [match_boxes(a.boxes, b.boxes) for a, b in zip(fp32, candidate)]
    nobody = Poses.empty(len(skeleton), skeleton.name)
    a = Poses.join([nobody, *(t.take(rows) for t, (rows, _) in zip(fp32, matches))])
    b = Poses.join([nobody, *(f.take(columns) for f, (_, columns) in zip(candidate, matches))])
    oks = body_oks(a, b, skeleton)
    before, after = sum(map(len, fp32)), sum(map(len, candidate))
    counts = _counts(before, after, len(a))
    frame_errors = _frame_errors(fp32, candidate, matches, oks)
    if stable is None:
        return Comparison({**counts, **_differences(a, b, oks, skeleton)}, frame_errors)
    no_one = np.zeros((0, len(skeleton)), bool)
    kept = np.concatenate([no_one, *(s[rows] for s, (rows, _) in zip(stable, matches))])
    judged, rows = int(sum(s.any(1).sum() for s in stable)), np.flatnonzero(kept.any(1))
    summary = {
        **counts,
        "judged": judged,
        "judged_recall": len(rows) / judged if judged else None,
        **_differences(a.take(rows), b.take(rows), oks[rows], skeleton, kept[rows]),
        "everybody": _differences(a, b, oks, skeleton),
    }
    return Comparison(summary, frame_errors)


def _differences(
    a: Poses,
    b: Poses,
    oks: np.ndarray,
    skeleton: Skeleton,
    stable: Optional[np.ndarray] = None,
) -> Dict[str, Any]:
    """Figures of matched people; body parts count only `stable` keypoints [N,K]."""
    visible = a.scores > VISIBLE
    visible = visible if stable is None else visible & stable
    return {
        "mean_oks": _mean(oks),
        "least_oks": float(np.nanmin(oks)) if np.isfinite(oks).any() else None,
        "parts": _parts(a, b, visible, skeleton),
        **_drift("keypoint_score", (b.scores - a.scores)[visible]),
        **_drift("person_score", b.person_scores - a.person_scores),
    }


def body_oks(fp32: Poses, candidate: Poses, skeleton: Skeleton) -> np.ndarray:
    """OKS [N] of the 17 COCO keypoints that are visible to FP32; NaN where none is.

    The area is that of the box around all visible keypoints. It is less than the person's, so this
    is stricter than COCO. A keypoint that the candidate did not find counts as infinitely far.
    """
    body = skeleton.body17[skeleton.body17 >= 0]
    weights = (fp32.scores[:, body] > VISIBLE).astype(np.float32)
    areas = geometry.areas_of(geometry.boxes_of(fp32.keypoints, fp32.scores, VISIBLE))
    lost = (candidate.scores[:, body] <= MISSING)[..., None]
    points = np.where(lost, np.float32(FAR_PX), candidate.keypoints[:, body])
    oks = [
        geometry.oks(
            fp32.keypoints[i : i + 1, body],
            points[i : i + 1],
            areas[i : i + 1],
            skeleton.sigmas[body],
            weights[i : i + 1],
        )[0, 0]
        for i in range(len(fp32))
    ]
    return np.where(weights.any(1), np.array(oks, np.float64), np.nan)


def found_again(fp32: Poses, other: Poses, skeleton: Skeleton, least_oks: float) -> np.ndarray:
    """Which keypoints of one frame another run found again, [N,K] bool.

    All keypoints of a person whose OKS is below `least_oks` count as not found.
    """
    rows, columns = match_boxes(fp32.boxes, other.boxes)
    oks = body_oks(fp32.take(rows), other.take(columns), skeleton)
    same = np.zeros(fp32.scores.shape, bool)
    there = other.scores[columns] > MISSING
    same[rows] = there & ~(oks < least_oks)[:, None]  # NaN: no keypoint that could have moved
    return same


def _parts(a: Poses, b: Poses, visible: np.ndarray, skeleton: Skeleton) -> Dict[str, Any]:
    """Distances in px and share of keypoints found, for each body part."""
    apart = np.linalg.norm(a.keypoints.astype(np.float64) - b.keypoints, axis=-1)
    there = b.scores > MISSING
    found = {}
    for name, which in skeleton.parts.items():
        counted, kept = visible[:, which], there[:, which]
        if counted.any():
            px = apart[:, which][counted & kept]
            found[name] = {
                "mean_px": _mean(px),
                "p95_px": float(np.percentile(px, 95)) if len(px) else None,
                "keypoints": int(counted.sum()),
                "recall": float((counted & kept).sum() / counted.sum()),
            }
    return found


def _frame_errors(
    fp32: List[Poses],
    candidate: List[Poses],
    matches: List[Tuple[np.ndarray, np.ndarray]],
    oks: np.ndarray,
) -> np.ndarray:
    """[F] number of people lost or gained, plus the loss of OKS of the others."""
    pairs = zip(fp32, candidate, matches)
    lost = np.array([len(a) + len(b) - 2 * len(rows) for a, b, (rows, _) in pairs])
    frame = np.repeat(np.arange(len(matches)), [len(rows) for rows, _ in matches])
    loss = np.bincount(frame, np.nan_to_num(1 - oks), minlength=len(matches))
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
