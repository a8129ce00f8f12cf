"""Carries tracks along with a camera that moved."""

from __future__ import annotations

import numpy as np

from edge.geometry import as_complex, as_pairs
from edge.people.motion import Tracks


def carry(tracks: Tracks, motion: np.ndarray) -> None:
    """Move what tracks remember to where the moved camera sees it.

    Velocities are those over the floor: the camera turns and scales them, and adds nothing.

    Args:
        tracks: changed in place.
        motion: [2,3] px, a turn with a scale and a shift (edge.people.camera_motion).
    """
    turn = np.complex64(complex(motion[0, 0], motion[1, 0]))
    shift = np.complex64(complex(motion[0, 2], motion[1, 2]))
    scale = np.float32(abs(turn))
    middles = as_complex((tracks.boxes[:, :2] + tracks.boxes[:, 2:]) / 2)
    half = (tracks.boxes[:, 2:] - tracks.boxes[:, :2]) * (scale / 2)
    moved = as_pairs(middles * turn + shift)
    tracks.boxes[:] = np.concatenate((moved - half, moved + half), 1)
    tracks.points[:] = tracks.points * turn + shift
    tracks.velocity *= turn
    tracks.relative *= turn
    tracks.shift *= turn
    tracks.heights *= scale
