"""Facts of an ONNX file: inputs, outputs, operators, precision, size, multiply-accumulates."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from tools.engines.request import opset
from tools.macs import macs

TYPES = {v: k.lower() for k, v in TensorProto.DataType.items()}


def describe(model: onnx.ModelProto) -> Dict[str, Any]:
    """Facts of a network, as JSON values."""
    graph = model.graph
    weights = {t.name: t for t in graph.initializer}
    standard = ("", "ai.onnx")
    counts = Counter(n.op_type for n in graph.node)
    return {
        "opset": opset(model),
        "domains": sorted({o.domain for o in model.opset_import if o.domain not in standard}),
        "producer": f"{model.producer_name} {model.producer_version}".strip(),
        "inputs": [_value(v) for v in graph.input if v.name not in weights],
        "outputs": [_value(v) for v in graph.output],
        "operators": dict(counts.most_common()),
        "qdq_pairs": min(counts["QuantizeLinear"], counts["DequantizeLinear"]),
        "precision": precision(model),
        "parameters": sum(int(np.prod(t.dims)) for t in weights.values()),
        "macs_per_sample": macs(model),
        "notes": {p.key: p.value for p in model.metadata_props},
    }


def _value(value: onnx.ValueInfoProto) -> Dict[str, Any]:
    kind = value.type.tensor_type
    shape: List[Any] = [d.dim_value or d.dim_param or "?" for d in kind.shape.dim]
    return {"name": value.name, "type": TYPES.get(kind.elem_type, "?"), "shape": shape}


def precision(model: onnx.ModelProto) -> str:
    """int8 if the network has Q/DQ nodes, else fp16 if it has FP16 weights, else fp32."""
    if any(n.op_type == "QuantizeLinear" for n in model.graph.node):
        return "int8"
    kinds = {t.data_type for t in model.graph.initializer}
    return "fp16" if TensorProto.FLOAT16 in kinds else "fp32"


def ranges(model: onnx.ModelProto) -> Dict[str, float]:
    """Range of each quantized activation: 127 times its scale."""
    constants = {t.name: t for t in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale = constants.get(node.input[1])
            if scale is not None and int(np.prod(scale.dims)) == 1:
                found[node.input[0]] = 127 * float(numpy_helper.to_array(scale).ravel()[0])
    return found
