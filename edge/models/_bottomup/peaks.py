"""Candidates of keypoints: local maxima of response maps, and maps of another size."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Tuple

import numpy as np

from edge.models import _heatmap

MOST = 30  # candidates of a keypoint, and people
_NMS = 5  # px, width of the window in which a maximum is alone


class People(NamedTuple):
    """The people of a frame."""

    keypoints: np.ndarray  # [N,K,2] f32 map px
    scores: np.ndarray  # [N,K] f32
    person_scores: np.ndarray  # [N] f32


def peaks_of(
    maps: np.ndarray, min_value: float, top: int = MOST, ties: bool = False
) -> Tuple[np.ndarray, np.ndarray]:
    """The best local maxima of each map.

    Args:
        maps: [K,h,w], finite.
        min_value: least value of a maximum, above 0.
        top: most maxima of a map.
        ties: keep each of equal maxima in one window, which maps in INT8 or FP16 often have.

    Returns:
        [K,M,2] i64 x y and [K,M] values, best first. M is the largest number that a map has; the
        value is 0 after the last maximum of a map.
    """
    alone = (maps == _widest(_widest(maps, -1), -2)) & (maps >= min_value)
    owner, y, x = np.nonzero(alone) if ties else _first_of_equals(alone)
    values = maps[owner, y, x]
    order = np.lexsort((-values, owner))
    owner, counts = owner[order], np.bincount(owner, minlength=len(maps))
    rank = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
    kept = rank < top
    owner, rank, order = owner[kept], rank[kept], order[kept]
    most = min(top, int(counts.max(initial=0)))
    places = np.zeros((len(maps), most, 2), np.int64)
    heights = np.zeros((len(maps), most), maps.dtype)
    places[owner, rank, 0], places[owner, rank, 1] = x[order], y[order]
    heights[owner, rank] = values[order]
    return places, heights


def _first_of_equals(alone: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the maxima in a mask [K,h,w]; of equal ones in a window the first in row order."""
    owner, y, x = np.nonzero(alone)
    reach = _NMS // 2
    padded = np.pad(alone, ((0, 0), (reach, reach), (reach, reach)))
    dy, dx = np.divmod(np.arange(_NMS * _NMS // 2), _NMS)  # those before the middle
    first = ~padded[owner[:, None], y[:, None] + dy, x[:, None] + dx].any(1)
    return owner[first], y[first], x[first]


def _widest(maps: np.ndarray, axis: int) -> np.ndarray:
    """Maximum over 5 px along an axis."""
    reach = _NMS // 2
    lines = np.swapaxes(maps, axis, -1)
    length = lines.shape[-1]
    padded = np.pad(lines, ((0, 0), (0, 0), (reach, reach)), constant_values=-np.inf)
    out = padded[..., :length].copy()
    for start in range(1, _NMS):
        np.maximum(out, padded[..., start : start + length], out=out)
    return np.swapaxes(out, axis, -1)


def refined(maps: np.ndarray, places: np.ndarray, udp: bool) -> np.ndarray:
    """Positions [N,K,2] f32 of maxima at whole px [N,K,2]: by UDP (blur 3) or by a quarter px."""
    everyone = np.broadcast_to(maps, (len(places), *maps.shape))
    if udp:
        return _heatmap.refine_udp(everyone, places, 3)
    return _heatmap.refine_quarter(everyone, places)


def resized(maps: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Maps [...,h,w] at another height and width: bilinear, corners not aligned (PyTorch)."""
    if maps.shape[-2:] == size:
        return maps
    down = _weights(maps.shape[-2], size[0])
    across = _weights(maps.shape[-1], size[1])
    return np.asarray(down @ maps @ across.T)


@lru_cache(maxsize=16)
def _weights(old: int, new: int) -> np.ndarray:
    """The share [new,old] f32 that each old px has in each new one."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    distance = np.abs(at[:, None] - np.arange(old)[None])
    return np.maximum(1 - distance, 0).astype(np.float32)
