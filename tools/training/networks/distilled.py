"""A SimCC student that learns from a SimCC teacher: its outputs, and its last feature map.

The two losses of DWPose's first stage (arXiv 2307.15880): the student's features, after a 1 x 1
convolution, shall be the teacher's; its distributions shall be the teacher's, labelled or not. In
the second stage the trained student teaches a new head on its own trunk, by distributions alone.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ConfigError
from tools import checkpoint
from tools.evaluation import point_sets
from tools.training.fit import state
from tools.training.networks.simcc import SHARPER, SimccTrainee, divergence
from tools.training.networks.trainee import Goal, Losses, Outputs

_FEATURES, _OUTPUTS = 0.05, 1.0  # weights; the labels' loss has 1


class DistilledSimcc(SimccTrainee):
    """A student with its teacher.

    Args:
        arch: of the student.
        weights: its checkpoint; None: random weights.
        teacher: the trained network; it may have other points, which go by name.
        skeleton, seed: of the student, as in SimccTrainee.

    Raises:
        ConfigError: the teacher has none of the student's points, or another form of input.
    """

    def __init__(
        self,
        arch: str,
        weights: Optional[Path],
        teacher: SimccTrainee,
        skeleton: str = "",
        seed: int = 0,
    ) -> None:
        super().__init__(arch, weights, skeleton, seed)
        if (teacher.size, teacher.mean, teacher.std) != (self.size, self.mean, self.std):
            raise ConfigError(
                f"--teacher {teacher.arch.name}: reads {teacher.size[0]}x{teacher.size[1]} px, "
                f"{arch} {self.size[0]}x{self.size[1]}; give two of one size"
            )
        pairs = point_sets.sources(self.points, teacher.points.names)
        self._rows = np.flatnonzero((pairs[:, 0] >= 0) & (pairs[:, 0] == pairs[:, 1]))
        if not len(self._rows):
            raise ConfigError(f"--teacher {teacher.arch.name}: has none of the points of {arch}")
        self._theirs = pairs[self._rows, 0]
        self.teacher = teacher
        teacher.module.eval().requires_grad_(False)
        with torch.no_grad():
            image = torch.zeros(1, 3, self.size[1], self.size[0])
            widths = [n.features(image)[-1].shape[1] for n in (self.network, teacher.network)]
        self.projection = nn.Conv2d(widths[0], widths[1], 1)
        self.module = nn.ModuleDict({"network": self.network, "projection": self.projection})
        self._images: Optional[Tensor] = None

    def forward(self, images: Tensor) -> Outputs:
        """The student's outputs, and in training its projected features."""
        maps = self.network.features(images)
        over_x, over_y = self.network.head(maps)
        found: Dict[str, Tensor] = {"simcc_x": over_x, "simcc_y": over_y}
        if self.module.training:
            self._images = images
            found["features"] = self.projection(maps[-1])
        return found

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Those of the labels, and those of the teacher."""
        parts = super().losses(outputs, old, goal)
        assert self._images is not None
        with torch.no_grad():
            self.teacher.module.to(self._images.device)
            maps = self.teacher.network.features(self._images)
            axes = dict(zip(("simcc_x", "simcc_y"), self.teacher.network.head(maps)))
        gap = functional.mse_loss(outputs["features"], maps[-1].float())
        parts["features"] = _FEATURES * gap
        rows = {n: outputs[n][:, self._rows] for n in axes}
        theirs = {n: logits[:, self._theirs] for n, logits in axes.items()}
        parts["outputs"] = _OUTPUTS * _from_distributions(rows, theirs)
        return parts

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """Those of the student, and the projection."""
        some = {"params": list(self.projection.parameters()), "share": 1.0}
        return [*super().groups(trunk_share), some]


class OwnHeadSimcc(SimccTrainee):
    """A trained student whose trunk stays, and whose new head learns from the old head.

    Args:
        arch: of the student.
        weights: `state.pt` of its run, or a checkpoint.
        skeleton, seed: of the student, as in SimccTrainee.

    Raises:
        EdgeError: the weights cannot be read, or do not fit.
    """

    def __init__(self, arch: str, weights: Path, skeleton: str = "", seed: int = 0) -> None:
        super().__init__(arch, None, skeleton, seed)
        new_head = copy.deepcopy(self.network.head)
        checkpoint.fit(self.network, _student(weights), f"{weights}: does not fit {arch}: ")
        self._old_head = self.network.head.eval().requires_grad_(False)
        self.network.head = new_head
        self.trained = True
        self.freeze_trunk()

    def forward(self, images: Tensor) -> Outputs:
        """The new head's outputs, and in training those of the old head."""
        with torch.no_grad():
            maps = self.network.features(images)
        names = ("simcc_x", "simcc_y")
        found: Dict[str, Tensor] = dict(zip(names, self.network.head(maps)))
        if self.module.training:
            with torch.no_grad():
                theirs = self._old_head.to(images.device)(maps)
            found.update(zip(("old_x", "old_y"), theirs))
        return found

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Divergence from the old head; labels do not count."""
        rows = {n: outputs[n] for n in ("simcc_x", "simcc_y")}
        theirs = {"simcc_x": outputs["old_x"], "simcc_y": outputs["old_y"]}
        return {"outputs": _OUTPUTS * _from_distributions(rows, theirs)}


def _from_distributions(found: Dict[str, Tensor], theirs: Dict[str, Tensor]) -> Tensor:
    """Divergence of logits [B,K,bins] from the teacher's, of both axes."""
    parts = []
    for name, given in theirs.items():
        wanted = functional.softmax(given.float() * SHARPER, -1)
        logits = functional.log_softmax(found[name] * SHARPER, -1)
        parts.append(divergence(logits, wanted, torch.ones(logits.shape[:2], device=logits.device)))
    return torch.stack(parts).sum()


def _student(path: Path) -> Dict[str, Tensor]:
    """Weights of a student by the names of its network."""
    if path.name != state.FILE:
        return dict(checkpoint.read_state(path))
    known, begin = state.averaged(path), "network."
    if not any(name.startswith(begin) for name in known):
        return known
    return {name[len(begin) :]: w for name, w in known.items() if name.startswith(begin)}
