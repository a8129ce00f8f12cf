"""Left and right of a person, exchanged by a pose network for some frames.

Pure. A network sees from behind or from the side who faces it, and names each left joint right. The
joints then jump to where those of the other side were. Such a frame is told from the prediction of
the track: it fits much better after an exchange. What the network says for most of the time is
believed: after _SETTLE_S of frames that are exchanged, the track is, and not the frames.
"""

from __future__ import annotations

import numpy as np

from edge.people.motion import BodyState

# COCO's joints of the left and of the right, without the face: those of a profile lie too close.
_LEFT, _RIGHT = np.array([5, 7, 9, 11, 13, 15]), np.array([6, 8, 10, 12, 14, 16])
_LEAST_PAIRS = 4  # joints that are visible on both sides, in the frame and in the track
_MOST_AGE_S = 0.15  # after a longer time legs and arms may have changed places by walking
_APART_H = 0.06  # the sides must lie this far apart, root mean square, or nothing can be told
# Root mean square errors in H: exchanged at most this, and this share of the error as it is.
_FITS_H, _FITS_SHARE = 0.06, 0.45
_SETTLE_S = 0.5


def exchanged(rows: BodyState, tracks: BodyState) -> np.ndarray:
    """Whether left and right are exchanged in measured people, compared with predicted tracks.

    Args:
        rows: [N] measured.
        tracks: [N] predicted, of the same people.

    Returns:
        [N] bool.
    """
    seen = (rows.scores > 0) & (tracks.scores > 0)
    pairs = (seen[:, _LEFT] & seen[:, _RIGHT]).astype(np.float32)
    count = pairs.sum(1)
    left, right = rows.body[:, _LEFT], rows.body[:, _RIGHT]
    was_left, was_right = tracks.body[:, _LEFT], tracks.body[:, _RIGHT]
    apart = _mean_square(was_left - was_right, pairs)
    as_is = (_mean_square(left - was_left, pairs) + _mean_square(right - was_right, pairs)) / 2
    other = (_mean_square(right - was_left, pairs) + _mean_square(left - was_right, pairs)) / 2
    tall = np.square(tracks.heights)
    found = (count >= _LEAST_PAIRS) & (tracks.age_s <= _MOST_AGE_S)
    found &= (apart > _APART_H**2 * tall) & (other < _FITS_H**2 * tall)
    return np.asarray(found & (other < _FITS_SHARE**2 * as_is))


def settled(doubt_s: np.ndarray, found: np.ndarray, age_s: np.ndarray) -> np.ndarray:
    """How long frames have been exchanged lately; above _SETTLE_S the track was wrong.

    Args:
        doubt_s: [N] before this frame.
        found: [N] bool, whether this frame is exchanged.
        age_s: [N] since the frame before.

    Returns:
        [N] f32 s after this frame, at least 0.
    """
    return np.asarray(np.maximum(doubt_s + np.where(found, age_s, -age_s), 0), np.float32)


def wrong(doubt_s: np.ndarray) -> np.ndarray:
    """Whether tracks [N] are to take over the sides that the network says."""
    return np.asarray(doubt_s > _SETTLE_S)


def _mean_square(step: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    total = ((np.square(step.real) + np.square(step.imag)) * pairs).sum(1)
    return np.asarray(total / np.maximum(pairs.sum(1), 1))
