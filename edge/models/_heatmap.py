"""Decodes heat maps [B,K,h,w]: finds the maximum of each map and refines it.

Decoders return positions x, y in px of the map, and scores. `edge.models.heatmap` scales positions
to px of the input.
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
    """Maps [B,K,h,w] as rows [B,K,h*w]; B may be 0."""
    return maps.reshape(*maps.shape[:2], maps.shape[2] * maps.shape[3])


def maxima(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The maximum of each map.

    Args:
        maps: [B,K,h,w]; fastest if C-contiguous.

    Returns:
        [B,K,2] i64 x y, -1 if the maximum is not above 0; [B,K] f32 maxima.
    """
    width = maps.shape[-1]
    flat = flattened(maps)
    at = flat.argmax(-1)
    best = np.take_along_axis(flat, at[..., None], -1)[..., 0]
    peaks = np.stack((at % width, at // width), -1)
    peaks[~(best > 0)] = -1
    return peaks, best.astype(np.float32, copy=False)


def patches(maps: np.ndarray, peaks: np.ndarray, reach: int, outside: float = 0.0) -> np.ndarray:
    """Square windows [B,K,2r+1,2r+1] around peaks.

    Args:
        maps: [B,K,h,w].
        peaks: [B,K,2] i64; -1 is treated as 0.
        reach: r, px.
        outside: value outside the map.
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
    """Windows around peaks of the blurred maps, scaled to the original height of the peak.

    Args:
        maps: [B,K,h,w]; 0 outside.
        peaks: [B,K,2] i64.
        kernel: width of the Gaussian, px, odd.
        reach: px from the peak to the border of the window.
    """
    across = band(kernel, 2 * reach + 1).T
    near = patches(maps, peaks, reach + kernel // 2)
    # Each product removes one axis and appends its blurred form: two large matrix products.
    blurred = np.tensordot(np.tensordot(near, across, (-2, 0)), across, (-2, 0))
    top = near.max((-2, -1), keepdims=True)
    return np.asarray(blurred * top / np.maximum(blurred.max((-2, -1), keepdims=True), 1e-12))


def quarter(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Move the maximum by a quarter px towards the higher neighbour (Newell et al. 2016).

    As in mmpose, a point on the border, or in the second column or row, is not moved on that axis.
    """
    peaks, scores = maxima(maps)
    return refine_quarter(maps, peaks), scores


def refine_quarter(maps: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Positions [B,K,2] f32, a quarter px from peaks [B,K,2] i64 of maps [B,K,h,w]."""
    near = patches(maps, peaks, 1)
    slope = np.stack((near[..., 1, 2] - near[..., 1, 0], near[..., 2, 1] - near[..., 0, 1]), -1)
    size = np.array([maps.shape[-1], maps.shape[-2]])
    moves = (peaks > 1) & (peaks < size - 1) & (peaks[..., ::-1] > 0)
    return np.asarray(peaks + np.sign(slope) * 0.25 * moves, np.float32)


def argmax(maps: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """The maximum, not refined."""
    peaks, scores = maxima(maps)
    return peaks.astype(np.float32), scores


def dark(maps: np.ndarray, kernel: int) -> Tuple[np.ndarray, np.ndarray]:
    """Refine by a Taylor step on the log of the blurred map: -H^-1 g (Zhang et al. 2020, DARK).

    Derivatives are taken over two px. Points within two px of the border are not moved.

    Args:
        maps: [B,K,h,w].
        kernel: width of the blur, px: 11 for labels of sigma 2, 17 for sigma 3.
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
    """Refine by DARK with derivatives over one px, as UDP does (Huang et al. 2020).

    Args:
        maps: [B,K,h,w].
        kernel: width of the blur, px: 11 for labels of sigma 2.
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
    """Windows [B,K,3,3] in which px outside the map repeat its border."""
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
    """Decode a class map and two offset maps per point (Papandreou et al. 2017, as in UDP).

    The result is the maximum of the class map, blurred over 2 k + 1 px, plus the offsets there
    times a radius.

    Args:
        maps: [B,3K,h,w]; class, x offset and y offset of each point.
        kernel: k, px; 11 for the published networks.
        radius_factor: radius over the longer side of the map; 0.0546875 for these networks.
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
    """The maximum of a perfect class map, a disc of ones, after the blur of `udp_combined`.

    It is 1 - exp(-r² / (2 sigma²)), the disc's share of the Gaussian.
    """
    sigma = 0.3 * (kernel - 1) + 0.8
    return float(1 - np.exp(-(radius**2) / (2 * sigma**2)))


@lru_cache(maxsize=16)
def _blur_matrix(length: int, kernel: int) -> np.ndarray:
    """Matrix [L,L] of a Gaussian blur along an axis; the ends are mirrored but not repeated."""
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
    """Newton step -H^-1 g [...,2]; 0 if the Hessian cannot be inverted."""
    dx, dy, dxx, dyy, dxy = (a.astype(np.float64) for a in (dx, dy, dxx, dyy, dxy))
    determinant = dxx * dyy - dxy * dxy
    safe = np.where(determinant == 0, 1, determinant)
    step = np.stack((dxy * dy - dyy * dx, dxy * dx - dxx * dy), -1) / safe[..., None]
    return np.asarray(np.where(determinant[..., None] == 0, 0, step))
