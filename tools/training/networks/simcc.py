"""RTMPose, RTMW and DWPose: SimCC networks of tools.arch, from official checkpoints or anew.

The loss is that of RTMPose (arXiv 2303.07399): the divergence of the logits, sharpened by a factor,
from Gaussians around the labels. A head with other points keeps what does not depend on them: only
the layers with a map for each point are new, and of these the rows of points that both heads have
are copied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge import geometry, skeletons
from edge.errors import ConfigError, DataError
from tools import checkpoint
from tools.arch import describe, random_weights
from tools.arch.simcc import BINS_PER_PX, SimccNetwork
from tools.arch.to_onnx import to_onnx
from tools.evaluation import point_sets
from tools.training.networks import model_folder
from tools.training.networks.trainee import Goal, Losses, Outputs, Region, Trainee

SHARPER = 10.0  # factor on the logits, and on the labels (mmpose, KLDiscretLoss: beta)
# Sigma of the labels in bins over the square root of the input's side in px (mmpose's RTMPose:
# 4.9 and 5.66 bins for 192 x 256 px, 6 and 6.93 for 288 x 384).
_SIGMA = 0.3535
_OF_POINTS = ("final_layer", "final_layer2")  # layers of a head with a row for each point
_HELD = 0.5  # weight of the old network's answers where nothing is labelled


class SimccTrainee(Trainee):
    """An architecture of the family `simcc`.

    Args:
        arch: its name.
        weights: checkpoint of it, of any number of keypoints; None: random weights.
        skeleton: keypoints of the new head; empty: the architecture's.
        seed: of random weights.

    Raises:
        ConfigError: it is no such architecture. DataError: the checkpoint does not fit.
    """

    def __init__(
        self, arch: str, weights: Optional[Path], skeleton: str = "", seed: int = 0
    ) -> None:
        known = describe(arch)
        if known.family != "simcc":
            raise ConfigError(
                f"--arch {arch}: is of the family {known.family}, which train has not"
            )
        self.arch, self.skeleton = known, skeleton or known.skeleton
        self.points = point_sets.named(skeletons.get(self.skeleton).name)
        self.flip = skeletons.get(self.skeleton).flip
        self.size = (known.width_px, known.height_px)
        self.channels = known.pixels.channels
        self.mean, self.std = known.pixels.mean, known.pixels.std
        self.network = _with_points(known.build(), len(self.points), known.size)
        self.fresh: List[str] = []  # layers that begin anew
        noise = np.random.default_rng(seed).normal(0, 1, (2, 3, *known.size)).astype(np.float32)
        random_weights.randomise(self.network, seed, torch.from_numpy(noise))
        if weights is not None:
            self.trained = True
            self.fresh = _load(self.network, weights, known.skeleton, self.skeleton, arch)
        self.module = self.network
        self._sigmas = [_SIGMA * side**0.5 for side in self.size]

    def region(self, points: np.ndarray, box: np.ndarray, frame: np.ndarray, lot: float) -> Region:
        """The box, grown by a quarter, in the input's aspect."""
        centres, sizes = geometry.crop_regions(box[None], self.size)
        return Region(centres[0], float(sizes[0, 0]), 0.0)

    def forward(self, images: Tensor) -> Outputs:
        """simcc_x [B,K,2W] and simcc_y [B,K,2H]."""
        return self.network(images)

    def places(self, outputs: Outputs) -> Tensor:
        """The maxima."""
        axes = [outputs[name].argmax(-1) for name in ("simcc_x", "simcc_y")]
        return torch.stack(axes, -1).float() / BINS_PER_PX

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Divergence from the labels, and from the old answers where nothing is labelled."""
        # A point outside the input has no bin.
        weights = goal.weights * goal.inside
        total = torch.zeros((), device=goal.points.device)
        held = torch.zeros((), device=goal.points.device)
        for axis, name in enumerate(("simcc_x", "simcc_y")):
            logits = functional.log_softmax(outputs[name] * SHARPER, -1)
            wanted = self._labels(goal.points[..., axis], logits.shape[-1], axis)
            total = total + divergence(logits, wanted, weights)
            if old:
                before = functional.softmax(old[name] * SHARPER, -1)
                held = held + divergence(logits, before, 1 - goal.weights)
        parts = {"places": total}
        if old:
            parts["old"] = _HELD * held
        return parts

    def _labels(self, places: Tensor, bins: int, axis: int) -> Tensor:
        at = torch.arange(bins, device=places.device, dtype=places.dtype)
        gap = (at - places[..., None] * BINS_PER_PX) / self._sigmas[axis]
        bell = torch.exp(-0.5 * gap.square())
        return functional.softmax(bell * SHARPER, -1)

    def freeze_trunk(self) -> None:
        """Keep everything but the head."""
        if not self.trained:
            raise ConfigError("--only-head: a network without weights has no trunk to keep")
        for name, part in self.network.named_children():
            part.requires_grad_(name == "head")

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """What was trained before learns slower than layers that begin anew."""
        new: List[nn.Parameter] = []
        known: List[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            fresh = any(name.startswith(f"head.{layer}") for layer in self.fresh)
            (new if fresh else known).append(parameter)
        groups = [{"params": known, "share": trunk_share if new else 1.0}]
        return [*groups, {"params": new, "share": 1.0}] if new else groups

    def write(self, folder: Path, notes: Mapping[str, str]) -> None:
        """A model of the family simcc."""
        self.network.eval()
        about = {
            **notes,
            "architecture": self.arch.name,
            "family": "simcc",
            "skeleton": self.skeleton,
            "form": "decoded",
        }
        data = to_onnx(self.network, "decoded", about).SerializeToString()
        description = f"{self.arch.name}, trained on own labels"
        model_folder.write(folder, self, data, "simcc", description, self.skeleton)


def divergence(logits: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence over the points that count, per bin as in mmpose."""
    each = functional.kl_div(logits, wanted, reduction="none").mean(-1)
    return (each * weights).sum() / weights.sum().clamp(min=1.0) * 100


def _with_points(network: Any, count: int, size: Tuple[int, int]) -> SimccNetwork:
    """The network with a head of this number of points."""
    if not isinstance(network, SimccNetwork):
        raise ConfigError(f"{type(network).__name__} is no SimCC network")
    head = network.head
    if head.keypoints != count:
        layer = head.final_layer
        channels = (layer if isinstance(layer, nn.Conv2d) else layer.conv).in_channels
        network.head = type(head)(channels, count, size)
    return network


def _load(network: SimccNetwork, path: Path, skeleton: str, wanted: str, name: str) -> List[str]:
    """Load a checkpoint; layers of points that it lacks stay as they are.

    Returns:
        Names of the head's layers that have rows which begin anew.
    """
    state = checkpoint.read_state(path)
    mine = network.state_dict()
    given = checkpoint.without_prefix(state, list(mine))
    fresh: List[str] = []
    for key in [k for k in given if k in mine and given[k].shape != mine[k].shape]:
        layer = key.split(".")[1] if key.startswith("head.") else ""
        if layer not in _OF_POINTS or given[key].shape[1:] != mine[key].shape[1:]:
            raise DataError(
                f"{path}: does not fit {name}: {key} {list(given[key].shape)} instead of "
                f"{list(mine[key].shape)}"
            )
        given[key] = _rows(given[key], mine[key], _names_of(len(given[key]), skeleton), wanted)
        fresh.append(layer)
    checkpoint.fit(network, given, f"{path}: does not fit {name}: ")
    return sorted(set(fresh))


def _names_of(count: int, skeleton: str) -> Tuple[str, ...]:
    known = point_sets.named(skeleton)
    if len(known) == count:
        return known.names
    usual = point_sets.of_count(count)
    return usual.names if usual is not None else tuple(f"?{i}" for i in range(count))


def _rows(old: Tensor, new: Tensor, names: Tuple[str, ...], wanted: str) -> Tensor:
    """The new rows, with those of points that both have copied from the old."""
    out = new.clone()
    for row, (first, second) in enumerate(
        point_sets.sources(point_sets.named(wanted), names).tolist()
    ):
        if first >= 0:
            out[row] = (old[first] + old[second]) / 2
    return out
