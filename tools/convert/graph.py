"""Write an ONNX graph node by node; all converters use this.

Opset 17 and IR 8 are the newest that TensorRT 8.5 and ONNX Runtime 1.16 read. Weights are inside
the file, the batch is dynamic, and ONNX's checker and shape inference accept the finished model.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from edge.errors import DataError

OPSET = 17
IR_VERSION = 8
BATCH = "batch"
Array = npt.NDArray[Any]
Dim = Union[int, str]  # a string names a dynamic axis
Shape = Optional[Sequence[Dim]]  # None: shape inference finds it
Pads = Tuple[int, int, int, int]  # px: top, left, bottom, right
Outputs = Dict[str, Tuple[str, Shape]]  # name -> tensor, shape


class GraphBuilder:
    """Collects nodes and weights; `finish` makes a checked model of them.

    Tensors are named by the strings that `input`, `node` and `constant` return.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: List[onnx.NodeProto] = []
        self._weights: List[onnx.TensorProto] = []
        self._inputs: List[onnx.ValueInfoProto] = []
        self._constants: Dict[Tuple[str, Tuple[int, ...], bytes], str] = {}

    def input(self, name: str, shape: Sequence[Dim], kind: Any = np.float32) -> str:
        """Declare an input; a string in `shape` is a dynamic axis."""
        element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        self._inputs.append(helper.make_tensor_value_info(name, element, list(shape)))
        return name

    def constant(self, values: Any, hint: str = "const") -> str:
        """Store an array in the model; equal arrays are stored only once."""
        array = np.ascontiguousarray(values)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"{hint}.{len(self._constants)}"
            self._weights.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def node(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> str:
        """Append a node; returns the name of its first output. Others have `.1`, `.2` appended."""
        name = f"{op.lower()}_{len(self._nodes)}"
        names = [name] + [f"{name}.{i}" for i in range(1, outputs)]
        kept = {key: value for key, value in attributes.items() if value is not None}
        self._nodes.append(helper.make_node(op, list(inputs), names, name=name, **kept))
        return name

    def relu6(self, name: str) -> str:
        """Append ReLU6, which limits to 0..6."""
        low, high = (self.constant(np.float32(limit), "limit") for limit in (0, 6))
        return self.node("Clip", [name, low, high])

    def resized(self, name: str, scale: Tuple[float, float], transform: str) -> str:
        """Append a bilinear resize by (height, width) factors, which do not fix the batch."""
        scales = self.constant(np.array([1, 1, *scale], np.float32), "scales")
        return self.node(
            "Resize", [name, "", scales], mode="linear", coordinate_transformation_mode=transform
        )

    def finish(self, outputs: Outputs) -> onnx.ModelProto:
        """The checked model with these outputs (name -> tensor, shape).

        Raises:
            DataError: the graph is not a valid ONNX model.
        """
        for name, (tensor, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        values = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape and list(shape))
            for name, (_, shape) in outputs.items()
        ]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, values, self._weights)
        drop_identities(graph)
        drop_unused(graph)
        return checked(graph)


def same_pads(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> Pads:
    """SAME padding: there are ceil(size / stride) outputs; an odd pixel is added at the end."""
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride)]
    before = [t // 2 for t in total]
    return before[0], before[1], total[0] - before[0], total[1] - before[1]


def checked(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A model of a graph, checked by ONNX.

    Raises:
        DataError: the ONNX checker refuses the graph.
    """
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, producer_name="edge-tools")
    model.ir_version = IR_VERSION
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        line = str(error).strip().splitlines()[0]
        raise DataError(f"{graph.name}: the conversion made an invalid graph: {line}") from None
    return model


def drop_identities(graph: onnx.GraphProto) -> None:
    """Remove Identity nodes before outputs: the node before writes the output itself."""
    makers = {name: node for node in graph.node for name in node.output}
    results = {value.name for value in graph.output}
    for node in [n for n in graph.node if n.op_type == "Identity"]:
        source = node.input[0]
        if source in makers and source not in results and node.output[0] in results:
            _rename(graph, source, node.output[0])
            makers[node.output[0]] = makers.pop(source)
            graph.node.remove(node)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that no output needs."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    weights = [w for w in graph.initializer if w.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(weights)
