"""The family `rtmdet`: RTMDet detectors (Lyu et al. 2022), with raw maps or decoded boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Tuple

import numpy as np

from edge.models import Gives, ModelOptions
from edge.models._boxes import (
    BoxDetector,
    Decode,
    RawBoxes,
    Take,
    bad_numbers,
    check_person,
    chosen_levels,
    level_sizes,
    logit,
    sigmoid,
)
from edge.models._exports import NAMES, finished_boxes
from edge.models._outputs import Outputs
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.runtime.kernels.decode import Chosen, Rows
from edge.settings.schema import build, key

GIVES = Gives.BOXES


@dataclass(frozen=True)
class RtmdetSettings:
    """The table [options] of model.toml."""

    person: int = key(0, "index of the person class", 0, 9999)
    strides: List[int] = key([8, 16, 32], "px of a cell, for each level", 1, 1024)


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> BoxDetector:
    """Make a detector of a network with one of these sets of outputs, tried in this order.

    - `dets` (and `labels`), or `boxes` and `scores`: see edge.models._exports.
    - `cls_i` [B,classes,h,w] and `bbox_i` [B,4,h,w] for each stride i: logits, and distances from
      the cell's corner to the left, top, right and bottom side, in px of the input.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the network has none of these sets, or other shapes.
    """
    settings = build(RtmdetSettings, recipe.options, "options")
    levels = range(len(settings.strides))
    maps = [f"{kind}_{i}" for i in levels for kind in ("cls", "bbox")]
    outputs = Outputs(recipe, runners, [*NAMES, *maps])
    finished = finished_boxes(outputs, options, settings.person)
    if finished:
        return finished
    decode, take = _maps(outputs, settings, options.min_score)
    return BoxDetector(outputs, decode, options, take=take)


def _maps(outputs: Outputs, settings: RtmdetSettings, min_score: float) -> Tuple[Decode, Take]:
    sizes, rows = level_sizes(outputs.network, settings.strides), {}
    for i, (high, wide) in enumerate(sizes):
        classes = outputs.require(f"cls_{i}", (None, high, wide))[0]
        check_person(settings.person, classes)
        outputs.require(f"bbox_{i}", (4, high, wide))
        score = (f"cls_{i}", classes or 0, settings.person)
        rows[f"level_{i}"] = Rows.of_maps(score, f"bbox_{i}", high * wide)

    def decode(results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        parts = []
        for i, stride in enumerate(settings.strides):
            logits = results[f"cls_{i}"][:, settings.person]
            parts.append(decode_level(logits, results[f"bbox_{i}"], stride, min_score))
        return RawBoxes.join(parts)

    levels = [(stride, wide) for stride, (_, wide) in zip(settings.strides, sizes)]
    return decode, chosen_levels(outputs, rows, levels, take_level, min_score)


def decode_level(
    logits: np.ndarray, distances: np.ndarray, stride: int, min_score: float
) -> RawBoxes:
    """Decode the boxes of one level.

    Args:
        logits: [B,h,w] of the person class.
        distances: [B,4,h,w] px of the input.
        stride: px of a cell.
        min_score: least score of a box.
    """
    frame, y, x = np.nonzero((logits >= logit(min_score)) & (logits < np.inf))
    boxes = decode_boxes(distances[frame, :, y, x], np.stack((x, y), -1), stride)
    return RawBoxes.of(frame, boxes, sigmoid(logits[frame, y, x]), bad_numbers(logits))


def take_level(chosen: Chosen, stride: int, columns: int) -> RawBoxes:
    """Decode the boxes of cells that a GPU selected; row = y * columns + x."""
    cells = np.stack((chosen.row % columns, chosen.row // columns), -1)
    boxes = decode_boxes(chosen.boxes, cells, stride)
    return RawBoxes.of(chosen.frame, boxes, chosen.scores, chosen.bad)


def decode_boxes(sides: np.ndarray, cells: np.ndarray, stride: int) -> np.ndarray:
    """Boxes [M,4] px from distances [M,4] px to the corners of cells [M,2] x y."""
    corner = cells * np.float32(stride)
    return np.concatenate((corner - sides[:, :2], corner + sides[:, 2:]), -1)
