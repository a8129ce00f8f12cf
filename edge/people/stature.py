"""How tall a person is in the picture, whatever their posture: the unit of every motion constant.

Perspective only shortens a limb, so each limb length over its share of the body height is a lower
bound of the height; the second largest of them is kept, against one wrong keypoint.
"""

from __future__ import annotations

import numpy as np

from edge.structures import VISIBLE

# COCO keypoint pairs and their share of the height, from the joint heights of Drillis and Contini
# (1966): shoulder .818, hip .530, knee .285, ankle .039, upper arm .186. Shoulder joints are .22
# apart (their .259 is measured over the bones outside).
_ENDS = np.array([5, 6, 11, 12, 13, 14, 5, 6, 5])
_OTHER_ENDS = np.array([11, 12, 13, 14, 15, 16, 7, 8, 6])
_SHARES = np.array([0.288, 0.288, 0.245, 0.245, 0.246, 0.246, 0.186, 0.186, 0.22], np.float32)
_SMALLEST_PX = 8.0


def heights(body: np.ndarray, scores: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Heights that the people would have standing upright where they are.

    Args:
        body: [N,17] complex64, COCO keypoints as x + iy px.
        scores: [N,17] f32.
        boxes: [N,4] f32 px; bounds the answer to .5 to 2 times its longer side, and is the answer
            where fewer than two limbs are visible.

    Returns:
        [N] f32 px, at least 8.
    """
    lengths = np.abs(body[:, _ENDS] - body[:, _OTHER_ENDS]) / _SHARES
    lengths *= np.minimum(scores[:, _ENDS], scores[:, _OTHER_ENDS]) > VISIBLE
    second = np.sort(lengths, 1)[:, -2]
    longer = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    near = np.minimum(np.maximum(second, longer / 2), longer * 2)
    bounded = np.where(longer > 0, near, second)
    return np.maximum(np.where(second > 0, bounded, longer), np.float32(_SMALLEST_PX))
