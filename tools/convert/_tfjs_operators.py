"""Translate TensorFlow.js operators to ONNX; TensorFlow.js has weights [h, w, in, out]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Dict, List

from edge.errors import DataError
from tools.convert._tfjs_file import GraphModel, Node
from tools.convert.graph import Array, GraphBuilder, same_pads


@dataclass(frozen=True)
class Tensor:
    """A translated tensor [batch, channels, height, width]."""

    name: str
    channels: int
    height: int
    width: int


class Translation:
    """State of one translation: the tensors so far, by their names in the file."""

    def __init__(self, source: GraphModel, graph: GraphBuilder) -> None:
        self.source = source
        self.graph = graph
        self.tensors: Dict[str, Tensor] = {}


def conv_2d(translation: Translation, node: Node) -> Tensor:
    """Translate a convolution with its bias and activation."""
    weights = translation.source.constant(node.inputs[1]).transpose(3, 2, 0, 1)
    group = translation.tensors[node.inputs[0]].channels // weights.shape[1]
    return _convolved(translation, node, weights, group)


def depthwise_conv_2d(translation: Translation, node: Node) -> Tensor:
    """Translate a depthwise convolution with its bias and activation."""
    weights = translation.source.constant(node.inputs[1])
    height, width, channels, multiplier = weights.shape
    flat = weights.reshape(height, width, 1, channels * multiplier)
    return _convolved(translation, node, flat.transpose(3, 2, 0, 1), channels)


def _convolved(translation: Translation, node: Node, weights: Array, group: int) -> Tensor:
    image = translation.tensors[node.inputs[0]]
    kernel, stride = weights.shape[2:], node.numbers("strides")[1:3]
    dilation = (node.numbers("dilations") or [1, 1, 1, 1])[1:3]
    if node.text("data_format") not in ("", "NHWC") or dilation != [1, 1]:
        raise DataError(
            f"{translation.source.label}: {node.op} with dilation, or not NHWC, is not supported"
        )
    size = (image.height, image.width)
    pads = same_pads(size, kernel, stride) if node.text("padding") == "SAME" else (0, 0, 0, 0)
    inputs = [image.name, translation.graph.constant(weights, "weight")]
    if "BiasAdd" in node.texts("fused_ops"):
        inputs.append(
            translation.graph.constant(translation.source.constant(node.inputs[2]), "bias")
        )
    name = translation.graph.node(
        "Conv", inputs, kernel_shape=list(kernel), strides=stride, pads=list(pads), group=group
    )
    name = _activated(translation, name, node.texts("fused_ops"))
    grown = (n + pads[i] + pads[i + 2] - kernel[i] for i, n in enumerate(size))
    height, width = (n // s + 1 for n, s in zip(grown, stride))
    return Tensor(name, weights.shape[0], height, width)


def _activated(translation: Translation, name: str, fused: List[str]) -> str:
    kinds = [op for op in fused if op != "BiasAdd"]
    if not kinds:
        return name
    if kinds == ["Relu6"]:
        return translation.graph.relu6(name)
    if kinds == ["Relu"]:
        return translation.graph.node("Relu", [name])
    raise DataError(f"{translation.source.label}: fused {', '.join(kinds)} is not supported")


def add(translation: Translation, node: Node) -> Tensor:
    """Translate a sum of two tensors of the same shape."""
    first, second = (translation.tensors[name] for name in node.inputs)
    return replace(first, name=translation.graph.node("Add", [first.name, second.name]))


def resize_bilinear(translation: Translation, node: Node) -> Tensor:
    """Translate a bilinear resize to twice the size, the only one that feature pyramids use."""
    if node.flag("align_corners") or not node.flag("half_pixel_centers"):
        raise DataError(
            f"{translation.source.label}: ResizeBilinear without half-pixel centers "
            "is not supported"
        )
    image = translation.tensors[node.inputs[0]]
    name = translation.graph.resized(image.name, (2, 2), "half_pixel")
    return Tensor(name, image.channels, 2 * image.height, 2 * image.width)


TRANSLATORS: Dict[str, Callable[[Translation, Node], Tensor]] = {
    "AddV2": add,
    "Conv2D": conv_2d,
    "_FusedConv2D": conv_2d,
    "DepthwiseConv2dNative": depthwise_conv_2d,
    "FusedDepthwiseConv2dNative": depthwise_conv_2d,
    "ResizeBilinear": resize_bilinear,
}
