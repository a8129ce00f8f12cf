"""Single-shot detectors with fixed anchors, as the published MediaPipe graphs use them.

Each cell of a map has anchors at its middle, all of the size of the input. A network gives, for
each anchor, the middle, width and height of a box and some points, all as shifts in px of the
input, and the logit of a score (SsdAnchorsCalculator and TensorsToDetectionsCalculator of
google-ai-edge/mediapipe).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence, Tuple

import numpy as np

from edge.models._boxes import RawBoxes, logit, sigmoid
from edge.models._outputs import Outputs
from edge.recipe import Network


@dataclass(frozen=True)
class RawMarks:
    """Boxes of all frames and the points of each, in px of the input, before suppression."""

    boxes: RawBoxes
    points: np.ndarray  # [M,P,2] f32 px of the input


def anchors(network: Network, layers: Sequence[Tuple[int, int]]) -> np.ndarray:
    """Middles [A,2] f32 px of all anchors.

    Args:
        network: gives the size of the input.
        layers: stride of each map, and the number of anchors of a cell.
    """
    found = []
    for stride, count in layers:
        rows, columns = np.mgrid[: network.height // stride, : network.width // stride]
        middles = (np.stack((columns, rows), -1).reshape(-1, 2) + 0.5) * stride
        found.append(np.repeat(middles, count, axis=0))
    return np.concatenate(found).astype(np.float32)


def require(outputs: Outputs, count: int, points: int) -> None:
    """Check the outputs `places` [B,count,4 + 2 points] and `scores` [B,count,1].

    Raises:
        DataError: the network has other outputs.
    """
    outputs.require("places", (count, 4 + 2 * points))
    outputs.require("scores", (count, 1))


def decode(results: Dict[str, np.ndarray], middles: np.ndarray, min_score: float) -> RawMarks:
    """Decode the boxes of at least a score.

    Args:
        results: the outputs `places` and `scores`.
        middles: [A,2] px, of `anchors`.
        min_score: least score of a box.
    """
    logits = results["scores"][..., 0]
    frame, row = np.nonzero(logits >= logit(min_score))
    places = results["places"][frame, row].astype(np.float32, copy=False)
    fine = np.isfinite(places).all(1) & np.isfinite(logits[frame, row])
    bad = int(logits.size - np.isfinite(logits).sum()) + len(fine) - int(fine.sum())
    frame, row, places = frame[fine], row[fine], places[fine]
    middle, half = places[:, :2] + middles[row], places[:, 2:4] / 2
    boxes = np.concatenate((middle - half, middle + half), 1)
    count = (places.shape[1] - 4) // 2
    points = places[:, 4:].reshape(len(places), count, 2) + middles[row, None]
    scores = sigmoid(logits[frame, row])
    return RawMarks(RawBoxes.of(frame, boxes, scores, bad), points)
