"""Parser of clips in the format of DeepMimic's humanoid.

Peng et al., DeepMimic, ACM TOG 37 (2018), and its data: JSON with 44 numbers per frame: duration,
position of the root, rotations. y is up, x to the front, z to the right.
"""

from __future__ import annotations

import json
from typing import Tuple

import numpy as np

from edge.capture._synthetic import bvh
from edge.capture._synthetic.body import AT, LEG, SEGMENTS, chained
from edge.capture._synthetic.clip import Clip, settle
from edge.errors import DataError

_ANGLES = (  # segment, and 4 for a quaternion w x y z or 1 for the angle of a hinge
    ("chest", 4),
    ("head", 4),
    ("right_thigh", 4),
    ("right_shank", 1),
    ("right_foot", 4),
    ("right_upper_arm", 4),
    ("right_forearm", 1),
    ("left_thigh", 4),
    ("left_shank", 1),
    ("left_foot", 4),
    ("left_upper_arm", 4),
    ("left_forearm", 1),
)
_NUMBERS = 1 + 3 + 4 + sum(n for _, n in _ANGLES)
_LEG_M = 0.421546 + 0.409870  # thigh and shank of DeepMimic's humanoid
_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # its axes to ours


def read(text: str, name: str) -> Clip:
    """A clip from the content of a file.

    Raises:
        DataError: it is no clip in this format.
    """
    rows, loops = _rows(text, name)
    durations = rows[:-1, 0] if len(rows) > 1 else rows[:, 0]
    interval_s = float(np.median(durations))
    if not 1e-3 <= interval_s <= 10:
        raise DataError(f"{name}: frames of {interval_s} s; they must be 0.001 to 10 s")
    local = np.zeros((len(rows), len(SEGMENTS), 3, 3))
    local[:] = np.eye(3)
    local[:, 0] = _Y_UP @ _quaternions(rows[:, 4:8]) @ _Y_UP.T
    at = 8
    for segment, numbers in _ANGLES:
        value = rows[:, at : at + numbers]
        at += numbers
        turn = _quaternions(value) if numbers == 4 else bvh.about(2, np.degrees(value[:, 0]))
        local[:, AT[segment]] = _Y_UP @ turn @ _Y_UP.T
    root = rows[:, 1:4] @ _Y_UP.T * (LEG / _LEG_M)
    return settle(chained(local), root, interval_s, loops)


def _rows(text: str, name: str) -> Tuple[np.ndarray, bool]:
    try:
        table = json.loads(text)
        rows = np.array(table["Frames"], float)
        loops = str(table.get("Loop", "none")).lower() == "wrap"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{name}: not a clip of joint angles: {error}") from error
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] != _NUMBERS:
        raise DataError(f"{name}: expected frames of {_NUMBERS} numbers, got {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise DataError(f"{name}: some numbers are not finite")
    return rows, loops


def _quaternions(wxyz: np.ndarray) -> np.ndarray:
    """[F,4] to rotations [F,3,3]; they need not have unit length."""
    length = np.linalg.norm(wxyz, axis=1, keepdims=True)
    w, x, y, z = (wxyz / np.maximum(length, 1e-9)).T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
