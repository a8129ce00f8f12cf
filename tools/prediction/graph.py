"""Count the layers of an ONNX graph as TensorRT would launch them.

Element-wise work is fused into the node that produced its operand. Shape arithmetic and Q/DQ nodes
disappear. Reshapes and concatenations cost nothing. Every other node is one kernel. TensorRT's own
choices vary slightly between boards; the fit to measurements covers their mean.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Set, Tuple

import numpy as np
import onnx

from edge.errors import DataError
from tools.macs import tensor_shapes
from tools.prediction.layers import Layer

PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# Operators that only rename a tensor; no kernel runs.
VIEWS = frozenset(
    (
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Dropout",
        "Cast",
        "QuantizeLinear",
        "DequantizeLinear",
    )
)
POINTWISE = frozenset(
    (
        "Relu",
        "LeakyRelu",
        "PRelu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "Erf",
        "Exp",
        "Log",
        "Softplus",
        "Elu",
        "Clip",
        "Mul",
        "Add",
        "Sub",
        "Div",
        "Pow",
        "Sqrt",
        "Neg",
        "Abs",
        "Reciprocal",
        "Min",
        "Max",
        "BatchNormalization",
        "Where",
        "Equal",
        "Greater",
        "Less",
        "Floor",
        "Round",
    )
)


class Group:
    """Nodes that run as one kernel."""

    def __init__(self, product: Optional[onnx.NodeProto]) -> None:
        self.product = product
        self.newest = 0  # index of the node that was added last
        self.read: Set[str] = set()  # tensor names as in the nodes, without weights
        self.inputs: Set[str] = set()  # tensors that other kernels write
        self.outputs: Set[str] = set()


def layers_of(model: onnx.ModelProto, source: str = "the graph") -> List[Layer]:
    """The layers in order, for one sample.

    Raises:
        DataError: a size cannot be inferred, because a size other than the batch is open.
    """
    shapes = tensor_shapes(model)
    groups = _groups(model.graph, shapes)
    products = [g for g in groups if g.product is not None]
    final = _last(model.graph, products)
    found = []
    for group in groups:
        ends = group in final or (bool(products) and group is products[0])
        found.append(_layer(group, shapes, ends, source))
    return [layer for layer in found if layer.written]


def _groups(graph: onnx.GraphProto, shapes: Dict[str, List[int]]) -> List[Group]:
    fixed = {t.name for t in graph.initializer}
    owner: Dict[str, Group] = {}
    real: Dict[str, str] = {}  # name of a view -> the tensor that it renames
    groups: List[Group] = []
    for node in graph.node:
        inputs = [real.get(n, n) for n in node.input if n and n not in fixed]
        if not inputs or node.op_type in ("Shape", "Size"):
            fixed.update(node.output)
        elif node.op_type in VIEWS:
            real.update(dict.fromkeys(node.output, inputs[0]))
        elif node.op_type != "Concat":  # the inputs of a Concat are written in place
            group = _joined(node, inputs, owner, shapes) or _started(node, groups)
            group.newest = len(owner)
            group.read.update(n for n in node.input if n not in fixed)
            group.inputs.update(n for n in inputs if owner.get(n) is not group)
            group.outputs.update(node.output)
            owner.update(dict.fromkeys(node.output, group))
    _drop_inner(graph, groups, real)
    return groups


def _started(node: onnx.NodeProto, groups: List[Group]) -> Group:
    groups.append(Group(node if node.op_type in PRODUCTS else None))
    return groups[-1]


def _joined(
    node: onnx.NodeProto,
    inputs: List[str],
    owner: Dict[str, Group],
    shapes: Dict[str, List[int]],
) -> Optional[Group]:
    """The kernel to fuse a point-wise node into: the last that writes an input of its size."""
    if node.op_type not in POINTWISE:
        return None
    size = _size(shapes, node.output[0])
    made = [owner[n] for n in inputs if n in owner and _size(shapes, n) == size]
    return max(made, key=lambda group: group.newest) if made and size else None


def _drop_inner(graph: onnx.GraphProto, groups: List[Group], real: Dict[str, str]) -> None:
    """Remove from each group the inputs that the same group writes: they stay inside the kernel."""
    needed = {real.get(v.name, v.name) for v in graph.output}
    for node in graph.node:
        if node.op_type == "Concat":
            needed.update(real.get(n, n) for n in node.input)
    for group in groups:
        needed |= group.inputs
    for group in groups:
        group.outputs &= needed


def _last(graph: onnx.GraphProto, products: List[Group]) -> Set[Group]:
    """The products that no other product depends on."""
    feeds: Dict[str, bool] = {}
    for node in reversed(graph.node):
        onward = node.op_type in PRODUCTS or any(feeds.get(n, False) for n in node.output)
        for name in node.input:
            feeds[name] = feeds.get(name, False) or onward
    return {g for g in products if g.product and not feeds.get(g.product.output[0], False)}


def _size(shapes: Dict[str, List[int]], name: str) -> int:
    shape = shapes.get(name)
    return 0 if shape is None else int(np.prod(shape, dtype=np.int64))


def _layer(group: Group, shapes: Dict[str, List[int]], ends: bool, source: str) -> Layer:
    read = sum(_size(shapes, n) for n in group.inputs)
    written = sum(_size(shapes, n) for n in group.outputs)
    node = group.product
    if node is None:
        return Layer("move", 0, 0, 0, 1, 0, read, written)
    place = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
    if not _size(shapes, place) or not _size(shapes, node.input[1]):
        raise DataError(
            f"{source}: the sizes around {node.name or node.output[0]} are open; give "
            "the graph a fixed height and width"
        )
    product = _convolution if node.op_type in PRODUCTS[:2] else _matrix
    kind, sizes = product(node, shapes)
    weights = _size(shapes, node.input[1]) if node.input[1] not in group.read else 0
    return Layer(kind, *sizes, weights, read, written, ends)


def _convolution(
    node: onnx.NodeProto, shapes: Dict[str, List[int]]
) -> Tuple[str, Tuple[int, int, int, int]]:
    groups = next((int(a.i) for a in node.attribute if a.name == "group"), 1)
    weight = shapes[node.input[1]]
    window = int(np.prod(weight[2:], dtype=np.int64))
    kind = "depth" if groups > 1 else "conv" if window > 1 else "point"
    if node.op_type == "ConvTranspose":
        place = shapes[node.input[0]]
        sizes = (_pixels(place), weight[1] * window, place[1] // groups, groups)
        return kind, sizes
    place = shapes[node.output[0]]
    return kind, (_pixels(place), place[1] // groups, weight[1] * window, groups)


def _pixels(shape: List[int]) -> int:
    return int(np.prod(shape[2:], dtype=np.int64))


def _matrix(
    node: onnx.NodeProto, shapes: Dict[str, List[int]]
) -> Tuple[str, Tuple[int, int, int, int]]:
    out, weight = shapes[node.output[0]], shapes[node.input[1]]
    turned = any(a.name == "transB" and a.i for a in node.attribute)
    depth = weight[-1] if turned or len(weight) == 1 else weight[-2]
    many = int(np.prod(out[:-2], dtype=np.int64)) if len(weight) > 2 else 1
    rows = int(np.prod(out[:-1], dtype=np.int64)) // many
    return "matmul", (rows, out[-1], depth, many)
