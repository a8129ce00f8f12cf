"""What the loop needs of a network that it trains."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from edge.errors import ConfigError
from tools.evaluation.point_sets import PointSet

Outputs = Dict[str, Tensor]
Losses = Dict[str, Tensor]


@dataclass(frozen=True)
class Goal:
    """Labels of a batch, in px of the input."""

    points: Tensor  # [B,T,2]
    weights: Tensor  # [B,T] 1 = labelled and inside the crop, else 0
    seen: Tensor  # [B,T] 1 = labelled as visible
    inside: Tensor  # [B,T] 1 = the place is inside the crop
    people: Tensor  # [B] 1 = enough is labelled to say that a person is there


@dataclass(frozen=True)
class Region:
    """The part of the frame that the network sees."""

    centre: np.ndarray  # [2] px
    width_px: float  # of the frame
    turn: float  # rad, clockwise on the screen


class Trainee:
    """A network that can be trained; each kind derives from it.

    Attributes:
        module: the network; its state_dict is what the loop saves.
        points: the T points that it learns.
        flip: [T] i64 mirror partners.
        size: width and height of the input, px.
        channels, mean, std: of the input.
        trained: whether it begins with weights of an earlier training.
        blends: whether weights between those before and after training make sense.
    """

    module: nn.Module
    points: PointSet
    flip: np.ndarray
    size: Tuple[int, int]
    channels: str
    mean: Tuple[float, ...]
    std: Tuple[float, ...]
    trained: bool = False
    blends: bool = True

    def region(self, points: np.ndarray, box: np.ndarray, frame: np.ndarray, lot: float) -> Region:
        """The region of a person that the daemon would cut out.

        Args:
            points: [T,3] px and visibility.
            box: [4] px.
            frame: [2] width and height, px.
            lot: 0..1; chooses where the daemon may cut in several ways.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> Outputs:
        """Outputs of normalised images [B,3,H,W]."""
        raise NotImplementedError

    def both(
        self, old: Trainee, images: Tensor, goal: Optional[Goal] = None
    ) -> Tuple[Outputs, Outputs]:
        """Outputs of this network and of the one before training, whose gradients do not count.

        Args:
            old: the network before training.
            images: as `forward`.
            goal: labels; they may say which of the old answers are needed.
        """
        with torch.no_grad():
            before = old.forward(images)
        return self.forward(images), before

    def freeze_stem(self) -> None:
        """Keep the first layers as they are, if the network says which."""

    def hold_trunk(self, still: bool) -> None:
        """Keep what was trained before as it is, or train it, if the network has new layers."""

    def freeze_trunk(self) -> None:
        """Keep everything but the head as it is. Raises ConfigError: there is no such part."""
        raise ConfigError("--only-head: this network has no trunk that it could keep; leave it out")

    def places(self, outputs: Outputs) -> Tensor:
        """Points [B,T,2] px of the input, decoded as the daemon does."""
        raise NotImplementedError

    def losses(self, outputs: Outputs, old: Outputs, goal: Any) -> Losses:
        """Parts of the loss, each a scalar that is already weighted.

        Args:
            outputs: of the network.
            old: of the network before training, on the same images; empty = there is none.
            goal: labels.
        """
        raise NotImplementedError

    def errors(self, outputs: Outputs, goal: Any) -> Tuple[float, float]:
        """Errors that decide when to stop, summed, and the number of them.

        Here distances of labelled points over the input's longer side.

        Args:
            outputs: of the network.
            goal: labels, on the CPU.
        """
        gap = (self.places(outputs).float().cpu() - goal.points).norm(dim=-1)
        gap = gap.clamp(max=max(self.size)) / max(self.size)
        return float((gap * goal.weights).sum()), float(goal.weights.sum())

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """Parameter groups; `share` is the factor of each group's learning rate."""
        some = [p for p in self.module.parameters() if p.requires_grad]
        return [{"params": some, "share": 1.0}]

    def write(self, folder: Path, notes: Mapping[str, str]) -> None:
        """Write a model folder that the daemon loads.

        Args:
            folder: exists and is empty.
            notes: origin of the weights, for the file's metadata.
        """
        raise NotImplementedError

    def input_of(self, crops: np.ndarray) -> Tensor:
        """[B,H,W,3] u8 BGR -> normalised images [B,3,H,W] f32."""
        picture = crops[..., ::-1] if self.channels == "rgb" else crops
        images = torch.from_numpy(np.ascontiguousarray(picture.transpose(0, 3, 1, 2)))
        mean = torch.tensor(self.mean).view(1, 3, 1, 1)
        return (images.float() - mean) / torch.tensor(self.std).view(1, 3, 1, 1)

    @property
    def parameters(self) -> int:
        """Number of trainable numbers."""
        return sum(p.numel() for p in self.module.parameters() if p.requires_grad)


def mean_over(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean; 0 if nothing has a weight."""
    return (values * weights).sum() / weights.sum().clamp(min=1.0)
