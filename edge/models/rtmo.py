"""The family `rtmo`: RTMO, one-stage boxes and keypoints (Lu et al. 2023)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from edge.models import Gives, ModelOptions
from edge.models._boxes import bad_numbers
from edge.models._onestage import OneStage, RawPeople
from edge.models._outputs import Outputs, skeleton_of
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key

GIVES = Gives.ONE_STAGE_POSES
NAMES = ("dets", "keypoints", "boxes", "scores", "visibility")


@dataclass(frozen=True)
class RtmoSettings:
    """The table [options] of model.toml; the defaults are the published thresholds."""

    min_score: float = key(0.1, "people of a lower score are dropped", 0, 1)
    nms_iou: float = key(
        0.65, "used instead of detect.nms_iou, because people in a crowd overlap", 0, 1
    )


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> OneStage:
    """Make a model of a network with one of these sets of outputs.

    The graph decodes the keypoints (DCC). Coordinates are px of the input, scores 0..1.

    - `dets` [B,N,5] (x1 y1 x2 y2 score) and `keypoints` [B,N,K,3] (x y score), as mmdeploy exports
      them.
    - `boxes` [B,N,4], `scores` [B,N] or [B,N,1], `keypoints` [B,N,K,2], `visibility` [B,N,K].

    Raises:
        ConfigError: a setting or the skeleton is wrong.
        DataError: the network has neither set, or other shapes.
    """
    settings = build(RtmoSettings, recipe.options, "options")
    outputs = Outputs(recipe, runners, NAMES)
    options = dataclasses.replace(
        options,
        min_score=max(options.min_score, settings.min_score),
        nms_iou=settings.nms_iou,
    )
    inside = not outputs.has("boxes")
    if inside:
        outputs.require("dets", (None, 5))
        count = outputs.require("keypoints", (None, None, 3))[1]
    else:
        count = _require_parts(outputs)
    skeleton = skeleton_of(recipe, count)
    decode = decode_dets if inside else decode_parts
    return OneStage(outputs, decode, options, skeleton.name, len(skeleton), suppress=True)


def _require_parts(outputs: Outputs) -> Optional[int]:
    """Check the second set of outputs; returns the number of keypoints."""
    outputs.require("boxes", (None, 4))
    spec = outputs.runner.outputs.get(outputs.graph_name("scores"))
    outputs.require("scores", (None, 1) if spec and len(spec.shape) == 3 else (None,))
    count = outputs.require("keypoints", (None, None, 2))[1]
    outputs.require("visibility", (None, count))
    return count


def decode_dets(results: Dict[str, np.ndarray], min_score: float) -> RawPeople:
    """Decode the people of a graph with `dets` and `keypoints`."""
    dets = results["dets"]
    frame, row = np.nonzero(dets[..., 4] >= min_score)
    people, points = dets[frame, row], results["keypoints"][frame, row]
    bad = bad_numbers(dets[..., 4])
    return RawPeople.of(frame, people[:, :4], people[:, 4], points[..., :2], points[..., 2], bad)


def decode_parts(results: Dict[str, np.ndarray], min_score: float) -> RawPeople:
    """Decode the people of a graph with `boxes`, `scores`, `keypoints` and `visibility`."""
    scores = results["scores"].reshape(results["scores"].shape[:2])
    frame, row = np.nonzero(scores >= min_score)
    parts = (results[n][frame, row] for n in ("boxes", "keypoints", "visibility"))
    boxes, keypoints, seen = parts
    return RawPeople.of(frame, boxes, scores[frame, row], keypoints, seen, bad_numbers(scores))
