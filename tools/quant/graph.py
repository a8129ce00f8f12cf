"""An ONNX graph with its wires looked up, and the choice of what becomes INT8.

Placement follows what TensorRT fuses best: inputs of convolutions and matrix products, their
weights, and the branch of a residual Add that does not come from a convolution. Nothing is put
between a convolution and its activation. Layers that end in a graph output (heads, coordinates)
stay in floating point, as do those whose name matches a pattern.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

import numpy as np
import onnx
import onnx.version_converter
from onnx import numpy_helper

from edge.errors import DataError, NoInputError

FIRST_OPSET, LAST_OPSET = 13, 17  # scales per channel; what TensorRT 8.5 reads
HALF = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
LAYERS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": -1}  # axis of the output channels


@dataclass(frozen=True)
class Layer:
    """One layer that can run in INT8."""

    name: str  # of its node
    kind: str
    activation: str  # tensor
    weight: str  # initializer
    axis: int  # of the weight's output channels


@dataclass
class Graph:
    """A model and who makes and who uses each tensor."""

    model: onnx.ModelProto
    weights: Dict[str, np.ndarray]
    makers: Dict[str, onnx.NodeProto] = field(default_factory=dict)
    users: Dict[str, List[onnx.NodeProto]] = field(default_factory=dict)
    outputs: Set[str] = field(default_factory=set)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """In execution order."""
        return list(self.model.graph.node)


def load_model(path: Path) -> onnx.ModelProto:
    """Read a network that keeps everything in its own file.

    Raises:
        NoInputError: it cannot be read.
        DataError: not ONNX, with side files, or of an opset or weights that cannot be quantized.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise DataError(f"{path}: is not an ONNX file: {type(error).__name__}") from error
    if not model.graph.node:
        raise DataError(f"{path}: is not an ONNX file, or has no layers")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise DataError(f"{path}: keeps weights in another file; save it as one file")
    if any(t.data_type in HALF for t in model.graph.initializer):
        raise DataError(f"{path}: has weights of 16 bits; export the float32 network")
    return _of_known_opset(model, path)


def _of_known_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """An older network (the published RTMPose has 11) written in operators that Q/DQ goes with.

    Raises:
        DataError: a newer one, or one that cannot be rewritten.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if FIRST_OPSET <= opset <= LAST_OPSET:
        return model
    if opset > LAST_OPSET:
        raise DataError(f"{path}: has opset {opset}; export it with {LAST_OPSET} at the most")
    try:
        return onnx.version_converter.convert_version(model, FIRST_OPSET)
    except (onnx.version_converter.ConvertError, RuntimeError) as error:
        raise DataError(
            f"{path}: has opset {opset} and cannot be rewritten with {FIRST_OPSET} ({error}); "
            f"export it with {LAST_OPSET}"
        ) from error


def wire(model: onnx.ModelProto) -> Graph:
    """Look up the wires; nodes without a name get one, as layers are spoken of by name."""
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    graph = Graph(model, weights, outputs={o.name for o in model.graph.output})
    for node in model.graph.node:
        for name in node.output:
            graph.makers[name] = node
        for name in node.input:
            graph.users.setdefault(name, []).append(node)
    return graph


def layers(graph: Graph) -> List[Layer]:
    """Every layer with constant weights, in execution order."""
    found = []
    for node in graph.nodes:
        if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in graph.weights:
            weight = graph.weights[node.input[1]]
            axis = LAYERS[node.op_type] % weight.ndim
            if node.op_type == "Gemm" and _attribute(node, "transB"):
                axis = 0
            found.append(Layer(node.name, node.op_type, node.input[0], node.input[1], axis))
    return found


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)


def heads(graph: Graph) -> Set[str]:
    """Names of layers whose result reaches a graph output through no other layer."""
    found: Set[str] = set()
    todo, seen = list(graph.outputs), set()
    while todo:
        node = graph.makers.get(todo.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in graph.weights:
            found.add(node.name)
        else:
            todo += list(node.input)
    return found


@dataclass(frozen=True)
class Plan:
    """What becomes INT8."""

    layers: Tuple[Layer, ...]
    residuals: Tuple[Tuple[str, str], ...]  # (Add node, input tensor)
    floating: Tuple[str, ...]  # names of layers left out

    @property
    def activations(self) -> List[str]:
        """Tensors that need a range, each once."""
        names = [layer.activation for layer in self.layers] + [t for _, t in self.residuals]
        return list(dict.fromkeys(names))


def plan(graph: Graph, floating: Sequence[str] = (), keep_heads: bool = True) -> Plan:
    """Choose.

    Args:
        graph: the network.
        floating: name patterns (as in a shell) of layers that stay in floating point.
        keep_heads: leave the last layers out, too.
    """
    out = heads(graph) if keep_heads else set()
    everything = layers(graph)
    for layer in everything:
        if any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in floating):
            out.add(layer.name)
    chosen = tuple(layer for layer in everything if layer.name not in out)
    left = tuple(layer.name for layer in everything if layer.name in out)
    return Plan(chosen, tuple(_residuals(graph, {layer.name for layer in chosen})), left)


def _residuals(graph: Graph, chosen: Set[str]) -> List[Tuple[str, str]]:
    """The branch of each Add that can be fused into the convolution of the other."""
    found = []
    for node in graph.nodes:
        if node.op_type != "Add" or any(i in graph.weights for i in node.input):
            continue
        direct = [_fusable(graph, name, chosen) for name in node.input]
        if direct[0]:
            found.append((node.name, node.input[1]))
        elif direct[1]:
            found.append((node.name, node.input[0]))
    return found


def _fusable(graph: Graph, tensor: str, chosen: Set[str]) -> bool:
    maker = graph.makers.get(tensor)
    alone = len(graph.users.get(tensor, [])) == 1 and tensor not in graph.outputs
    return maker is not None and maker.name in chosen and maker.op_type == "Conv" and alone
