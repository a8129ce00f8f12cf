"""Refuses hands and faces that are not those of their body.

Where two people are close together, the crop of a hand or face may show the neighbour's, and the
body network may place a wrist or nose there. All limits are shares of the body's own size, so they
are the same near and far. They were set on rendered people (split tune; 111 right hands, 37 right
faces): no right one is outside them.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.models._blazepose import points
from edge.models._blazepose.crops import length_of

_ELBOWS, _SHOULDERS, _HIPS = [13, 14], [11, 12], [23, 24]  # BlazePose's points
# Of the trunk: half its length, or this share of the shoulders' width if that is more (from the
# front both are alike, from the side the width is small, of a person who bends the length is).
_LENGTH, _WIDTH = 0.5, 0.7
# In sizes of the body: most distance of the network's wrist or nose from the body's; least and most
# extent of a hand or face; most length of a forearm. The upper limits of extent and length are far
# above the measured ones (0.87, 1.3 and 1.25): what is held towards the camera looks larger.
_AWAY = 0.35
_HAND_LEAST, _HAND_MOST = 0.15, 2.0
_FACE_LEAST, _FACE_MOST = 0.33, 2.0
_FACE = 0.6  # the usual extent of a face
_FOREARM_MOST = 2.2
# A hand does not point back along a forearm that is seen from the side: least cosine, and least
# length of the forearm.
_BACK, _FROM_THE_SIDE = -0.3, 0.5
# Two parts are one if their points are closer than this share of the larger extent, on average. Two
# hands can touch, two faces cannot lie over each other.
SAME_HAND, SAME_FACE = 0.3, 0.6


def hand_misfits(hands: np.ndarray, bodies: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """How badly hands fit the arms of their bodies: [M] f32, inf = another person's or none.

    Args:
        hands: [M,21,2] px.
        bodies: [M,33,2] px, BlazePose's points of each hand's person.
        sides: [M] 0 = left, 1 = right.
    """
    each = np.arange(len(hands))
    wrists = bodies[:, points.WRISTS][each, sides]
    elbows = bodies[:, _ELBOWS][each, sides]
    upper = length_of(elbows - bodies[:, _SHOULDERS][each, sides])
    steady = np.maximum(_trunks(bodies), upper)
    forearms = wrists - elbows
    long = length_of(forearms)
    size = np.maximum(np.maximum(steady, long), 1e-3)
    away = length_of(hands[:, 0] - wrists) / size
    extent = extents(hands) / size
    palms = hands[:, 9] - hands[:, 0]
    along = (palms * forearms).sum(-1) / np.maximum(length_of(palms) * long, 1e-6)
    fits = (away <= _AWAY) & (extent >= _HAND_LEAST) & (extent <= _HAND_MOST)
    fits &= long <= _FOREARM_MOST * np.maximum(steady, 1e-3)
    fits &= (along >= _BACK) | (long < _FROM_THE_SIDE * size)
    stretched = np.maximum(long / np.maximum(steady, 1e-3) - 1, 0)
    return np.asarray(np.where(fits, away + stretched, np.inf), np.float32)


def face_misfits(faces: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """How badly faces fit their bodies: [M] f32, inf = another person's or none.

    Args:
        faces: [M,68,2] px.
        bodies: [M,33,2] px, BlazePose's points of each face's person.
    """
    size = np.maximum(_trunks(bodies), 1e-3)
    away = length_of(faces[:, points.MESH_NOSE] - bodies[:, 0]) / size
    extent = extents(faces) / size
    fits = (away <= _AWAY) & (extent >= _FACE_LEAST) & (extent <= _FACE_MOST)
    unusual = np.abs(np.log(np.maximum(extent, 1e-3) / _FACE))
    return np.asarray(np.where(fits, away + unusual, np.inf), np.float32)


def taken(
    parts: np.ndarray,
    misfits: np.ndarray,
    people: np.ndarray,
    which: np.ndarray,
    same: float,
) -> np.ndarray:
    """[M] bool: whether another person of the frame has the same hand or face, and it fits better.

    Args:
        parts: [M,K,2] px.
        misfits: [M], inf = refused.
        people: [M] index of each part's person.
        which: [M] index of each part's frame.
        same: SAME_HAND or SAME_FACE.
    """
    worse = np.zeros(len(parts), bool)
    if len(parts) < 2 or people[0] == people[-1]:
        return worse
    i, j = _pairs(people, which, np.isfinite(misfits))
    extent = extents(parts)
    apart = length_of(parts[i] - parts[j]).mean(1)
    one = apart < same * np.maximum(extent[i], extent[j])
    worse[np.where(misfits[i] > misfits[j], i, j)[one]] = True
    return worse


def extents(parts: np.ndarray) -> np.ndarray:
    """Longer sides [M] px of the upright boxes around points [M,K,2]."""
    return np.asarray((parts.max(1) - parts.min(1)).max(-1))


def _pairs(
    people: np.ndarray, which: np.ndarray, fine: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    """Indices of all pairs of fine parts of two people of one frame."""
    both = (which[:, None] == which) & (people[:, None] != people) & fine[:, None] & fine
    first, second = np.nonzero(np.triu(both))
    return first, second


def _trunks(bodies: np.ndarray) -> np.ndarray:
    """Sizes [M] px of trunks, from points [M,33,2]."""
    left, right = bodies[:, _SHOULDERS[0]], bodies[:, _SHOULDERS[1]]
    hips = bodies[:, _HIPS[0]] + bodies[:, _HIPS[1]]
    length = length_of(left + right - hips) / 2
    return np.asarray(np.maximum(_LENGTH * length, _WIDTH * length_of(left - right)))
