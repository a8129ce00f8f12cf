"""An ONNX graph with the producer and the consumers of each tensor, and what becomes INT8.

The placement follows what TensorRT fuses best. INT8 are the inputs and weights of convolutions and
matrix products, and the branch of a residual Add that does not come from a convolution. Between a
convolution and its activation nothing is quantized. Layers whose result reaches a graph output
through no other layer (heads, coordinates) stay float, and so do layers that match a pattern.
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

FIRST_OPSET, LAST_OPSET = 13, 17  # the first with scales per channel; the last TensorRT 8.5 reads
SIXTEEN_BIT = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
LAYERS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": -1}  # axis of the output channels


@dataclass(frozen=True)
class Layer:
    """One layer that can run in INT8.

    Attributes:
        name: name of its node.
        kind: operator.
        activation: input tensor.
        weight: initializer.
        axis: axis of the output channels in the weight.
    """

    name: str
    kind: str
    activation: str
    weight: str
    axis: int


@dataclass
class Graph:
    """A model and how its nodes are connected.

    Attributes:
        model: the model.
        weights: initializers by name.
        producers: tensor -> node that writes it.
        consumers: tensor -> nodes that read it.
        outputs: names of the graph outputs.
    """

    model: onnx.ModelProto
    weights: Dict[str, np.ndarray]
    producers: Dict[str, onnx.NodeProto] = field(default_factory=dict)
    consumers: Dict[str, List[onnx.NodeProto]] = field(default_factory=dict)
    outputs: Set[str] = field(default_factory=set)

    @property
    def nodes(self) -> Sequence[onnx.NodeProto]:
        """Nodes in execution order."""
        return list(self.model.graph.node)


def load_model(path: Path) -> onnx.ModelProto:
    """Read a network that can be quantized.

    Raises:
        NoInputError: the file cannot be read.
        DataError: the file is not ONNX, has weights in another file or of 16 bits, or has an opset
            that cannot be used.
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
        raise DataError(f"{path}: is not an ONNX file, or has no nodes")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise DataError(f"{path}: keeps weights in another file; save it as one file")
    if any(t.data_type in SIXTEEN_BIT for t in model.graph.initializer):
        raise DataError(f"{path}: has weights of 16 bits; export the float32 network")
    return _of_known_opset(model, path)


def _of_known_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The model in an opset that has Q/DQ with scales per channel.

    An older model is converted: the published RTMPose has opset 11.

    Raises:
        DataError: the opset is newer than LAST_OPSET, or the model cannot be converted.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if FIRST_OPSET <= opset <= LAST_OPSET:
        return model
    if opset > LAST_OPSET:
        raise DataError(f"{path}: has opset {opset}; export it with opset {LAST_OPSET} or lower")
    try:
        return onnx.version_converter.convert_version(model, FIRST_OPSET)
    except (onnx.version_converter.ConvertError, RuntimeError) as error:
        raise DataError(
            f"{path}: has opset {opset} and cannot be converted to {FIRST_OPSET} ({error}); "
            f"export it with opset {LAST_OPSET}"
        ) from error


def wire(model: onnx.ModelProto) -> Graph:
    """Find producers and consumers; nodes without a name get one, as layers are named by node."""
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    weights = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    graph = Graph(model, weights, outputs={o.name for o in model.graph.output})
    for node in model.graph.node:
        for name in node.output:
            graph.producers[name] = node
        for name in node.input:
            graph.consumers.setdefault(name, []).append(node)
    return graph


def layers(graph: Graph) -> List[Layer]:
    """All layers with constant weights, in execution order."""
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
        node = graph.producers.get(todo.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type in LAYERS and len(node.input) > 1 and node.input[1] in graph.weights:
            found.add(node.name)
        else:
            todo += list(node.input)
    return found


@dataclass(frozen=True)
class Placement:
    """Which layers and residual branches are INT8.

    Attributes:
        layers: layers in INT8.
        residuals: (Add node, input tensor) of residual branches in INT8.
        floating: names of the other layers.
    """

    layers: Tuple[Layer, ...]
    residuals: Tuple[Tuple[str, str], ...]
    floating: Tuple[str, ...]

    @property
    def activations(self) -> List[str]:
        """Tensors that need a range, each once."""
        names = [layer.activation for layer in self.layers] + [t for _, t in self.residuals]
        return list(dict.fromkeys(names))


def place_int8(graph: Graph, floating: Sequence[str] = (), keep_heads: bool = True) -> Placement:
    """Choose what becomes INT8.

    Args:
        graph: the network.
        floating: name patterns, as in a shell, of layers that stay float.
        keep_heads: whether the last layers stay float, too.
    """
    out = heads(graph) if keep_heads else set()
    everything = layers(graph)
    for layer in everything:
        if any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in floating):
            out.add(layer.name)
    chosen = tuple(layer for layer in everything if layer.name not in out)
    left = tuple(layer.name for layer in everything if layer.name in out)
    return Placement(chosen, tuple(_residuals(graph, {layer.name for layer in chosen})), left)


def _residuals(graph: Graph, chosen: Set[str]) -> List[Tuple[str, str]]:
    """(Add node, input) where the other input is a convolution that TensorRT fuses with the Add."""
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
    producer = graph.producers.get(tensor)
    alone = len(graph.consumers.get(tensor, [])) == 1 and tensor not in graph.outputs
    return producer is not None and producer.name in chosen and producer.op_type == "Conv" and alone
