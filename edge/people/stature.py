"""The standing height of a person in px, whatever their posture: the unit of motion constants.

Perspective can only shorten a limb. So a limb's length divided by its share of the body height is a
lower bound of the height. The second largest bound is taken, in case one keypoint is wrong.
"""

from __future__ import annotations

import numpy as np

from edge.structures import VISIBLE

# Limbs as pairs of COCO keypoints, and their shares of the height. Drillis and Contini (1966) give
# the heights of joints: shoulder .818, hip .530, knee .285, ankle .039; upper arm .186. Shoulder
# joints are .22 apart: the published .259 is the width over the bones outside them.
LIMB_ENDS = np.array([5, 6, 11, 12, 13, 14, 5, 6, 5])
LIMB_OTHER_ENDS = np.array([11, 12, 13, 14, 15, 16, 7, 8, 6])
LIMB_SHARES = np.array([0.288, 0.288, 0.245, 0.245, 0.246, 0.246, 0.186, 0.186, 0.22], np.float32)
_SMALLEST_PX = 8.0


def heights(body: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Heights in px that people would have if they stood upright where they are.

    Args:
        body: [N,17] c64 px, COCO keypoints as x + iy.
        scores: [N,17] f32.
        boxes: [N,4] f32 px. The height is kept within .5 to 2 times the longer side of the box. It
            is the longer side if fewer than two limbs are visible.

    Returns:
        [N] f32 px, at least 8.
    """
    lengths = np.abs(body[:, LIMB_ENDS] - body[:, LIMB_OTHER_ENDS]) / LIMB_SHARES
    lengths *= np.minimum(scores[:, LIMB_ENDS], scores[:, LIMB_OTHER_ENDS]) > VISIBLE
    second = np.sort(lengths, 1)[:, -2]
    longer = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    near = np.minimum(np.maximum(second, longer / 2), longer * 2)
    bounded = np.where(longer > 0, near, second)
    return np.maximum(np.where(second > 0, bounded, longer), np.float32(_SMALLEST_PX))
