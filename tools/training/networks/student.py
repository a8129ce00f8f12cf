"""The student: one network for the whole body, on the trunk of BlazePose's body network.

The trunk is trained at a small rate. On people without labels, the places that the old network
gives are held, so that what it knows of real people is not forgotten while it learns from rendered
ones: a trial without it lost the feet of real people (docs/training.md).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge import geometry, skeletons
from edge.errors import ConfigError
from edge.models._blazepose.points import BODY_FEET_SOURCE, RAW_POINTS, SMALL_TOES
from edge.recipe import load_recipe
from tools import checkpoint
from tools.arch import network as arch
from tools.arch.to_onnx import to_onnx
from tools.evaluation import point_sets
from tools.training.fit import state
from tools.training.networks import model_folder
from tools.training.networks.onnx_graph import OnnxGraph
from tools.training.networks.trainee import (
    Goal,
    Losses,
    Outputs,
    Region,
    Trainee,
    mean_over,
)
from tools.training.networks.whole_head import CELLS, WholeHead

ARCH = "student"
_STEM_LAYERS = 14  # those on maps of 128 and 64 cells: half of the time, and edges
_FINE = ("add_15", "add_109")  # maps of 64 x 64 cells, before and after the trunk
_DEEP = "add_95"  # of 8 x 8 cells
_BETA_PX = 3.0  # errors below count by their square
# Errors above count by their logarithm: rendered people who lie or stand on their heads are off by
# a third of the picture, and would else decide alone where the trunk goes.
_FAR_PX = 15.0
_BELL_CELLS = 1.0  # sigma of the labels on the maps
_HIDDEN = 0.3  # weight of a point that is labelled as hidden
_BODY, _FACE, _HANDS = 3.0, 1.0, 2.0  # weights of points
_GUESS, _MAPS, _SEEN = 0.5, 0.5, 1.0  # weights of the parts of the loss; the places have 1
_OLD, _OLD_FEET, _OLD_SEEN = 1.0, 2.0, 0.2
_WHOLE = 60  # labelled points from which a person's other points are known not to be seen


class Student(Trainee):
    """133 points and their visibility from one look.

    Args:
        folder: of the model of the family `blazepose` whose trunk it has.
        seed: of the head's random weights.
        weights: state of an earlier run whose averaged weights it begins with; None: the folder's
            trunk, and a new head.

    Raises:
        NoInputError, ConfigError: there is no such model. DataError: its network is another one,
            or the state does not fit.
    """

    blends = False  # its head begins anew, so nothing lies between before and after

    def __init__(self, folder: Path, seed: int = 0, weights: Optional[Path] = None) -> None:
        recipe = load_recipe(folder)
        if recipe.family != "blazepose" or "body" not in recipe.networks:
            raise ConfigError(f"{folder}: is of the family {recipe.family}, not blazepose")
        body = recipe.networks["body"]
        self.graph = OnnxGraph(folder / body.file)
        self._landmarks = body.outputs.get("landmarks", "landmarks")
        if self._landmarks not in self.graph.output_names:
            self._landmarks = "landmarks"
        self.graph.keep((self._landmarks, *_FINE, _DEEP), folder / body.file)
        self.points = point_sets.named("wholebody133")
        self.flip = skeletons.get("wholebody133").flip
        self.size = (body.width, body.height)
        self.channels = body.channels
        self.mean, self.std = tuple(body.mean), tuple(body.std)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = WholeHead((24, 48), 144, self.size[0])
        self.module = nn.ModuleDict({"trunk": self.graph, "head": self.head})
        self.module.to(memory_format=torch.channels_last)
        if weights is not None:
            checkpoint.fit(self.module, state.averaged(weights), f"{weights}: does not fit: ")
        self._still = False  # whether the whole trunk stays as it is

    def region(self, points: Any, box: Any, frame: Any, lot: float) -> Region:
        """The box, grown by a quarter, square."""
        centres, sizes = geometry.crop_regions(box[None], self.size)
        return Region(centres[0], float(sizes[0, 0]), 0.0)

    def freeze_stem(self) -> None:
        """Keep the layers on large maps."""
        self.graph.freeze(_STEM_LAYERS)

    def hold_trunk(self, still: bool) -> None:
        """Keep the whole trunk, or train it."""
        self._still = still

    def forward(self, images: Tensor) -> Outputs:
        """All outputs of the head by name, and the trunk's landmarks."""
        return self._after(self.graph.stem(_in_order(images)))

    def _after(self, stem: Outputs) -> Outputs:
        with torch.no_grad() if self._still else contextlib.nullcontext():
            found = self.graph.tail(stem)
        landmarks = found[self._landmarks].reshape(-1, RAW_POINTS, 5)
        answer = self.head([found[name] for name in _FINE], found[_DEEP], landmarks)
        return {**answer._asdict(), "landmarks": landmarks}

    def both(
        self, old: Trainee, images: Tensor, goal: Optional[Goal] = None
    ) -> Tuple[Outputs, Outputs]:
        """As Trainee.both; of the old network, only the landmarks of people without labels."""
        assert isinstance(old, Student)
        assert goal is not None
        stem = self.graph.stem(_in_order(images))
        rows = _without_labels(goal)
        before: Outputs = {}
        if len(rows):
            with torch.no_grad():
                found = old.graph.tail({name: value[rows] for name, value in stem.items()})
            before["landmarks"] = found[self._landmarks].reshape(-1, RAW_POINTS, 5)
        return self._after(stem), before

    def places(self, outputs: Outputs) -> Tensor:
        """The points."""
        return outputs["places"]

    def losses(self, outputs: Outputs, old: Outputs, goal: Goal) -> Losses:
        """Places and visibility that are labelled; else what the old network answers."""
        weights = goal.weights * (_HIDDEN + (1 - _HIDDEN) * goal.seen) * _point_weights(goal)
        parts = {
            "places": mean_over(_far_loss(outputs["places"], goal.points), weights),
            "guesses": _GUESS * mean_over(_far_loss(outputs["guesses"], goal.points), weights),
            "maps": _MAPS * self._map_loss(outputs, goal, weights),
            "seen": _SEEN * _seen_loss(outputs["visible"], goal),
        }
        if old:
            parts["old"] = _held(outputs, old["landmarks"], _without_labels(goal))
        return parts

    def _map_loss(self, outputs: Outputs, goal: Goal, weights: Tensor) -> Tensor:
        """Cross-entropy of columns and rows from a bell around the label."""
        step, total = self.size[0] / CELLS, torch.zeros((), device=weights.device)
        at = torch.arange(CELLS, device=weights.device)
        for axis, name in enumerate(("across", "down")):
            cells = (goal.points[..., axis, None] + 0.5) / step - 0.5
            bell = torch.exp(-0.5 * ((at - cells) / _BELL_CELLS).square())
            wanted = bell / bell.sum(-1, keepdim=True).clamp(min=1e-6)
            each = -(wanted * (outputs[name] + 1e-6).log()).sum(-1)
            total = total + mean_over(each, weights * goal.inside)
        return total

    def groups(self, trunk_share: float) -> List[Dict[str, Any]]:
        """The trunk learns slowly and does not decay."""
        some = [p for p in self.graph.parameters() if p.requires_grad]
        trunk = {"params": some, "share": trunk_share, "weight_decay": 0.0, "known": True}
        return [trunk, {"params": list(self.head.parameters()), "share": 1.0}]

    def write(self, folder: Path, notes: Mapping[str, str]) -> None:
        """A model of the family simcc whose graph gives finished points."""
        about = {**notes, "architecture": ARCH, "family": "simcc", "skeleton": self.points.name}
        whole = _Finished(self).eval()
        data = to_onnx(whole, "decoded", about).SerializeToString()
        description = "133 points from one look, trained on rendered people"
        model_folder.write(folder, self, data, "simcc", description, self.points.name)


class _Finished(arch.Network):
    """The student for the exporter: images to points and scores."""

    def __init__(self, student: Student) -> None:
        super().__init__((student.size[1], student.size[0]))
        self.trunk, self.head = student.graph, student.head
        self._landmarks = student._landmarks

    def forward(self, image: Tensor) -> Outputs:
        """Keypoints [B,133,2] px of the input and keypoint_scores [B,133]."""
        found = self.trunk(image)
        landmarks = found[self._landmarks].reshape(-1, RAW_POINTS, 5)
        answer = self.head([found[name] for name in _FINE], found[_DEEP], landmarks)
        return {"keypoints": answer.places, "keypoint_scores": torch.sigmoid(answer.visible)}


def _in_order(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _without_labels(goal: Goal) -> Tensor:
    """[R] i64 rows of a batch."""
    return (goal.weights.sum(1) == 0).nonzero()[:, 0]


def _px_loss(found: Tensor, wanted: Tensor) -> Tensor:
    return functional.smooth_l1_loss(found, wanted, reduction="none", beta=_BETA_PX).sum(-1)


def _far_loss(found: Tensor, wanted: Tensor) -> Tensor:
    return _FAR_PX * (_px_loss(found, wanted) / _FAR_PX).log1p()


def _point_weights(goal: Goal) -> Tensor:
    weights = torch.full(goal.weights.shape[1:], _BODY, device=goal.weights.device)
    weights[23:91] = _FACE
    weights[91:] = _HANDS
    return weights


def _seen_loss(visible: Tensor, goal: Goal) -> Tensor:
    """A point that a person's full labels do not have is outside the picture, so not seen."""
    whole = (goal.weights.sum(1, keepdim=True) >= _WHOLE).float()
    each = functional.binary_cross_entropy_with_logits(visible, goal.seen, reduction="none")
    return mean_over(each, torch.maximum(goal.weights, whole))


def _held(outputs: Outputs, then: Tensor, rows: Tensor) -> Tensor:
    """How far people without labels are from the old network's answer.

    Args:
        outputs: of all rows.
        then: [R,39,5] landmarks of the old network.
        rows: [R] which rows these are.
    """
    # A point that the old network does not see is a guess, and guesses hold nothing.
    told = torch.sigmoid(then[..., 3]) * torch.sigmoid(then[..., 4])
    source = torch.from_numpy(BODY_FEET_SOURCE).to(then.device)
    weights = told[:, source].clone()
    weights[:, 17:] *= _OLD_FEET
    weights[:, SMALL_TOES] = 0.0
    wanted, count = then[:, source, :2], len(source)
    total = mean_over(_px_loss(outputs["places"][rows, :count], wanted), weights)
    total = total + _GUESS * mean_over(_px_loss(outputs["guesses"][rows, :count], wanted), weights)
    now = outputs["landmarks"][rows]
    total = total + _GUESS * mean_over(_px_loss(now[..., :2], then[..., :2]), told)
    each = functional.binary_cross_entropy_with_logits(
        outputs["visible"][rows, :count], told[:, source], reduction="none"
    )
    known = torch.ones_like(weights)
    known[:, SMALL_TOES] = 0.0
    return _OLD * total + _OLD_SEEN * mean_over(each, known)
