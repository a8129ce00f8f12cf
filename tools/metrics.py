"""Measures of pose error (OKS, PCK, AUC, EPE, NME), and scores that rank predictions.

All numbers are float64. Letters: N people or predictions, G people of the truth, K keypoints.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

import numpy as np

from edge.skeletons import Skeleton

EPS = float(np.spacing(1))


def oks(
    found: np.ndarray, truth: np.ndarray, areas: np.ndarray, sigmas: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Object keypoint similarity of the COCO keypoint evaluation.

    Args:
        found: [N,K,2] px.
        truth: [G,K,2] px.
        areas: s² in px², for each true person [G] or each pair [N,G].
        sigmas: [K].
        weights: [G,K]; a keypoint with weight 0 is left out.

    Returns:
        [N,G] 0..1; 0 if no keypoint counts.
    """
    gap = np.square(found[:, None].astype(np.float64) - truth[None]).sum(-1)
    scale = np.square(2.0 * np.asarray(sigmas, np.float64))
    spread = np.broadcast_to(areas, gap.shape[:2])[..., None] + EPS
    near = np.exp(-gap / scale / spread / 2) * weights
    return near.sum(-1) / np.maximum(weights.sum(-1), EPS)


def rescore(
    keypoint_scores: np.ndarray, box_scores: np.ndarray, min_score: float = 0.2
) -> np.ndarray:
    """Scores [N] that rank predictions: box score times the mean score of the keypoints that count.

    A keypoint counts if its score is above `min_score`; the result is 0 if none does.
    Source: mmpose, `score_mode="bbox_keypoint"`.
    """
    counted = keypoint_scores > min_score
    total = np.where(counted, keypoint_scores, 0).sum(1, dtype=np.float64)
    return np.asarray(box_scores * total / np.maximum(counted.sum(1), 1), np.float64)


def suppress(
    keypoints: np.ndarray,
    scores: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    max_oks: float = 0.9,
) -> np.ndarray:
    """Non-maximum suppression by OKS in one image; s² is the mean of both areas.

    Args:
        keypoints: [N,K,2] px.
        scores: [N].
        areas: [N] px².
        sigmas: [K].
        max_oks: a prediction with a larger OKS to a better prediction is dropped.

    Returns:
        [<=N] i64 indices of the kept predictions, best first.
    """
    pairs = (areas[:, None] + areas[None]).astype(np.float64) / 2
    alike = oks(keypoints, keypoints, pairs, sigmas, np.ones(keypoints.shape[:2]))
    order = np.argsort(scores, kind="stable")[::-1]
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[alike[best, order] <= max_oks]
    return np.array(kept, np.int64)


def distances(
    found: np.ndarray, truth: np.ndarray, mask: np.ndarray, norms: np.ndarray
) -> np.ndarray:
    """Distances in units of a length of each person; NaN for keypoints that do not count.

    Args:
        found: [N,K,2] px.
        truth: [N,K,2] px.
        mask: [N,K] bool, whether a keypoint counts.
        norms: [N,2] px for x and y; a person with a 0 is left out.

    Returns:
        [N,K] f64.
    """
    norms = np.asarray(norms, np.float64)
    step = (np.asarray(found, np.float64) - truth) / np.where(norms > 0, norms, 1e6)[:, None]
    counted = mask & (norms != 0).all(1)[:, None]
    return np.where(counted, np.sqrt(np.square(step).sum(-1)), np.nan)


def pck(
    found: np.ndarray, truth: np.ndarray, mask: np.ndarray, norms: np.ndarray, share: float
) -> Tuple[np.ndarray, float]:
    """Percentage of correct keypoints: nearer than `share` of a length of the person.

    Arguments as in `distances`. The length is that of the box for PCK, of the head for PCKh, of the
    torso for tPCK.

    Returns:
        [K] for each keypoint, NaN if it never counts; and their mean, 0 if no keypoint counts.
    """
    apart = distances(found, truth, mask, norms)
    counted = ~np.isnan(apart)
    right = (np.where(counted, apart, np.inf) < share).sum(0)
    total = counted.sum(0)
    each = np.where(total > 0, right / np.maximum(total, 1), np.nan)
    return each, _mean(each)


def auc(
    found: np.ndarray, truth: np.ndarray, mask: np.ndarray, norm_px: float, steps: int = 20
) -> float:
    """Area under the curve of PCK over thresholds 0, 1/steps, ... of a length in px."""
    norms = np.full((len(found), 2), norm_px)
    shares = (i / steps for i in range(steps))
    return sum(pck(found, truth, mask, norms, share)[1] for share in shares) / steps


def epe(found: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """End-point error: mean distance in px."""
    return nme(found, truth, mask, np.ones((len(found), 2)))


def nme(found: np.ndarray, truth: np.ndarray, mask: np.ndarray, norms: np.ndarray) -> float:
    """Normalised mean error: mean distance in units of a length of each person."""
    return _mean(distances(found, truth, mask, norms))


def errors_by_part(
    found: np.ndarray,
    truth: np.ndarray,
    mask: np.ndarray,
    skeleton: Skeleton,
    norms: Optional[np.ndarray] = None,
) -> Dict[str, float]:
    """Mean distance for each body part of the skeleton, and for all; NaN if no keypoint counts.

    The unit is px, or `norms` [N,2].
    """
    norms = np.ones((len(found), 2)) if norms is None else norms
    apart = distances(found, truth, mask, norms)
    parts = {"all": np.arange(len(skeleton)), **skeleton.parts}
    return {name: _mean(apart[:, which], np.nan) for name, which in parts.items() if len(which)}


def _mean(values: np.ndarray, empty: float = 0.0) -> float:
    some = values[~np.isnan(values)]
    return float(some.mean()) if some.size else empty
