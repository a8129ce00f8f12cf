"""A SimCC student that learns from a SimCC teacher: its outputs, and its last feature map.

The two losses of DWPose's first stage (arXiv 2307.15880): the student's features, after a 1 x 1
convolution, shall be the teacher's; its distributions shall be the teacher's, labelled or not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ConfigError
from tools.evaluation import point_sets
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
        total = torch.zeros((), device=goal.points.device)
        ones = torch.ones(len(goal.points), len(self._rows), device=goal.points.device)
        for name, theirs in axes.items():
            wanted = functional.softmax(theirs[:, self._theirs].float() * SHARPER, -1)
            logits = functional.log_softmax(outputs[name][:, self._rows] * SHARPER, -1)
            total = total + divergence(logits, wanted, ones)
        parts["outputs"] = _OUTPUTS * total
        return parts

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """Those of the student, and the projection."""
        some = {"params": list(self.projection.parameters()), "share": 1.0}
        return [*super().groups(trunk_share), some]
