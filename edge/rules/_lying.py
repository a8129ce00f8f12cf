"""Who lies and who is up, judged by how far the parts of a body reach up in the picture.

A camera that looks down by p degrees shows an upright body cos(p) times as long. `uprights` finds
this share from people who stand, so that a sitting or bent person does not pass for a lying one.
A body that lies with its feet to a camera of 45 degrees has the picture of a standing one; no rule
on one picture can tell these two apart.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from edge.rules._posture import ANKLES, HIPS, KNEES, SHOULDERS, middle
from edge.structures import Poses

# Shares of the standing height (Drillis and Contini 1966): hips to shoulders, to knees, to ankles.
_TORSO, _THIGH, _SHANK = 0.288, 0.245, 0.246
_LEG = _THIGH + _SHANK
WHOLE = _TORSO + _LEG
TORSO, THIGH, SHANK, ALL = range(4)  # parts of a body
_LENGTHS = np.array([_TORSO, _THIGH, _SHANK, WHOLE])
_HIPS_LOW = 0.65  # share of the standing hip height above the ankles, below which nobody stands
_SHOULDERS_LOW = 0.4  # the same of the shoulders, below which nobody sits
_SHANK_UPRIGHT = 0.8
_FOLDED, _FOLDED_SHANK = 0.5, 0.5  # length of a folded body, and the least extent of its shanks
_LEAN_DEG, _LEAN_LENGTH = 40.0, 0.6  # a straight body that leans further in the picture lies
_STRAIGHT_DEG = 35.0
_LEVEL = 0.88  # share of an upright body that a level camera shows, given its noise
_SEATED_TORSO, _SEATED_THIGH = 0.7, 0.45  # of somebody who sits: shares of their upright lengths
_FLAT, _FLAT_ALIKE = 0.75, 0.25  # a body along the view: its longest part, and their spread
# Shoulders beside the feet or the hips, and their greatest height.
_BESIDE, _TORSO_BESIDE, _ASLANT_HIGH = 0.33, 0.03, 0.85
_BOX_WIDE, _BOX_LOW = 1.2, 0.5  # shape of the box of a lying person whose torso is hidden
_BOX_HIGH = 1.07  # height of the box of somebody who stands, in standing heights
_STANDS_ALIKE = 0.3  # parts of somebody who stands are shortened alike, within this share
_UPRIGHT_DEG = 20.0
LEAST_UPRIGHT = 0.5  # cosine of the steepest camera, 60 degrees


class Shape(NamedTuple):
    """How far the parts of [N] bodies reach in the picture."""

    parts: np.ndarray  # [N,4] c64 shares of their lengths, x to the right, y up
    known: np.ndarray  # [N] bool, whether shoulders and hips are visible
    legs: np.ndarray  # [N] bool, whether knees and ankles are


def shape_of(seen: Poses, body: np.ndarray, visible: np.ndarray, tall: np.ndarray) -> Shape:
    """Measure [N] people. If the torso is hidden, the box tells how high they reach.

    Args:
        seen: the people; borrowed.
        body: [N,17] c64 px.
        visible: [N,17] bool.
        tall: [N] px standing heights.
    """
    (shoulder, a), (hip, b) = middle(body, visible, SHOULDERS), middle(body, visible, HIPS)
    (knee, has_knee), (ankle, has_ankle) = (middle(body, visible, p) for p in (KNEES, ANKLES))
    low = body[:, list(ANKLES)].imag
    both = visible[:, list(ANKLES)].all(1)
    # Of two feet the lower one bears the body: a kick lifts the other.
    ankle = np.where(both, ankle.real + 1j * low.max(1), ankle)
    box_floor = hip.real + 1j * seen.boxes[:, 3]
    floor = np.where(has_ankle, ankle, np.where(has_knee, hip + 2 * (knee - hip), box_floor))
    knee = np.where(has_knee, knee, (hip + floor) / 2)
    known = a & b
    box_whole = (seen.boxes[:, 1] - seen.boxes[:, 3]) * 1j * WHOLE / _BOX_HIGH
    whole = np.where(known, shoulder - floor, box_whole)
    ends = np.stack((shoulder - hip, hip - knee, knee - floor, whole), 1)
    return Shape(np.conj(ends) / (_LENGTHS * tall[:, None]), known, has_knee & has_ankle)


def uprights(shape: Shape) -> Tuple[np.ndarray, np.ndarray]:
    """Who stands for certain [N] bool, and the share [N] of the length that the picture shows."""
    parts, whole = shape.parts.imag[:, :ALL], shape.parts[:, ALL]
    alike = np.ptp(parts, axis=1) < _STANDS_ALIKE * parts.max(1)
    upright = np.abs(np.angle(whole * -1j)) < np.radians(_UPRIGHT_DEG)
    stands = shape.known & shape.legs & alike & upright & (whole.imag > LEAST_UPRIGHT)
    return stands, np.clip(whole.imag, LEAST_UPRIGHT, 1)


class Postures(NamedTuple):
    """The postures of [N] people; a person may be neither lying nor up."""

    tilt_deg: np.ndarray  # f32 of the torso from upright, 0 if it is hidden
    lies: np.ndarray  # bool
    low: np.ndarray  # bool, shoulders and hips are low: lies or crouches
    flat: np.ndarray  # bool, shortened along the view: lies, or goes away
    aslant: np.ndarray  # bool, shoulders beside the feet: lies or leans
    up: np.ndarray  # bool
    sits: np.ndarray  # bool, on the floor or a chair: an upright torso over level thighs
    known: np.ndarray  # bool, whether the torso is visible or the box is clear enough


def postures(
    seen: Poses, shape: Shape, tall: np.ndarray, upright: np.ndarray, tilt_deg: float
) -> Postures:
    """Which people lie and which are up.

    Bending over tilts the torso as well, but then the hips stay high above the feet. Of somebody
    who sits or crouches the shoulders do.

    Args:
        seen: [N] people.
        shape: of these people.
        tall: [N] px standing heights.
        upright: [N] share of its length that the picture shows of an upright body.
        tilt_deg: least tilt of lying.
    """
    torso, thigh, shank, whole = (shape.parts / upright[:, None]).imag.T
    leg = (thigh * _THIGH + shank * _SHANK) / _LEG
    tilt = np.where(shape.known, np.degrees(np.arccos(np.clip(torso, -1, 1))), 0)
    high = seen.boxes[:, 3] - seen.boxes[:, 1]
    wide = seen.boxes[:, 2] - seen.boxes[:, 0]
    flat_box = (wide > _BOX_WIDE * high) & (high < _BOX_LOW * tall)
    # A person bent over on a chair has upright shanks and shoulders above the knees.
    sits = (shank > _SHANK_UPRIGHT) & (torso * _TORSO + thigh * _THIGH > 0.05)
    folded = (np.abs(shape.parts[:, ALL]) < _FOLDED) & (shank > _FOLDED_SHANK) & (whole > 0.15)
    low = (tilt > tilt_deg) & (leg < _HIPS_LOW) & (whole < _SHOULDERS_LOW)
    low &= ~(shape.legs & sits)
    lies = np.where(shape.known, low & ~(shape.legs & folded) | _leans(shape), flat_box)
    stands = (tilt < tilt_deg - 10) | (leg > _HIPS_LOW + 0.1)
    up = np.where(shape.known, stands, (high > 0.75 * tall) & (wide < 0.8 * high)) & ~lies
    return Postures(
        tilt,
        lies,
        low,
        _flat(shape, upright),
        _aslant(shape, upright),
        up,
        shape.known & shape.legs & (torso > _SEATED_TORSO) & (thigh < _SEATED_THIGH),
        shape.known | flat_box | up,
    )


def _leans(shape: Shape) -> np.ndarray:
    """Whose straight body leans so far in the picture that it cannot stand."""
    whole, torso = shape.parts[:, ALL], shape.parts[:, TORSO]
    straight = np.abs(np.angle(whole * torso.conj())) < np.radians(_STRAIGHT_DEG)
    lean = np.abs(np.angle(whole * -1j)) > np.radians(_LEAN_DEG)
    return shape.known & shape.legs & straight & lean & (np.abs(whole) > _LEAN_LENGTH)


def _aslant(shape: Shape, upright: np.ndarray) -> np.ndarray:
    """Whose shoulders are far beside the feet, with the torso aslant.

    Somebody who sits on the floor has the shoulders beside the feet, too, but an upright torso.
    """
    whole, torso = shape.parts[:, ALL], shape.parts[:, TORSO]
    beside = np.minimum(np.abs(whole.real), np.abs(torso.real) + _TORSO_BESIDE) > _BESIDE
    aslant: np.ndarray = shape.known & shape.legs & beside & (whole.imag < _ASLANT_HIGH * upright)
    return aslant


def _flat(shape: Shape, upright: np.ndarray) -> np.ndarray:
    """Whose parts are all shortened alike: the picture of a body along a view from above.

    To a level camera such a body is low; shortened alike there is somebody who goes away.
    """
    parts = shape.parts.imag[:, :ALL] / upright[:, None]
    alike = np.ptp(parts, axis=1) < _FLAT_ALIKE
    flat: np.ndarray = (
        shape.known & shape.legs & alike & (parts.max(1) < _FLAT) & (upright < _LEVEL)
    )
    return flat
