"""Draws people as shaded solids in a room, from far to near, with OpenCV.

OpenCV gets coordinates in sixteenths of a pixel, so that the drawing agrees with the ground truth.
"""

from __future__ import annotations

from typing import List

import cv2
import numpy as np

from edge.capture._synthetic.body import AT, SOLIDS
from edge.capture._synthetic.camera import Pinhole
from edge.capture._synthetic.face import CM, FACE_LINES
from edge.capture._synthetic.scene import Scene, Seen

_SHIFT = 4
_FAR_PX = 8000.0  # OpenCV's fixed-point drawing overflows beyond this
SKIN, HAIR, SHIRT, TROUSERS, SHOES = range(5)

_PART_COLOURS = {
    "head": HAIR,
    "neck": SKIN,
    "trunk": SHIRT,
    "upper_arm": SHIRT,
    "forearm": SKIN,
    "hand": SKIN,
    "thigh": TROUSERS,
    "shank": TROUSERS,
    "foot": SHOES,
}
_NAMES = [s.name for s in SOLIDS]
_COLOUR_OF = np.array([_PART_COLOURS[n.replace("left_", "").replace("right_", "")] for n in _NAMES])
_HEAD = _NAMES.index("head")
_TRUNKS = (_NAMES.index("left_trunk"), _NAMES.index("right_trunk"))
_HANDS = {_NAMES.index("left_hand"): 91, _NAMES.index("right_hand"): 112}
_NOSE, _FACE_FIRST = 0, 23
_FRINGE_CM = 2.6  # skin above the brows
# The right side is darker, as with a lamp on the left, so that the sides look different.
_SHADE = np.array([0.80 if n.startswith("right") else 0.97 for n in _NAMES])
_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 14, endpoint=False)) for f in (np.cos, np.sin)], 1)
_WALL, _FLOOR = (186.0, 190.0, 180.0), (138.0, 150.0, 160.0)  # BGR
_ROOM_M, _LINE_M, _LINE_DARK = 22.0, 0.02, 20.0
_FINGER = 0.0095  # width in statures
_LIPS, _LID, _PUPIL = (95, 95, 175), (235, 235, 235), (45, 45, 40)


def background(camera: Pinhole) -> np.ndarray:
    """[H,W,3] u8, an empty room: a wall, and a floor with a line every metre."""
    turn = camera.rotation.astype(np.float32)
    u = (np.arange(camera.width, dtype=np.float32) - camera.centre[0]) / camera.focal_px
    v = (np.arange(camera.height, dtype=np.float32)[:, None] - camera.centre[1]) / camera.focal_px
    # The camera has no roll, so the distance to the floor depends on the row alone.
    down = -(turn[1, 2] * v + turn[2, 2])
    depth = np.float32(camera.position[2]) / np.maximum(down, 1e-6)
    # Metres of floor in one pixel: a line that is thinner than this fades.
    footprint = np.minimum(depth / camera.focal_px * np.maximum(1, depth / 3), 1)
    share = np.zeros((camera.height, camera.width), np.float32)
    for axis in (0, 1):
        ray = turn[0, axis] * u + (turn[1, axis] * v + turn[2, axis])
        floor = np.float32(camera.position[axis]) + depth * ray
        apart = np.abs(floor - np.rint(floor))
        np.maximum(share, (_LINE_M - apart) / footprint + 0.5, out=share)
    share = np.minimum(share, 1) * np.minimum(1, 2 * _LINE_M / footprint)
    is_floor = (down > 0) & (depth < _ROOM_M)
    wall = np.linspace(0.82, 1.0, camera.height)[:, None]
    room = np.empty((camera.height, camera.width, 3), np.uint8)
    for channel in range(3):
        painted = _FLOOR[channel] - share * _LINE_DARK
        room[..., channel] = np.rint(np.where(is_floor, painted, wall * _WALL[channel]))
    return room


class Canvas:
    """Draws the frames of a scene.

    Args:
        scene: the people and the camera.
        markers: whether to draw keypoints as dots: green = visible, red = hidden.
    """

    def __init__(self, scene: Scene, markers: bool = False) -> None:
        self.scene = scene
        self.empty = background(scene.camera)
        self.shape = self.empty.shape
        self._markers = markers

    def draw(self, index: int, image: np.ndarray) -> None:
        """Draw the frame `index` into image [H,W,3] u8."""
        np.copyto(image, self.empty)
        seen = self.scene.see(index)
        if len(seen.who):
            Painter(seen, self.scene.camera, image).paint()
        if self._markers:
            truth = self.scene.poses(index)
            mark(image, truth.keypoints[truth.scores > 0], truth.scores[truth.scores > 0])


def mark(image: np.ndarray, points: np.ndarray, scores: np.ndarray) -> None:
    """Draw dots at [P,2] px, red if the score is below 1, else green."""
    for point, score in zip(_fixed(points).tolist(), scores.tolist()):
        colour = (0, 255, 0) if score >= 1 else (0, 0, 255)
        cv2.circle(image, tuple(point), 2 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)


class Painter:
    """Draws the people of one frame."""

    def __init__(self, seen: Seen, camera: Pinhole, image: np.ndarray) -> None:
        self._seen, self._camera, self._image = seen, camera, image
        self._outlines = _outlines(seen)
        colours = np.array([seen.cast.traits[i].colours for i in seen.who], float)  # [N,5,3]
        depth = (seen.bodies.starts[..., 2] + seen.bodies.ends[..., 2]) / 2
        self._depth = depth - seen.bodies.radii.mean(-1)
        haze = np.clip(1.1 - 0.025 * depth, 0.55, 1.05)
        self._light = (_SHADE * haze)[..., None]
        self._colours = colours[:, _COLOUR_OF] * self._light
        self._skin = colours[:, SKIN]
        self._hair = colours[:, HAIR]

    def paint(self) -> None:
        """Draw all solids from far to near, of all people together: limbs may interlock."""
        order = np.argsort(-self._depth, axis=None, kind="stable")
        for person, solid in zip(*(i.tolist() for i in np.unravel_index(order, self._depth.shape))):
            self._solid(person, solid)

    def _solid(self, person: int, solid: int) -> None:
        outline = self._outlines[person, solid].reshape(-1, 2)
        if solid in _TRUNKS:  # both halves have one outline, drawn with the nearer half
            if self._depth[person, solid] > self._depth[person, list(_TRUNKS)].min():
                return
            outline = self._outlines[person, list(_TRUNKS)].reshape(-1, 2)
        colour = self._colours[person, solid]
        self._shape(cv2.convexHull(outline), colour)
        if solid == _HEAD:
            self._face(person)
        elif solid in _HANDS:
            self._fingers(person, _HANDS[solid], colour)

    def _shape(self, hull: np.ndarray, colour: np.ndarray) -> None:
        cv2.fillConvexPoly(self._image, hull, colour.tolist(), cv2.LINE_AA, _SHIFT)
        edge = (colour * 0.62).tolist()
        cv2.polylines(self._image, [hull], True, edge, 1, cv2.LINE_AA, _SHIFT)

    def _face(self, person: int) -> None:
        seen, frame = self._seen, self._seen.bodies.frames[person, AT["head"]]
        points = seen.keypoints[person, _FACE_FIRST : _FACE_FIRST + 68]
        towards = -seen.bodies.keypoints[person, _NOSE]
        facing = float(frame[:, 0] @ towards) / float(np.linalg.norm(towards))
        if facing < -0.35:
            return
        stature = seen.bodies.stature[person]
        rise = frame[:, 2] * (_FRINGE_CM * CM * stature)
        brow = seen.bodies.keypoints[person, _FACE_FIRST + 17 : _FACE_FIRST + 27] + rise
        scale = points[8, 1] - seen.keypoints[person, _FACE_FIRST + 27, 1]
        forehead = self._camera.project(brow)
        skin = self._skin[person] * self._light[person, _HEAD]
        cv2.fillConvexPoly(
            self._image,
            _hull(np.concatenate([points[:17], forehead])),
            skin.tolist(),
            cv2.LINE_AA,
            _SHIFT,
        )
        if abs(scale) > 5 and facing > 0.1:
            self._marks(points, skin, self._hair[person])

    def _marks(self, points: np.ndarray, skin: np.ndarray, hair: np.ndarray) -> None:
        fixed = _fixed(points)
        lines = {(a, closed): fixed[a : b + 1] for a, b, closed in FACE_LINES}
        eyes = [lines[36, True], lines[42, True]]
        for eye in eyes:
            cv2.fillConvexPoly(self._image, eye, _LID, cv2.LINE_AA, _SHIFT)
            centre = eye.mean(0).astype(int).tolist()
            size = max(8, int(np.ptp(eye[:, 1]) * 0.45))
            cv2.circle(self._image, tuple(centre), size, _PUPIL, -1, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self._image, [lines[48, True]], _LIPS, cv2.LINE_AA, _SHIFT)
        self._lines(eyes + [lines[48, True], lines[60, True]], True, skin * 0.45)
        self._lines([lines[17, False], lines[22, False]], False, hair * 0.7)
        self._lines([lines[27, False], lines[31, False]], False, skin * 0.68)

    def _lines(self, lines: List[np.ndarray], closed: bool, colour: np.ndarray) -> None:
        cv2.polylines(self._image, lines, closed, colour.tolist(), 1, cv2.LINE_AA, _SHIFT)

    def _fingers(self, person: int, root: int, colour: np.ndarray) -> None:
        seen = self._seen
        fixed = _fixed(seen.keypoints[person, root : root + 21])
        chains = [fixed[1 + 4 * i : 5 + 4 * i] for i in range(5)]
        chains.append(fixed[[1, 5, 9, 13, 17]])
        depth = float(seen.bodies.keypoints[person, root, 2])
        width_m = _FINGER * float(seen.bodies.stature[person])
        thick = max(1, round(width_m * self._camera.focal_px / depth))
        cv2.polylines(
            self._image, chains, False, (colour * 0.93).tolist(), thick, cv2.LINE_AA, _SHIFT
        )


def _outlines(seen: Seen) -> np.ndarray:
    """[N,S,28,2] points on the two end circles of each solid, in sixteenths of a px."""
    both = [
        centre[:, :, None] + radius[:, :, None, None] * _CIRCLE
        for centre, radius in ((seen.starts, seen.radii[..., 0]), (seen.ends, seen.radii[..., 1]))
    ]
    return _fixed(np.concatenate(both, axis=2))


def _fixed(px: np.ndarray) -> np.ndarray:
    """Pixels to sixteenths of a pixel, the unit of OpenCV's drawing."""
    out: np.ndarray = np.rint(np.clip(px, -_FAR_PX, _FAR_PX) * (1 << _SHIFT)).astype(np.int32)
    return out


def _hull(px: np.ndarray) -> np.ndarray:
    out: np.ndarray = cv2.convexHull(_fixed(px))
    return out
