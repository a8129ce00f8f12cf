"""Grouping by tags: keypoints of one person have a similar tag (associative embedding)."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np

from edge.models._bottomup.peaks import MOST, People, peaks_of, refined
from edge.people.assignment import assign

_NO_GROUP_COST = 1e10  # higher than the cost of any group


class _Groups:
    """The people to whom keypoints are being assigned; the first `n` rows are in use."""

    def __init__(self, keypoints: int, depth: int) -> None:
        self.n = 0
        self.places = np.zeros((MOST, keypoints, 2), np.int64)
        self.values = np.zeros((MOST, keypoints), np.float32)  # 0 = not found
        self._tags = np.zeros((MOST, depth))
        self._counts = np.zeros((MOST, 1))

    @property
    def tags(self) -> np.ndarray:
        """Mean tag [n,L] of each person."""
        return self._tags[: self.n] / self._counts[: self.n]

    def add(
        self,
        keypoint: int,
        owner: np.ndarray,
        places: np.ndarray,
        values: np.ndarray,
        tags: np.ndarray,
    ) -> None:
        """Give candidates [M] of a keypoint to their owners; -1 starts a person if there is room.

        Args:
            keypoint: index.
            owner: [M] rows of people.
            places: [M,2] i64 map px.
            values: [M].
            tags: [M,L].
        """
        new = np.flatnonzero(owner < 0)[: MOST - self.n]
        owner[new] = self.n + np.arange(len(new))
        self.n += len(new)
        given = owner >= 0
        rows = owner[given]
        self.places[rows, keypoint] = places[given]
        self.values[rows, keypoint] = values[given]
        self._tags[rows] += tags[given]
        self._counts[rows] += 1


def associative_embedding(
    maps: np.ndarray,
    tags: np.ndarray,
    order: Sequence[int],
    min_value: float = 0.1,
    max_distance: float = 1.0,
    udp: bool = False,
    ties: bool = False,
) -> People:
    """Group keypoints by their tags (Newell et al. 2017).

    For one keypoint after the other, candidates are assigned to people at the least sum of
    100 * round(tag distance) - value. A candidate further away than `max_distance` starts a new
    person. A keypoint without a candidate is taken where the map is high and the tag is near.

    Args:
        maps: [K,h,w] responses, finite.
        tags: [L,K,h,w] or [K,h,w], finite; L is the length of a tag.
        order: keypoint indices, most reliable first.
        min_value: least value of a candidate.
        max_distance: most distance of tags within one person.
        udp: refine by UDP (blur 3) instead of by a quarter px.
        ties: keep equal maxima side by side, each for a person of its own, as mmpose does.
    """
    tags = tags.reshape(-1, *maps.shape)
    groups = _Groups(len(maps), len(tags))
    places, values = peaks_of(maps, min_value, ties=ties)
    for keypoint in order:
        good = values[keypoint] > 0
        spots, heights = places[keypoint][good], values[keypoint][good]
        marks = tags[:, keypoint, spots[:, 1], spots[:, 0]].T
        owner = _owners(groups.tags, marks, heights, max_distance)
        groups.add(keypoint, owner, spots, heights, marks)
    return _finished(groups, maps, tags, udp)


def _owners(
    means: np.ndarray, marks: np.ndarray, heights: np.ndarray, max_distance: float
) -> np.ndarray:
    """The person of each candidate, -1 = it starts one."""
    if not len(means) or not len(marks):
        return np.full(len(marks), -1, np.int64)
    distance = np.sqrt(np.square(marks[:, None] - means[None]).sum(-1))
    owner = assign(np.rint(distance) * 100 - heights[:, None], _NO_GROUP_COST)
    near = (owner >= 0) & (distance[np.arange(len(marks)), owner] < max_distance)
    return np.where(near, owner, -1)


def _finished(groups: _Groups, maps: np.ndarray, tags: np.ndarray, udp: bool) -> People:
    values = groups.values[: groups.n].copy()
    points = refined(maps, groups.places[: groups.n], udp)
    person_scores = values.mean(1)
    # One person at a time: the costs of all people would need N times the memory of the maps.
    for person, tag in enumerate(groups.tags):
        missing = np.flatnonzero(values[person] == 0)
        points[person, missing], values[person, missing] = _nearest(maps, tags, missing, tag)
    return People(points, values, person_scores)


def _nearest(
    maps: np.ndarray, tags: np.ndarray, which: np.ndarray, tag: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """The whole px of the least cost in each map that was not used, [M,2] and its value [M]."""
    flat = maps[which].reshape(len(which), maps[0].size)
    off = tags[:, which].reshape(len(tag), *flat.shape) - tag[:, None, None].astype(np.float32)
    distance = np.abs(off[0]) if len(tag) == 1 else np.sqrt(np.square(off).sum(0))
    at = (np.rint(distance) * 100 - flat).argmin(-1)
    places = np.stack((at % maps.shape[-1], at // maps.shape[-1]), -1)
    return places, flat[np.arange(len(which)), at]
