"""The family `hybrid`: a box detector and a one-stage pose network look together for people.

The box detector finds people at any distance. The one-stage network tells people apart where they
overlap, and gives their keypoints, which seed the crops of the pose model and are joined with what
it finds there. People of both are joined into one detection.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, cast

import numpy as np

from edge import plug
from edge.errors import ConfigError
from edge.models import Detector, Gives, ModelOptions
from edge.models._hybrid import near
from edge.models._hybrid.join import join
from edge.models._hybrid.tiled import TiledPeople
from edge.models._onestage import OneStage
from edge.recipe import Recipe, Scores
from edge.runtime import Runner
from edge.settings.schema import build, key, name_problem
from edge.structures import Detections, Frame, Poses

GIVES = Gives.BOXES
_SKELETON = "coco17"
_PARTS = {"boxes": Gives.BOXES, "people": Gives.ONE_STAGE_POSES, "near": Gives.BOXES}


@dataclass(frozen=True)
class HybridSettings:
    """The table [options] of model.toml."""

    boxes: str = key(help="family of the network `boxes`", check=name_problem)
    people: str = key(help="family of the network `people`", check=name_problem)
    near: str = key("", "family of the network `near`; empty = there is none")
    near_min_score: float = key(0.4, "people of the network `near`: least score", 0, 1)
    people_min_score: float = key(0.12, "people of the one-stage network: least score", 0, 1)
    people_sure_score: float = key(0.45, "score that is as good as 1 of the box detector", 0.01, 1)
    keypoint_sure_score: float = key(0.7, "score of a keypoint that is certain", 0.01, 1)
    boxes_options: Dict[str, Any] = key({}, "options of the family `boxes`")
    people_options: Dict[str, Any] = key({}, "options of the family `people`")


class Hybrid(Detector):
    """A models.Detector whose detections have keypoints where the one-stage network gave them.

    Scores are those of the box detector's scale, so that one threshold serves both.
    """

    def __init__(
        self,
        boxes: Detector,
        people: OneStage,
        near: Optional[Detector],
        settings: HybridSettings,
        options: ModelOptions,
    ) -> None:
        self._boxes = boxes
        self._people = people
        self._near = near
        self._settings = settings
        self._options = options
        self._tiled = TiledPeople(people, options)

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, with clipped boxes, the best score first."""
        if not frames:
            return []
        self._tiled.begin(frames)
        boxes = self._boxes(frames)
        found = self._joined(frames, boxes)
        rows, again = list(range(len(frames))), self._tiled.choose(frames, found)
        while again:
            rows = [rows[i] for i in again]
            self._tiled.again([frames[i] for i in rows], again)
            some = self._joined([frames[i] for i in rows], [boxes[i] for i in rows])
            for i, people in zip(rows, some):
                found[i] = people
            again = self._tiled.choose([frames[i] for i in rows], some)
        return self._with_near(frames, found)

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Tiles of each camera's frames, and how often their number has changed."""
        return self._tiled.report()

    def _joined(self, frames: Sequence[Frame], boxes: Sequence[Detections]) -> List[Detections]:
        return [self._join(b, p) for b, p in zip(boxes, self._tiled.finish(frames))]

    def _with_near(self, frames: Sequence[Frame], found: List[Detections]) -> List[Detections]:
        """Add people near the camera, in frames where somebody may be missed."""
        if self._near is None:
            return found
        rows = [i for i, f in enumerate(frames) if near.worth_looking(found[i], f.size)]
        for i, more in zip(rows, self._near([frames[i] for i in rows])):
            found[i] = near.joined(found[i], more, self._options.max_people)
        return found

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Boxes of all networks, of any score from `floor` on, overlapping or not."""
        boxes = self._boxes.everybody(frames, floor)
        people = self._people.everybody(frames, floor)
        more = (
            self._near.everybody(frames, floor)
            if self._near
            else [Detections.empty()] * len(frames)
        )
        return [
            Detections(
                np.concatenate((b.boxes, p.boxes, n.boxes)),
                np.concatenate((b.scores, p.scores, n.scores)),
            )
            for b, p, n in zip(boxes, people, more)
        ]

    def _join(self, boxes: Detections, people: Poses) -> Detections:
        settings = self._settings
        scores = np.minimum(people.person_scores / settings.people_sure_score, 1)
        sure = np.minimum(people.scores / settings.keypoint_sure_score, 1)
        keypoints = np.concatenate((people.keypoints, sure[..., None]), -1)
        seen = Detections(
            people.boxes, scores.astype(np.float32), keypoints.astype(np.float32, copy=False)
        )
        return join(boxes, seen, self._options.max_people)


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> Hybrid:
    """Make a model of the networks `boxes` and `people`.

    Raises:
        ConfigError: a setting, a family or a network is wrong or missing.
        DataError: a network has other outputs than its family wants.
    """
    settings = build(HybridSettings, recipe.options, "options")
    if recipe.skeleton not in ("", _SKELETON):
        raise ConfigError(f"skeleton: is {recipe.skeleton!r}; hybrid gives {_SKELETON}")
    parts: Dict[str, Any] = {}
    floors = {"people": settings.people_min_score, "near": settings.near_min_score}
    for part, gives in _PARTS.items():
        if not getattr(settings, part):
            continue
        family = plug.load("models", getattr(settings, part))
        if family.GIVES is not gives:
            raise ConfigError(
                f"options.{part}: {getattr(settings, part)!r} gives {family.GIVES.value}, "
                f"hybrid wants {gives.value}"
            )
        if part not in recipe.networks or part not in runners:
            raise ConfigError(f"networks: hybrid wants [networks.{part}]")
        parts[part] = family.load(
            dataclasses.replace(
                recipe,
                family=getattr(settings, part),
                networks={"main": recipe.networks[part]},
                options=getattr(settings, f"{part}_options", {}),
                skeleton=_SKELETON if part == "people" else "",
                scores=Scores(),  # the maps of a recipe are for its whole model
            ),
            {"main": runners[part]},
            dataclasses.replace(options, min_score=floors.get(part, options.min_score)),
        )
    return Hybrid(
        cast(Detector, parts["boxes"]),
        cast(OneStage, parts["people"]),
        parts.get("near"),
        settings,
        options,
    )
