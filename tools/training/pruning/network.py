"""A pruned body network that learns to answer as the whole one did."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import List, Tuple

import torch
from torch import Tensor

from tools.training.data.crops import Crops
from tools.training.fit.augment import Augmentation
from tools.training.fit.batches import Batches
from tools.training.networks.blazepose import BlazePoseBody
from tools.training.networks.trainee import Goal, Losses, Outputs, Trainee

_FEATURES = 2.0  # weight of the mean relative squared error of what blocks add up


class PrunedBody(BlazePoseBody):
    """The body network of a model folder, with what its blocks add up as further outputs.

    Args:
        folder: of the model.
        about: its description.
    """

    def __init__(self, folder: Path, about: str = "") -> None:
        super().__init__(folder)
        self.about = about or self.about
        self._sums = self.graph.sums()
        self.graph.output_names = [*self.graph.output_names, *self._sums]

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Distances from the whole network's outputs, and from what its blocks add up."""
        parts = super().losses(outputs, old, goal)
        gaps = [
            (outputs[name] - old[name]).square().mean() / old[name].square().mean().clamp(min=1e-6)
            for name in self._sums
        ]
        return {"old": parts["old"], "features": _FEATURES * torch.stack(gaps).mean()}


class Unlabelled:
    """Batches of people whose labels do not count: the old answers do."""

    def __init__(
        self, trainee: Trainee, crops: Crops, batch: int, how: Augmentation, seed: int
    ) -> None:
        self._batches = Batches(trainee, crops, None, 0.0, batch, how, seed)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self._batches.steps

    def __call__(self, step: int) -> Tuple[Tensor, Goal]:
        """Normalised images [B,3,H,W] and a goal without labels."""
        images, goal = self._batches(step)
        none = torch.zeros_like(goal.weights)
        return images, dataclasses.replace(
            goal, weights=none, seen=none, people=torch.zeros_like(goal.people)
        )


def pictures(feed: Unlabelled, count: int) -> Tensor:
    """Normalised images [count,3,H,W] of the first batches."""
    found: List[Tensor] = []
    while sum(len(images) for images in found) < count:
        found.append(feed(len(found))[0])
    return torch.cat(found)[:count]
