"""Hands and faces: cropped where the body says, one batch each, believed where they fit it."""

from __future__ import annotations

from typing import Dict, Sequence

import numpy as np

from edge.models._blazepose import crops, decode, points
from edge.models._blazepose.crops import Squares
from edge.models._blazepose.decode import Bodies
from edge.models._blazepose.recall import Expected
from edge.models._outputs import Outputs
from edge.structures import Frame

_LOOKED_AT = 0.1  # score of a wrist, or of the head, below which nobody looks (MediaPipe's 0.1)
_HAND_LEAST = 0.3  # presence below it is no hand
_FACE_LEAST = 0.5
# A crop is about twice as large as what is in it: hands and faces of 10 px have nothing to read.
_LEAST_SIDE_PX = 20.0
_AWAY = 0.35  # a part found further from its body than this share of the crop is someone else's
_TWIN = 0.2  # hands of one person closer than this share of the crop are one hand


class Part:
    """One network of the cascade beside the body's, and what was cut out for it."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.rows = np.zeros(0, np.int64)  # which of the possible crops were cut
        self.squares = Squares(*(np.zeros(s, np.float32) for s in ((0, 2), 0, 0)))
        self.matrices = np.zeros((0, 2, 3), np.float32)

    def cut(
        self, frames: Sequence[Frame], which: np.ndarray, squares: Squares, good: np.ndarray
    ) -> None:
        """Feed the network the squares that are worth it, [M] of frames `which`, and begin it."""
        sizes = np.array([f.size for f in frames], np.float32)[which]
        good &= ((squares.centres >= 0) & (squares.centres < sizes)).all(1)
        good &= squares.sides >= _LEAST_SIDE_PX
        self.rows = np.flatnonzero(good)
        self.squares = squares.take(self.rows)
        network = self.outputs.network
        self.matrices = self.squares.matrices(network)
        if len(self.rows):
            self.outputs.sample(frames, which[self.rows], self.matrices)

    def run(self) -> Dict[str, np.ndarray]:
        """Execute the network, if anything was cut."""
        return self.outputs.run() if len(self.rows) else {}


class Hands(Part):
    """Both hands of everybody in one batch: the network takes left and right alike."""

    def look(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        bodies: Bodies,
        expected: Expected,
        wanted: np.ndarray,
    ) -> None:
        """Cut out hands: where they are expected while the arm agrees, else where it points.

        Of people [N] in frames `which`, but only of those who are `wanted` [N] bool.
        """
        arms = crops.of_arms(bodies.points)
        hands = crops.of_hands(expected.hands)
        known = expected.hand_scores.min(-1) > 0
        squares = hands.otherwise(known & crops.agree(hands, arms), arms)
        self._wrists = bodies.points[:, points.WRISTS].reshape(-1, 2)
        seen = bodies.scores[:, points.WRISTS].reshape(-1) >= _LOOKED_AT
        self.cut(frames, np.repeat(which, 2), squares, seen & np.repeat(wanted, 2))

    def write(
        self, results: Dict[str, np.ndarray], keypoints: np.ndarray, scores: np.ndarray
    ) -> None:
        """Put what was found into keypoints [N,133,2] and scores [N,133]."""
        if not results:
            return
        found, presence, right = decode.hands(results, self.matrices)
        self.outputs.note_bad(int((~np.isfinite(results["presence"])).sum()))
        step = found[:, 0] - self._wrists[self.rows]
        away = np.hypot(step[:, 0], step[:, 1]) > _AWAY * self.squares.sides
        presence = np.where(away | (presence < _HAND_LEAST), 0, presence)
        presence *= ~self._twins(found, presence, right)
        for side, place in enumerate(points.HANDS):
            mine = self.rows % 2 == side
            keypoints[self.rows[mine] // 2, place] = found[mine]
            scores[self.rows[mine] // 2, place] = presence[mine, None]

    def _twins(self, found: np.ndarray, presence: np.ndarray, right: np.ndarray) -> np.ndarray:
        """[M] bool: the other arm of the same person has that very hand, and rather so."""
        middle, side = found.mean(1), self.rows % 2
        first = np.flatnonzero(self.rows[:-1] // 2 == self.rows[1:] // 2)
        step = middle[first + 1] - middle[first]
        near = np.hypot(step[:, 0], step[:, 1]) < _TWIN * self.squares.sides[first]
        near &= (presence[first] > 0) & (presence[first + 1] > 0)
        quality = presence * np.where(side == 1, right, 1 - right)
        second_worse = quality[first] >= quality[first + 1]
        twins = np.zeros(len(found), bool)
        twins[(first + second_worse)[near]] = True
        return twins


class Faces(Part):
    """Everybody's face in one batch."""

    def look(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        bodies: Bodies,
        expected: Expected,
        wanted: np.ndarray,
    ) -> None:
        """Cut out faces: where they are expected while the head agrees, else where it is.

        Of people [N] in frames `which`, but only of those who are `wanted` [N] bool.
        """
        heads = crops.of_heads(bodies.points)
        faces = crops.of_faces(expected.faces)
        known = expected.face_scores.min(-1) > 0
        squares = faces.otherwise(known & crops.agree(faces, heads), heads)
        self._noses = bodies.points[:, 0]
        self.cut(frames, which, squares, wanted & (bodies.scores[:, 0] >= _LOOKED_AT))

    def write(
        self, results: Dict[str, np.ndarray], keypoints: np.ndarray, scores: np.ndarray
    ) -> None:
        """Put what was found into keypoints [N,133,2] and scores [N,133]."""
        if not results:
            return
        found, presence = decode.faces(results, self.matrices)
        self.outputs.note_bad(int((~np.isfinite(results["score"])).sum()))
        step = found[:, points.MESH_NOSE] - self._noses[self.rows]
        away = np.hypot(step[:, 0], step[:, 1]) > _AWAY * self.squares.sides
        presence = np.where(away | (presence < _FACE_LEAST), 0, presence)
        keypoints[self.rows, points.FACE] = found
        scores[self.rows, points.FACE] = presence[:, None]
