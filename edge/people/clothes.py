"""Clothes as a cue for who comes back: when colours are looked at, and what they say.

Who is followed alone and without a gap needs no colours. They are compared only where a row may be
two people or a person two rows, or where the person was unseen for more than _LOST_S. They are
learned from people whom nobody hides, now and then.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from edge import geometry
from edge.people.colours import unlikeness
from edge.people.match import of_difference
from edge.people.motion import Tracks
from edge.structures import Poses

_LOST_S = 0.25
# Spread of the unlikeness of one person's colours, and of two people's.
_SAME, _OTHER = 0.12, 0.3
_WEIGHT = 1.5
_LEAST_WORTH = -4.0  # pairs of less evidence are hopeless whatever they wear
_LEARN_NS = 500_000_000
_LEARN_SHARE = 0.3
_MOST_OVERLAP = 0.1  # IoU with another person, above which the torso may not be seen


def compare(
    worth: np.ndarray,
    poses: Poses,
    age_s: np.ndarray,
    colours: np.ndarray,
    wear: Callable[[Poses], np.ndarray],
) -> None:
    """Add the evidence of clothes where place and posture leave a doubt.

    Args:
        worth: [R,T] evidence so far, changed in place.
        poses: [R] people of the frame.
        age_s: [T] since each track was seen.
        colours: [T,SIZE] that each track wore.
        wear: gives the colours of people in the frame.
    """
    likely = worth > _LEAST_WORTH
    mixed = (likely.sum(0) > 1) | (likely.sum(1) > 1)[:, None]
    asked = likely & ((age_s > _LOST_S) | mixed) & (colours.sum(1) > 0)
    if not asked.any():
        return
    i, j = np.nonzero(asked)
    rows, place = np.unique(i, return_inverse=True)
    found = wear(poses.take(rows))
    apart = unlikeness(found[place.ravel()], colours[j])
    said = np.float32(_WEIGHT) * of_difference(apart, _SAME, _OTHER)
    worth[i, j] += np.where(np.isnan(apart), 0, said)


def learn(
    tracks: Tracks,
    poses: Poses,
    chosen: np.ndarray,
    wear: Callable[[Poses], np.ndarray],
    t_ns: int,
) -> None:
    """Remember the clothes of people who are seen well, at most every half second.

    Args:
        tracks: changed in place.
        poses: [R] people of the frame.
        chosen: [R] the track of each, -1 = none.
        wear: gives the colours of people in the frame.
        t_ns: time of the frame.
    """
    due = (chosen >= 0) & (t_ns - tracks.colours_ns[chosen] >= _LEARN_NS) if len(tracks) else ()
    if not np.any(due):
        return
    rows = np.flatnonzero(due)
    overlap = geometry.iou(poses.boxes[rows], poses.boxes)
    rows = rows[(overlap > _MOST_OVERLAP).sum(1) <= 1]
    if not len(rows):
        return
    which, found = chosen[rows], wear(poses.take(rows))
    known = found.sum(1) > 0
    which, found = which[known], found[known]
    old = tracks.colours[which]
    gain = np.where(old.sum(1) > 0, np.float32(_LEARN_SHARE), np.float32(1))[:, None]
    tracks.colours[which] = old + gain * (found - old)
    tracks.colours_ns[which] = t_ns
