"""Export a network as one ONNX file: folded, dynamic batch, opset 17, weights inside."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from typing import Any, Dict, List, Tuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from edge.errors import DataError
from tools.arch.fold import folded
from tools.arch.network import Network, Outputs

OPSET = 17  # the newest that TensorRT 8.5 reads
IR_VERSION = 8  # the newest that ONNX Runtime 1.16 reads
INPUT = "input"
FORMS = ("decoded", "raw", "fused")
# Operators that remain if something was not folded, or if the graph computes the batch size.
UNWANTED = ("BatchNormalization", "Shape", "ConstantOfShape", "Identity", "If", "Loop", "Dropout")


class Form(nn.Module):
    """One form of a network's outputs as a tuple, for the exporter."""

    def __init__(self, network: Network, form: str) -> None:
        super().__init__()
        self.network = network
        self.form = form

    def outputs(self, image: Tensor) -> Outputs:
        """The outputs by name."""
        network = self.network
        how = {"decoded": network.forward, "raw": network.raw, "fused": network.fused}
        return how[self.form](image)

    def forward(self, image: Tensor) -> Tuple[Tensor, ...]:
        """The outputs in the order of their names."""
        return tuple(self.outputs(image).values())


def to_onnx(network: Network, form: str, notes: Dict[str, str]) -> onnx.ModelProto:
    """Export a network.

    Args:
        network: the network, in evaluation mode; it is not changed.
        form: one of FORMS.
        notes: entries for the file's metadata.

    Returns:
        The checked model: input `input` [batch,3,H,W] float32, outputs by the form's names.

    Raises:
        DataError: the graph has unwanted operators, from a bug in a definition.
    """
    graph = Form(folded(network), form).eval()
    image = torch.zeros(2, 3, *network.size)
    with torch.no_grad():
        outputs = graph.outputs(image)
        model = onnx.load_from_string(_traced(graph, image, list(outputs)))
    model.ir_version = min(model.ir_version, IR_VERSION)
    onnx.helper.set_model_props(model, notes)
    _constants_to_weights(model.graph)
    _drop_identities(model.graph)
    _compute_fixed(model.graph)
    _state_shapes(model, outputs)
    onnx.checker.check_model(model)
    unwanted = sorted({node.op_type for node in model.graph.node} & set(UNWANTED))
    if unwanted:
        raise DataError(f"the exported graph contains {', '.join(unwanted)}, which must not remain")
    return model


def _traced(graph: nn.Module, image: Tensor, names: List[str]) -> bytes:
    options = {}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False  # the only exporter that torch 2.0 to 2.13 have in common
    file = io.BytesIO()
    # Newer versions warn that the other exporter should be used, older ones print a summary.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (image,),
            file,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *names)},
            do_constant_folding=True,
            **options,
        )
    return file.getvalue()


def _constants_to_weights(graph: onnx.GraphProto) -> None:
    """Turn constants into weights, so that the next tool finds one kind of fixed tensor."""
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        weight = graph.initializer.add()
        weight.CopyFrom(node.attribute[0].t)
        weight.name = node.output[0]
        graph.node.remove(node)


def _drop_identities(graph: onnx.GraphProto) -> None:
    """Remove Identity nodes: the tracer stores equal weights once and names the others by them."""
    weights = {weight.name for weight in graph.initializer}
    same = {}
    for node in [n for n in graph.node if n.op_type == "Identity" and n.input[0] in weights]:
        same[node.output[0]] = node.input[0]
        graph.node.remove(node)
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = same.get(name, name)


def _compute_fixed(graph: onnx.GraphProto) -> None:
    """Compute what follows from constants alone: the tracer writes a padding as arithmetic."""
    if not any(node.op_type == "ConstantOfShape" for node in graph.node):
        return
    fixed = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    made: Dict[str, np.ndarray] = {}
    left: List[onnx.NodeProto] = []
    for node in graph.node:
        if node.input and all(name in fixed for name in node.input if name):
            feeds = {n: fixed[n] for n in node.input if n}
            values: Any = ReferenceEvaluator(node).run(None, feeds)
            made.update(zip(node.output, values))
            fixed.update(zip(node.output, values))
        else:
            left.append(node)
    del graph.node[:]
    graph.node.extend(left)
    used = {name for node in left for name in node.input}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name)
        for name, value in made.items()
        if name in used
    )
    for weight in [w for w in graph.initializer if w.name not in used]:
        graph.initializer.remove(weight)


def _state_shapes(model: onnx.ModelProto, outputs: Outputs) -> None:
    """Write the shapes of the outputs, because the tracer loses some of them at a reshape."""
    for output in model.graph.output:
        shape = output.type.tensor_type.shape
        del shape.dim[:]
        shape.dim.add().dim_param = "batch"
        for size in outputs[output.name].shape[1:]:
            shape.dim.add().dim_value = size
