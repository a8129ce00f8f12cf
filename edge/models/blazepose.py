"""Whole bodies from a cascade of MediaPipe's networks: body and feet, then hands and faces.

Each network runs once in a step, with all people of all frames in one batch. The hands of all
people are one batch too. The crop of a new person comes from the detector's box. From the second
frame on it comes from the keypoints, so a detector is needed for new people only.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import ConfigError, InternalError
from edge.models import Gives, ModelOptions, PoseModel
from edge.models._blazepose import (
    crops,
    decode,
    gate,
    in_space,
    neighbours,
    points,
    priority,
    sightings,
)
from edge.models._blazepose.batch import CandidateBatch, by_frame
from edge.models._blazepose.body_memory import BodyMemory
from edge.models._blazepose.decode import Bodies
from edge.models._blazepose.look_memory import LookMemory, near_prediction, with_predictions
from edge.models._blazepose.part_memory import ExpectedParts, PartMemory
from edge.models._blazepose.parts import Faces, Hands
from edge.models._blazepose.sparse import SparseMode, rested, small
from edge.models._outputs import Outputs, Shape
from edge.models._preprocess.lenses import local_views
from edge.models._scores import ScoreMap
from edge.recipe import Recipe, Scores
from edge.runtime import Runner
from edge.settings.sections import Crowd
from edge.structures import Frame, Poses

GIVES = Gives.POSES
_OUTPUTS: Dict[str, Dict[str, Shape]] = {
    "body": {"landmarks": (5 * points.RAW_POINTS,), "score": (1,)},
    "hand": {"landmarks": (3 * points.HAND_POINTS,), "presence": (1,), "handedness": (1,)},
    "face": {"landmarks": (3 * points.MESH_POINTS,), "score": (1,)},
}
# The score of a new person is lowered where the detector's score is lower than this: the body
# network finds arms and legs in chairs too. Rendered pictures, split tune: of 200 without anybody,
# people are told in 2 instead of 9; of 228 poses that are right, 203 instead of 209 start a track,
# of 67 that are wrong 24 instead of 33.
_SURE = 0.8
_HEATMAP: Shape = (points.RAW_POINTS, None, None)  # optional output of the body network


class BlazePose(PoseModel):
    """Finds 133 keypoints of each candidate; a models.PoseModel in two models.Halves.

    Boxes and ids are those of the candidates. Candidates are left out if the body network does not
    find them, or if their pose does not fit their box. Candidates with a sighting stay: their body
    is joined with it. The keypoints of a hand or face that is not
    found, and keypoints outside the frame, have score 0.
    """

    skeleton = points.SKELETON

    gives_world = True

    def __init__(
        self,
        parts: Mapping[str, Outputs],
        min_score: float,
        crowd: Crowd,
        told: Optional[Scores] = None,
        world: bool = False,
    ) -> None:
        self._body = parts["body"]
        self._hands = Hands(parts["hand"])
        self._faces = Faces(parts["face"])
        self._min_score = max(min_score, sightings.LEAST_SCORE)
        self._person = ScoreMap(told.person if told else [])
        self._body_memory = BodyMemory()
        self._look_memory = LookMemory()
        self._part_memory = PartMemory()
        self.refused = 0  # number of poses that were rejected since the start
        self.part_limit = 0
        self._crowd, self._world = crowd, world
        self._sparse = SparseMode(crowd)

    @property
    def halved(self) -> BlazePose:
        """This object: it has `bodies` and `parts`."""
        return self

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """One Poses for each frame with the candidates that were found, in their order."""
        return self.parts(frames, self.bodies(frames, people))

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Which cameras are in the sparse mode of a large crowd."""
        return self._sparse.report()

    def bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The first half: body and feet.

        `places` [N,33,3] of the result are x, y px and score of BlazePose's own points, for
        `parts`.
        """
        turns = self._sparse.turns(frames, people)
        due = [p if rows is None else p.take(rows) for p, rows in zip(people, turns)]
        return [
            found if rows is None or rows.all() else Poses.join((found, rested(p.take(~rows))))
            for found, p, rows in zip(self._bodies(frames, due), people, turns)
        ]

    def _bodies(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        batch = CandidateBatch.gather(frames, people)
        if not len(batch):
            return [Poses.empty(points.KEYPOINTS, points.SKELETON) for _ in frames]
        with np.errstate(invalid="ignore", over="ignore"):
            recalled = self._look_memory.recall(frames, batch)
            batch = sightings.seeded(batch)
            found = self._look(frames, batch)
            body_feet, sure = _body_feet(found)
            seen = sure * _inside(body_feet, batch.sizes)
            own = gate.accepted(batch, body_feet, seen, found.person_scores)
            own &= ~recalled.alone | near_prediction(batch, body_feet, seen)
        own &= found.person_scores >= self._min_score
        carried = recalled.carried & ~own
        stays = own | batch.sighted | carried
        self.refused += len(stays) - int(stays.sum())
        if not stays.all():
            batch, found, recalled = batch.take(stays), found.take(stays), recalled.take(stays)
            body_feet, seen = body_feet[stays], seen[stays]
            own, carried = own[stays], carried[stays]
        joined = with_predictions(batch, carried)
        if joined.sighted.any():
            found, body_feet, seen = _joined(joined, found, body_feet, seen, own)
            seen *= _inside(body_feet, batch.sizes)
        self._look_memory.keep(frames, batch, recalled, body_feet, seen, own)
        self._body_memory.keep(frames, batch.which, body_feet, _inside(body_feet, batch.sizes))
        keypoints = np.zeros((len(batch), points.KEYPOINTS, 2), np.float32)
        scores = np.zeros((len(batch), points.KEYPOINTS), np.float32)
        keypoints[:, points.BODY_FEET], scores[:, points.BODY_FEET] = body_feet, seen
        keypoints[:, points.SMALL_TOES] = 0
        places = np.concatenate((found.points, found.scores[..., None]), -1)
        told = self._person(found.person_scores)
        told = told * np.where(batch.ids < 0, np.minimum(batch.certain / _SURE, 1), 1)
        told = told.astype(np.float32, copy=False)
        world = (
            None
            if found.world is None
            else in_space.of_network(found, own, body_feet, seen, batch.boxes)
        )
        return batch.spread(len(frames), keypoints, scores, told, places, carried, world)

    def parts(self, frames: Sequence[Frame], people: Sequence[Poses]) -> List[Poses]:
        """The second half: the same people with hands and faces, in new arrays."""
        which = np.repeat(np.arange(len(people)), np.array([len(p) for p in people], np.int64))
        if not len(which):
            self._part_memory.forget(frames)
            return list(people)
        whole = Poses.join(people)
        places = _places(whole)
        bodies = Bodies(places[..., :2].copy(), places[..., 2], whole.person_scores)
        sizes = np.array([f.size for f in frames], np.float32).reshape(-1, 2)[which]
        with np.errstate(invalid="ignore", over="ignore"):
            expected = self._part_memory.expected(frames, which, whole.ids, bodies.points)
            worth = priority.worth(whole, sizes, expected.scores)
            chosen = priority.first_of_each(worth, which, self._crowd.whole_people)
            wanted = chosen & priority.first(np.where(chosen, worth, -1), self.part_limit or 0)
            for part in (self._hands, self._faces):
                part.look(frames, which, bodies, expected, wanted)
            for part in (self._hands, self._faces):
                part.write(part.run(), whole.keypoints, whole.scores)
        found, scores = whole.keypoints[:, points.PARTS], whole.scores[:, points.PARTS]
        scores *= _inside(found, sizes)
        parts = ExpectedParts(found, scores)
        self._part_memory.keep(frames, which, whole.ids, bodies.points, parts)
        crowded = np.array([self._sparse.is_on(frame) for frame in frames])[which]
        small(whole.keypoints, whole.scores, crowded & ~chosen)
        whole = dataclasses.replace(whole, places=None)
        return by_frame(whole, which, len(frames))

    def _look(self, frames: Sequence[Frame], batch: CandidateBatch) -> Bodies:
        """Run the body network on all people."""
        known = batch.remembered(frames, self._body_memory)
        body_feet = known.keypoints[:, points.BODY_FEET]
        scores = known.scores[:, points.BODY_FEET]
        views = local_views(frames, batch.which, geometry.cxcywh(batch.boxes)[:, :2])
        if views is not None:
            body_feet = views.seen(body_feet)
        squares, good = crops.body_squares(body_feet, scores, batch.boxes)
        squares = squares.where(good, crops.box_squares(batch.boxes, batch.sizes))
        network = self._body.network
        straight = squares.matrices(network)
        matrices = straight if views is None else views.of_pictures(straight)
        veils = neighbours.veils(known, good, matrices, network)
        self._body.sample(frames, batch.which, matrices, veils=veils)
        results = self._body.run()
        self._body.note_bad(int((~np.isfinite(results["landmarks"])).sum()))
        metres = decode.metres(results, straight, views) if self._world else None
        return decode.bodies(results, matrices, network.width, metres)


def _joined(
    batch: CandidateBatch,
    found: Bodies,
    body_feet: np.ndarray,
    seen: np.ndarray,
    own: np.ndarray,
) -> Tuple[Bodies, np.ndarray, np.ndarray]:
    """Bodies, keypoints [N,23,2] and scores [N,23], joined with the candidates' sightings."""
    keypoints, scores = sightings.joined(batch, body_feet, seen, own)
    bodies = Bodies(
        sightings.followed(found.points, body_feet, keypoints),
        found.scores * own[:, None],
        np.maximum(found.person_scores * own, sightings.person_scores(batch, found.person_scores)),
        found.world,
    )
    return bodies, keypoints, scores


def _places(poses: Poses) -> np.ndarray:
    """The data of the first half. Raises InternalError: there are none."""
    if poses.places is None:
        raise InternalError("blazepose: `parts` was called with poses that `bodies` did not make")
    return poses.places


def _body_feet(bodies: Bodies) -> Tuple[np.ndarray, np.ndarray]:
    """Keypoints [N,23,2] and scores [N,23] of body and feet; small toes are copies with score 0."""
    scores = bodies.scores[:, points.BODY_FEET_SOURCE]
    scores[:, points.SMALL_TOES] = 0
    return bodies.points[:, points.BODY_FEET_SOURCE], scores


def _inside(keypoints: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[N,K] bool: whether keypoints are inside their frames, of sizes [N,2] px."""
    return np.asarray(((keypoints >= 0) & (keypoints < sizes[:, None])).all(-1))


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> BlazePose:
    """Make the cascade of the networks `body`, `hand` and `face`.

    Raises:
        ConfigError: a network is missing, or names an unknown output.
        DataError: a network has other outputs.
    """
    if recipe.skeleton != points.SKELETON:
        raise ConfigError(f"skeleton: is {recipe.skeleton!r}; blazepose gives {points.SKELETON}")
    parts: Dict[str, Outputs] = {}
    for part, shapes in _OUTPUTS.items():
        known = [*shapes, "world", "heatmap"]
        parts[part] = Outputs(recipe, runners, known, part)
        for name, shape in shapes.items():
            parts[part].require(name, shape)
    if parts["body"].has("heatmap"):
        parts["body"].require("heatmap", _HEATMAP)
    if options.world:
        if not parts["body"].has("world"):
            raise ConfigError("pose.world: the body network gives no points in metres")
        parts["body"].require("world", (3 * points.RAW_POINTS,))
    return BlazePose(parts, options.min_score, options.crowd, recipe.scores, options.world)
