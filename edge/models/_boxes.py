"""The common part of box detectors: letterbox, decode all frames, suppress, map to the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import ConfigError
from edge.models import Detector, ModelOptions
from edge.models._outputs import Outputs
from edge.people.suppression import soft_nms
from edge.recipe import Network
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Detections, Frame


@dataclass(frozen=True)
class RawBoxes:
    """Boxes above the threshold, of all frames, before suppression."""

    frame: np.ndarray  # [M] i64 index of the frame in the batch
    boxes: np.ndarray  # [M,4] f32 input px
    scores: np.ndarray  # [M] f32
    bad: int = 0  # count of values of the network that are not finite

    @staticmethod
    def of(frame: np.ndarray, boxes: np.ndarray, scores: np.ndarray, bad: int = 0) -> RawBoxes:
        """Make a record of the finite rows; the other rows are dropped and counted in `bad`."""
        fine = np.isfinite(boxes).all(-1) & np.isfinite(scores)
        bad += len(fine) - int(fine.sum())
        boxes = boxes[fine].astype(np.float32, copy=False)
        return RawBoxes(frame[fine], boxes, scores[fine].astype(np.float32, copy=False), bad)

    @staticmethod
    def join(parts: Sequence[RawBoxes]) -> RawBoxes:
        """Join the boxes of several heads."""
        return RawBoxes(
            np.concatenate([p.frame for p in parts]),
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
            sum(p.bad for p in parts),
        )


_MAX_LOG_SIZE = 10.0  # exp: 22000 times an anchor or cell, larger than any box in a picture
Decode = Callable[[Dict[str, np.ndarray], float], RawBoxes]
Take = Callable[[Dict[str, Chosen]], RawBoxes]


class BoxDetector(Detector):
    """A models.Detector: finds person boxes with one execution for all frames.

    Args:
        outputs: the network.
        decode: turns its outputs and the lowest score into boxes.
        options: thresholds.
        suppress: whether to suppress overlapping boxes; false if the graph has done so.
        take: turns rows that a GPU selected (`outputs.want_rows`) into boxes; None = not supported.
    """

    def __init__(
        self,
        outputs: Outputs,
        decode: Decode,
        options: ModelOptions,
        suppress: bool = True,
        take: Optional[Take] = None,
    ) -> None:
        self._outputs = outputs
        self._decode = decode
        self._options = options
        self._suppress = suppress
        self._take = take

    def __call__(self, frames: Sequence[Frame]) -> List[Detections]:
        """One Detections for each frame, with clipped boxes, the best score first."""
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames)
        # A broken network may give NaN or inf: such rows are dropped and counted.
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._found()
        self._outputs.note_bad(found.bad)
        return [self._finish(found, i, matrices[i], frame.size) for i, frame in enumerate(frames)]

    def everybody(self, frames: Sequence[Frame], floor: float) -> List[Detections]:
        """Boxes of any score from `floor` on, overlapping or not; a graph's own limits stay."""
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames, of_cameras=False)
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._decode(self._outputs.run(), floor)
        return [in_frame(found, i, matrices[i], frame.size) for i, frame in enumerate(frames)]

    def _found(self) -> RawBoxes:
        """Execute and decode: the rows that a GPU selected, or else all."""
        chosen = self._outputs.run_chosen() if self._take is not None else None
        if chosen is not None and self._take is not None:
            return self._take(chosen)
        return self._decode(self._outputs.run(), self._options.min_score)

    def _finish(
        self, found: RawBoxes, frame: int, matrix: np.ndarray, size: Tuple[int, int]
    ) -> Detections:
        mine = np.flatnonzero(found.frame == frame)
        boxes, scores = found.boxes[mine], found.scores[mine]
        kept = best(boxes, scores, self._options, self._suppress, self._options.min_score)
        return _placed(found, mine[kept], matrix, size)


def in_frame(found: RawBoxes, frame: int, matrix: np.ndarray, size: Tuple[int, int]) -> Detections:
    """All boxes of a frame of the batch in px of the frame, in any order."""
    return _placed(found, np.flatnonzero(found.frame == frame), matrix, size)


def _placed(
    found: RawBoxes, rows: np.ndarray, matrix: np.ndarray, size: Tuple[int, int]
) -> Detections:
    """These rows, clipped to the frame; those thinner than a pixel are dropped."""
    boxes = geometry.clip_boxes(to_frame(found.boxes[rows], matrix), size)
    wide = (boxes[:, 2:] - boxes[:, :2] >= 1).all(-1)
    return Detections(boxes, np.clip(found.scores[rows], 0, 1)).take(wide)


def best(
    boxes: np.ndarray, scores: np.ndarray, options: ModelOptions, suppress: bool, least: float
) -> np.ndarray:
    """Indices of the boxes to keep, best first, at most `max_people`, scores from `least` on."""
    if suppress and options.suppression == "soft":
        return soft_nms(boxes, scores, least, options.max_people)
    if suppress:
        return geometry.nms(boxes, scores, options.nms_iou, options.max_people)
    return np.argsort(-scores, kind="stable")[: options.max_people]


def to_frame(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map x, y pairs [...,2n] of a letterboxed input to px of the frame."""
    pairs = points.reshape(*points.shape[:-1], points.shape[-1] // 2, 2) - matrix[:, 2]
    return np.asarray(pairs.reshape(points.shape) / matrix[0, 0], np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), computed in a form that cannot overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float32, copy=False)))


def exp_size(logs: np.ndarray) -> np.ndarray:
    """Exponential of logarithmic sizes, limited so that it cannot overflow; NaN if not finite."""
    sizes = np.exp(np.minimum(logs, _MAX_LOG_SIZE))
    return np.where(np.isfinite(logs), sizes, np.float32(np.nan))


def logit(score: float) -> float:
    """The inverse of the sigmoid; -inf or inf for a score outside 0..1."""
    if score <= 0 or score >= 1:
        return -np.inf if score <= 0 else np.inf
    return float(np.log(score / (1 - score)))


def bad_numbers(values: np.ndarray) -> int:
    """The number of values that are not finite."""
    return int(values.size - np.isfinite(values).sum())


def level_sizes(network: Network, strides: Sequence[int]) -> List[Tuple[int, int]]:
    """Rows and columns of the maps of each stride.

    Raises:
        ConfigError: the input's size is not a multiple of a stride.
    """
    for stride in strides:
        if network.width % stride or network.height % stride:
            size = f"{network.width}x{network.height}"
            raise ConfigError(
                f"networks.main: the input {size} is not a multiple of the stride {stride}"
            )
    return [(network.height // s, network.width // s) for s in strides]


def chosen_levels(
    outputs: Outputs,
    rows: Dict[str, Rows],
    levels: Sequence[Tuple[int, int]],
    take_level: Callable[[Chosen, int, int], RawBoxes],
    min_score: float,
) -> Take:
    """Let a GPU select the rows of each level, if the shapes of the outputs are known.

    Args:
        outputs: the network.
        rows: position of the rows in the outputs, by level, in the order of `levels`.
        levels: stride and columns of each level.
        take_level: turns selected rows, stride and columns into boxes.
        min_score: least score of a row.

    Returns:
        The function that turns the selected rows of all levels into boxes.
    """
    if all(one.score.frame for one in rows.values()):
        outputs.want_rows(rows, min_score)

    def take(chosen: Dict[str, Chosen]) -> RawBoxes:
        parts = [take_level(chosen[name], *level) for name, level in zip(rows, levels)]
        return RawBoxes.join(parts)

    return take


def check_person(person: int, classes: Optional[int]) -> None:
    """Check the index of the person class.

    Raises:
        ConfigError: the network has no such class.
    """
    if classes is not None and person >= classes:
        raise ConfigError(f"options.person: is {person}, but the network has {classes} classes")
