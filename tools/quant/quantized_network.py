"""What the quantization of one network gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

import onnx

from tools.quant.graph import Placement


@dataclass
class QuantizedNetwork:
    """A network after quantization, and how it was made.

    Attributes:
        model: the network with Q/DQ pairs.
        ranges: amax of each quantized tensor.
        largest: largest |x| seen of each of these tensors.
        method: the method that read the ranges off the histograms.
        placement: which layers and residual branches are INT8.
        crops: number of crops that the ranges were measured on.
        dropped: layers that were made float for accuracy.
        methods: output error of each method with all layers in INT8, before channels were
            equalized again.
        layers: output error with one layer in INT8 at a time, worst first; empty if not measured.
        macs: multiply-accumulates of each layer; empty if a size of the network is unknown.
        errors: relative error of each output of `model`.
        error: one figure for all outputs of `model`.
        correction: correction of rounding: as is, corrected (biases) or fitted (weights, biases).
        alpha: strength of the channel equalization; None if channels were not scaled.
        equal: the float network with scaled channels that the ranges belong to; None if they were
            not scaled.
    """

    model: onnx.ModelProto
    ranges: Dict[str, float]
    largest: Dict[str, float]
    method: str
    placement: Placement
    crops: int
    dropped: List[str] = field(default_factory=list)
    methods: Dict[str, float] = field(default_factory=dict)
    layers: Dict[str, float] = field(default_factory=dict)
    macs: Dict[str, int] = field(default_factory=dict)
    errors: Dict[str, float] = field(default_factory=dict)
    error: float = float("inf")
    correction: str = "as is"
    alpha: Optional[float] = None
    equal: Optional[onnx.ModelProto] = None
