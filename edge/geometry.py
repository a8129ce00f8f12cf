"""Boxes, crops, affine maps, IoU, OKS and non-maximum suppression, in NumPy alone.

N and M are numbers of people, K of keypoints. Boxes are x1 y1 x2 y2. A matrix m [2,3] maps a point
p to `m[:, :2] @ p + m[:, 2]`; the matrices made here map px of the frame to px of the network
input. Arrays are float32, crop matrices float64. N = 0 is legal everywhere.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

import numpy as np

Size = Tuple[int, int]  # width, height in px
OUTWARD = np.array([-1, -1, 1, 1], np.float32)  # boxes + n * OUTWARD are n px larger on each side
FARTHEST_PX = 1e6  # fifty times the widest picture: a coordinate beyond it is an error
PADDING = 1.25  # of a top-down network's crop: its size over the box's (mmpose, GetBBoxCenterScale)
_OKS_BLOCK = 65536  # keypoint pairs at a time: 256 KiB of float32 fit the cache
_NMS_BLOCK = 64  # boxes that are suppressed among themselves before the rest is compared to them


def as_complex(points: np.ndarray) -> np.ndarray:
    """Points [...,2] f32 as x + iy [...] c64: a rotation is then a product. A view if possible."""
    return np.ascontiguousarray(points, np.float32).view(np.complex64)[..., 0]


def as_pairs(points: np.ndarray) -> np.ndarray:
    """Points x + iy [...] c64 as x, y [...,2] f32; a view if possible."""
    return np.ascontiguousarray(points, np.complex64)[..., None].view(np.float32)


def cxcywh(boxes: np.ndarray) -> np.ndarray:
    """Corners x1 y1 x2 y2 [...,4] -> centre and size cx cy w h [...,4]."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return np.concatenate(((low + high) / 2, high - low), -1).astype(np.float32)


def areas_of(boxes: np.ndarray) -> np.ndarray:
    """Areas [...] px² of boxes [...,4]; 0 if the corners are crossed."""
    size = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(size[..., 0] * size[..., 1])


def clip_boxes(boxes: np.ndarray, size: Size) -> np.ndarray:
    """Boxes [N,4] clipped to a frame of (width, height) px."""
    limit = np.array([*size, *size], np.float32)
    return np.asarray(np.clip(boxes, 0, limit), np.float32)


def boxes_of(keypoints: np.ndarray, scores: np.ndarray, min_score: float) -> np.ndarray:
    """Tight boxes [N,4] of keypoints [N,K,2] with scores [N,K] above `min_score`.

    The box of a person without such a keypoint is 0 0 0 0.
    """
    seen = (scores > min_score)[..., None]
    low = np.where(seen, keypoints, np.inf).min(1, initial=np.inf)
    high = np.where(seen, keypoints, -np.inf).max(1, initial=-np.inf)
    boxes = np.concatenate((low, high), -1)
    return np.where(seen.any(1), boxes, 0).astype(np.float32)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union [N,M] 0..1 of boxes a [N,4] and b [M,4]; 0 for empty boxes."""
    wide = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    high = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    both = np.maximum(wide, 0) * np.maximum(high, 0)
    union = areas_of(a)[:, None] + areas_of(b)[None] - both
    return np.asarray(both / np.maximum(union, np.float32(1e-9)), np.float32)


def nms(
    boxes: np.ndarray, scores: np.ndarray, max_iou: float, limit: Optional[int] = None
) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: [N,4], finite.
        scores: [N], finite; of equal scores the first wins.
        max_iou: a box that overlaps a better box by more is dropped.
        limit: keep no more than this number; None = all.

    Returns:
        [<=N] i64 indices of the boxes to keep, best first.
    """

    def overlap(these: np.ndarray, those: np.ndarray) -> np.ndarray:
        return iou(boxes[these], boxes[those]) > max_iou

    return suppress(np.argsort(-scores, kind="stable"), overlap, limit)


def suppress(
    order: np.ndarray,
    overlap: Callable[[np.ndarray, np.ndarray], np.ndarray],
    limit: Optional[int],
) -> np.ndarray:
    """Greedy suppression in blocks: a few large comparisons instead of one for each row.

    Args:
        order: [N] indices, best first.
        overlap: gives [A,B] bool, whether rows A drop rows B, from the indices of both.
        limit: keep no more than this number; None = all.

    Returns:
        [<=N] i64 indices of the rows to keep, best first.
    """
    limit = len(order) if limit is None else limit
    kept: List[np.ndarray] = [np.zeros(0, np.int64)]
    found = 0
    while len(order) and found < limit:
        block, order = order[:_NMS_BLOCK], order[_NMS_BLOCK:]
        block = block[_settle(overlap(block, block))]
        kept.append(block)
        found += len(block)
        if len(order):
            order = order[~overlap(block, order).any(0)]
    return np.concatenate(kept)[:limit]


def _settle(over: np.ndarray) -> np.ndarray:
    """Mask [B] of the boxes of one block that stay, from their overlaps [B,B] bool, best first."""
    alive = np.ones(len(over), bool)
    for i in range(len(over)):
        if alive[i]:
            alive[i + 1 :] &= ~over[i, i + 1 :]
    return alive


def oks(
    a: np.ndarray,
    b: np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray,
    weights: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Object keypoint similarity: the mean over keypoints of exp(-d² / (2 s² (2 sigma)²)).

    Source: COCO keypoint evaluation. Rows are processed in blocks, so that thousands of pairs need
    little memory.

    Args:
        a: [N,K,2] px.
        b: [M,K,2] px.
        areas: s² in px² of each person of a [N], or of each pair [N,M].
        sigmas: [K].
        weights: [K], [N,K] or [N,M,K]; 0 leaves a keypoint out.

    Returns:
        [N,M] f32 0..1; 0 for a pair whose weights are all 0.
    """
    n, k = a.shape[:2]
    m = len(b)
    pair = np.broadcast_to(areas if areas.ndim == 2 else areas[:, None], (n, m))
    rows = max(1, _OKS_BLOCK // max(1, m * k))
    out = np.zeros((n, m), np.float32)
    scale = (-1 / (8 * np.square(sigmas, dtype=np.float64))).astype(np.float32)
    for i in range(0, n, rows):
        part = slice(i, i + rows)
        w = weights if weights is None or weights.ndim == 1 else weights[part]
        out[part] = _oks_rows(a[part], b, pair[part], scale, w)
    return out


def _oks_rows(
    a: np.ndarray, b: np.ndarray, areas: np.ndarray, scale: np.ndarray, w: Optional[np.ndarray]
) -> np.ndarray:
    near = np.square(a[:, None, :, 0] - b[None, :, :, 0], dtype=np.float32)
    near += np.square(a[:, None, :, 1] - b[None, :, :, 1])
    near *= scale
    near /= np.maximum(areas, 1e-6).astype(np.float32)[:, :, None]
    np.exp(near, out=near)
    if w is None:
        return np.asarray(near.sum(-1) / np.float32(max(1, len(scale))))
    w = w[:, None, :] if w.ndim == 2 else w
    total = np.broadcast_to(w.sum(-1), near.shape[:2])
    return np.asarray((near * w).sum(-1) / np.where(total > 0, total, 1))


def crop_regions(
    boxes: np.ndarray, out: Size, padding: float = PADDING
) -> Tuple[np.ndarray, np.ndarray]:
    """Centres [N,2] and sizes [N,2] px of the crops of boxes [N,4], for a network of input `out`.

    A box is grown by `padding`. Then its shorter side is grown to the aspect of `out` (mmpose,
    GetBBoxCenterScale and TopdownAffine). A crop is at least 1 px wide.
    """
    shape = cxcywh(boxes)
    size = np.maximum(shape[:, 2:], 0) * np.float32(padding)
    aspect = out[0] / out[1]
    wide = np.maximum(np.maximum(size[:, 0], size[:, 1] * aspect), 1)
    return shape[:, :2], np.stack((wide, wide / aspect), -1).astype(np.float32)


def crop_affine(
    boxes: np.ndarray,
    out: Size,
    padding: float = PADDING,
    rotations_rad: Optional[np.ndarray] = None,
    udp: bool = False,
) -> np.ndarray:
    """Matrices [N,2,3] of the crops of person boxes, for a top-down network.

    Args:
        boxes: [N,4] px of the frame.
        out: width, height of the network's input.
        padding: size of the crop over that of the box.
        rotations_rad: [N], turns the region clockwise on the screen, and so the picture back.
        udp: measure from pixel centre to pixel centre, (out - 1) / size, for networks that were
            trained with UDP (Huang et al. 2020, "The devil is in the details").
    """
    centres, sizes = crop_regions(boxes, out, padding)
    return _region_affine(centres, sizes[:, 0], rotations_rad, out, 1 if udp else 0)


def square_crops(
    centres: np.ndarray, sides: np.ndarray, rotations_rad: Optional[np.ndarray], out: Size
) -> np.ndarray:
    """Matrices [N,2,3] of rotated squares: centres [N,2] px, sides [N] px, rotations [N] rad.

    A rotation r turns the square clockwise on the screen. The direction from its centre to its
    right edge is then (cos r, sin r) in the frame.
    """
    return _region_affine(centres, np.maximum(sides, 1), rotations_rad, out, 0)


def _region_affine(
    centres: np.ndarray,
    widths: np.ndarray,
    rotations_rad: Optional[np.ndarray],
    out: Size,
    inset: int,
) -> np.ndarray:
    """Matrices that scale regions by (out - inset) / size and rotate them by -rotation."""
    n = len(centres)
    turn = np.zeros(n) if rotations_rad is None else np.asarray(rotations_rad, np.float64)
    cos, sin = np.cos(turn), np.sin(turn)
    goal = np.array(out, np.float64) - inset
    zoom = goal * out[0] / out / np.asarray(widths, np.float64)[:, None]
    matrices = np.empty((n, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = zoom[:, 0] * cos, zoom[:, 0] * sin
    matrices[:, 1, 0], matrices[:, 1, 1] = -zoom[:, 1] * sin, zoom[:, 1] * cos
    centres = np.asarray(centres, np.float64)
    moved = matrices[:, :, 0] * centres[:, :1] + matrices[:, :, 1] * centres[:, 1:]
    matrices[:, :, 2] = goal / 2 - moved
    return matrices  # float64: float32 would sometimes select other pixels


def letterbox(size: Size, out: Size, centre: bool = False) -> np.ndarray:
    """The matrix [2,3] that fits a frame of `size` into `out` and keeps the aspect.

    Args:
        size: width, height of the frame.
        out: width, height of the network's input.
        centre: true = equal bars on both sides (mmpose's BottomupResize); false = the picture at
            the top left (YOLOX and RTMDet as rtmlib runs them).
    """
    ratio = min(out[0] / size[0], out[1] / size[1])
    shift = [(out[i] - ratio * size[i]) / 2 if centre else 0.0 for i in (0, 1)]
    return np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]]], np.float32)


def invert(matrices: np.ndarray) -> np.ndarray:
    """Inverses [...,2,3] f32 of matrices [...,2,3], which must be invertible."""
    m = np.asarray(matrices, np.float64)
    a, b, c, d = m[..., 0, 0], m[..., 0, 1], m[..., 1, 0], m[..., 1, 1]
    area = a * d - b * c
    out = np.empty(m.shape)
    out[..., 0, 0], out[..., 0, 1], out[..., 1, 0], out[..., 1, 1] = d, -b, -c, a
    out[..., :2] /= area[..., None, None]
    out[..., 2:] = -np.matmul(out[..., :2], m[..., 2:])
    return out.astype(np.float32)


def apply(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [N,K,2] f32 mapped by matrices [N,2,3]."""
    m = np.asarray(matrices, np.float64)
    moved = np.matmul(points, m[:, :, :2].transpose(0, 2, 1)) + m[:, None, :, 2]
    return np.asarray(moved, np.float32)
