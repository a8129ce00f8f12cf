"""Translate darknet layers to ONNX, one function for each kind of layer.

Batch normalisation is folded into the convolution before it; darknet divides by
sqrt(variance) + 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from edge.errors import ConfigError, DataError
from tools.convert.graph import Array, GraphBuilder

LEAK = 0.1


@dataclass(frozen=True)
class Section:
    """One section of the cfg.

    Attributes:
        kind: name in brackets.
        values: its `key=value` lines.
        line: number of its first line.
        label: name of the network, for errors.
    """

    kind: str
    values: Dict[str, str]
    line: int
    label: str

    def numbers(self, key: str, default: Optional[str] = None) -> List[int]:
        """Whole numbers of a comma-separated list.

        Raises:
            DataError: the key is missing and has no default, or the value is not such a list.
        """
        text = self.values.get(key, default)
        try:
            return [int(part) for part in (text or "").split(",") if part.strip() or not text]
        except ValueError:
            raise DataError(
                f"{self.label}: [{self.kind}] at line {self.line}: {key} = {text} is not a number"
            ) from None

    def number(self, key: str, default: Optional[int] = None) -> int:
        """One whole number."""
        return self.numbers(key, None if default is None else str(default))[0]

    def count(self, key: str, default: int = 1) -> int:
        """One whole number that must be 1 or more.

        Raises:
            DataError: the number is smaller.
        """
        value = self.number(key, default)
        if value < 1:
            where = f"{self.label}: [{self.kind}] at line {self.line}"
            raise DataError(f"{where}: {key} = {value} must be at least 1")
        return value


@dataclass(frozen=True)
class Layer:
    """A translated layer: its ONNX tensor [batch, channels, height, width]."""

    name: str
    channels: int
    height: int
    width: int


class Translation:
    """State of one translation: the layers so far, and the weights not read yet."""

    def __init__(self, graph: GraphBuilder, weights: Array, label: str) -> None:
        self.graph = graph
        self.label = label
        self.layers: List[Layer] = []
        self.heads: List[Layer] = []
        self._weights = weights
        self._read = 0

    def start(self, name: str, channels: int, height: int, width: int) -> None:
        """Begin with the input image."""
        self.image = Layer(name, channels, height, width)

    @property
    def last(self) -> Layer:
        """The input of the next layer."""
        return self.layers[-1] if self.layers else self.image

    def at(self, index: int) -> Layer:
        """A layer by its index; a negative index counts back from the layer being translated."""
        place = index if index >= 0 else len(self.layers) + index
        if not 0 <= place < len(self.layers):
            raise DataError(f"{self.label}: a layer refers to layer {index}, which does not exist")
        return self.layers[place]

    def take(self, *shape: int) -> Array:
        """The next numbers of the weights file, in a shape."""
        count = int(np.prod(shape, dtype=np.int64))
        end = self._read + count
        if count < 0 or end > len(self._weights):
            raise DataError(f"{self.label}: the weights file is too short for this cfg")
        values = self._weights[self._read : end].reshape(shape)
        self._read = end
        return values

    def require_all_read(self) -> None:
        """Refuse weights that are longer than the cfg says: they belong to another network."""
        rest = len(self._weights) - self._read
        if rest:
            raise DataError(
                f"{self.label}: the weights file is {rest} numbers too long for this cfg"
            )

    def add(self, name: str, channels: int, height: int, width: int) -> None:
        """Append a translated layer."""
        self.layers.append(Layer(name, channels, height, width))


def activated(translation: Translation, name: str, activation: str) -> str:
    """Append an activation, given by its darknet name."""
    graph = translation.graph
    if activation == "linear":
        return name
    if activation == "leaky":
        return graph.node("LeakyRelu", [name], alpha=LEAK)
    if activation in ("swish", "mish"):
        gate = graph.node("Sigmoid" if activation == "swish" else "Softplus", [name])
        gate = gate if activation == "swish" else graph.node("Tanh", [gate])
        return graph.node("Mul", [name, gate])
    simple = {"relu": "Relu", "logistic": "Sigmoid", "tanh": "Tanh"}
    if activation not in simple:
        raise DataError(f"{translation.label}: activation {activation} is not supported")
    return graph.node(simple[activation], [name])


def convolutional(translation: Translation, section: Section) -> None:
    """Translate a convolution with its batch normalisation and activation."""
    source, filters, kernel = translation.last, section.count("filters"), section.count("size")
    stride, group = section.count("stride"), section.count("groups")
    pad = kernel // 2 if section.number("pad", 0) else section.number("padding", 0)
    weights, bias = folded(translation, section, filters, source.channels // group, kernel)
    inputs = [source.name, translation.graph.constant(weights, "weight")]
    name = translation.graph.node(
        "Conv",
        inputs + [translation.graph.constant(bias, "bias")],
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        group=group,
    )
    height, width = ((n + 2 * pad - kernel) // stride + 1 for n in (source.height, source.width))
    _check_stride(translation, stride)
    name = activated(translation, name, section.values.get("activation", "logistic"))
    translation.add(name, filters, height, width)


def _check_stride(translation: Translation, stride: int) -> None:
    """Refuse a stride that does not divide the layer: boxes would be decoded at wrong places."""
    if translation.last.width % stride or translation.last.height % stride:
        size = f"{translation.image.width} x {translation.image.height}"
        raise ConfigError(
            f"{translation.label}: the strides do not divide an input of {size} px; use a width "
            "and a height that are multiples of 32"
        )


def folded(
    translation: Translation, section: Section, filters: int, channels: int, kernel: int
) -> Tuple[Array, Array]:
    """Weights [out, in, k, k] and bias [out] with the batch normalisation folded in."""
    bias: Array = translation.take(filters).astype(np.float64)
    if not section.number("batch_normalize", 0):
        return translation.take(filters, channels, kernel, kernel), bias.astype(np.float32)
    gamma, mean, variance = translation.take(3, filters).astype(np.float64)
    scale: Array = gamma / (np.sqrt(np.maximum(variance, 0)) + 1e-6)
    weights: Array = (
        translation.take(filters, channels, kernel, kernel) * scale[:, None, None, None]
    )
    return weights.astype(np.float32), (bias - mean * scale).astype(np.float32)


def maxpool(translation: Translation, section: Section) -> None:
    """Translate max pooling; darknet pads size - 1 px in all, the smaller half before."""
    source, stride = translation.last, section.count("stride")
    size = section.count("size", stride)
    _check_stride(translation, stride)
    padding = section.number("padding", size - 1)
    before, after = padding // 2, padding - padding // 2
    height, width = ((n + padding - size) // stride + 1 for n in (source.height, source.width))
    name = translation.graph.node(
        "MaxPool",
        [source.name],
        kernel_shape=[size] * 2,
        strides=[stride] * 2,
        pads=[before, before, after, after],
    )
    translation.add(name, source.channels, height, width)


def route(translation: Translation, section: Section) -> None:
    """Translate a concatenation of earlier layers, or of one group of their channels."""
    sources = [translation.at(index) for index in section.numbers("layers")]
    groups, chosen = section.count("groups"), section.number("group_id", 0)
    names = [_group(translation, source, groups, chosen) for source in sources]
    name = names[0] if len(names) == 1 else translation.graph.node("Concat", names, axis=1)
    first = sources[0]
    translation.add(name, sum(s.channels // groups for s in sources), first.height, first.width)


def _group(translation: Translation, source: Layer, groups: int, chosen: int) -> str:
    if groups == 1:
        return source.name
    size = source.channels // groups
    bounds = (np.array([v], np.int64) for v in (chosen * size, (chosen + 1) * size, 1))
    first, last, axis = (translation.graph.constant(v, "slice") for v in bounds)
    return translation.graph.node("Slice", [source.name, first, last, axis])


def shortcut(translation: Translation, section: Section) -> None:
    """Translate a sum with an earlier layer of the same shape."""
    source, other = translation.last, translation.at(section.number("from"))
    if other.channels != source.channels:
        sizes = f"{other.channels} to {source.channels} channels"
        raise DataError(f"{translation.label}: [shortcut] at line {section.line} adds {sizes}")
    name = translation.graph.node("Add", [source.name, other.name])
    name = activated(translation, name, section.values.get("activation", "linear"))
    translation.add(name, source.channels, source.height, source.width)


def upsample(translation: Translation, section: Section) -> None:
    """Translate nearest-neighbour upsampling: each pixel becomes stride x stride equal pixels."""
    source, stride = translation.last, section.count("stride", 2)
    scales = translation.graph.constant(np.array([1, 1, stride, stride], np.float32), "scales")
    name = translation.graph.node(
        "Resize",
        [source.name, "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    translation.add(name, source.channels, source.height * stride, source.width * stride)


def yolo(translation: Translation, section: Section) -> None:
    """Note a head: the layer before it becomes an output."""
    translation.heads.append(translation.last)
    translation.layers.append(translation.last)


LAYERS: Dict[str, Callable[[Translation, Section], None]] = {
    "convolutional": convolutional,
    "maxpool": maxpool,
    "route": route,
    "shortcut": shortcut,
    "upsample": upsample,
    "yolo": yolo,
}
