"""Equalize the channels of a tensor before the tensor gets one INT8 range.

One range serves a whole tensor. A channel that stays below a tenth of the largest channel uses a
tenth of the INT8 steps. So channels are scaled up where they are made and down where they are used;
in floating point the network stays the same. Sources: Nagel et al. 2019, "Data-free quantization
through weight equalization and bias correction", section 4.1 (there for weights), and Xiao et al.
2023, "SmoothQuant", equation 4 (`alpha`: how much of the imbalance moves into the weights).

A depthwise layer has a weight range for each channel, so it takes all of the imbalance at no cost.
A Clip keeps its bound: a channel is scaled up only so far that its largest value, times MARGIN,
stays below the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from tools.quant.collect import Feeds, session, with_outputs
from tools.quant.graph import Graph, wire

ALPHAS = (0.25, 0.5, 1.0)  # strengths that are tried
MAX_SCALE = 32.0  # a channel with hardly any values says little about its range
MARGIN = 1.1
_HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool")
_BOUNDED = ("Clip",)


@dataclass
class ScaleGroup:
    """Tensors whose channels must be scaled by the same factors.

    Attributes:
        tensors: tensors joined by activations, pooling and additions.
        producers: convolutions that write one of them.
        consumers: convolutions that read one of them.
        bound: lowest upper bound of a Clip among them; inf without one.
        free: whether all other nodes that touch them keep the scale.
    """

    tensors: List[str] = field(default_factory=list)
    producers: List[onnx.NodeProto] = field(default_factory=list)
    consumers: List[onnx.NodeProto] = field(default_factory=list)
    bound: float = np.inf
    free: bool = True


def scale_groups(graph: Graph) -> List[ScaleGroup]:
    """All groups of tensors between convolutions whose channels can be scaled."""
    root: Dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for node in graph.nodes:
        if _keeps_scale(node, graph):
            for name in [*_data(node, graph), *node.output[1:]]:
                root[find(name)] = find(node.output[0])
    found: Dict[str, ScaleGroup] = {}
    ends = {i.name for i in graph.model.graph.input} | graph.outputs
    for node in graph.nodes:
        for name in [*_data(node, graph), *node.output]:
            group = found.setdefault(find(name), ScaleGroup())
            if name not in group.tensors:
                group.tensors.append(name)
                group.free &= name not in ends
            _add_node(group, node, name, graph)
    return [g for g in found.values() if g.free and g.producers and g.consumers]


def _data(node: onnx.NodeProto, graph: Graph) -> List[str]:
    return [name for name in node.input if name and name not in graph.weights]


def _keeps_scale(node: onnx.NodeProto, graph: Graph) -> bool:
    """Whether scaling a channel of the input only scales the same channel of the output."""
    if node.op_type == "Add":
        return len(_data(node, graph)) == 2
    return node.op_type in _HOMOGENEOUS or _bound(node, graph) is not None


def _bound(node: onnx.NodeProto, graph: Graph) -> Optional[float]:
    """Upper bound of a Clip whose lower bound is 0; None for any other node."""
    if node.op_type not in _BOUNDED or len(node.input) != 3:
        return None
    low, high = (graph.weights.get(name) for name in node.input[1:])
    if low is None or high is None or low.any():
        return None
    return float(high.reshape(-1)[0])


def _add_node(group: ScaleGroup, node: onnx.NodeProto, tensor: str, graph: Graph) -> None:
    """Note what a node means for the group of one of its tensors."""
    if _keeps_scale(node, graph):
        group.bound = min(group.bound, _bound(node, graph) or np.inf)
    elif not _is_scalable(node, graph):
        group.free = False
    elif tensor in node.output:
        group.producers.append(node)
    elif tensor == node.input[0]:
        group.consumers.append(node)


def _is_scalable(node: onnx.NodeProto, graph: Graph) -> bool:
    """Whether it is a dense or depthwise convolution that shares its constants with no node."""
    if node.op_type != "Conv" or any(n not in graph.weights for n in node.input[1:]):
        return False
    alone = all(len(graph.consumers[n]) == 1 for n in node.input[1:])
    weight = graph.weights[node.input[1]]
    return alone and (_groups(node) == 1 or _is_depthwise(node, weight))


def _groups(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _is_depthwise(node: onnx.NodeProto, weight: np.ndarray) -> bool:
    return weight.shape[1] == 1 and _groups(node) == weight.shape[0] > 1


def channel_maxima(
    model: onnx.ModelProto, tensors: Sequence[str], batches: Iterable[Feeds]
) -> Dict[str, np.ndarray]:
    """Tensor -> largest |x| of each channel, [C] float32."""
    runner = session(with_outputs(model, tensors))
    found: Dict[str, np.ndarray] = {}
    for feeds in batches:
        for name, value in zip(tensors, runner.run(list(tensors), feeds)):
            largest = np.abs(value).max(axis=(0, *range(2, value.ndim)))
            found[name] = np.maximum(found.get(name, 0), largest)
    return found


def scales(
    group: ScaleGroup,
    maxima: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    alpha: float,
) -> np.ndarray:
    """Factor of each channel of a group, [C]."""
    used = [maxima[consumer.input[0]] for consumer in group.consumers]
    own = np.maximum(np.max(used, 0), 1e-6)
    dense = [weights[c.input[1]] for c in group.consumers if _groups(c) == 1]
    share = alpha if dense else 1.0
    factor = (own.max() / own) ** share
    if dense and alpha < 1:
        column = np.max([np.abs(w).max(axis=(0, *range(2, w.ndim))) for w in dense], 0)
        column = np.maximum(column, 1e-6)
        factor *= (column / np.exp(np.log(column).mean())) ** (1 - alpha)
    if np.isfinite(group.bound):
        return np.clip(factor, 1.0, np.clip(group.bound / (own * MARGIN), 1.0, MAX_SCALE))
    return np.clip(factor / factor.min(), 1.0, MAX_SCALE)


def equalized(
    model: onnx.ModelProto, maxima: Mapping[str, np.ndarray], alpha: float
) -> onnx.ModelProto:
    """A copy of the network with scaled channels; its outputs stay the same.

    Args:
        model: float network; not changed.
        maxima: channel maxima of all `tensors_to_measure`.
        alpha: share of the imbalance of activations that moves into dense weights, 0..1.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = wire(copy)
    weights = {name: value.copy() for name, value in graph.weights.items()}
    changed: Dict[str, None] = {}
    for group in scale_groups(graph):
        factor = scales(group, maxima, graph.weights, alpha).astype(np.float32)
        for node in group.producers:
            for name in node.input[1:]:
                weights[name] *= factor.reshape(-1, *[1] * (weights[name].ndim - 1))
                changed[name] = None
        for node in group.consumers:
            name = node.input[1]
            lead = (-1, 1) if _groups(node) > 1 else (1, -1)
            weights[name] /= factor.reshape(*lead, *[1] * (weights[name].ndim - 2))
            changed[name] = None
    for tensor in copy.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return copy


def tensors_to_measure(graph: Graph) -> List[str]:
    """Tensors whose channel maxima `equalized` needs."""
    names = [node.input[0] for group in scale_groups(graph) for node in group.consumers]
    return list(dict.fromkeys(names))
