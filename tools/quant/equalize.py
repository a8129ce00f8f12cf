"""Give the channels of a tensor the same reach before it gets one INT8 range.

One range serves a whole tensor, so that a channel that stays below a tenth of the largest has a
tenth of the steps. Channels are scaled up where they are made and down where they are used; in
floating point nothing changes. After Nagel et al. 2019, "Data-free quantization through weight
equalization and bias correction", section 4.1 (weights there), and Xiao et al. 2023, "SmoothQuant",
equation 4 (the share `alpha` that activations get where weights pay for it).

A depthwise layer has a weight range for every channel, so it pays nothing. A Clip keeps its bound:
a channel may be scaled up only so far that what was seen, and a tenth more, stays below it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from tools.quant.collect import Feeds, session, with_outputs
from tools.quant.graph import Graph, wire

ALPHAS = (0.25, 0.5, 1.0)  # shares that are tried
REACH = 32.0  # channels are scaled by no more: what was hardly seen says little
MARGIN = 1.1
_HOMOGENEOUS = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool")
_BOUNDED = ("Clip",)


@dataclass
class Tie:
    """Tensors whose channels can only be scaled together.

    Attributes:
        tensors: tied by activations, pooling and additions.
        makers: convolutions whose outputs they are.
        users: convolutions that read them.
        bound: of a Clip among them; inf without one.
        free: nothing unknown touches them.
    """

    tensors: List[str] = field(default_factory=list)
    makers: List[onnx.NodeProto] = field(default_factory=list)
    users: List[onnx.NodeProto] = field(default_factory=list)
    bound: float = np.inf
    free: bool = True


def ties(graph: Graph) -> List[Tie]:
    """Every group of tensors between convolutions that can be scaled."""
    root: Dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for node in graph.nodes:
        if _passes(node, graph):
            for name in [*_data(node, graph), *node.output[1:]]:
                root[find(name)] = find(node.output[0])
    found: Dict[str, Tie] = {}
    ends = {i.name for i in graph.model.graph.input} | graph.outputs
    for node in graph.nodes:
        for name in [*_data(node, graph), *node.output]:
            tie = found.setdefault(find(name), Tie())
            if name not in tie.tensors:
                tie.tensors.append(name)
                tie.free &= name not in ends
            _join(tie, node, name, graph)
    return [tie for tie in found.values() if tie.free and tie.makers and tie.users]


def _data(node: onnx.NodeProto, graph: Graph) -> List[str]:
    return [name for name in node.input if name and name not in graph.weights]


def _passes(node: onnx.NodeProto, graph: Graph) -> bool:
    """Whether channels go through it each by itself, and a scale with them."""
    if node.op_type == "Add":
        return len(_data(node, graph)) == 2
    return node.op_type in _HOMOGENEOUS or _bound(node, graph) is not None


def _bound(node: onnx.NodeProto, graph: Graph) -> Optional[float]:
    """Upper bound of a Clip from 0; None for any other node."""
    if node.op_type not in _BOUNDED or len(node.input) != 3:
        return None
    low, high = (graph.weights.get(name) for name in node.input[1:])
    if low is None or high is None or low.any():
        return None
    return float(high.reshape(-1)[0])


def _join(tie: Tie, node: onnx.NodeProto, tensor: str, graph: Graph) -> None:
    """Note what a node is to the tie of one of its tensors."""
    if _passes(node, graph):
        tie.bound = min(tie.bound, _bound(node, graph) or np.inf)
    elif not _is_plain(node, graph):
        tie.free = False
    elif tensor in node.output:
        tie.makers.append(node)
    elif tensor == node.input[0]:
        tie.users.append(node)


def _is_plain(node: onnx.NodeProto, graph: Graph) -> bool:
    """A convolution, dense or depthwise, whose constants nobody else uses."""
    if node.op_type != "Conv" or any(n not in graph.weights for n in node.input[1:]):
        return False
    alone = all(len(graph.users[n]) == 1 for n in node.input[1:])
    weight = graph.weights[node.input[1]]
    return alone and (_groups(node) == 1 or _is_depthwise(node, weight))


def _groups(node: onnx.NodeProto) -> int:
    return next((int(a.i) for a in node.attribute if a.name == "group"), 1)


def _is_depthwise(node: onnx.NodeProto, weight: np.ndarray) -> bool:
    return weight.shape[1] == 1 and _groups(node) == weight.shape[0] > 1


def reaches(
    model: onnx.ModelProto, tensors: Sequence[str], batches: Iterable[Feeds]
) -> Dict[str, np.ndarray]:
    """The largest |x| of each channel of each tensor, [C] float32."""
    runner = session(with_outputs(model, tensors))
    found: Dict[str, np.ndarray] = {}
    for feeds in batches:
        for name, value in zip(tensors, runner.run(list(tensors), feeds)):
            largest = np.abs(value).max(axis=(0, *range(2, value.ndim)))
            found[name] = np.maximum(found.get(name, 0), largest)
    return found


def scales(
    tie: Tie, reach: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], alpha: float
) -> np.ndarray:
    """[C] by what to multiply each channel of a tie."""
    used = [reach[user.input[0]] for user in tie.users]
    own = np.maximum(np.max(used, 0), 1e-6)
    dense = [weights[u.input[1]] for u in tie.users if _groups(u) == 1]
    share = alpha if dense else 1.0
    factor = (own.max() / own) ** share
    if dense and alpha < 1:
        column = np.max([np.abs(w).max(axis=(0, *range(2, w.ndim))) for w in dense], 0)
        column = np.maximum(column, 1e-6)
        factor *= (column / np.exp(np.log(column).mean())) ** (1 - alpha)
    if np.isfinite(tie.bound):
        return np.clip(factor, 1.0, np.clip(tie.bound / (own * MARGIN), 1.0, REACH))
    return np.clip(factor / factor.min(), 1.0, REACH)


def equalized(
    model: onnx.ModelProto, reach: Mapping[str, np.ndarray], alpha: float
) -> onnx.ModelProto:
    """The same network with its channels scaled.

    Args:
        model: float network; not changed.
        reach: of every tensor that a tie's users read.
        alpha: share of the imbalance that activations are freed of where dense weights pay.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = wire(copy)
    weights = {name: value.copy() for name, value in graph.weights.items()}
    changed: Dict[str, None] = {}
    for tie in ties(graph):
        factor = scales(tie, reach, graph.weights, alpha).astype(np.float32)
        for node in tie.makers:
            for name in node.input[1:]:
                weights[name] *= factor.reshape(-1, *[1] * (weights[name].ndim - 1))
                changed[name] = None
        for node in tie.users:
            name = node.input[1]
            lead = (-1, 1) if _groups(node) > 1 else (1, -1)
            weights[name] /= factor.reshape(*lead, *[1] * (weights[name].ndim - 2))
            changed[name] = None
    for tensor in copy.graph.initializer:
        if tensor.name in changed:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return copy


def tensors_read(graph: Graph) -> List[str]:
    """Whose reach is needed."""
    names = [user.input[0] for tie in ties(graph) for user in tie.users]
    return list(dict.fromkeys(names))
