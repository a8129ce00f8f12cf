"""Who gets hands and a face where there are more people than the limits allow."""

from __future__ import annotations

import numpy as np

from edge import geometry
from edge.structures import Poses

_KEPT = 1.5  # people with hands or a face count as this many times as large: no two take turns
_WEIGHT = 9.0  # somebody of weight 1 counts as this many times as large, beside the own size


def worth(people: Poses, sizes: np.ndarray, part_scores: np.ndarray) -> np.ndarray:
    """[N] f32: share of the frame, multiplied for people who matter to rules or had parts before.

    Args:
        people: [N].
        sizes: [N,2] width and height of their frames, px.
        part_scores: [N,110] of hands and face in the last frame.
    """
    share = geometry.areas_of(people.boxes) / np.maximum(sizes.prod(1), 1)
    if people.weights is not None:
        share = share * (1 + _WEIGHT * people.weights)
    return np.asarray(share * np.where((part_scores > 0).any(1), _KEPT, 1))


def first(worth: np.ndarray, limit: int) -> np.ndarray:
    """[N] bool: the `limit` people of the highest worth [N]; all if it is 0."""
    wanted = np.ones(len(worth), bool)
    if 0 < limit < len(worth):
        wanted[np.argsort(-worth, kind="stable")[limit:]] = False
    return wanted


def first_of_each(worth: np.ndarray, which: np.ndarray, limit: int) -> np.ndarray:
    """[N] bool: the `limit` people of the highest worth in each frame; all if it is 0.

    Args:
        worth: [N].
        which: [N] index of the frame, ascending.
        limit: most people of a frame.
    """
    if not limit or len(worth) <= limit:
        return np.ones(len(worth), bool)
    order = np.lexsort((-worth, which))  # by frame, then by worth
    place = np.arange(len(worth)) - np.searchsorted(which, which)
    wanted = np.zeros(len(worth), bool)
    wanted[order] = place < limit
    return wanted
