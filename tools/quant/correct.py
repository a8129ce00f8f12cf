"""Take back what quantization does to a network on average, without any training.

Layer by layer, in order, the quantized network's own inputs are put through the layer; the mean
difference to the float layer in each output channel goes into the float bias. Source: Nagel et al.
2019, "Data-free quantization through weight equalization and bias correction", section 4.2,
with means that are measured, not assumed. The weights and the ranges stay as they are.
"""

from __future__ import annotations

from typing import Callable, Dict, Set

import numpy as np
import onnx
from onnx import numpy_helper

from tools.quant.fit import can_fit, fitted
from tools.quant.graph import Layer, Plan, wire
from tools.quant.side_by_side import Batches, Walk

CORRECTED = ("Conv", "ConvTranspose")


def correct(
    floating: onnx.ModelProto,
    quantized: onnx.ModelProto,
    plan: Plan,
    inputs: Dict[str, Batches],
    progress: Callable[[], None] = lambda: None,
    fit: bool = False,
) -> onnx.ModelProto:
    """A quantized network whose layers give, on average, what the float ones give.

    Args:
        floating: the network before.
        quantized: the same with Q/DQ pairs; not changed.
        plan: what was quantized.
        inputs: batches of crops by graph input.
        progress: called after each layer.
        fit: choose the rounding of weights, too (tools.quant.fit).
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(quantized)
    _give_biases(copy, plan)
    pair = _Pair(Walk(floating, inputs), Walk(copy, inputs), _shared(floating), fit)
    for layer in plan.layers:
        pair.settle(layer)
        progress()
    return copy


def _give_biases(model: onnx.ModelProto, plan: Plan) -> None:
    """A bias of 0 for the layers that have none."""
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    chosen = {layer.name: layer for layer in plan.layers if layer.kind in CORRECTED}
    for node in model.graph.node:
        layer = chosen.get(node.name)
        if layer is not None and len(node.input) == 2:
            size = shapes[layer.weight][layer.axis] * _repeats(node)
            node.input.append(f"{layer.name}/bias")
            zeros = np.zeros(size, np.float32)
            model.graph.initializer.append(numpy_helper.from_array(zeros, node.input[2]))


def _repeats(node: onnx.NodeProto) -> int:
    """How often the weight's output axis repeats: only transposed convolutions split it."""
    groups = next((int(a.i) for a in node.attribute if a.name == "group"), 1)
    return groups if node.op_type == "ConvTranspose" else 1


def _shared(model: onnx.ModelProto) -> Set[str]:
    """Constants that more than one node uses: what one layer needs would harm the other."""
    used = [name for node in wire(model).nodes for name in node.input]
    return {name for name in used if used.count(name) > 1}


class _Pair:
    """The float and the quantized walk at the same layer."""

    def __init__(self, floating: Walk, quantized: Walk, shared: Set[str], fit: bool) -> None:
        self._float, self._int8, self._shared = floating, quantized, shared
        self._fit = fit

    def settle(self, layer: Layer) -> None:
        """Run the layer in both and correct its weights and its bias."""
        self._float.advance(layer.name)
        if self._fit and layer.weight not in self._shared:
            self._fit_weight(layer)
        self._int8.advance(layer.name)
        bias = list(self._int8.node.input)[2:]
        target = self._float.step()[0]
        self._int8.step()
        if layer.kind in CORRECTED and bias[0] not in self._shared and target in self._int8.live:
            self._correct_bias(bias[0], target)

    def _fit_weight(self, layer: Layer) -> None:
        """Before the network's own QuantizeLinear reads the weight, whose grid stays."""
        constant = self._int8.constants[layer.weight]
        weight = numpy_helper.to_array(constant)
        if not can_fit(self._float.node, weight):
            return
        self._int8.advance(f"{layer.weight}/QuantizeLinear")
        given = self._int8.live[f"{layer.activation}/float"]
        weight = fitted(self._float.node, weight, self._float.live[layer.activation], given)
        constant.CopyFrom(numpy_helper.from_array(weight, layer.weight))

    def _correct_bias(self, bias: str, target: str) -> None:
        wanted, given = self._float.live[target], self._int8.live[target]
        total = sum(len(batch) for batch in wanted)
        sums = [(a - b).reshape(*a.shape[:2], -1).mean(2).sum(0) for a, b in zip(wanted, given)]
        shift = (np.sum(sums, 0) / total).astype(np.float32)
        constant = self._int8.constants[bias]
        constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) + shift, bias))
        for batch in given:
            batch += shift.reshape(-1, *[1] * (batch.ndim - 2))
