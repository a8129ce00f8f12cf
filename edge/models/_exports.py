"""Detectors whose graph decodes the boxes itself, with suppression (dets) or without it."""

from __future__ import annotations

from typing import Dict, Optional

import numpy as np

from edge.models import ModelOptions
from edge.models._boxes import BoxDetector, RawBoxes, bad_numbers
from edge.models._outputs import Outputs

NAMES = ("dets", "labels", "boxes", "scores")


def finished_boxes(outputs: Outputs, options: ModelOptions, person: int) -> Optional[BoxDetector]:
    """A detector for a graph that decodes the boxes itself; None if the graph does not.

    Such a graph has one of two forms. Boxes are x1 y1 x2 y2 in px of the input.

    - `dets` [B,N,5]: box and score, already suppressed, as mmdeploy exports them; and `labels`
      [B,N] if there are several classes.
    - `boxes` [B,N,4] and `scores` [B,N] or [B,N,classes].

    Args:
        outputs: the network.
        options: thresholds.
        person: index of the person class.

    Raises:
        DataError: an output has another shape.
    """
    if outputs.has("dets"):
        outputs.require("dets", (None, 5))
        if outputs.has("labels"):
            outputs.require("labels", (None,))
        return BoxDetector(outputs, _Dets(person), options, suppress=False)
    if outputs.has("boxes", "scores"):
        outputs.require("boxes", (None, 4))
        graph = outputs.graph_name("scores")
        classes = len(outputs.runner.outputs[graph].shape) == 3
        outputs.require("scores", (None, None) if classes else (None,))
        return BoxDetector(outputs, _Boxes(person), options)
    return None


class _Dets:
    def __init__(self, person: int) -> None:
        self._person = person

    def __call__(self, results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        dets = results["dets"]
        hit = dets[..., 4] >= min_score
        if "labels" in results:
            hit &= results["labels"] == self._person
        frame, row = np.nonzero(hit)
        found = dets[frame, row]
        return RawBoxes.of(frame, found[:, :4], found[:, 4], bad_numbers(dets[..., 4]))


class _Boxes:
    def __init__(self, person: int) -> None:
        self._person = person

    def __call__(self, results: Dict[str, np.ndarray], min_score: float) -> RawBoxes:
        scores = results["scores"]
        scores = scores[..., self._person] if scores.ndim == 3 else scores
        frame, row = np.nonzero(scores >= min_score)
        boxes = results["boxes"][frame, row]
        return RawBoxes.of(frame, boxes, scores[frame, row], bad_numbers(scores))
