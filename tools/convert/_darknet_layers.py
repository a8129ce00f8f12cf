"""What each darknet layer becomes in ONNX: one small function per layer.

Batch normalisation is folded into the convolution before it (darknet divides by
sqrt(variance) + 1e-6).
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
    """One `[kind]` of the cfg with its `key=value` lines; `line` is where it begins."""

    kind: str
    values: Dict[str, str]
    line: int
    label: str

    def numbers(self, key: str, default: Optional[str] = None) -> List[int]:
        """A comma list of whole numbers.

        Raises:
            DataError: missing without a default, or not numbers.
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
        """One number of at least 1.

        Raises:
            DataError: it is smaller.
        """
        value = self.number(key, default)
        if value < 1:
            where = f"{self.label}: [{self.kind}] at line {self.line}"
            raise DataError(f"{where}: {key} = {value} must be at least 1")
        return value


@dataclass(frozen=True)
class Layer:
    """A finished layer: its ONNX tensor [batch, channels, height, width]."""

    name: str
    channels: int
    height: int
    width: int


class Network:
    """The layers so far and the weights still unread."""

    def __init__(self, graph: GraphBuilder, weights: Array, label: str) -> None:
        self.graph = graph
        self.label = label
        self.layers: List[Layer] = []
        self.heads: List[Layer] = []
        self._weights = weights
        self._read = 0

    def start(self, name: str, channels: int, height: int, width: int) -> None:
        """Begin with the image."""
        self.image = Layer(name, channels, height, width)

    @property
    def last(self) -> Layer:
        """What the next layer continues from."""
        return self.layers[-1] if self.layers else self.image

    def at(self, index: int) -> Layer:
        """A layer by absolute index, or relative to the one being built when negative."""
        place = index if index >= 0 else len(self.layers) + index
        if not 0 <= place < len(self.layers):
            raise DataError(f"{self.label}: a layer refers to layer {index}")
        return self.layers[place]

    def take(self, *shape: int) -> Array:
        """The next numbers of the weights file."""
        count = int(np.prod(shape, dtype=np.int64))
        end = self._read + count
        if count < 0 or end > len(self._weights):
            raise DataError(f"{self.label}: the weights file is cut off or of another cfg")
        values = self._weights[self._read : end].reshape(shape)
        self._read = end
        return values

    def require_all_read(self) -> None:
        """Refuse weights that hold more than the cfg names: they are of another network."""
        rest = len(self._weights) - self._read
        if rest:
            raise DataError(
                f"{self.label}: {rest} numbers of the weights are left over: of another cfg"
            )

    def add(self, name: str, channels: int, height: int, width: int) -> None:
        """Append a finished layer."""
        self.layers.append(Layer(name, channels, height, width))


def activated(network: Network, name: str, activation: str) -> str:
    """Append an activation by darknet's name for it."""
    graph = network.graph
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
        raise DataError(f"{network.label}: activation {activation} is not known here")
    return graph.node(simple[activation], [name])


def convolutional(network: Network, section: Section) -> None:
    """Convolution with batch norm folded in."""
    source, filters, kernel = network.last, section.count("filters"), section.count("size")
    stride, group = section.count("stride"), section.count("groups")
    pad = kernel // 2 if section.number("pad", 0) else section.number("padding", 0)
    weights, bias = folded(network, section, filters, source.channels // group, kernel)
    inputs = [source.name, network.graph.constant(weights, "weight")]
    name = network.graph.node(
        "Conv",
        inputs + [network.graph.constant(bias, "bias")],
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        group=group,
    )
    height, width = ((n + 2 * pad - kernel) // stride + 1 for n in (source.height, source.width))
    _check_stride(network, stride)
    name = activated(network, name, section.values.get("activation", "logistic"))
    network.add(name, filters, height, width)


def _check_stride(network: Network, stride: int) -> None:
    """Cells that do not fill the input would be decoded beside their places."""
    if network.last.width % stride or network.last.height % stride:
        size = f"{network.image.width} x {network.image.height}"
        raise ConfigError(
            f"{network.label}: its layers' strides do not divide an input of {size} px; take a "
            "width and a height that are multiples of 32"
        )


def folded(
    network: Network, section: Section, filters: int, channels: int, kernel: int
) -> Tuple[Array, Array]:
    """Weights [out, in, k, k] and bias [out] with the batch norm multiplied in."""
    bias: Array = network.take(filters).astype(np.float64)
    if not section.number("batch_normalize", 0):
        return network.take(filters, channels, kernel, kernel), bias.astype(np.float32)
    gamma, mean, variance = network.take(3, filters).astype(np.float64)
    scale: Array = gamma / (np.sqrt(np.maximum(variance, 0)) + 1e-6)
    weights: Array = network.take(filters, channels, kernel, kernel) * scale[:, None, None, None]
    return weights.astype(np.float32), (bias - mean * scale).astype(np.float32)


def maxpool(network: Network, section: Section) -> None:
    """Maximum over windows; darknet pads size - 1 in all, the smaller half before."""
    source, stride = network.last, section.count("stride")
    size = section.count("size", stride)
    _check_stride(network, stride)
    padding = section.number("padding", size - 1)
    before, after = padding // 2, padding - padding // 2
    height, width = ((n + padding - size) // stride + 1 for n in (source.height, source.width))
    name = network.graph.node(
        "MaxPool",
        [source.name],
        kernel_shape=[size] * 2,
        strides=[stride] * 2,
        pads=[before, before, after, after],
    )
    network.add(name, source.channels, height, width)


def route(network: Network, section: Section) -> None:
    """Earlier layers side by side, or one group of their channels."""
    sources = [network.at(index) for index in section.numbers("layers")]
    groups, chosen = section.count("groups"), section.number("group_id", 0)
    names = [_group(network, source, groups, chosen) for source in sources]
    name = names[0] if len(names) == 1 else network.graph.node("Concat", names, axis=1)
    first = sources[0]
    network.add(name, sum(s.channels // groups for s in sources), first.height, first.width)


def _group(network: Network, source: Layer, groups: int, chosen: int) -> str:
    if groups == 1:
        return source.name
    size = source.channels // groups
    bounds = (np.array([v], np.int64) for v in (chosen * size, (chosen + 1) * size, 1))
    first, last, axis = (network.graph.constant(v, "slice") for v in bounds)
    return network.graph.node("Slice", [source.name, first, last, axis])


def shortcut(network: Network, section: Section) -> None:
    """Sum with an earlier layer of the same shape."""
    source, other = network.last, network.at(section.number("from"))
    if other.channels != source.channels:
        sizes = f"{other.channels} to {source.channels} channels"
        raise DataError(f"{network.label}: [shortcut] at line {section.line} adds {sizes}")
    name = network.graph.node("Add", [source.name, other.name])
    name = activated(network, name, section.values.get("activation", "linear"))
    network.add(name, source.channels, source.height, source.width)


def upsample(network: Network, section: Section) -> None:
    """Each pixel becomes stride x stride equal ones."""
    source, stride = network.last, section.count("stride", 2)
    scales = network.graph.constant(np.array([1, 1, stride, stride], np.float32), "scales")
    name = network.graph.node(
        "Resize",
        [source.name, "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    network.add(name, source.channels, source.height * stride, source.width * stride)


def yolo(network: Network, section: Section) -> None:
    """A head: the layer before it is an output."""
    network.heads.append(network.last)
    network.layers.append(network.last)


LAYERS: Dict[str, Callable[[Network, Section], None]] = {
    "convolutional": convolutional,
    "maxpool": maxpool,
    "route": route,
    "shortcut": shortcut,
    "upsample": upsample,
    "yolo": yolo,
}
