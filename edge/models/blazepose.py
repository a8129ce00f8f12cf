"""MediaPipe's networks as a cascade to whole bodies: body and feet, then hands and faces.

Each network runs once per step, with all people of all frames in one batch; both hands of
everybody are one batch. Crops come from the keypoints that candidates carry, so that a detector is
needed for new people only. Someone new is looked for in the detector's box, and from the second
frame on in the square that follows from the pose: no network ever runs twice in a step.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import ConfigError, InternalError
from edge.models import Gives, ModelOptions, PoseModel
from edge.models._blazepose import crops, decode, gate, neighbours, points
from edge.models._blazepose.crowd import Crowd, by_frame
from edge.models._blazepose.decode import Bodies
from edge.models._blazepose.memory import Memory
from edge.models._blazepose.parts import Faces, Hands
from edge.models._blazepose.recall import Expected, Recall
from edge.models._outputs import Outputs, Shape
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.structures import Frame, Poses

GIVES = Gives.POSES
_OUTPUTS: Dict[str, Dict[str, Shape]] = {
    "body": {"landmarks": (5 * points.RAW_POINTS,), "score": (1,)},
    "hand": {"landmarks": (3 * points.HAND_POINTS,), "presence": (1,), "handedness": (1,)},
    "face": {"landmarks": (3 * points.MESH_POINTS,), "score": (1,)},
}
_KEPT = 1.5
_HEATMAP: Shape = (points.RAW_POINTS, None, None)  # of the body; finer where there is one


class BlazePose(PoseModel):
    """Candidates to 133 keypoints; the contract is models.PoseModel, in models.Halves.

    Boxes and ids are the candidates'. Left out are people the body network does not see, and those
    whose pose left their box. A hand or a face that is not found, and a keypoint outside the frame,
    have score 0.
    """

    skeleton = points.SKELETON

    def __init__(self, parts: Mapping[str, Outputs], min_score: float) -> None:
        self._body = parts["body"]
        self._hands = Hands(parts["hand"])
        self._faces = Faces(parts["face"])
        self._min_score = max(min_score, gate.LEAST_SCORE)
        self._memory = Memory()
        self._recall = Recall()
        self.refused = 0  # poses that were not believed, so far
        self.part_limit = 0

    @property
    def halved(self) -> BlazePose:
        """The model itself: it can be called in two halves."""
        return self

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame: the candidates that were found, in their order."""
        return self.parts(frames, self.bodies(frames, people))

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The first half: body and feet; `places` are BlazePose's own 33 points and scores."""
        crowd = Crowd.gather(frames, people)
        if not len(crowd):
            return [Poses.empty(points.KEYPOINTS, points.SKELETON) for _ in frames]
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._look(frames, crowd)
            trunk, sure = _trunk(found)
            inside = _inside(trunk, crowd.sizes)
            seen = sure * inside
            stays = gate.accepted(crowd, trunk, seen, found.person_scores)
        stays &= found.person_scores >= self._min_score
        self.refused += len(stays) - int(stays.sum())
        if not stays.all():
            crowd, found = crowd.take(stays), found.take(stays)
            trunk, seen, inside = trunk[stays], seen[stays], inside[stays]
        self._memory.keep(frames, crowd.which, trunk, inside)
        keypoints = np.zeros((len(crowd), points.KEYPOINTS, 2), np.float32)
        scores = np.zeros((len(crowd), points.KEYPOINTS), np.float32)
        keypoints[:, : points.TRUNK], scores[:, : points.TRUNK] = trunk, seen
        keypoints[:, points.SMALL_TOES] = 0
        places = np.concatenate((found.points, found.scores[..., None]), -1)
        return crowd.spread(len(frames), keypoints, scores, found.person_scores, places)

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The second half: the same people with hands and faces, in arrays of their own."""
        which = np.repeat(np.arange(len(people)), np.array([len(p) for p in people], np.int64))
        if not len(which):
            self._recall.forget(frames)
            return list(people)
        whole = Poses.join(people)
        places = _places(whole)
        bodies = Bodies(places[..., :2].copy(), places[..., 2], whole.person_scores)
        sizes = np.array([f.size for f in frames], np.float32).reshape(-1, 2)[which]
        with np.errstate(invalid="ignore", over="ignore"):
            expected = self._recall.expected(frames, which, whole.ids, bodies.points)
            wanted = _nearest(whole.boxes, sizes, expected.scores, self.part_limit or 0)
            for part in (self._hands, self._faces):
                part.look(frames, which, bodies, expected, wanted)
            for part in (self._hands, self._faces):
                part.write(part.run(), whole.keypoints, whole.scores)
        found, sure = whole.keypoints[:, points.TRUNK :], whole.scores[:, points.TRUNK :]
        sure *= _inside(found, sizes)
        self._recall.keep(frames, which, whole.ids, bodies.points, Expected(found, sure))
        whole = dataclasses.replace(whole, places=None)
        return by_frame(whole, which, len(frames))

    def _look(self, frames: Sequence[Frame], crowd: Crowd) -> Bodies:
        """The body network on everybody."""
        known = crowd.remembered(frames, self._memory)
        trunk, scores = known.keypoints[:, : points.TRUNK], known.scores[:, : points.TRUNK]
        squares, good = crops.of_bodies(trunk, scores, crowd.boxes)
        squares = squares.otherwise(good, crops.of_boxes(crowd.boxes, crowd.sizes))
        network = self._body.network
        matrices = squares.matrices(network)
        veils = neighbours.veils(known, good, matrices, network)
        self._body.sample(frames, crowd.which, matrices, veils=veils)
        results = self._body.run()
        self._body.note_bad(int((~np.isfinite(results["landmarks"])).sum()))
        return decode.bodies(results, matrices, network.width)


def _places(poses: Poses) -> np.ndarray:
    """Raises InternalError: they are not of the first half."""
    if poses.places is None:
        raise InternalError("blazepose: hands and faces without the bodies they belong to")
    return poses.places


def _trunk(bodies: Bodies) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints [N,23,2] and scores [N,23] of body and feet; the small toes lie on the big ones."""
    scores = bodies.scores[:, points.TRUNK_SOURCE]
    scores[:, points.SMALL_TOES] = 0
    return bodies.points[:, points.TRUNK_SOURCE], scores


def _nearest(
    boxes: np.ndarray, sizes: np.ndarray, part_scores: np.ndarray, limit: int
) -> np.ndarray:
    """[N] bool: the `limit` people who are largest in their pictures; everybody if it is 0.

    Who has hands or a face already counts as _KEPT times as large, so that two people of one size
    do not take turns.
    """
    wanted = np.ones(len(boxes), bool)
    if 0 < limit < len(boxes):
        share = geometry.areas_of(boxes) / np.maximum(sizes.prod(1), 1)
        share = share * np.where((part_scores > 0).any(1), _KEPT, 1)
        wanted[np.argsort(-share, kind="stable")[limit:]] = False
    return wanted


def _inside(keypoints: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[N,K] bool: in the picture, whose sizes are [N,2]."""
    return np.asarray(((keypoints >= 0) & (keypoints < sizes[:, None])).all(-1))


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> BlazePose:
    """Join the cascade.

    Raises:
        ConfigError: a network is missing or has a name too many. DataError: other outputs.
    """
    if recipe.skeleton != points.SKELETON:
        raise ConfigError(f"skeleton: blazepose gives {points.SKELETON}, not {recipe.skeleton!r}")
    parts: Dict[str, Outputs] = {}
    for part, shapes in _OUTPUTS.items():
        known = [*shapes, "world", "heatmap"]
        parts[part] = Outputs(recipe, runners, known, part)
        for name, shape in shapes.items():
            parts[part].require(name, shape)
    if parts["body"].has("heatmap"):
        parts["body"].require("heatmap", _HEATMAP)
    return BlazePose(parts, options.min_score)
