"""How alike two people are, keypoint by keypoint: the summands of OKS."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge import skeletons
from edge.people.motion import BodyState

# s² of OKS in H², so that it does not depend on the posture. COCO's area of a person is about half
# of a standing person's box, which is .4 H wide.
_AREA_H2 = 0.2
_VARIANCES = np.square(2 * skeletons.get("coco17").sigmas)


def nearness(
    a: BodyState, b: BodyState, i: np.ndarray, j: np.ndarray, drift_px: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """The summands of OKS of people a[i] and b[j], [P] pairs.

    The error of a prediction is added to the annotators' error: variance (2 sigma s)² + drift².

    Returns:
        Similarity [P,17] 0..1 of each keypoint, 0 if not visible in both; [P,17] f32 1 = visible in
        both.
    """
    both = (np.minimum(a.scores[i], b.scores[j]) > 0).astype(np.float32)
    apart = a.body[i] - b.body[j]
    size = np.square(a.heights[i]) + np.square(b.heights[j])
    variance = (size * np.float32(_AREA_H2 / 2))[:, None] * _VARIANCES
    variance += np.square(drift_px)[:, None]
    distance = np.square(apart.real) + np.square(apart.imag)
    return np.exp(distance / (-2 * variance)) * both, both
