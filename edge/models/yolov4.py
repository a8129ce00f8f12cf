"""The family `yolov4`: YOLOv4 and YOLOv4-tiny detectors (Bochkovskiy et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping

import numpy as np

from edge.errors import ConfigError
from edge.models import Gives, ModelOptions
from edge.models._boxes import (
    BoxDetector,
    RawBoxes,
    bad_numbers,
    check_person,
    exp_size,
    logit,
    sigmoid,
)
from edge.models._outputs import Outputs
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.runtime.kernels.decode import Chosen, Rows
from edge.settings.schema import build, key

GIVES = Gives.BOXES
# From yolov4-tiny.cfg: anchors 10,14 23,27 37,58 81,82 135,169 344,319; masks 3,4,5 and 1,2,3.
_TINY = {
    "stride32": [[81.0, 82.0], [135.0, 169.0], [344.0, 319.0]],
    "stride16": [[23.0, 27.0], [37.0, 58.0], [81.0, 82.0]],
}


@dataclass(frozen=True)
class Yolov4Settings:
    """The table [options] of model.toml; the defaults are those of YOLOv4-tiny."""

    anchors: Dict[str, List[List[float]]] = key(
        _TINY, "output name -> width and height of its anchors, px"
    )
    scale_x_y: Dict[str, float] = key({}, "output name -> stretch of its centres; 1.05 if absent")
    classes: int = key(80, "number of classes", 1, 10000)
    person: int = key(0, "index of the person class", 0, 9999)


@dataclass(frozen=True)
class _Head:
    name: str
    anchors: np.ndarray  # [A,2] f32 px
    stretch: float
    input_width: int
    person: int
    cells: int = 0  # number of cells of the map; 0 = known at run time only
    columns: int = 0


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> BoxDetector:
    """Make a detector of a network with darknet heads.

    The outputs are [batch, anchors x (5 + classes), h, w] logits, before any sigmoid.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the network lacks one of these outputs.
    """
    settings = build(Yolov4Settings, recipe.options, "options")
    check_person(settings.person, settings.classes)
    outputs = Outputs(recipe, runners, list(settings.anchors))
    heads, rows = [], {}
    for name, sizes in settings.anchors.items():
        anchors = _anchors(name, sizes)
        columns = 5 + settings.classes
        _, high, wide = outputs.require(name, (len(anchors) * columns, None, None))
        stretch = settings.scale_x_y.get(name, 1.05)
        cells = (high or 0) * (wide or 0), wide or 0
        heads.append(_Head(name, anchors, stretch, outputs.network.width, settings.person, *cells))
        person = 5 + settings.person
        rows[name] = Rows.of_head(name, len(anchors), columns, cells[0], person, factor=4)

    def decode(results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        return RawBoxes.join([decode_head(results[h.name], h, min_score) for h in heads])

    def take(chosen: Dict[str, Chosen]) -> RawBoxes:
        return RawBoxes.join([take_head(chosen[h.name], h) for h in heads])

    if all(head.cells for head in heads):
        outputs.want_rows(rows, options.min_score)
    return BoxDetector(outputs, decode, options, take=take)


def _anchors(name: str, sizes: List[List[float]]) -> np.ndarray:
    if not sizes or any(len(s) != 2 or min(s) <= 0 for s in sizes):
        raise ConfigError(f"options.anchors.{name}: expected pairs of width and height in px")
    return np.array(sizes, np.float32)


def decode_head(raw: np.ndarray, head: _Head, min_score: float) -> RawBoxes:
    """Decode the person boxes of one head, in cells whose logits can reach the threshold.

    Centre = (stretch * sigmoid(t) - (stretch - 1) / 2 + cell) * stride; size = anchor * exp(t);
    score = objectness * class.

    Args:
        raw: [B, A * (5 + classes), h, w] logits.
        head: anchors and stretch.
        min_score: least score of a box.
    """
    batch, _, rows, columns = raw.shape
    cells = raw.reshape(batch, len(head.anchors), -1, rows, columns)
    sure, person = cells[:, :, 4], cells[:, :, 5 + head.person]
    floor = logit(min_score)
    frame, anchor, y, x = np.nonzero((sure >= floor) & (person >= floor))
    part = cells[frame, anchor, :5, y, x].astype(np.float32, copy=False)
    person_logit = person[frame, anchor, y, x]
    scores = sigmoid(part[:, 4]) * sigmoid(person_logit)
    boxes = _boxes(part, np.stack((x, y), -1), head.anchors[anchor], head, columns)
    good = (scores >= min_score) & np.isfinite(part[:, 4] + person_logit)
    bad = bad_numbers(sure) + bad_numbers(person)
    return RawBoxes.of(frame[good], boxes[good], scores[good], bad)


def take_head(chosen: Chosen, head: _Head) -> RawBoxes:
    """Decode the boxes of rows that a GPU selected; row = anchor * cells + cell."""
    anchor, cell = chosen.row // head.cells, chosen.row % head.cells
    at = np.stack((cell % head.columns, cell // head.columns), -1)
    boxes = _boxes(chosen.boxes, at, head.anchors[anchor], head, head.columns)
    return RawBoxes.of(chosen.frame, boxes, chosen.scores, chosen.bad)


def _boxes(
    part: np.ndarray, cell: np.ndarray, anchors: np.ndarray, head: _Head, columns: int
) -> np.ndarray:
    stride = np.float32(head.input_width / columns)
    part = np.where(np.isfinite(part), part, np.float32(np.nan))  # sigmoid would hide an inf
    stretched = sigmoid(part[:, :2]) * np.float32(head.stretch) - np.float32((head.stretch - 1) / 2)
    centre = (stretched + cell.astype(np.float32)) * stride
    half = exp_size(part[:, 2:4]) * anchors / 2
    return np.concatenate((centre - half, centre + half), -1)
