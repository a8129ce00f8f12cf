"""Correct the biases, and if asked the weights, of a quantized network, without training.

Layer by layer, in order, the layer runs on the inputs that the quantized network gives it. The mean
difference to the output of the float layer, for each channel, goes into the float bias. Source:
Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
section 4.2; the means here are measured, not assumed.
"""

from __future__ import annotations

from typing import Callable, Dict, Set

import numpy as np
import onnx
from onnx import numpy_helper

from tools.quant.fit import can_fit, fitted
from tools.quant.graph import Layer, Placement, wire
from tools.quant.stepwise import Batches, StepwiseNetwork

CORRECTED = ("Conv", "ConvTranspose")


def correct(
    floating: onnx.ModelProto,
    quantized: onnx.ModelProto,
    placement: Placement,
    inputs: Dict[str, Batches],
    progress: Callable[[], None] = lambda: None,
    fit: bool = False,
) -> onnx.ModelProto:
    """A quantized network whose layers give on average what the float layers give.

    Args:
        floating: the float network.
        quantized: the same network with Q/DQ pairs; not changed.
        placement: what is INT8.
        inputs: graph input -> batches of crops.
        progress: called after each layer.
        fit: also fit the weights (tools.quant.fit).
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(quantized)
    _add_biases(copy, placement)
    sides = (StepwiseNetwork(floating, inputs), StepwiseNetwork(copy, inputs))
    corrector = _Corrector(*sides, _shared(floating), fit)
    for layer in placement.layers:
        corrector.correct_layer(layer)
        progress()
    return copy


def _add_biases(model: onnx.ModelProto, placement: Placement) -> None:
    """Add a bias of 0 to layers without a bias."""
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    chosen = {layer.name: layer for layer in placement.layers if layer.kind in CORRECTED}
    for node in model.graph.node:
        layer = chosen.get(node.name)
        if layer is not None and len(node.input) == 2:
            size = shapes[layer.weight][layer.axis] * _repeats(node)
            node.input.append(f"{layer.name}/bias")
            zeros = np.zeros(size, np.float32)
            model.graph.initializer.append(numpy_helper.from_array(zeros, node.input[2]))


def _repeats(node: onnx.NodeProto) -> int:
    """How often the output axis of the weight repeats: a transposed convolution splits it."""
    groups = next((int(a.i) for a in node.attribute if a.name == "group"), 1)
    return groups if node.op_type == "ConvTranspose" else 1


def _shared(model: onnx.ModelProto) -> Set[str]:
    """Constants that several nodes use: a correction for one layer would harm the others."""
    used = [name for node in wire(model).nodes for name in node.input]
    return {name for name in used if used.count(name) > 1}


class _Corrector:
    """The float and the quantized network, both run up to the same layer."""

    def __init__(
        self, floating: StepwiseNetwork, quantized: StepwiseNetwork, shared: Set[str], fit: bool
    ) -> None:
        self._float, self._int8, self._shared = floating, quantized, shared
        self._fit = fit

    def correct_layer(self, layer: Layer) -> None:
        """Run a layer in both networks and correct its weights and its bias."""
        self._float.run_to(layer.name)
        if self._fit and layer.weight not in self._shared:
            self._fit_weight(layer)
        self._int8.run_to(layer.name)
        bias = list(self._int8.next_node.input)[2:]
        output = self._float.run_next()[0]
        self._int8.run_next()
        if layer.kind in CORRECTED and bias[0] not in self._shared and output in self._int8.tensors:
            self._correct_bias(bias[0], output)

    def _fit_weight(self, layer: Layer) -> None:
        """Replace the float weight before QuantizeLinear reads it; its scale stays."""
        constant = self._int8.constants[layer.weight]
        weight = numpy_helper.to_array(constant)
        if not can_fit(self._float.next_node, weight):
            return
        self._int8.run_to(f"{layer.weight}/QuantizeLinear")
        given = self._int8.tensors[f"{layer.activation}/float"]
        wanted = self._float.tensors[layer.activation]
        weight = fitted(self._float.next_node, weight, wanted, given)
        constant.CopyFrom(numpy_helper.from_array(weight, layer.weight))

    def _correct_bias(self, bias: str, output: str) -> None:
        wanted, given = self._float.tensors[output], self._int8.tensors[output]
        total = sum(len(batch) for batch in wanted)
        sums = [(a - b).reshape(*a.shape[:2], -1).mean(2).sum(0) for a, b in zip(wanted, given)]
        shift = (np.sum(sums, 0) / total).astype(np.float32)
        constant = self._int8.constants[bias]
        constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) + shift, bias))
        for batch in given:
            batch += shift.reshape(-1, *[1] * (batch.ndim - 2))
