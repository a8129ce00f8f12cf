"""Translate TFLite operators to ONNX, one function for each operator.

Operators and SAME padding are as in TensorFlow Lite's documentation. TFLite has weights
[out, h, w, in] (depthwise [1, h, w, out]), ONNX [out, in, h, w].
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np
import tflite

from edge.errors import DataError
from tools.convert._tflite_file import Operator, TfliteFile
from tools.convert.graph import Array, GraphBuilder, Pads, same_pads

ACTIVATIONS = tflite.ActivationFunctionType
SAME = tflite.Padding.SAME
NCHW = (0, 3, 1, 2)  # place of each NCHW axis in NHWC
NHWC = (0, 2, 3, 1)


class Translation:
    """State of one translation.

    Attributes:
        names: tensor of the file -> ONNX tensor.
        pending: tensor of the file -> its source and zero padding that is not written yet.
    """

    def __init__(self, source: TfliteFile, graph: GraphBuilder) -> None:
        self.source = source
        self.graph = graph
        self.names: Dict[int, str] = {}
        self.pending: Dict[int, Tuple[int, Pads]] = {}

    def name(self, index: int) -> str:
        """ONNX tensor of a tensor of the file; constants and pending pads are written now."""
        if index not in self.names:
            if index in self.pending:
                source, pads = self.pending[index]
                self.names[index] = pad_node(self, self.name(source), pads)
            else:
                self.names[index] = self.graph.constant(nchw(self.known(index)))
        return self.names[index]

    def known(self, index: int) -> Array:
        """Values of a constant; ValueError if the tensor is not a constant."""
        values = self.source.constant(index)
        if values is None:
            raise ValueError("not a constant")
        return values

    def shape(self, index: int) -> Tuple[int, ...]:
        """Shape in the file (NHWC)."""
        return self.source.shape(index)


def nchw(values: Array) -> Array:
    """A constant in NCHW; vectors of channels [1, 1, C] become [C, 1, 1]."""
    if values.ndim == 4:
        return values.transpose(NCHW)
    return values.transpose(2, 0, 1) if values.ndim == 3 else values


def pad_node(translation: Translation, name: str, pads: Pads) -> str:
    """Append zero padding as a node."""
    top, left, bottom, right = pads
    amounts = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    return translation.graph.node("Pad", [name, translation.graph.constant(amounts, "pads")])


def activated(translation: Translation, name: str, activation: int) -> str:
    """Append a fused activation."""
    if activation == ACTIVATIONS.NONE:
        return name
    if activation == ACTIVATIONS.RELU:
        return translation.graph.node("Relu", [name])
    if activation == ACTIVATIONS.RELU6:
        return translation.graph.relu6(name)
    raise DataError(f"{translation.source.label}: fused activation {activation} is not supported")


def convolved(
    translation: Translation, operator: Operator, weights: Array, options: Any, group: int
) -> str:
    """Append a convolution with weights [out, in/group, h, w]; pending padding becomes its own."""
    image, pads = operator.inputs[0], (0, 0, 0, 0)
    kernel, stride = weights.shape[2:], (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    if options.Padding() == SAME:
        pads = same_pads(translation.shape(image)[1:3], reach, stride)
    elif image in translation.pending and image not in translation.names:
        image, pads = translation.pending[image]
    inputs = [translation.name(image), translation.graph.constant(weights, "weight")]
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:
        inputs.append(translation.graph.constant(translation.known(operator.inputs[2]), "bias"))
    name = translation.graph.node(
        "Conv",
        inputs,
        kernel_shape=list(kernel),
        strides=list(stride),
        pads=list(pads),
        dilations=list(dilation),
        group=group,
    )
    return activated(translation, name, options.FusedActivationFunction())


def options_of(operator: Operator, table: Any) -> Any:
    """Options of an operator, read as `table`."""
    options = table()
    options.Init(operator.options.Bytes, operator.options.Pos)
    return options


def conv_2d(translation: Translation, operator: Operator) -> str:
    """Translate a convolution; its groups follow from the input channels of the weights."""
    weights = translation.known(operator.inputs[1]).transpose(NCHW)
    group = translation.shape(operator.inputs[0])[3] // weights.shape[1]
    options = options_of(operator, tflite.Conv2DOptions)
    return convolved(translation, operator, weights, options, group)


def depthwise_conv_2d(translation: Translation, operator: Operator) -> str:
    """Translate a depthwise convolution: one group for each input channel."""
    weights = translation.known(operator.inputs[1]).transpose(3, 0, 1, 2)
    group = translation.shape(operator.inputs[0])[3]
    options = options_of(operator, tflite.DepthwiseConv2DOptions)
    return convolved(translation, operator, weights, options, group)


def pad(translation: Translation, operator: Operator) -> str:
    """Translate zero padding; padding of H and W is kept pending for a convolution to take."""
    amounts = translation.known(operator.inputs[1])
    if amounts.shape == (4, 2) and not amounts[[0, 3]].any():
        (top, bottom), (left, right) = amounts[1:3].tolist()
        source = operator.inputs[0]
        translation.pending[operator.outputs[0]] = (source, (top, left, bottom, right))
        return ""
    order = NCHW if len(amounts) == 4 else tuple(range(len(amounts)))
    both = amounts[list(order)].T.reshape(-1).astype(np.int64)
    inputs = [translation.name(operator.inputs[0]), translation.graph.constant(both, "pads")]
    return translation.graph.node("Pad", inputs)


def add(translation: Translation, operator: Operator) -> str:
    """Translate a sum of two tensors."""
    name = translation.graph.node("Add", [translation.name(i) for i in operator.inputs])
    options = options_of(operator, tflite.AddOptions)
    return activated(translation, name, options.FusedActivationFunction())


def max_pool_2d(translation: Translation, operator: Operator) -> str:
    """Translate max pooling."""
    options = options_of(operator, tflite.Pool2DOptions)
    kernel = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    image = operator.inputs[0]
    pads: Pads = (0, 0, 0, 0)
    if options.Padding() == SAME:
        pads = same_pads(translation.shape(image)[1:3], kernel, stride)
    name = translation.graph.node(
        "MaxPool",
        [translation.name(image)],
        kernel_shape=list(kernel),
        strides=list(stride),
        pads=list(pads),
    )
    return activated(translation, name, options.FusedActivationFunction())


def resize_bilinear(translation: Translation, operator: Operator) -> str:
    """Translate a bilinear resize; it is written as scales, which do not fix the batch."""
    options = options_of(operator, tflite.ResizeBilinearOptions)
    old = translation.shape(operator.inputs[0])[1:3]
    new = translation.known(operator.inputs[1]).tolist()
    mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
    mode = "align_corners" if options.AlignCorners() else mode
    scale = (new[0] / old[0], new[1] / old[1])
    return translation.graph.resized(translation.name(operator.inputs[0]), scale, mode)


def reshape(translation: Translation, operator: Operator) -> str:
    """Translate a reshape; its order is that of NHWC, so an image is first transposed back."""
    image, result = operator.inputs[0], operator.outputs[0]
    name, shape = translation.name(image), translation.shape(image)
    if len(shape) == 4 and shape[1:3] != (1, 1):
        name = translation.graph.node("Transpose", [name], perm=list(NHWC))
    target = list(translation.shape(result))
    if len(target) == 4:
        target = [target[i] for i in NCHW]
        if tuple(target[2:]) != (1, 1):
            raise DataError(f"{translation.source.label}: RESHAPE to an image is not supported")
    target[0] = -1
    sizes = translation.graph.constant(np.array(target, np.int64), "shape")
    return translation.graph.node("Reshape", [name, sizes])


def concatenation(translation: Translation, operator: Operator) -> str:
    """Translate a concatenation; its axis is moved to NCHW."""
    options = options_of(operator, tflite.ConcatenationOptions)
    rank = len(translation.shape(operator.outputs[0]))
    axis = options.Axis() % rank
    axis = NCHW.index(axis) if rank == 4 else axis
    name = translation.graph.node(
        "Concat", [translation.name(i) for i in operator.inputs], axis=axis
    )
    return activated(translation, name, options.FusedActivationFunction())


def prelu(translation: Translation, operator: Operator) -> str:
    """Translate PReLU as (1 - slope) relu(x) + slope x.

    ONNX Runtime's PRelu is slow on the CPU: with it the face network takes 2.7 times as long.
    TensorRT fuses the four nodes into one kernel.
    """
    graph, name = translation.graph, translation.name(operator.inputs[0])
    slope = nchw(translation.known(operator.inputs[1]))
    above = graph.constant((1 - slope).astype(np.float32), "above")
    positive = graph.node("Mul", [graph.node("Relu", [name]), above])
    return graph.node("Add", [positive, graph.node("Mul", [name, graph.constant(slope, "slope")])])


def mean(translation: Translation, operator: Operator) -> str:
    """Translate a mean over the whole image."""
    axes = sorted(int(a) % 4 for a in translation.known(operator.inputs[1]).reshape(-1))
    if len(translation.shape(operator.inputs[0])) != 4 or axes != [1, 2]:
        raise DataError(f"{translation.source.label}: MEAN over axes {axes} is not supported")
    name = translation.graph.node("GlobalAveragePool", [translation.name(operator.inputs[0])])
    flat = len(translation.shape(operator.outputs[0])) == 2
    return translation.graph.node("Flatten", [name]) if flat else name


def fully_connected(translation: Translation, operator: Operator) -> str:
    """Translate a matrix product with weights [out, in]."""
    options = options_of(operator, tflite.FullyConnectedOptions)
    name = translation.name(operator.inputs[0])
    if len(translation.shape(operator.inputs[0])) != 2:
        name = translation.graph.node("Flatten", [name])
    inputs = [name] + [translation.name(i) for i in operator.inputs[1:] if i >= 0]
    name = translation.graph.node("Gemm", inputs, transB=1)
    return activated(translation, name, options.FusedActivationFunction())


def depth_to_space(translation: Translation, operator: Operator) -> str:
    """Translate depth to space; TFLite's order of channels is `DCR` in ONNX."""
    size = options_of(operator, tflite.DepthToSpaceOptions).BlockSize()
    inputs = [translation.name(operator.inputs[0])]
    return translation.graph.node("DepthToSpace", inputs, blocksize=size, mode="DCR")


def elementwise(op: str) -> Callable[[Translation, Operator], str]:
    """Translator of an operator with one input that ONNX also has."""

    def translate(translation: Translation, operator: Operator) -> str:
        return translation.graph.node(op, [translation.name(operator.inputs[0])])

    return translate


TRANSLATORS: Dict[str, Callable[[Translation, Operator], Optional[str]]] = {
    "ADD": add,
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEPTH_TO_SPACE": depth_to_space,
    "FULLY_CONNECTED": fully_connected,
    "HARD_SWISH": elementwise("HardSwish"),
    "LOGISTIC": elementwise("Sigmoid"),
    "MAX_POOL_2D": max_pool_2d,
    "MEAN": mean,
    "PAD": pad,
    "PRELU": prelu,
    "RELU": elementwise("Relu"),
    "RESHAPE": reshape,
    "RESIZE_BILINEAR": resize_bilinear,
}
