"""The points of a rigid head (68 of the face, eyes, ears, nose) and of hands that can close (21).

All numbers are our own, rounded from an average adult's: centimetres of a person of 175 cm, scaled
to statures. Coordinates: x to the front, y to the person's left, z up.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

CM = 1 / 175  # of a stature
HEAD_CENTRE = np.array([0.9, 0.0, 14.9]) * CM  # from the base of the neck

# The right half of the face in iBUG's order, (y, z) or (y, z, x) in cm.
_EYE = [(-4.7, 2.3), (-3.8, 3.0), (-2.7, 3.0), (-1.8, 2.2), (-2.7, 1.8), (-3.8, 1.8)]
_BROW = [(-6.1, 3.9), (-5.0, 4.8), (-3.8, 5.1), (-2.6, 4.9), (-1.5, 4.4)]
_NOSE = [(0.0, 2.4, 9.2), (0.0, 1.1, 9.9), (0.0, -0.2, 10.6), (0.0, -1.5, 11.2)]
_NOSTRILS = [(-1.6, -2.6, 9.3), (-0.8, -2.9, 9.9), (0.0, -3.1, 10.2)]
_OUTER_LIP = [(-2.6, -5.5), (-1.6, -4.9), (-0.6, -4.6), (0.0, -4.8)]
_OUTER_LOW = [(0.0, -6.7), (-0.8, -6.6), (-1.7, -6.2)]
_INNER_LIP = [(-2.1, -5.5), (-0.8, -5.3), (0.0, -5.4)]
_INNER_LOW = [(0.0, -5.8), (-0.8, -5.7)]

# Lines of the drawing: first face point, last face point, whether closed.
FACE_LINES = (
    (0, 16, False),
    (17, 21, False),
    (22, 26, False),
    (27, 30, False),
    (31, 35, False),
    (36, 41, True),
    (42, 47, True),
    (48, 59, True),
    (60, 67, True),
)

# Each finger of a left hand that hangs down with the palm inwards: position of its first joint and
# lengths of its bones in cm, and the angle of each joint in a fist in degrees.
_FINGERS = (
    ((2.0, -0.6, -2.6), (3.9, 3.0, 2.4), (18, 30, 45)),
    ((2.2, 0.0, -9.3), (4.2, 2.5, 2.1), (78, 95, 60)),
    ((0.5, 0.0, -9.6), (4.6, 2.9, 2.2), (80, 98, 60)),
    ((-1.1, 0.0, -9.2), (4.2, 2.7, 2.1), (80, 98, 60)),
    ((-2.6, 0.0, -8.4), (3.3, 1.9, 1.9), (80, 95, 60)),
)
_THUMB_OUT = np.array([0.62, -0.2, -0.76])  # direction of an open thumb


def _front(y_cm: float, z_cm: float) -> float:
    """How far forward (x) the face is at (y, z), in cm, without the nose."""
    return 9.1 - 0.062 * y_cm * y_cm - 0.018 * (z_cm - 1.0) ** 2


def _laid(points: List[Tuple[float, float]]) -> List[List[float]]:
    return [[_front(y, z), y, z] for y, z in points]


def _mirrored(points: List[List[float]]) -> List[List[float]]:
    """The left half, in the order that continues the right half."""
    return [[x, -y, z] for x, y, z in reversed(points)]


def _jaw() -> List[List[float]]:
    """The jaw line from the right ear around the chin to the left ear."""
    t = np.linspace(-1, 1, 17)
    y = 7.1 * np.sin(1.35 * t) / np.sin(1.35)
    z = 1.0 - 11.4 * (1 - np.abs(t) ** 2.1)
    x = 0.6 + 7.2 * np.cos(np.pi / 2 * np.abs(t)) ** 0.9
    return [[float(v) for v in row] for row in np.stack([x, y, z], 1)]


def _face() -> np.ndarray:
    nose = [[x, y, z] for y, z, x in _NOSE]
    nostrils = [[x, y, z] for y, z, x in _NOSTRILS]
    brow, eye = _laid(_BROW), _laid(_EYE)
    upper, lower = _laid(_OUTER_LIP), _laid(_OUTER_LOW)
    inner, inner_low = _laid(_INNER_LIP), _laid(_INNER_LOW)
    left_eye = _mirrored(eye[:4]) + _mirrored(eye[4:])
    return np.array(
        _jaw()
        + brow
        + _mirrored(brow)
        + nose
        + nostrils
        + _mirrored(nostrils[:2])
        + eye
        + left_eye
        + upper
        + _mirrored(upper[:3])
        + _mirrored(lower[1:])
        + lower
        + inner
        + _mirrored(inner[:2])
        + _mirrored(inner_low[1:])
        + inner_low
    )


FACE = _face() * CM + HEAD_CENTRE  # [68,3] statures from the base of the neck
NOSE = FACE[30]
EYES = np.stack([FACE[42:48].mean(0), FACE[36:42].mean(0)])  # left, right
EARS = np.array([[0.0, 7.6, 1.2], [0.0, -7.6, 1.2]]) * CM + HEAD_CENTRE


def hand(curl: np.ndarray) -> np.ndarray:
    """The points of a left hand in its own frame; y mirrored, they are a right hand.

    Args:
        curl: [N] 0 = flat, 1 = fist.

    Returns:
        [N,21,3] statures from the wrist: the root, then four points each of thumb to little finger.
    """
    out = np.zeros((len(curl), 21, 3))
    for finger, (start, lengths, bends) in enumerate(_FINGERS):
        first = 1 + 4 * finger
        out[:, first] = np.array(start) * CM
        bend = np.cumsum(np.radians(bends) * curl[:, None], axis=1)  # [N,3]
        steps = _thumb(bend) if finger == 0 else _finger(bend)
        bones = steps * (np.array(lengths) * CM)[:, None]
        out[:, first + 1 : first + 4] = out[:, None, first] + np.cumsum(bones, axis=1)
    return out


def _finger(bend: np.ndarray) -> np.ndarray:
    """[N,3,3] unit vectors of bones that bend towards the palm (-y of a left hand)."""
    return np.stack([np.zeros_like(bend), -np.sin(bend), -np.cos(bend)], axis=-1)


def _thumb(bend: np.ndarray) -> np.ndarray:
    """[N,3,3] the same for the thumb, which closes across the palm."""
    out = _THUMB_OUT / np.linalg.norm(_THUMB_OUT)
    across = np.array([-0.5, -0.86, 0.1])
    across = across - out * (across @ out)
    across /= np.linalg.norm(across)
    return np.cos(bend)[..., None] * out + np.sin(bend)[..., None] * across
