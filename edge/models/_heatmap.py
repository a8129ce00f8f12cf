"""Decoding of heat maps [B,K,h,w]: the maximum of each map, refined in one of several ways.

All give positions in map px (x, y) and scores; `edge.models.heatmap` scales them to input px.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Tuple

import numpy as np

from edge.models._simcc import band, gaussian

_DARK_FLOOR = 1e-10
_UDP_FLOOR, _UDP_CEILING = 1e-3, 50.0
_EPS = float(np.finfo(np.float32).eps)


def flattened(maps: np.ndarray) -> np.ndarray:
    """[B,K,h,w] -> [B,K,h*w], B = 0 too."""
    return maps.reshape(*maps.shape[:2], maps.shape[2] * maps.shape[3])


def maxima(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Maximum of each map.

    Args:
        maps: [B,K,h,w], C-contiguous is fastest.

    Returns:
        [B,K,2] i64 x y, -1 where the maximum is not above 0, and [B,K] f32 maxima.
    """
    width = maps.shape[-1]
    flat = flattened(maps)
    at = flat.argmax(-1)
    best = np.take_along_axis(flat, at[..., None], -1)[..., 0]
    peaks = np.stack((at % width, at // width), -1)
    peaks[~(best > 0)] = -1
    return peaks, best.astype(np.float32, copy=False)


def patches(maps: np.ndarray, peaks: np.ndarray, reach: int, outside: float = 0.0) -> np.ndarray:
    """Square surroundings [B,K,2r+1,2r+1] of each peak.

    Args:
        maps: [B,K,h,w].
        peaks: [B,K,2] i64; one at -1 is read as if at 0.
        reach: r.
        outside: value of what lies outside the map.
    """
    height, width = maps.shape[-2:]
    steps = np.arange(-reach, reach + 1)
    x = np.maximum(peaks[..., 0], 0)[..., None] + steps
    y = np.maximum(peaks[..., 1], 0)[..., None] + steps
    index = np.clip(y, 0, height - 1)[..., :, None] * width + np.clip(x, 0, width - 1)[..., None, :]
    near = np.take_along_axis(flattened(maps), flattened(index), -1).reshape(index.shape)
    inside_x, inside_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    return np.where(inside_y[..., :, None] & inside_x[..., None, :], near, np.float32(outside))


def blurred_patches(maps: np.ndarray, peaks: np.ndarray, kernel: int, reach: int) -> np.ndarray:
    """Surroundings of the peaks in the blurred maps, brought back to the height of the peak.

    Args:
        maps: [B,K,h,w].
        peaks: [B,K,2] i64.
        kernel: width of the Gaussian, odd; zeros lie outside the map.
        reach: px around the peak.
    """
    across = band(kernel, 2 * reach + 1).T
    near = patches(maps, peaks, reach + kernel // 2)
    # Each product takes the rows away and puts the blurred ones last: two large plain products.
    blurred = np.tensordot(np.tensordot(near, across, (-2, 0)), across, (-2, 0))
    top = near.max((-2, -1), keepdims=True)
    return np.asarray(blurred * top / np.maximum(blurred.max((-2, -1), keepdims=True), 1e-12))


def quarter(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """A quarter px towards the higher neighbour (Newell et al. 2016).

    A point on the border, or in the second column or row, stays on that axis (mmpose).
    """
    peaks, scores = maxima(maps)
    return refine_quarter(maps, peaks), scores


def refine_quarter(maps: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Positions [B,K,2] f32 a quarter px away from peaks [B,K,2] i64 of maps [B,K,h,w]."""
    near = patches(maps, peaks, 1)
    slope = np.stack((near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]), -1)
    size = np.array([maps.shape[-1], maps.shape[-2]])
    moves = (peaks > 1) & (peaks < size - 1) & (peaks[..., ::-1] > 0)
    return np.asarray(peaks + np.sign(slope) * 0.25 * moves, np.float32)


def argmax(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The maximum itself."""
    peaks, scores = maxima(maps)
    return peaks.astype(np.float32), scores


def dark(maps: np.ndarray, kernel: int) -> Tuple[np.ndarray, np.ndarray]:
    """Taylor step on the log of the blurred map: -H^-1 g (Zhang et al. 2020, DARK).

    Derivatives over two px; points within two px of the border stay.

    Args:
        maps: [B,K,h,w].
        kernel: width of the blur, 11 for labels of sigma 2, 17 for sigma 3.
    """
    peaks, scores = maxima(maps)
    log = np.log(np.maximum(blurred_patches(maps, peaks, kernel, 2), _DARK_FLOOR))
    dx = 0.5 * (log[..., 2, 3] - log[..., 2, 1])
    dy = 0.5 * (log[..., 3, 2] - log[..., 1, 2])
    dxx = 0.25 * (log[..., 2, 4] - 2 * log[..., 2, 2] + log[..., 2, 0])
    dyy = 0.25 * (log[..., 4, 2] - 2 * log[..., 2, 2] + log[..., 0, 2])
    dxy = 0.25 * (log[..., 3, 3] - log[..., 1, 3] - log[..., 3, 1] + log[..., 1, 1])
    size = np.array([maps.shape[-1], maps.shape[-2]])
    moves = ((peaks > 1) & (peaks < size - 2)).all(-1) & (dxx * dyy != dxy * dxy)
    step = _newton(dx, dy, dxx, dyy, dxy)
    return (peaks + np.where(moves[..., None], step, 0)).astype(np.float32), scores


def udp(maps: np.ndarray, kernel: int) -> Tuple[np.ndarray, np.ndarray]:
    """DARK with unit steps, as UDP decodes (Huang et al. 2020).

    Args:
        maps: [B,K,h,w].
        kernel: width of the blur, 11 for labels of sigma 2.
    """
    peaks, scores = maxima(maps)
    return refine_udp(maps, peaks, kernel), scores


def refine_udp(maps: np.ndarray, peaks: np.ndarray, kernel: int) -> np.ndarray:
    """Positions [B,K,2] f32 refined from peaks [B,K,2] i64 of maps [B,K,h,w]."""
    near = _repeat_edge(blurred_patches(maps, peaks, kernel, 1), peaks, maps.shape)
    log = np.log(np.clip(near, _UDP_FLOOR, _UDP_CEILING))
    middle = log[..., 1, 1]
    right, left, down, up = log[..., 1, 2], log[..., 1, 0], log[..., 2, 1], log[..., 0, 1]
    dxy = 0.5 * (log[..., 2, 2] - right - down + 2 * middle - left - up + log[..., 0, 0])
    dxx, dyy = right - 2 * middle + left + _EPS, down - 2 * middle + up + _EPS
    step = _newton(0.5 * (right - left), 0.5 * (down - up), dxx, dyy, dxy)
    return np.asarray(peaks + step, np.float32)


def _repeat_edge(near: np.ndarray, peaks: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
    """3 x 3 patches with what lies outside the map taken from its border."""
    rows, columns = np.broadcast_to(np.arange(3), (2, *peaks.shape[:2], 3)).copy()
    columns[..., 0] = peaks[..., 0] <= 0
    rows[..., 0] = peaks[..., 1] <= 0
    columns[..., 2] -= peaks[..., 0] == shape[-1] - 1
    rows[..., 2] -= peaks[..., 1] == shape[-2] - 1
    near = np.take_along_axis(near, rows[..., :, None], -2)
    return np.take_along_axis(near, columns[..., None, :], -1)


def udp_combined(
    maps: np.ndarray, kernel: int, radius_factor: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Class map and offset maps of each point (Papandreou et al. 2017, as UDP decodes them).

    The maximum of the class map, blurred over 2 k + 1 px, plus the offsets there times a radius.

    Args:
        maps: [B,3K,h,w], class, x offset, y offset in turn.
        kernel: k, 11 for the published networks.
        radius_factor: radius over the longer side of the map; 0.0546875.
    """
    batch, _, height, width = maps.shape
    parts = maps.reshape(batch, -1, 3, height, width)
    size = 2 * kernel + 1
    classes = _blur_matrix(height, size) @ parts[:, :, 0] @ _blur_matrix(width, size).T
    peaks, scores = maxima(classes)
    x, y = np.maximum(peaks, 0)[..., 0], np.maximum(peaks, 0)[..., 1]
    frame, point = np.ogrid[:batch, : parts.shape[1]]
    offsets = parts[frame, point, 1:, y, x] * (radius_factor * max(height, width))
    return (peaks + offsets).astype(np.float32), scores


def disc_response(kernel: int, radius: float) -> float:
    """What the blur of `udp_combined` leaves of a perfect class map, a disc of 1 around the point.

    1 - exp(-r² / (2 sigma²)): the disc's share of the Gaussian.
    """
    sigma = 0.3 * (kernel - 1) + 0.8
    return float(1 - np.exp(-(radius**2) / (2 * sigma**2)))


@lru_cache(maxsize=16)
def _blur_matrix(length: int, kernel: int) -> np.ndarray:
    """[L,L]: a Gaussian blur along an axis, mirrored at the ends without repeating them."""
    reach = kernel // 2
    source = np.abs(np.arange(length)[:, None] + np.arange(-reach, reach + 1))
    period = max(1, 2 * (length - 1))
    source = source % period
    source = np.minimum(source, period - source)
    matrix = np.zeros((length, length), np.float32)
    rows = np.broadcast_to(np.arange(length)[:, None], source.shape)
    np.add.at(matrix, (rows, source), np.broadcast_to(gaussian(kernel), source.shape))
    return matrix


def _newton(
    dx: np.ndarray, dy: np.ndarray, dxx: np.ndarray, dyy: np.ndarray, dxy: np.ndarray
) -> np.ndarray:
    """-H^-1 g [...,2]; 0 where the Hessian cannot be inverted."""
    dx, dy, dxx, dyy, dxy = (a.astype(np.float64) for a in (dx, dy, dxx, dyy, dxy))
    determinant = dxx * dyy - dxy * dxy
    safe = np.where(determinant == 0, 1, determinant)
    step = np.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1) / safe[..., None]
    return np.asarray(np.where(determinant[..., None] == 0, 0, step))
