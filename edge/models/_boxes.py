"""What all box detectors share: letterbox, candidates of all frames at once, NMS, frame px."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.errors import ConfigError
from edge.models import Detector, ModelOptions
from edge.models._outputs import Outputs
from edge.recipe import Network
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Detections, Frame


@dataclass(frozen=True)
class Candidates:
    """Boxes above the threshold, of all frames, before suppression."""

    frame: np.ndarray  # [M] i64, which frame of the batch
    boxes: np.ndarray  # [M,4] f32 input px
    scores: np.ndarray  # [M] f32
    bad: int = 0  # numbers of the network that were not finite

    @staticmethod
    def of(frame: np.ndarray, boxes: np.ndarray, scores: np.ndarray, bad: int = 0) -> Candidates:
        """Without those that are not finite, which are counted instead."""
        fine = np.isfinite(boxes).all(-1) & np.isfinite(scores)
        bad += len(fine) - int(fine.sum())
        boxes = boxes[fine].astype(np.float32, copy=False)
        return Candidates(frame[fine], boxes, scores[fine].astype(np.float32, copy=False), bad)

    @staticmethod
    def join(parts: Sequence[Candidates]) -> Candidates:
        """Those of several heads."""
        return Candidates(
            np.concatenate([p.frame for p in parts]),
            np.concatenate([p.boxes for p in parts]),
            np.concatenate([p.scores for p in parts]),
            sum(p.bad for p in parts),
        )


_MAX_LOG_SIZE = 10.0  # 22000 anchors or cells: no picture holds such a box
Decode = Callable[[Dict[str, np.ndarray], float], Candidates]
Take = Callable[[Dict[str, Chosen]], Candidates]


class BoxDetector(Detector):
    """Frames to person boxes, one execution for all frames; the contract is models.Detector.

    Args:
        outputs: the network.
        decode: its outputs and the lowest score -> candidates.
        options: thresholds.
        suppress: whether overlapping boxes are still in (no NMS in the graph).
        take: rows that a GPU chose (`outputs.want_rows`) -> candidates.
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
        """One Detections for each frame, boxes clipped to it, best score first."""
        if not frames:
            return []
        matrices = self._outputs.letterbox(frames)
        # A network may give anything: what is not finite is dropped and counted, not computed with.
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._found()
        self._outputs.note_bad(found.bad)
        return [self._finish(found, i, matrices[i], frame.size) for i, frame in enumerate(frames)]

    def _found(self) -> Candidates:
        """Execute and decode: what a GPU chose, else everything."""
        chosen = self._outputs.run_chosen() if self._take is not None else None
        if chosen is not None and self._take is not None:
            return self._take(chosen)
        return self._decode(self._outputs.run(), self._options.min_score)

    def _finish(
        self, found: Candidates, frame: int, matrix: np.ndarray, size: Tuple[int, int]
    ) -> Detections:
        mine = np.flatnonzero(found.frame == frame)
        boxes, scores = found.boxes[mine], found.scores[mine]
        kept = best(boxes, scores, self._options, self._suppress)
        boxes = geometry.clip_boxes(to_frame(boxes[kept], matrix), size)
        wide = (boxes[:, 2:] - boxes[:, :2] >= 1).all(-1)
        return Detections(boxes, np.clip(scores[kept], 0, 1)).take(wide)


def best(
    boxes: np.ndarray, scores: np.ndarray, options: ModelOptions, suppress: bool
) -> np.ndarray:
    """Indices of the boxes to keep, best first, no more than `max_people`."""
    if suppress:
        return geometry.nms(boxes, scores, options.nms_iou, options.max_people)
    return np.argsort(-scores, kind="stable")[: options.max_people]


def to_frame(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Input px -> frame px for letterboxed frames: x, y pairs of any shape [...,2n]."""
    pairs = points.reshape(*points.shape[:-1], points.shape[-1] // 2, 2) - matrix[:, 2]
    return np.asarray(pairs.reshape(points.shape) / matrix[0, 0], np.float32)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), which cannot overflow in this form."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float32, copy=False)))


def exp_size(logs: np.ndarray) -> np.ndarray:
    """Exponential of a logarithmic size; NaN for what is not finite, never an overflow."""
    sizes = np.exp(np.minimum(logs, _MAX_LOG_SIZE))
    return np.where(np.isfinite(logs), sizes, np.float32(np.nan))


def logit(score: float) -> float:
    """The sigmoid's inverse; ends are infinite."""
    if score <= 0 or score >= 1:
        return -np.inf if score <= 0 else np.inf
    return float(np.log(score / (1 - score)))


def bad_numbers(values: np.ndarray) -> int:
    """How many are not finite."""
    return int(values.size - np.isfinite(values).sum())


def level_sizes(network: Network, strides: Sequence[int]) -> List[Tuple[int, int]]:
    """Rows and columns of the head maps of each stride.

    Raises:
        ConfigError: the input is no multiple of a stride.
    """
    for stride in strides:
        if network.width % stride or network.height % stride:
            size = f"{network.width}x{network.height}"
            raise ConfigError(f"networks.main: {size} is no multiple of the stride {stride}")
    return [(network.height // s, network.width // s) for s in strides]


def chosen_levels(
    outputs: Outputs,
    rows: Dict[str, Rows],
    levels: Sequence[Tuple[int, int]],
    take_level: Callable[[Chosen, int, int], Candidates],
    min_score: float,
) -> Take:
    """Have a GPU choose the rows of each level, where shapes are known; what reads them.

    Args:
        outputs: the network.
        rows: of each level, in their order.
        levels: stride and columns of each.
        take_level: chosen rows, stride, columns -> candidates.
        min_score: of a row.
    """
    if all(one.score.frame for one in rows.values()):
        outputs.want_rows(rows, min_score)

    def take(chosen: Dict[str, Chosen]) -> Candidates:
        parts = [take_level(chosen[name], *level) for name, level in zip(rows, levels)]
        return Candidates.join(parts)

    return take


def check_person(person: int, classes: Optional[int]) -> None:
    """Refuse a class index that the network has not.

    Raises:
        ConfigError: naming the option.
    """
    if classes is not None and person >= classes:
        raise ConfigError(f"options.person: is {person}, but the network has {classes} classes")
