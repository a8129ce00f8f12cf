"""Multiply-accumulates of an ONNX network, and the tensor shapes that they follow from."""

from __future__ import annotations

from typing import Dict, List, Optional

import numpy as np
import onnx
from onnx import shape_inference
from onnx.shape_inference import InferenceError


def macs(model: onnx.ModelProto) -> Optional[int]:
    """Multiply-accumulates of convolutions and matrix products for one sample.

    None if a size other than the batch is unknown.
    """
    shapes = tensor_shapes(model)
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
            count = node_macs(node, shapes)
            if count is None:
                return None
            total += count
    return total


def tensor_shapes(model: onnx.ModelProto) -> Dict[str, List[int]]:
    """Shape of each tensor at a batch of 1; 0 = a size that is not known."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    weights = {t.name: list(t.dims) for t in single.graph.initializer}
    del single.graph.value_info[:]
    for value in single.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and dims and not dims[0].dim_value:
            dims[0].dim_value = 1
    for value in single.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        inferred = shape_inference.infer_shapes(single, data_prop=True).graph
    except InferenceError:
        return weights
    found = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    return {**found, **weights}


def node_macs(node: onnx.NodeProto, shapes: Dict[str, List[int]]) -> Optional[int]:
    """Multiply-accumulates of one layer; None if one of its sizes is unknown.

    They are the output positions (of a ConvTranspose: the input positions) times the weights that
    each position is multiplied with.
    """
    transposed = node.op_type == "ConvTranspose"
    place = shapes.get(node.input[0] if transposed else node.output[0], [])
    weight = shapes.get(node.input[1], [])
    if not place or not weight or 0 in place or 0 in weight:
        return None
    if node.op_type in ("Conv", "ConvTranspose"):
        return int(np.prod(place)) * int(np.prod(weight[1:]))
    turned = any(a.name == "transB" and a.i for a in node.attribute)
    inner = weight[-1] if turned or len(weight) == 1 else weight[-2]
    return int(np.prod(place)) * inner
