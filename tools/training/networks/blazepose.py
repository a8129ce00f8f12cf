"""BlazePose's body network, loaded from the daemon's own ONNX file.

Its batch norms are folded, so the learning rate must be small and the gradient clipped. It gives 39
landmarks with height, visibility and presence, a score, heatmaps and points in metres. Only places
are labelled; the rest is held where the old network has it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path
from typing import Mapping, Optional, Tuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge import skeletons
from edge.errors import ConfigError
from edge.models._blazepose import crops
from edge.models._blazepose.points import BODY_FEET_SOURCE, RAW_POINTS
from edge.recipe import load_recipe
from tools.evaluation import point_sets
from tools.importing.recipe import to_toml
from tools.training.networks.onnx_graph import OnnxGraph
from tools.training.networks.trainee import Goal, Losses, Outputs, Region, Trainee, mean_over

LABELLED = 33  # of the 39 landmarks
STEM_LAYERS = 14  # those on maps of 128 and 64 cells
_BETA_PX = 3.0  # errors below count by their square
# The mean heatmap of the untrained network around a place that it refines has this form.
_PEAK, _BELL_CELLS = 0.85, 1.5
_WINDOW = 3  # cells on each side, as in edge.models._blazepose.decode
# Weights of the parts of the loss; those of `old` hold what is not labelled. Tuned on recordings of
# a rendered clinic camera that are not reported (docs/training.md).
_REFINED, _BELLS, _PRESENCE, _SCORE = 0.5, 1.0, 0.2, 0.5
_OLD = {"xy": 0.5, "z": 0.02, "logits": 0.05, "maps": 20.0, "world": 3.0, "score": 1.0}


class BlazePoseBody(Trainee):
    """The body network of a model of the family `blazepose`.

    Args:
        folder: of the model.

    Raises:
        NoInputError, ConfigError: there is no such model. DataError: its network is another one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe = load_recipe(folder)
        if self.recipe.family != "blazepose" or "body" not in self.recipe.networks:
            raise ConfigError(f"{folder}: is of the family {self.recipe.family}, not blazepose")
        self.network = self.recipe.networks["body"]
        self.graph = OnnxGraph(folder / self.network.file)
        # On a CPU a step takes .85 of the time in this order of the axes.
        self.module = self.graph.to(memory_format=torch.channels_last)
        self.trained = True
        self.about = f"{folder.name}, its body network trained on own labels"
        self._shared = False  # whether the first layers are those of the old network
        self.points = point_sets.named("blazepose33")
        self.flip = skeletons.get("blazepose33").flip
        self.size = (self.network.width, self.network.height)
        self.channels = self.network.channels
        self.mean, self.std = tuple(self.network.mean), tuple(self.network.std)

    def region(self, points: np.ndarray, box: np.ndarray, frame: np.ndarray, lot: float) -> Region:
        """A new person's square is that of the box; a known person's lies about the hips."""
        squares = crops.box_squares(box[None], frame[None])
        body_feet = points[None, BODY_FEET_SOURCE]
        known, good = crops.body_squares(
            body_feet[..., :2], (body_feet[..., 2] > 0).astype(np.float32), box[None]
        )
        if good[0] and lot < 0.6:
            squares = known
        return Region(squares.centres[0], float(squares.sides[0]), float(squares.turns[0]))

    def forward(self, images: Tensor) -> Outputs:
        """The graph's outputs by the family's names."""
        return self._named(self.graph(_in_order(images)))

    def both(
        self, old: Trainee, images: Tensor, goal: Optional[Goal] = None
    ) -> Tuple[Outputs, Outputs]:
        """As Trainee.both; the frozen part, which both have, is computed once."""
        if not isinstance(old, BlazePoseBody) or not self._shared:
            return super().both(old, images)
        stem = self.graph.stem(_in_order(images))
        with torch.no_grad():
            before = old.graph.tail(stem)
        return self._named(self.graph.tail(stem)), self._named(before)

    def freeze_stem(self) -> None:
        """Keep the layers on large maps: half of the time, and edges that need no training."""
        self.graph.freeze(STEM_LAYERS)
        self._shared = True

    def freeze_trunk(self) -> None:
        """Keep what places, heatmaps, score and metres have in common; half of the numbers."""
        self.graph.freeze_shared()
        self._shared = True

    def _named(self, found: Outputs) -> Outputs:
        names = {graph: name for name, graph in self.network.outputs.items()}
        return {names.get(name, name): value for name, value in found.items()}

    def places(self, outputs: Outputs) -> Tensor:
        """Landmarks, refined by their heatmaps where these are clear."""
        plain = _landmarks(outputs)[:, :LABELLED, :2]
        if "heatmap" not in outputs:
            return plain
        fine, clear = refined(plain.detach(), outputs["heatmap"], self.size[0])
        return torch.where(clear[..., None], fine, plain)

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Places that are labelled; what is not labelled stays as it was."""
        raw = _landmarks(outputs)
        plain, weights = raw[:, :LABELLED, :2], goal.weights
        parts = {"places": mean_over(_px_loss(plain, goal.points), weights)}
        if "heatmap" in outputs:
            fine, clear = refined(plain.detach(), outputs["heatmap"], self.size[0])
            error = _px_loss(fine, goal.points)
            parts["refined"] = _REFINED * mean_over(error, weights * clear.float())
            parts["maps"] = _BELLS * _bell_loss(outputs["heatmap"], goal, self.size[0])
        inside = functional.binary_cross_entropy_with_logits(
            raw[:, :LABELLED, 4], goal.inside, reduction="none"
        )
        shown = functional.binary_cross_entropy_with_logits(
            raw[:, :LABELLED, 3], torch.ones_like(goal.seen), reduction="none"
        )
        told = mean_over(inside, weights) + mean_over(shown, weights * goal.seen)
        parts["presence"] = _PRESENCE * told
        sure = outputs["score"].reshape(-1).clamp(1e-6, 1 - 1e-6)
        parts["score"] = _SCORE * mean_over(-sure.log(), goal.people)
        if old:
            parts["old"] = _held(outputs, old, goal)
        return parts

    def write(self, folder: Path, notes: Mapping[str, str]) -> None:
        """The model with its new body network; hands and face are copied."""
        data = self.graph.to_onnx(notes)
        networks = {}
        for name, network in self.recipe.networks.items():
            source = self.folder / network.file
            if name == "body":
                (folder / network.file).write_bytes(data)
                digest = hashlib.sha256(data).hexdigest()
                networks[name] = dataclasses.replace(network, weights=None, sha256=digest)
            else:
                shutil.copyfile(source, folder / network.file)
                digest = hashlib.sha256(source.read_bytes()).hexdigest()
                networks[name] = dataclasses.replace(network, weights=None, sha256=digest)
        recipe = dataclasses.replace(self.recipe, networks=networks, description=self.about)
        (folder / "model.toml").write_text(to_toml(recipe), "utf-8")


def _in_order(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _landmarks(outputs: Outputs) -> Tensor:
    """[B,39,5] x, y, z px, visibility and presence."""
    return outputs["landmarks"].reshape(-1, RAW_POINTS, 5)


def _px_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """[B,T] of places [B,T,2]."""
    return functional.smooth_l1_loss(found, wanted, reduction="none", beta=_BETA_PX).sum(-1)


def _bell_loss(heatmap: Tensor, goal: Goal, side: int) -> Tensor:
    """How far heatmaps are from bells around the labels; without it they fade, and refine nothing.

    The sum over the map of the cross-entropy, over the bell's area.
    """
    high, wide = heatmap.shape[2:]
    cells = goal.points / (side / wide)
    gap = [
        torch.arange(count, device=heatmap.device) - cells[..., axis, None]
        for axis, count in ((0, wide), (1, high))
    ]
    bells = [torch.exp(-0.5 * (g / _BELL_CELLS).square()) for g in gap]
    wanted = _PEAK * bells[1][..., :, None] * bells[0][..., None, :]
    logits = heatmap[:, :LABELLED]
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    area = 2 * torch.pi * _BELL_CELLS**2
    return mean_over(each.sum((2, 3)) / area, goal.weights)


def _held(outputs: Outputs, old: Outputs, goal: Goal) -> Tensor:
    """How far everything that is not labelled is from the old network's answer."""
    now, then = _landmarks(outputs), _landmarks(old)
    free = torch.ones(now.shape[:2], device=now.device)
    free[:, :LABELLED] = 1 - goal.weights
    # A point that the old network does not see in this crop is a guess, and guesses hold nothing.
    sure = torch.sigmoid(then[..., 3]) * torch.sigmoid(then[..., 4])
    total = _OLD["xy"] * mean_over(_px_loss(now[..., :2], then[..., :2]), free * sure)
    total = total + _OLD["z"] * functional.smooth_l1_loss(now[..., 2], then[..., 2], beta=10.0)
    gap = functional.smooth_l1_loss(now[..., 3:], then[..., 3:], reduction="none").mean(-1)
    total = total + _OLD["logits"] * mean_over(gap, free)
    if "heatmap" in outputs:
        step = torch.sigmoid(outputs["heatmap"]) - torch.sigmoid(old["heatmap"])
        total = total + _OLD["maps"] * mean_over(step.square().mean((2, 3)), free)
    if "world" in outputs:
        total = total + _OLD["world"] * (outputs["world"] - old["world"]).abs().mean()
    gap = (outputs["score"] - old["score"]).reshape(-1).square()
    return total + _OLD["score"] * mean_over(gap, 1 - goal.people)


def refined(places: Tensor, heatmap: Tensor, side: int) -> Tuple[Tensor, Tensor]:
    """Places [B,T,2] px refined by heatmaps [B,>=T,h,w] of logits, and whether each is clear [B,T].

    The same as edge.models._blazepose.decode.refined, with gradients to the heatmap.
    """
    step = side / heatmap.shape[-1]
    maps = heatmap[:, : places.shape[1]]
    high, wide = maps.shape[2:]
    reach = torch.arange(-_WINDOW, _WINDOW + 1, device=maps.device)
    cells = torch.floor(places / step).long().clamp(-9, max(high, wide) + 9)
    columns, rows = cells[..., :1] + reach, cells[..., 1:] + reach
    within_x, within_y = (columns >= 0) & (columns < wide), (rows >= 0) & (rows < high)
    at = rows.clamp(0, high - 1)[..., :, None] * wide + columns.clamp(0, wide - 1)[..., None, :]
    window = torch.gather(maps.flatten(2), 2, at.flatten(2)).reshape(at.shape)
    whole = ((cells >= 0) & (cells < torch.tensor((wide, high), device=maps.device))).all(-1)
    there = within_y[..., :, None] & within_x[..., None, :] & whole[..., None, None]
    chance = torch.sigmoid(window) * there
    total = chance.sum((-2, -1))
    clear = chance.amax((-2, -1)) >= 0.5
    total = torch.where(clear, total, torch.ones_like(total))
    x = (chance.sum(-2) * columns).sum(-1) / total
    y = (chance.sum(-1) * rows).sum(-1) / total
    return torch.stack((x, y), -1) * step, clear
