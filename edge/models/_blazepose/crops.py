"""The rotated squares of the frame that are cut out for the networks of the cascade.

The squares have the form with which the networks were trained (google-ai-edge/mediapipe, published
graphs). Here they are computed from the keypoints of a candidate. If a constant was fitted, its
comment names the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.recipe import Network

# Body: a circle around the hips that holds the whole person, grown by this factor. The network also
# gives the circle as auxiliary points 33 and 34. On 600 frames the circle from the keypoints has
# the same angle within 0.4 degrees and the same radius within 10 %, and tracks a little better.
_BODY_MARGIN = 1.25
_KNOWN = 0.1  # least score of a keypoint from which a square is computed
# A person whose box ends at the frame's edge continues beyond it. Then the crop is centred on the
# edge, where the hips probably are. On upper bodies of the media sets, cut off at the hips, the
# error in the first frame fell from 75 to 23 px.
_EDGE_PX, _CUT_MARGIN = 2.0, 2.5
# A body square does not fit its box if its side is outside these limits, or its centre further off;
# in longer sides of the box.
_SIDE_LEAST, _SIDE_MOST, _CENTRE_MOST = 0.9, 6.0, 2.5

# Hand from the arm, in lengths from wrist to middle knuckle: how far the centre lies ahead of the
# wrist, and the side. With these the network finds most hands (300 wrists of the media sets, sides
# from 2.2 to 5.4 were tried). Hand from its own points: twice the palm, moved towards the fingers
# by a tenth of the palm.
_ARM_AHEAD, _ARM_SIDE, _HAND_SIDE, _HAND_SHIFT = 0.8, 3.4, 2.0, 0.1
# Face from the body's eleven head points; face from its own points: 1.5 x the mesh, which is higher
# than the 68 points because it has a forehead.
_HEAD_SIDE, _HEAD_SHIFT = 1.9, 0.08
_FACE_SIDE, _FACE_HIGHER, _FACE_SHIFT = 1.5, 1.2, 0.1
# A part's square from the last frame is used while it differs from the body's by no more than this.
_TURN_MOST, _SHIFT_MOST, _RATIO_MOST = np.radians(70), 0.4, 2.0


@dataclass
class Squares:
    """Rotated squares in frames."""

    centres: np.ndarray  # [N,2] f32 px
    sides: np.ndarray  # [N] f32 px
    turns: np.ndarray  # [N] f32 rad, clockwise on the screen

    def __len__(self) -> int:
        return len(self.sides)

    def take(self, which: np.ndarray) -> Squares:
        """The rows of a mask, or of indices in their order."""
        return Squares(self.centres[which], self.sides[which], self.turns[which])

    def where(self, good: np.ndarray, others: Squares) -> Squares:
        """These squares if `good` [N] bool, else the others."""
        return Squares(
            np.where(good[:, None], self.centres, others.centres),
            np.where(good, self.sides, others.sides),
            np.where(good, self.turns, others.turns),
        )

    def matrices(self, network: Network) -> np.ndarray:
        """Matrices [N,2,3] from px of the frame to px of the network's input."""
        size = (network.width, network.height)
        return geometry.square_crops(self.centres, self.sides, self.turns, size)


def box_squares(boxes: np.ndarray, sizes: np.ndarray) -> Squares:
    """Body squares of newly detected people, from their boxes.

    Args:
        boxes: [N,4] px.
        sizes: [N,2] width and height of their frames, px.
    """
    shape = geometry.cxcywh(boxes)
    centres, long = shape[:, :2].copy(), shape[:, 2:].max(1)
    above, below = boxes[:, 1] <= _EDGE_PX, boxes[:, 3] >= sizes[:, 1] - _EDGE_PX
    centres[:, 1] = np.where(below & ~above, boxes[:, 3], centres[:, 1])
    centres[:, 1] = np.where(above & ~below, boxes[:, 1], centres[:, 1])
    sides = long * np.where(above | below, _CUT_MARGIN, _BODY_MARGIN)
    return Squares(centres, sides.astype(np.float32), np.zeros(len(boxes), np.float32))


def body_squares(
    body_feet: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> Tuple[Squares, np.ndarray]:
    """Body squares of known people, from their keypoints.

    Args:
        body_feet: [N,23,2] px.
        scores: [N,23].
        boxes: [N,4] px.

    Returns:
        The squares, and [N] bool whether a square can be used.
    """
    hips, shoulders = _middle(body_feet, points.HIPS), _middle(body_feet, points.SHOULDERS)
    known = scores > _KNOWN
    reach = np.where(known, length_of(body_feet - hips[:, None]), 0).max(1, initial=0)
    squares = Squares(hips, 2 * _BODY_MARGIN * reach, upwards(shoulders - hips))
    shape = geometry.cxcywh(boxes)
    long = np.maximum(shape[:, 2:].max(1), 1)
    torso = known[:, points.HIPS + points.SHOULDERS].all(1)
    torso &= (squares.sides >= _SIDE_LEAST * long) & (squares.sides <= _SIDE_MOST * long)
    torso &= length_of(hips - shape[:, :2]) <= _CENTRE_MOST * long
    return squares, torso


def arm_squares(body: np.ndarray) -> Squares:
    """Hand squares [2N], left and right alternating, from BlazePose's points [N,>=33,2]."""
    wrists, knuckles = body[:, points.WRISTS], body[:, points.FOREFINGERS] * 2
    ahead = ((knuckles + body[:, points.LITTLE_FINGERS]) / 3 - wrists).reshape(-1, 2)
    centres = wrists.reshape(-1, 2) + _ARM_AHEAD * ahead
    return Squares(centres, _ARM_SIDE * length_of(ahead), upwards(ahead))


def hand_squares(hands: np.ndarray) -> Squares:
    """Hand squares from the points of hands [N,21,2]."""
    knuckles = np.einsum("nki,k->ni", hands[:, points.KNUCKLES], points.KNUCKLE_WEIGHTS)
    turns = upwards(knuckles - hands[:, 0])
    wide, high, middle, along = _bounds(hands[:, points.PALM], turns)
    sides = _HAND_SIDE * np.maximum(wide, high)
    return Squares(_lifted(middle, along, _HAND_SHIFT * high), sides, turns)


def head_squares(body: np.ndarray) -> Squares:
    """Face squares from BlazePose's points [N,>=33,2]."""
    head = body[:, points.HEAD]
    turns = _along(head[:, points.LEFT_EYE] - head[:, points.RIGHT_EYE])
    wide, high, middle, along = _bounds(head, turns)
    size = np.maximum(wide, high)
    return Squares(_lifted(middle, along, _HEAD_SHIFT * size), _HEAD_SIDE * size, turns)


def face_squares(faces: np.ndarray) -> Squares:
    """Face squares from the points of faces [N,68,2]."""
    turns = _along(faces[:, points.FACE_LEFT_EYE] - faces[:, points.FACE_RIGHT_EYE])
    wide, high, middle, along = _bounds(faces, turns)
    sides = _FACE_SIDE * np.maximum(wide, _FACE_HIGHER * high)
    return Squares(_lifted(middle, along, _FACE_SHIFT * high), sides, turns)


def agree(old: Squares, new: Squares) -> np.ndarray:
    """[N] bool: whether two squares show the same part, by rotation, centre and side.

    This is the check of MediaPipe's RoiTrackingCalculator with wider limits. MediaPipe compares
    with a network that finds the hand again; here a hand is compared with the arm, which is less
    exact.
    """
    turn = np.abs(np.angle(np.exp(1j * (old.turns - new.turns))))
    apart = length_of(old.centres - new.centres)
    ratio = old.sides / np.maximum(new.sides, 1e-3)
    same = (turn < _TURN_MOST) & (apart < _SHIFT_MOST * new.sides)
    return np.asarray(same & (ratio < _RATIO_MOST) & (ratio > 1 / _RATIO_MOST))


def _middle(body_feet: np.ndarray, pair: Sequence[int]) -> np.ndarray:
    """Midpoint of two keypoints of [N,23,2]; np.mean takes four times as long for two."""
    return np.asarray((body_feet[:, pair[0]] + body_feet[:, pair[1]]) / 2)


def upwards(ahead: np.ndarray) -> np.ndarray:
    """Rotations [N] rad of squares in which vectors [N,2] point up."""
    return np.asarray(_along(ahead) + np.float32(np.pi / 2))


def _along(vectors: np.ndarray) -> np.ndarray:
    return np.arctan2(vectors[..., 1], vectors[..., 0])


def length_of(vectors: np.ndarray) -> np.ndarray:
    """Lengths [...] of vectors [...,2]."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def median_apart(a: np.ndarray, b: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Lower median [P] of the distances of points [P,K,2] that `both` [P,K] have; inf if none."""
    step = a - b
    apart = np.sort(np.where(both, np.hypot(step[..., 0], step[..., 1]), np.inf), 1)
    middle = np.maximum(both.sum(1) - 1, 0) // 2
    return np.asarray(apart[np.arange(len(apart)), middle])


def _bounds(
    group: np.ndarray, turns: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of points [N,K,2] in boxes rotated by `turns` [N] rad.

    Returns:
        Widths and heights [N] px, middles [N] c64 px, directions of the right side [N] c64.
    """
    along = np.exp(np.complex64(1j) * turns)
    seen = geometry.as_complex(group)
    seen = seen * along.conj()[:, None]
    x, y = seen.real, seen.imag
    left, right, top, low = x.min(1), x.max(1), y.min(1), y.max(1)
    middle = ((left + right) + np.complex64(1j) * (top + low)) * along / 2
    return right - left, low - top, middle, along


def _lifted(middles: np.ndarray, along: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Middles moved up by [N] px, as x, y [N,2]."""
    lifted = middles - np.complex64(1j) * along * by
    return geometry.as_pairs(lifted)
