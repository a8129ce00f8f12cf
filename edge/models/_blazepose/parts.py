"""Hands and faces: cut out by the body's keypoints, accepted if they fit the body."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Sequence

import numpy as np

from edge.models._blazepose import crops, decode, owners, points
from edge.models._blazepose.crops import Squares
from edge.models._blazepose.decode import Bodies
from edge.models._blazepose.part_memory import ExpectedParts
from edge.models._outputs import Outputs
from edge.models._preprocess.lenses import local_views
from edge.structures import Frame

_LOOKED_AT = 0.1  # least score of a wrist or nose to look for the part (0.1 in MediaPipe)
_HAND_LEAST = 0.3  # least presence of a hand
_FACE_LEAST = 0.5  # least presence of a face
# A crop is about twice as large as the part in it. Parts of less than 10 px show no detail.
_LEAST_SIDE_PX = 20.0
_DUPLICATE = 0.2  # two hands of a person closer than this share of the crop are one hand


class PartNetwork:
    """A network of the cascade for hands or faces, and the crops of the current call."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.rows = np.zeros(0, np.int64)  # indices of the possible crops that were cut
        self.squares = Squares(*(np.zeros(s, np.float32) for s in ((0, 2), 0, 0)))
        self.matrices = np.zeros((0, 2, 3), np.float32)
        self.which = np.zeros(0, np.int64)  # indices of the crops' frames

    def cut(
        self, frames: Sequence[Frame], which: np.ndarray, squares: Squares, good: np.ndarray
    ) -> None:
        """Fill the network's input with crops, and begin to execute it if the runner can.

        Args:
            frames: frames of this call.
            which: [M] index of each square's frame.
            squares: [M] possible crops.
            good: [M] bool, crops that are wanted. Of these, too small ones and those whose centre
                is outside the frame are left out; changed in place.
        """
        sizes = np.array([f.size for f in frames], np.float32)[which]
        good &= ((squares.centres >= 0) & (squares.centres < sizes)).all(1)
        good &= squares.sides >= _LEAST_SIDE_PX
        self.rows = np.flatnonzero(good)
        self.squares = squares.take(self.rows)
        network = self.outputs.network
        self.which = which[self.rows]
        views = local_views(frames, self.which, self.squares.centres)
        if views is None:
            self.matrices = self.squares.matrices(network)
        else:
            straight = replace(self.squares, turns=views.turned(self.squares.turns))
            self.matrices = views.of_pictures(straight.matrices(network))
        if len(self.rows):
            self.outputs.sample(frames, self.which, self.matrices)

    def run(self) -> Dict[str, np.ndarray]:
        """Execute the network on the crops; returns nothing if there are none."""
        return self.outputs.run() if len(self.rows) else {}


class Hands(PartNetwork):
    """Both hands of all people in one batch; the network takes left and right hands alike."""

    def look(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        bodies: Bodies,
        expected: ExpectedParts,
        wanted: np.ndarray,
    ) -> None:
        """Cut out hands at their expected place, or where the arm points if the two do not agree.

        Args:
            frames: frames of this call.
            which: [N] index of each person's frame.
            bodies: [N] people.
            expected: [N] expected parts.
            wanted: [N] bool, people whose hands are looked for.
        """
        arms = crops.arm_squares(bodies.points)
        hands = crops.hand_squares(expected.hands)
        known = expected.hand_scores.min(-1) > 0
        squares = hands.where(known & crops.agree(hands, arms), arms)
        self._bodies = bodies.points
        seen = bodies.scores[:, points.WRISTS].reshape(-1) >= _LOOKED_AT
        self.cut(frames, np.repeat(which, 2), squares, seen & np.repeat(wanted, 2))

    def write(
        self, results: Dict[str, np.ndarray], keypoints: np.ndarray, scores: np.ndarray
    ) -> None:
        """Write the accepted results into keypoints [N,133,2] and scores [N,133]."""
        if not results:
            return
        found, presence, right = decode.hands(results, self.matrices)
        self.outputs.note_bad(int((~np.isfinite(results["presence"])).sum()))
        people, sides = self.rows // 2, self.rows % 2
        misfits = owners.hand_misfits(found, self._bodies[people], sides)
        presence = np.where(np.isinf(misfits) | (presence < _HAND_LEAST), 0, presence)
        presence *= ~self._duplicates(found, presence, right)
        misfits = np.where(presence > 0, misfits, np.inf)
        presence *= ~owners.taken(found, misfits, people, self.which, owners.SAME_HAND)
        for side, place in enumerate(points.HANDS):
            mine = sides == side
            keypoints[people[mine], place] = found[mine]
            scores[people[mine], place] = presence[mine, None]

    def _duplicates(self, found: np.ndarray, presence: np.ndarray, right: np.ndarray) -> np.ndarray:
        """[M] bool: whether the person's other crop shows the same hand and fits it better."""
        middle, side = found.mean(1), self.rows % 2
        first = np.flatnonzero(self.rows[:-1] // 2 == self.rows[1:] // 2)
        step = middle[first + 1] - middle[first]
        near = np.hypot(step[:, 0], step[:, 1]) < _DUPLICATE * self.squares.sides[first]
        near &= (presence[first] > 0) & (presence[first + 1] > 0)
        quality = presence * np.where(side == 1, right, 1 - right)
        second_worse = quality[first] >= quality[first + 1]
        duplicates = np.zeros(len(found), bool)
        duplicates[(first + second_worse)[near]] = True
        return duplicates


class Faces(PartNetwork):
    """The faces of all people in one batch."""

    def look(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        bodies: Bodies,
        expected: ExpectedParts,
        wanted: np.ndarray,
    ) -> None:
        """Cut out faces at their expected place, or at the head if the two do not agree.

        Args:
            frames: frames of this call.
            which: [N] index of each person's frame.
            bodies: [N] people.
            expected: [N] expected parts.
            wanted: [N] bool, people whose faces are looked for.
        """
        heads = crops.head_squares(bodies.points)
        faces = crops.face_squares(expected.faces)
        known = expected.face_scores.min(-1) > 0
        squares = faces.where(known & crops.agree(faces, heads), heads)
        self._bodies = bodies.points
        self.cut(frames, which, squares, wanted & (bodies.scores[:, 0] >= _LOOKED_AT))

    def write(
        self, results: Dict[str, np.ndarray], keypoints: np.ndarray, scores: np.ndarray
    ) -> None:
        """Write the accepted results into keypoints [N,133,2] and scores [N,133]."""
        if not results:
            return
        found, presence = decode.faces(results, self.matrices)
        self.outputs.note_bad(int((~np.isfinite(results["score"])).sum()))
        misfits = owners.face_misfits(found, self._bodies[self.rows])
        misfits = np.where(presence < _FACE_LEAST, np.inf, misfits)
        refused = np.isinf(misfits)
        refused |= owners.taken(found, misfits, self.rows, self.which, owners.SAME_FACE)
        presence = np.where(refused, 0, presence)
        keypoints[self.rows, points.FACE] = found
        scores[self.rows, points.FACE] = presence[:, None]
