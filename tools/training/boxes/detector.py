"""RTMDet, YOLOX and the light detectors as networks that can be trained, with one class: a person.

RTMDet (arXiv 2212.07784): the dynamic soft label assignment, quality focal loss for the class, and
twice 1 - GIoU. YOLOX (arXiv 2107.08430): SimOTA, binary cross entropy for object and class, and
five times the loss of the box, here 1 - GIoU. Neither has YOLOX's L1 loss of the last epochs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge import geometry
from tools.arch import Architecture
from tools.arch.detector import STRIDES, Detector
from tools.arch.network import join_levels
from tools.arch.priors import boxes_of_distances, boxes_of_offsets
from tools.arch.to_onnx import to_onnx
from tools.arch.yolox import Yolox
from tools.training.boxes.assign import Assigned, Cells, dynamic_soft, sim_ota
from tools.training.boxes.batches import BoxGoal
from tools.training.boxes.losses import box_loss, quality_focal
from tools.training.networks import model_folder
from tools.training.networks.trainee import Losses, Outputs, Trainee

_BOX_OF_RTMDET, _BOX_OF_YOLOX = 2.0, 5.0  # weights of the loss of boxes
_SCORE, _NMS_IOU, _FOUND_IOU = 0.05, 0.5, 0.5  # of the error on the stop recordings


class _Part(NamedTuple):
    """Losses of one picture, not yet divided, and what they are divided by."""

    told: Tensor  # of the class, or of the object
    shaped: Tensor  # of the boxes
    named: Tensor  # of the class of cells with somebody (YOLOX)
    weight: Tensor


class DetectorTrainee(Trainee):
    """A detector.

    Args:
        arch: architecture, at the size that is trained.
        network: of one class.
        known: parts with weights of an earlier training; they learn slower.
        trained: whether batch norms keep their statistics.
    """

    def __init__(
        self, arch: Architecture, network: Detector, known: List[nn.Module], trained: bool
    ) -> None:
        self.arch, self.network, self.trained = arch, network, trained
        # On a CPU a step takes half of the time in this order of the axes.
        self.module = network.to(memory_format=torch.channels_last)
        self.size = (arch.width_px, arch.height_px)
        self.channels = arch.pixels.channels
        self.mean, self.std = arch.pixels.mean, arch.pixels.std
        self._known = known
        self._yolox = isinstance(network, Yolox)

    def forward(self, images: Tensor) -> Outputs:
        """The head's maps by level."""
        return self.network.raw(images.contiguous(memory_format=torch.channels_last))

    def freeze_stem(self) -> None:
        """Keep the layers on large maps, of a trunk that was trained and says which they are."""
        trunk: Any = self.network.backbone
        if self._known and hasattr(trunk, "early"):
            for part in trunk.early():
                part.requires_grad_(False)

    def answers(self, outputs: Outputs) -> Tuple[Tensor, Tensor, Tensor]:
        """Class logits [B,N], object logits [B,N] (RTMDet has none: zeros), boxes [B,N,4] px."""
        cells, levels = self.network.cells, range(len(STRIDES))
        logits = join_levels([outputs[f"cls_{i}"] for i in levels], 1, cells)[:, 0]
        shapes = join_levels([outputs[f"bbox_{i}"] for i in levels], 4, cells)
        points, strides = self.network.points, self.network.strides
        if not self._yolox:
            return logits, torch.zeros_like(logits), boxes_of_distances(points, shapes)
        objects = join_levels([outputs[f"obj_{i}"] for i in levels], 1, cells)[:, 0]
        return logits, objects, boxes_of_offsets(points, strides, shapes.clamp(max=10))

    def losses(self, outputs: Outputs, old: Outputs, goal: Any) -> Losses:
        """The architecture's own losses; `old` is not used."""
        logits, objects, boxes = self.answers(outputs)
        parts = [
            self._of_picture(logits[i], objects[i], boxes[i], goal, i) for i in range(len(boxes))
        ]
        told, shaped, named, weight = (torch.stack(p) for p in zip(*parts))
        total = weight.sum().clamp(min=1.0)
        share = _BOX_OF_YOLOX if self._yolox else _BOX_OF_RTMDET
        losses = {"person": told.sum() / total, "box": share * shaped.sum() / total}
        if self._yolox:
            losses["class"] = named.sum() / total
        return losses

    def _of_picture(
        self, logits: Tensor, objects: Tensor, boxes: Tensor, goal: BoxGoal, which: int
    ) -> _Part:
        people = goal.boxes[which, : goal.people[which]]
        ignored = goal.ignored[which, : goal.aside[which]]
        found = self.assigned(logits.detach(), objects.detach(), boxes.detach(), people)
        there = found.person >= 0
        counts = there | ~self._aside(ignored)
        wanted = people[found.person[there]]
        shaped = box_loss(boxes[there], wanted)
        if self._yolox:
            told = functional.binary_cross_entropy_with_logits(
                objects, there.to(objects), reduction="none"
            )
            named = functional.binary_cross_entropy_with_logits(
                logits[there], found.overlap[there], reduction="sum"
            )
            return _Part((told * counts).sum(), shaped.sum(), named, there.sum().to(logits))
        told = quality_focal(logits, found.overlap)
        return _Part(
            (told * counts).sum(), shaped.sum(), logits.new_zeros(()), there.sum().to(logits)
        )

    def assigned(self, logits: Tensor, objects: Tensor, boxes: Tensor, people: Tensor) -> Assigned:
        """Which cell answers for whom, in one picture."""
        points, strides = self.network.points[0].t(), self.network.strides[0, 0]
        if not self._yolox:
            return dynamic_soft(Cells(logits, boxes, points, strides), people)
        both = functional.logsigmoid(logits) + functional.logsigmoid(objects)
        joint = both - torch.log1p(-both.exp().clamp(max=1 - 1e-6))
        return sim_ota(Cells(joint, boxes, points, strides), people)

    def _aside(self, ignored: Tensor) -> Tensor:
        """[N] bool: the cell lies in a box that does not count."""
        points = self.network.points[0].t()[:, None]
        inside = (points > ignored[None, :, :2]) & (points < ignored[None, :, 2:])
        return inside.all(-1).any(-1)

    def errors(self, outputs: Outputs, goal: Any) -> Tuple[float, float]:
        """What is missing of each person's score, and the scores of false boxes; people."""
        logits, objects, boxes = self.answers(outputs)
        scores = logits.sigmoid() * objects.sigmoid() if self._yolox else logits.sigmoid()
        total = 0.0
        for row in range(len(boxes)):
            people = goal.boxes[row, : goal.people[row]].cpu().numpy()
            ignored = goal.ignored[row, : goal.aside[row]].cpu().numpy()
            total += _error(boxes[row].cpu().numpy(), scores[row].cpu().numpy(), people, ignored)
        return total, float(goal.people.sum())

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """What was trained before learns slower than what begins anew."""
        known = {id(p) for part in self._known for p in part.parameters()}
        some = [p for p in self.module.parameters() if p.requires_grad]
        old = [p for p in some if id(p) in known]
        new = [p for p in some if id(p) not in known]
        if not new or not old:
            return [{"params": some, "share": 1.0}]
        return [{"params": old, "share": trunk_share}, {"params": new, "share": 1.0}]

    def write(self, folder: Path, notes: Mapping[str, str]) -> None:
        """A model of the family rtmdet or yolox, with the head's maps as outputs."""
        self.network.eval()
        family = self.arch.family
        about = {**notes, "architecture": self.arch.name, "family": family, "form": "raw"}
        data = to_onnx(self.network, "raw", about).SerializeToString()
        description = f"{self.arch.name}, trained on own labels: boxes of people"
        model_folder.write(folder, self, data, family, description)


def _error(boxes: np.ndarray, scores: np.ndarray, people: np.ndarray, ignored: np.ndarray) -> float:
    """1 - the score of each person's box, and the scores of boxes around nobody."""
    sure = np.isfinite(boxes).all(1) & (scores >= _SCORE)
    boxes, scores = boxes[sure], scores[sure]
    kept = geometry.nms(boxes, scores, _NMS_IOU, 100)
    boxes, scores = boxes[kept], scores[kept]
    free = np.ones(len(people), bool)
    error = float(len(people))
    for box, score in zip(boxes, scores):
        overlap = geometry.iou(box[None], people)[0] * free if len(people) else np.zeros(1)
        if overlap.max() >= _FOUND_IOU:
            free[overlap.argmax()] = False
            error -= float(score)
        elif not len(ignored) or geometry.iou(box[None], ignored).max() < _FOUND_IOU:
            error += float(score)
    return error
