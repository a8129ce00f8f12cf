"""The detector that a command line asks for, with the weights that it begins with."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import load_recipe
from tools import checkpoint
from tools.arch import Architecture, describe
from tools.arch.detector import PERSON, Detector
from tools.arch.mobilenet import MobileNet
from tools.arch.rtmdet import RtmdetHead
from tools.training.boxes.detector import DetectorTrainee

FAMILIES = ("rtmdet", "yolox")
_RARE = 0.01  # probability of a person that a new head tells
_CELLS = 2.0  # from a cell to each side of its first box
_OF_CLASSES = ("rtm_cls.", "multi_level_conv_cls.")  # layers with a row for each class


def make(
    arch: str,
    weights: Optional[Path],
    trunk: Optional[Path],
    size: Optional[Tuple[int, int]],
    seed: int,
) -> DetectorTrainee:
    """Build a detector of people.

    Args:
        arch: name of an architecture of the families rtmdet and yolox.
        weights: checkpoint of it, of any number of classes, of which the person's row is taken;
            None: random weights.
        trunk: model folder of MoveNet, whose trunk `light-mobile` begins with.
        size: width, height of the input, px; None: the architecture's.
        seed: of random weights.

    Raises:
        EdgeError: there is no such network, or the weights do not fit.
    """
    known = describe(arch)
    if known.family not in FAMILIES:
        raise ConfigError(f"--arch {arch}: is of the family {known.family}, not a detector")
    if size is not None:
        known = dataclasses.replace(known, width_px=size[0], height_px=size[1])
    torch.manual_seed(seed)
    network = _of_people(known)
    parts: List[nn.Module] = []
    if weights is not None:
        _load(network, weights, known)
        parts = [network.backbone, network.neck]
    elif isinstance(network.backbone, MobileNet):
        if trunk is None:
            raise ConfigError(f"--arch {arch}: cannot begin anew; give --trunk movenet-multipose")
        parts = [_take_trunk(network.backbone, trunk)]
    if trunk is not None and not isinstance(network.backbone, MobileNet):
        raise ConfigError(f"--trunk {trunk.name}: only light-mobile takes one")
    return DetectorTrainee(known, network, parts, trained=weights is not None)


def _of_people(known: Architecture) -> Detector:
    """The network with one class, whose new head seldom tells a person."""
    network: Any = known.build()
    head = network.bbox_head
    layers = head.rtm_cls if isinstance(head, RtmdetHead) else head.multi_level_conv_cls
    objects = [] if isinstance(head, RtmdetHead) else list(head.multi_level_conv_obj)
    for level, layer in enumerate(layers):
        layers[level] = nn.Conv2d(layer.in_channels, 1, 1)
    for layer in [*layers, *objects]:
        nn.init.constant_(layer.bias, -math.log((1 - _RARE) / _RARE))
    if isinstance(head, RtmdetHead):  # boxes of some cells: an empty box has no gradient
        for layer in head.rtm_reg:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, math.log(_CELLS) if head.exponential else _CELLS)
    network.classes = 1
    found: Detector = network
    return found


def _load(network: Detector, path: Path, known: Architecture) -> None:
    """Load a checkpoint; of its classes the person is kept."""
    state = checkpoint.read_state(path)
    mine: Dict[str, Tensor] = network.state_dict()
    given = checkpoint.without_prefix(state, list(mine))
    for key in [k for k in given if any(part in k for part in _OF_CLASSES)]:
        if key in mine and given[key].shape[1:] == mine[key].shape[1:]:
            given[key] = given[key][PERSON : PERSON + 1]
    checkpoint.fit(network, given, f"{path}: does not fit {known.name}: ")


def _take_trunk(trunk: MobileNet, folder: Path) -> nn.Module:
    """Copy the first convolutions of MoveNet's file; returns the parts that have them."""
    recipe = load_recipe(folder)
    if recipe.family != "movenet":
        raise ConfigError(f"--trunk {folder.name}: is of the family {recipe.family}, not movenet")
    path = folder / recipe.networks["main"].file
    if not path.is_file():
        raise NoInputError(f"{path}: is missing; run `edge-tools get {folder.name}`")
    graph = onnx.load_from_string(path.read_bytes()).graph
    arrays = {w.name: w for w in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    layers = trunk.convolutions()
    for layer, node in zip(layers, nodes):
        weights = [
            torch.from_numpy(numpy_helper.to_array(arrays[n]).copy()) for n in node.input[1:]
        ]
        if len(weights) != 2 or weights[0].shape != layer.weight.shape:
            raise DataError(f"{path}: its {node.name or node.output[0]} is not MoveNet's")
        layer.weight.data, layer.bias.data = weights
    return nn.ModuleList([trunk.first, trunk.fine, trunk.middle])
