"""Which turned square of the frame each network of the cascade looks at.

Squares are as the networks were trained (google-ai-edge/mediapipe, the published graphs), but come
from the keypoints that a candidate carries. Where a constant was fitted, the comment says to what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np

from edge import geometry
from edge.models._blazepose import points
from edge.recipe import Network

# Body: the circle around the hips that holds the whole person, with this margin on each side. Read
# off the keypoints it lies where the network's own auxiliary points 33 and 34 say (angle within
# 0.4 degrees, radius within 10 % on 600 frames), and tracks a little better than they do.
_BODY_MARGIN = 1.25
_KNOWN = 0.1  # score of a keypoint that says where to look
# A person whose box ends at the frame's edge goes on beyond it: look there from the hips on.
# (Upper bodies of the media sets, cut at the hips: 75 -> 23 px error in the first frame.)
_EDGE_PX, _CUT_MARGIN = 2.0, 2.5
# A body square much smaller or larger than the box, in long sides of it, is no square of this
# person; nor is one whose centre is further off.
_SIDE_LEAST, _SIDE_MOST, _CENTRE_MOST = 0.9, 6.0, 2.5

# Hand from the arm, in lengths wrist - middle knuckle: so far ahead of the wrist and so wide the
# network finds most hands (300 wrists of the media sets, sides 2.2 to 5.4). From itself: twice the
# palm, moved towards the fingers by a tenth of it.
_ARM_AHEAD, _ARM_SIDE, _HAND_SIDE, _HAND_SHIFT = 0.8, 3.4, 2.0, 0.1
# Face from the body's eleven head points, and from itself: 1.5 x the mesh, which is higher than
# the 68 of it by its forehead.
_HEAD_SIDE, _HEAD_SHIFT = 1.9, 0.08
_FACE_SIDE, _FACE_HIGHER, _FACE_SHIFT = 1.5, 1.2, 0.1
# Squares from the last frame are kept while they agree with what the body says now.
_TURN_MOST, _SHIFT_MOST, _RATIO_MOST = np.radians(70), 0.4, 2.0


@dataclass
class Squares:
    """Turned squares of frames, one for each row."""

    centres: np.ndarray  # [N,2] f32 px
    sides: np.ndarray  # [N] f32 px
    turns: np.ndarray  # [N] f32 rad, clockwise on the screen

    def __len__(self) -> int:
        return len(self.sides)

    def take(self, which: np.ndarray) -> Squares:
        """Rows chosen by a mask or by indices, in that order."""
        return Squares(self.centres[which], self.sides[which], self.turns[which])

    def otherwise(self, good: np.ndarray, others: Squares) -> Squares:
        """These where `good` [N], the others elsewhere."""
        return Squares(
            np.where(good[:, None], self.centres, others.centres),
            np.where(good, self.sides, others.sides),
            np.where(good, self.turns, others.turns),
        )

    def matrices(self, network: Network) -> np.ndarray:
        """[N,2,3] frame px -> input px."""
        size = (network.width, network.height)
        return geometry.square_crops(self.centres, self.sides, self.turns, size)


def of_boxes(boxes: np.ndarray, sizes: np.ndarray) -> Squares:
    """Where to look for the body of someone just detected.

    Args:
        boxes: [N,4] px.
        sizes: [N,2] width and height of their frames.
    """
    shape = geometry.cxcywh(boxes)
    centres, long = shape[:, :2].copy(), shape[:, 2:].max(1)
    above, below = boxes[:, 1] <= _EDGE_PX, boxes[:, 3] >= sizes[:, 1] - _EDGE_PX
    centres[:, 1] = np.where(below & ~above, boxes[:, 3], centres[:, 1])
    centres[:, 1] = np.where(above & ~below, boxes[:, 1], centres[:, 1])
    sides = long * np.where(above | below, _CUT_MARGIN, _BODY_MARGIN)
    return Squares(centres, sides.astype(np.float32), np.zeros(len(boxes), np.float32))


def of_bodies(
    trunk: np.ndarray, scores: np.ndarray, boxes: np.ndarray
) -> Tuple[Squares, np.ndarray]:
    """Where to look for the body of someone known.

    Args:
        trunk: [N,23,2] px, body and feet.
        scores: [N,23].
        boxes: [N,4] px.

    Returns:
        The squares, and [N] bool whether they can be trusted.
    """
    hips, shoulders = _middle(trunk, points.HIPS), _middle(trunk, points.SHOULDERS)
    known = scores > _KNOWN
    reach = np.where(known, length_of(trunk - hips[:, None]), 0).max(1, initial=0)
    squares = Squares(hips, 2 * _BODY_MARGIN * reach, upwards(shoulders - hips))
    shape = geometry.cxcywh(boxes)
    long = np.maximum(shape[:, 2:].max(1), 1)
    torso = known[:, points.HIPS + points.SHOULDERS].all(1)
    torso &= (squares.sides >= _SIDE_LEAST * long) & (squares.sides <= _SIDE_MOST * long)
    torso &= length_of(hips - shape[:, :2]) <= _CENTRE_MOST * long
    return squares, torso


def of_arms(body: np.ndarray) -> Squares:
    """Where the hands are, left and right by turns [2N], from BlazePose's points [N,>=33,2]."""
    wrists, knuckles = body[:, points.WRISTS], body[:, points.FOREFINGERS] * 2
    ahead = ((knuckles + body[:, points.LITTLE_FINGERS]) / 3 - wrists).reshape(-1, 2)
    centres = wrists.reshape(-1, 2) + _ARM_AHEAD * ahead
    return Squares(centres, _ARM_SIDE * length_of(ahead), upwards(ahead))


def of_hands(hands: np.ndarray) -> Squares:
    """Where hands are, from their own points [N,21,2]."""
    knuckles = np.einsum("nki,k->ni", hands[:, points.KNUCKLES], points.KNUCKLE_WEIGHTS)
    turns = upwards(knuckles - hands[:, 0])
    wide, high, middle, along = _bounds(hands[:, points.PALM], turns)
    sides = _HAND_SIDE * np.maximum(wide, high)
    return Squares(_lifted(middle, along, _HAND_SHIFT * high), sides, turns)


def of_heads(body: np.ndarray) -> Squares:
    """Where the faces are, from BlazePose's points [N,>=33,2]."""
    head = body[:, points.HEAD]
    turns = _along(head[:, points.LEFT_EYE] - head[:, points.RIGHT_EYE])
    wide, high, middle, along = _bounds(head, turns)
    size = np.maximum(wide, high)
    return Squares(_lifted(middle, along, _HEAD_SHIFT * size), _HEAD_SIDE * size, turns)


def of_faces(faces: np.ndarray) -> Squares:
    """Where faces are, from their own 68 points [N,68,2]."""
    turns = _along(faces[:, points.FACE_LEFT_EYE] - faces[:, points.FACE_RIGHT_EYE])
    wide, high, middle, along = _bounds(faces, turns)
    sides = _FACE_SIDE * np.maximum(wide, _FACE_HIGHER * high)
    return Squares(_lifted(middle, along, _FACE_SHIFT * high), sides, turns)


def agree(old: Squares, new: Squares) -> np.ndarray:
    """[N] bool: both look at the same thing, as far as turn, place and size tell.

    The check of MediaPipe's RoiTrackingCalculator, wider, because the arm tells less of the hand
    than the re-cropping network it has.
    """
    turn = np.abs(np.angle(np.exp(1j * (old.turns - new.turns))))
    apart = length_of(old.centres - new.centres)
    ratio = old.sides / np.maximum(new.sides, 1e-3)
    same = (turn < _TURN_MOST) & (apart < _SHIFT_MOST * new.sides)
    return np.asarray(same & (ratio < _RATIO_MOST) & (ratio > 1 / _RATIO_MOST))


def _middle(trunk: np.ndarray, pair: Sequence[int]) -> np.ndarray:
    """Between two keypoints of [N,23,2]; np.mean takes four times as long for two."""
    return np.asarray((trunk[:, pair[0]] + trunk[:, pair[1]]) / 2)


def upwards(ahead: np.ndarray) -> np.ndarray:
    """Turns [N] rad that make vectors [N,2] point up."""
    return np.asarray(_along(ahead) + np.float32(np.pi / 2))


def _along(vectors: np.ndarray) -> np.ndarray:
    return np.arctan2(vectors[..., 1], vectors[..., 0])


def length_of(vectors: np.ndarray) -> np.ndarray:
    """Of vectors [...,2] -> [...]."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _bounds(
    group: np.ndarray, turns: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Widths, heights [N] px and middles [N] c64 of the turned boxes around points [N,K,2].

    And where their right looks [N] c64. Points as x + iy: turning is multiplying.
    """
    along = np.exp(np.complex64(1j) * turns)
    seen = geometry.as_complex(group)
    seen = seen * along.conj()[:, None]
    x, y = seen.real, seen.imag
    left, right, top, low = x.min(1), x.max(1), y.min(1), y.max(1)
    middle = ((left + right) + np.complex64(1j) * (top + low)) * along / 2
    return right - left, low - top, middle, along


def _lifted(middles: np.ndarray, along: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Middles moved up by [N] px, as pairs [N,2]."""
    lifted = middles - np.complex64(1j) * along * by
    return geometry.as_pairs(lifted)
