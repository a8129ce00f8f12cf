"""Bottom-up decoding: finds the keypoints of all people, then groups them to people.

K is the number of keypoints, M of candidates of a keypoint, N of people found. One call decodes one
frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from edge.models import _heatmap
from edge.people.assignment import assign

_NMS = 5  # px, width of the window in which a maximum is alone
_TOP = 30  # most candidates of a keypoint, and most people
_NO_GROUP_COST = 1e10  # higher than the cost of any group


class People(NamedTuple):
    """The people of a frame."""

    keypoints: np.ndarray  # [N,K,2] f32 map px
    scores: np.ndarray  # [N,K] f32
    person_scores: np.ndarray  # [N] f32


def peaks_of(maps: np.ndarray, top: int = _TOP) -> Tuple[np.ndarray, np.ndarray]:
    """The best local maxima of each map.

    Args:
        maps: [K,h,w].
        top: number of maxima, M.

    Returns:
        [K,M,2] i64 x y and [K,M] values, best first; the value of a place without a maximum is 0.
    """
    width = maps.shape[-1]
    alone = np.where(maps == _widest(_widest(maps, -1), -2), maps, 0).reshape(len(maps), -1)
    top = min(top, alone.shape[1])
    order = np.argsort(-alone, -1, kind="stable")[:, :top]
    return np.stack((order % width, order // width), -1), np.take_along_axis(alone, order, -1)


def _widest(maps: np.ndarray, axis: int) -> np.ndarray:
    """Maximum over 5 px along an axis."""
    reach = _NMS // 2
    pad = [(0, 0)] * maps.ndim
    pad[axis] = (reach, reach)
    padded = np.pad(maps, pad, constant_values=-np.inf)
    length = maps.shape[axis]
    shifted = [np.take(padded, range(i, i + length), axis) for i in range(_NMS)]
    return np.asarray(np.maximum.reduce(shifted))


@dataclass
class _Group:
    """A person to whom keypoints are being assigned."""

    places: np.ndarray  # [K,2] i64
    values: np.ndarray  # [K] f32, 0 = not found
    tags: List[float] = field(default_factory=list)

    def add(self, keypoint: int, place: np.ndarray, value: float, tag: float) -> None:
        self.places[keypoint], self.values[keypoint] = place, value
        self.tags.append(tag)


def associative_embedding(
    maps: np.ndarray,
    tags: np.ndarray,
    order: Sequence[int],
    min_value: float = 0.1,
    max_distance: float = 1.0,
    udp: bool = False,
) -> People:
    """Group keypoints by their tags (Newell et al. 2017).

    For one keypoint after the other, candidates are assigned to people at the least sum of
    100 * round(tag distance) - value. A candidate further away than `max_distance` starts a new
    person. A keypoint without a candidate is taken where the map is high and the tag is near.

    Args:
        maps: [K,h,w] responses.
        tags: [K,h,w].
        order: keypoint indices, most reliable first.
        min_value: least value of a candidate.
        max_distance: most distance of tags within one person.
        udp: refine by UDP (blur 3) instead of by a quarter px.
    """
    groups: List[_Group] = []
    places, values = peaks_of(maps)
    for keypoint in order:
        good = values[keypoint] >= min_value
        spots, heights = places[keypoint][good], values[keypoint][good]
        marks = tags[keypoint][spots[:, 1], spots[:, 0]]
        owner = _owners(groups, marks, heights, max_distance)
        for i in range(len(spots)):
            if owner[i] < 0 and len(groups) >= _TOP:
                continue
            if owner[i] < 0:
                groups.append(_Group(np.zeros((len(maps), 2), np.int64), np.zeros(len(maps))))
            groups[owner[i]].add(keypoint, spots[i], float(heights[i]), float(marks[i]))
    return _finished(groups, maps, tags, udp)


def _owners(
    groups: List[_Group], marks: np.ndarray, heights: np.ndarray, max_distance: float
) -> np.ndarray:
    """The group of each candidate, -1 = it starts one."""
    if not groups:
        return np.full(len(marks), -1, np.int64)
    means = np.array([np.mean(g.tags) for g in groups])
    distance = np.abs(marks[:, None] - means[None])
    owner = assign(np.rint(distance) * 100 - heights[:, None], _NO_GROUP_COST)
    near = (owner >= 0) & (distance[np.arange(len(marks)), owner] < max_distance)
    return np.where(near, owner, -1)


def _finished(groups: List[_Group], maps: np.ndarray, tags: np.ndarray, udp: bool) -> People:
    shape = (len(groups), len(maps))
    places = np.array([g.places for g in groups], np.int64).reshape(*shape, 2)
    values = np.array([g.values for g in groups], np.float32).reshape(shape)
    person_scores = values.mean(1) if len(groups) else np.zeros(0, np.float32)
    everyone = np.broadcast_to(maps, (len(groups), *maps.shape))
    if udp:
        points = _heatmap.refine_udp(everyone, places, 3)
    else:
        points = _heatmap.refine_quarter(everyone, places)
    for i, group in enumerate(groups):
        _fill(points[i], values[i], float(np.mean(group.tags)), maps, tags)
    return People(points, values, person_scores)


def _fill(
    points: np.ndarray, values: np.ndarray, tag: float, maps: np.ndarray, tags: np.ndarray
) -> None:
    """Set each keypoint that was not found to the whole px of the least cost."""
    missing = np.flatnonzero(values == 0)
    flat = maps[missing].reshape(len(missing), maps[0].size)
    distance = np.abs(tags[missing].reshape(flat.shape) - tag)
    at = (np.rint(distance) * 100 - flat).argmin(-1)
    points[missing] = np.stack((at % maps.shape[-1], at // maps.shape[-1]), -1)
    values[missing] = flat[np.arange(len(missing)), at]


def structured_pose(maps: np.ndarray, displacements: np.ndarray, min_value: float = 0.01) -> People:
    """Keypoints as displacements from each person's root (SPR, Nie et al. 2019).

    Args:
        maps: [K+1,h,w] responses of the keypoints and, last, of the root.
        displacements: [2K,h,w] map px, x and y in turn.
        min_value: least value of a root.
    """
    roots, values = peaks_of(maps[-1:])
    roots, values = roots[0][values[0] > min_value], values[0][values[0] > min_value]
    steps = displacements[:, roots[:, 1], roots[:, 0]].T.reshape(len(roots), len(maps) - 1, 2)
    keypoints = (roots[:, None] + steps).astype(np.float32)
    return People(keypoints, _read(maps[:-1], keypoints), values.astype(np.float32))


def _read(maps: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bilinear values [N,K] of maps [K,h,w] at points [N,K,2]; 0 outside.

    The value of px p is read at p * w / (w - 1) - 0.5, as in the reference, which aligns corners on
    one side only.
    """
    size = np.array([maps.shape[-1], maps.shape[-2]])
    at = points * (size / np.maximum(size - 1, 1)) - 0.5
    low = np.floor(at).astype(np.int64)
    part = at - low
    total = np.zeros(points.shape[:2])
    for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
        spot = low + corner
        inside = ((spot >= 0) & (spot < size)).all(-1)
        x, y = np.clip(spot, 0, size - 1).transpose(2, 0, 1)
        share = np.where(corner, part, 1 - part).prod(-1)
        total += np.where(inside, share * maps[np.arange(len(maps)), y, x], 0)
    return total.astype(np.float32)
