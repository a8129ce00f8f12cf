"""RTMO: boxes and keypoints of everyone in one pass (Lu et al. 2023)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from edge.models import Gives, ModelOptions
from edge.models._boxes import bad_numbers
from edge.models._onestage import Found, OneStage
from edge.models._outputs import Outputs, skeleton_of
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key

GIVES = Gives.ONE_STAGE_POSES
NAMES = ("dets", "keypoints", "boxes", "scores", "visibility")


@dataclass(frozen=True)
class Settings:
    """[options] of model.toml; thresholds are the published ones."""

    min_score: float = key(0.1, "people below it are never given", 0, 1)
    nms_iou: float = key(0.65, "in place of detect.nms_iou: crowds overlap", 0, 1)


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> OneStage:
    """A model of one of these graphs, keypoint decoding (DCC) inside.

    `dets` [B,N,5] (x1 y1 x2 y2 score) and `keypoints` [B,N,K,3] (x y score), as mmdeploy writes
    them; or `boxes` [B,N,4], `scores` [B,N] or [B,N,1], `keypoints` [B,N,K,2] and
    `visibility` [B,N,K]. All in input px, probabilities 0..1.

    Raises:
        ConfigError: a setting or skeleton that cannot be used.
        DataError: the network gives neither, or other shapes.
    """
    settings = build(Settings, recipe.options, "options")
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
    """The number of keypoints."""
    outputs.require("boxes", (None, 4))
    spec = outputs.runner.outputs.get(outputs.graph_name("scores"))
    outputs.require("scores", (None, 1) if spec and len(spec.shape) == 3 else (None,))
    count = outputs.require("keypoints", (None, None, 2))[1]
    outputs.require("visibility", (None, count))
    return count


def decode_dets(results: Dict[str, np.ndarray], min_score: float) -> Found:
    """People of a graph that ends in `dets` and `keypoints`."""
    dets = results["dets"]
    frame, row = np.nonzero(dets[..., 4] >= min_score)
    people, points = dets[frame, row], results["keypoints"][frame, row]
    bad = bad_numbers(dets[..., 4])
    return Found.of(frame, people[:, :4], people[:, 4], points[..., :2], points[..., 2], bad)


def decode_parts(results: Dict[str, np.ndarray], min_score: float) -> Found:
    """People of a graph that ends in `boxes`, `scores`, `keypoints` and `visibility`."""
    scores = results["scores"].reshape(results["scores"].shape[:2])
    frame, row = np.nonzero(scores >= min_score)
    parts = (results[n][frame, row] for n in ("boxes", "keypoints", "visibility"))
    boxes, keypoints, seen = parts
    return Found.of(frame, boxes, scores[frame, row], keypoints, seen, bad_numbers(scores))
