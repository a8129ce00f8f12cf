"""The family `movenet`: MoveNet-multipose, one-stage, up to six people (TensorFlow Hub, 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping

import numpy as np

from edge.models import Gives, ModelOptions
from edge.models._boxes import bad_numbers
from edge.models._onestage import OneStage, RawPeople
from edge.models._outputs import Outputs, skeleton_of
from edge.recipe import Network, Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key

GIVES = Gives.ONE_STAGE_POSES
_KEYPOINTS = 17
_ROW = 3 * _KEYPOINTS + 5


@dataclass(frozen=True)
class MovenetSettings:
    """The table [options] of model.toml."""

    min_score: float = key(0.1, "people of a lower score are dropped", 0, 1)
    border: int = key(0, "grey value of the bars around the picture", 0, 255)


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> OneStage:
    """Make a model of a network with the output `people` [B,6,56].

    A row is 17 x (y, x, score), then ymin xmin ymax xmax score. Coordinates are 0..1 of the input.

    Raises:
        ConfigError: a setting or the skeleton is wrong.
        DataError: the network has no such output.
    """
    settings = build(MovenetSettings, recipe.options, "options")
    outputs = Outputs(recipe, runners, ("people",))
    outputs.require("people", (None, _ROW))
    skeleton = skeleton_of(recipe, _KEYPOINTS)

    def decode_all(results: Dict[str, np.ndarray], min_score: float) -> RawPeople:
        return decode(results["people"], outputs.network, min_score)

    return OneStage(
        outputs,
        decode_all,
        options,
        skeleton.name,
        _KEYPOINTS,
        suppress=True,
        border=settings.border,
        told=recipe.scores,
        floor=settings.min_score,
    )


def decode(rows: np.ndarray, network: Network, min_score: float) -> RawPeople:
    """Decode the people of a batch.

    Args:
        rows: [B,6,56], output of the network.
        network: gives the size of the input, to which coordinates are relative.
        min_score: least person score.
    """
    person = rows[..., _ROW - 1]
    frame, row = np.nonzero(person >= min_score)
    people = rows[frame, row]
    size = np.array([network.height, network.width], np.float32)
    points = people[:, : 3 * _KEYPOINTS].reshape(-1, _KEYPOINTS, 3)
    corners = people[:, 3 * _KEYPOINTS : _ROW - 1].reshape(-1, 2, 2) * size
    boxes = corners[..., ::-1].reshape(-1, 4)
    keypoints = (points[..., :2] * size)[..., ::-1]
    bad = bad_numbers(person)
    return RawPeople.of(frame, boxes, person[frame, row], keypoints, points[..., 2], bad)
