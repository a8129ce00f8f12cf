"""The family `yolox`: YOLOX detectors (Ge et al. 2021), raw maps, raw rows or decoded boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Tuple, Union

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
    exp_size,
    level_sizes,
    logit,
    sigmoid,
)
from edge.models._exports import NAMES, finished_boxes
from edge.models._outputs import Outputs
from edge.recipe import Network, Recipe
from edge.runtime import Runner
from edge.runtime.kernels.decode import Chosen, Rows
from edge.settings.schema import build, key

GIVES = Gives.BOXES


@dataclass(frozen=True)
class YoloxSettings:
    """The table [options] of model.toml."""

    person: int = key(0, "index of the person class", 0, 9999)
    strides: List[int] = key([8, 16, 32], "px of a cell, for each level", 1, 1024)
    decoded: bool = key(False, "whether `output` holds centres and sizes in px of the input")


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> BoxDetector:
    """Make a detector of a network with one of these sets of outputs.

    - `dets` (and `labels`), or `boxes` and `scores`: see edge.models._exports.
    - `cls_i` [B,classes,h,w], `bbox_i` [B,4,h,w] and `obj_i` [B,1,h,w] for each stride i: the maps
      of the heads, logits.
    - `output` [B,N,5+classes], the official ONNX export: centre, size, and probabilities of object
      and classes. Centre and size are in cells and logarithmic, unless `decoded` is set.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the network has none of these sets, or other shapes.
    """
    settings = build(YoloxSettings, recipe.options, "options")
    maps = [f"{kind}_{i}" for i in range(len(settings.strides)) for kind in ("cls", "bbox", "obj")]
    outputs = Outputs(recipe, runners, [*NAMES, "output", *maps])
    finished = finished_boxes(outputs, options, settings.person)
    if finished is not None:
        return finished
    ways = _maps if outputs.has(*maps) else _rows
    decode, take = ways(outputs, settings, options.min_score)
    return BoxDetector(outputs, decode, options, take=take)


def _maps(outputs: Outputs, settings: YoloxSettings, min_score: float) -> Tuple[Decode, Take]:
    sizes, rows = level_sizes(outputs.network, settings.strides), {}
    for i, (high, wide) in enumerate(sizes):
        classes = outputs.require(f"cls_{i}", (None, high, wide))[0]
        check_person(settings.person, classes)
        outputs.require(f"bbox_{i}", (4, high, wide))
        outputs.require(f"obj_{i}", (1, high, wide))
        score = (f"cls_{i}", classes or 0, settings.person)
        rows[f"level_{i}"] = Rows.of_maps(score, f"bbox_{i}", high * wide, f"obj_{i}")

    def decode(results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        levels = enumerate(settings.strides)
        return RawBoxes.join([_level(results, i, s, settings, min_score) for i, s in levels])

    levels = [(stride, wide) for stride, (_, wide) in zip(settings.strides, sizes)]
    return decode, chosen_levels(outputs, rows, levels, take_level, min_score)


def _level(
    results: Dict[str, np.ndarray], i: int, stride: int, settings: YoloxSettings, min_score: float
) -> RawBoxes:
    person, sure = results[f"cls_{i}"][:, settings.person], results[f"obj_{i}"][:, 0]
    floor = logit(min_score)
    frame, y, x = np.nonzero((sure >= floor) & (person >= floor))
    logits = np.stack((sure[frame, y, x], person[frame, y, x]), -1)
    scores = sigmoid(logits).prod(-1)
    cells = np.stack((x, y), -1) * np.float32(stride)
    boxes = decode_boxes(results[f"bbox_{i}"][frame, :, y, x], cells, stride)
    good = (scores >= min_score) & np.isfinite(logits).all(-1)
    bad = bad_numbers(person) + bad_numbers(sure)
    return RawBoxes.of(frame[good], boxes[good], scores[good], bad)


def take_level(chosen: Chosen, stride: int, columns: int) -> RawBoxes:
    """Decode the boxes of cells that a GPU selected; row = y * columns + x."""
    cells = np.stack((chosen.row % columns, chosen.row // columns), -1) * np.float32(stride)
    boxes = decode_boxes(chosen.boxes, cells, stride)
    return RawBoxes.of(chosen.frame, boxes, chosen.scores, chosen.bad)


def _rows(outputs: Outputs, settings: YoloxSettings, min_score: float) -> Tuple[Decode, Take]:
    priors = grid(outputs.network, settings.strides)
    shape = outputs.require("output", (None if settings.decoded else len(priors), None))
    check_person(settings.person, None if shape[1] is None else shape[1] - 5)

    def boxes_of(raw: np.ndarray, row: np.ndarray) -> np.ndarray:
        if settings.decoded:
            half = raw[:, 2:] / 2
            return np.concatenate((raw[:, :2] - half, raw[:, :2] + half), -1)
        return decode_boxes(raw, priors[row, :2], priors[row, 2:])

    def decode(results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        rows = results["output"]
        scores = rows[..., 4] * rows[..., 5 + settings.person]
        frame, row = np.nonzero(scores >= min_score)
        boxes = boxes_of(rows[frame, row, :4], row)
        return RawBoxes.of(frame, boxes, scores[frame, row], bad_numbers(scores))

    def take(chosen: Dict[str, Chosen]) -> RawBoxes:
        found = chosen["output"]
        boxes = boxes_of(found.boxes, found.row)
        return RawBoxes.of(found.frame, boxes, found.scores, found.bad)

    if shape[0] and shape[1]:
        rows = Rows.of_table("output", shape[0], shape[1], 5 + settings.person, factor=4)
        outputs.want_rows({"output": rows}, min_score)
    return decode, take


def decode_boxes(raw: np.ndarray, cells: np.ndarray, strides: Union[int, np.ndarray]) -> np.ndarray:
    """Boxes [...,4] from YOLOX regression: centre = cell + t * stride, size = exp(t) * stride.

    Args:
        raw: [...,4] output of the network.
        cells: [...,2] px of each cell's corner.
        strides: px, broadcastable to [...,1].
    """
    centre = cells + raw[..., :2] * strides
    half = exp_size(raw[..., 2:]) * strides / 2
    return np.concatenate((centre - half, centre + half), -1)


def grid(network: Network, strides: List[int]) -> np.ndarray:
    """Corners and strides of the cells of all levels, row by row: [N,3] f32 x y stride, px."""
    parts: List[np.ndarray] = []
    for stride, (rows, columns) in zip(strides, level_sizes(network, strides)):
        y, x = np.mgrid[:rows, :columns]
        parts.append(np.stack((x, y, np.ones_like(x)), -1).reshape(-1, 3) * stride)
    return np.concatenate(parts).astype(np.float32)
