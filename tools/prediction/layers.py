"""Work of one kernel launch: products, elements read, elements written."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

import numpy as np

# conv: window larger than 1x1. point: 1x1. depth: grouped. matmul: MatMul, Gemm. move: no products.
KINDS = ("conv", "point", "depth", "matmul", "move")


class Layer(NamedTuple):
    """A layer with everything fused into it, for one sample. Sizes are in elements, not bytes."""

    kind: str
    positions: int  # rows of the product: output pixels or tokens
    outputs: int  # columns of the product in one group
    depth: int  # length of each sum of products
    groups: int
    weights: int  # elements, read once per batch
    read: int  # activations, elements
    written: int
    ends: bool = False  # first or last product of a network: stays FP16 in `mixed`
    repeats: int = 1  # number of equal layers

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return self.positions * self.outputs * self.depth * self.groups


class Table(NamedTuple):
    """Layers as columns; `kind` holds indices of KINDS."""

    kind: np.ndarray
    positions: np.ndarray
    outputs: np.ndarray
    depth: np.ndarray
    groups: np.ndarray
    weights: np.ndarray
    read: np.ndarray
    written: np.ndarray
    ends: np.ndarray
    repeats: np.ndarray


def table(layers: Sequence[Layer]) -> Table:
    """The same layers as columns."""
    rows = [(KINDS.index(la[0]), *la[1:]) for la in layers]
    columns = np.array(rows, np.float64).reshape(-1, len(Layer._fields)).T
    return Table(*columns)


def macs(layers: Iterable[Layer]) -> int:
    """Multiply-accumulates of one sample."""
    return sum(layer.macs * layer.repeats for layer in layers)


def weights(layers: Iterable[Layer]) -> int:
    """Number of weights."""
    return sum(layer.weights * layer.repeats for layer in layers)


def merged(layers: Iterable[Layer]) -> List[Layer]:
    """The layers sorted by size, with equal layers merged; the order of execution is lost."""
    counts: Dict[Layer, int] = Counter()
    for layer in layers:
        counts[layer._replace(repeats=1)] += layer.repeats
    return [layer._replace(repeats=n) for layer, n in sorted(counts.items())]


def conv(
    size: Tuple[int, int],
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    added: bool = False,
    upward: bool = False,
) -> Layer:
    """A convolution layer.

    Args:
        size: height and width of the input.
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: height and width of the window.
        stride: stride of the window. The padding keeps the size if it is 1.
        groups: groups of channels.
        added: the layer also reads a residual of the output's size.
        upward: transposed convolution: `stride` enlarges the image.
    """
    pixels_in = size[0] * size[1]
    small = -(-size[0] // stride) * -(-size[1] // stride)
    pixels = pixels_in * stride * stride if upward else small
    window = kernel * kernel
    # A transposed convolution spreads each input over kernel x kernel outputs.
    product = (pixels, outputs // groups, inputs // groups * window)
    if upward:
        product = (pixels_in, outputs * window, inputs)
    kind = "depth" if groups > 1 else "conv" if kernel > 1 else "point"
    written = pixels * outputs
    read = pixels_in * inputs + (written if added else 0)
    return Layer(kind, *product, groups, outputs * inputs // groups * window, read, written)


def linear(inputs: int, outputs: int, rows: int = 1) -> Layer:
    """A fully connected layer."""
    weights = inputs * outputs
    return Layer("matmul", rows, outputs, inputs, 1, weights, rows * inputs, rows * outputs)


def move(read: int, written: int) -> Layer:
    """A layer without products: pooling, resizing or a copy."""
    return Layer("move", 0, 0, 0, 1, 0, read, written)
