"""Read a TFLite file: tensors, constants and operators as Python objects.

The `tflite` package parses TensorFlow Lite's published schema. Constants that are fp16, quantized
or sparse are given as FP32 arrays.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import tflite

from edge.errors import DataError
from tools.convert.graph import Array

LARGEST_TENSOR = 1 << 28  # elements; a damaged shape must not use up the memory
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.INT8: np.int8,
}
# Errors that offsets in a damaged file can cause.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
_NAMES = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}


@dataclass(frozen=True)
class Operator:
    """One operator: name (`CONV_2D`), indices of its tensors (-1: absent), options table."""

    name: str
    inputs: List[int]
    outputs: List[int]
    options: Any


class TfliteFile:
    """The first subgraph of a TFLite file.

    Args:
        data: content of the file.
        label: name of the network, for errors.

    Raises:
        DataError: the file is not a TFLite file, or is damaged.
    """

    def __init__(self, data: bytes, label: str) -> None:
        self.label = label
        if data[4:8] != b"TFL3":
            raise DataError(f"{label}: is not a TFLite file (no TFL3 mark)")
        try:
            self._read(data)
        except DAMAGED:
            raise DataError(f"{label}: the TFLite file is damaged; fetch it again") from None

    def _read(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(data, 0)
        graph = self._model.Subgraphs(0)
        self._tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
        self.operators = [
            self._operator(graph.Operators(i)) for i in range(graph.OperatorsLength())
        ]
        self.inputs = [int(i) for i in graph.InputsAsNumpy()]
        self.outputs = {self.name(int(i)): int(i) for i in graph.OutputsAsNumpy()}
        self.makers: Dict[int, Operator] = {o: op for op in self.operators for o in op.outputs}
        self._constants = {i: self._stored(i) for i in range(len(self._tensors)) if self._bytes(i)}

    def _operator(self, raw: Any) -> Operator:
        code = self._model.OperatorCodes(raw.OpcodeIndex())
        # Old files store the code in a byte, new files in an int; the larger number is the code.
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        name = custom.decode("utf-8", "replace") if custom else _NAMES.get(builtin, str(builtin))
        inputs = [int(i) for i in raw.InputsAsNumpy()]
        return Operator(name, inputs, [int(i) for i in raw.OutputsAsNumpy()], raw.BuiltinOptions())

    def name(self, index: int) -> str:
        """Name of a tensor in the file."""
        return str(self._tensors[index].Name().decode("utf-8", "replace"))

    def shape(self, index: int) -> Tuple[int, ...]:
        """Shape of a tensor as stored (NHWC, batch 1)."""
        return tuple(int(n) for n in np.atleast_1d(self._tensors[index].ShapeAsNumpy()))

    def constant(self, index: int) -> Optional[Array]:
        """Values of a tensor if they do not depend on the input, else None."""
        if index in self._constants:
            return self._constants[index]
        maker = self.makers.get(index)
        if maker is None or maker.name not in ("DEQUANTIZE", "DENSIFY"):
            return None
        values = self.constant(maker.inputs[0])
        if values is not None and maker.name == "DEQUANTIZE":
            values = self._dequantized(maker.inputs[0], values)
        return values

    def _bytes(self, index: int) -> int:
        return int(self._model.Buffers(self._tensors[index].Buffer()).DataLength())

    def _stored(self, index: int) -> Array:
        tensor = self._tensors[index]
        if tensor.Type() not in DTYPES:
            return np.empty(0)
        raw = self._model.Buffers(tensor.Buffer()).DataAsNumpy()
        values: Array = np.frombuffer(raw.tobytes(), dtype=DTYPES[tensor.Type()])
        shape = self.shape(index)
        sparsity = tensor.Sparsity()
        if sparsity is not None:
            return densified(values, shape, sparsity)
        return values.reshape(shape)

    def _dequantized(self, index: int, values: Array) -> Array:
        quantization = self._tensors[index].Quantization()
        if quantization is None or quantization.ScaleLength() == 0:
            return values.astype(np.float32)
        axes = [1] * values.ndim
        axes[quantization.QuantizedDimension()] = -1
        axes = axes if quantization.ScaleLength() > 1 else [1] * values.ndim
        scale = quantization.ScaleAsNumpy().reshape(axes)
        zero = quantization.ZeroPointAsNumpy().reshape(axes)
        exact: Array = (values.astype(np.float64) - zero) * scale
        return exact.astype(np.float32)


def densified(values: Array, shape: Tuple[int, ...], sparsity: Any) -> Array:
    """Dense array of a sparse constant.

    The schema stores one level for each traversed dimension: dense (a size) or compressed (segments
    and indices for each parent entry); blocks of a dimension come last. All entries are expanded
    level by level: `where[e]` holds the coordinates of entry e in traversed order, `parent` its
    place in the level.
    """
    if np.prod(shape, dtype=np.int64) > LARGEST_TENSOR:
        raise ValueError("too large")
    where: Array = np.zeros((1, 0), np.int64)
    sizes: List[int] = []
    parent: Array = np.zeros(1, np.int64)
    order = sparsity.TraversalOrderAsNumpy()
    for level in range(sparsity.DimMetadataLength()):
        meta = sparsity.DimMetadata(level)
        parent, row, index = _expanded(meta, parent)
        where = np.concatenate([where[row], index[:, None]], axis=1)
        # Only a dense level can be inside a block, and only its size is used.
        sizes.append(int(meta.DenseSize()))
    return _scattered(values[parent], where, order, sizes, shape, sparsity)


def _expanded(meta: Any, parent: Array) -> Tuple[Array, Array, Array]:
    """Expand one level: place of each new entry, row of its parent, index in this level."""
    if meta.Format() == tflite.DimensionType.DENSE:
        size = meta.DenseSize()
        row: Array = np.repeat(np.arange(len(parent)), size)
        index = np.tile(np.arange(size), len(parent))
        return parent[row] * size + index, row, index
    segments = _vector(meta.ArraySegmentsType(), meta.ArraySegments())
    indices = _vector(meta.ArrayIndicesType(), meta.ArrayIndices())
    counts = segments[parent + 1] - segments[parent]
    row = np.repeat(np.arange(len(parent)), counts)
    first = np.cumsum(counts) - counts
    place = np.arange(counts.sum()) - first[row] + segments[parent][row]
    return place, row, indices[place]


def _vector(kind: int, table: Any) -> Array:
    """Values of an index vector: int32, uint16 or uint8."""
    classes = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}
    vector = classes[kind]()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), dtype=np.int64)


def _scattered(
    values: Array,
    where: Array,
    order: Array,
    sizes: List[int],
    shape: Tuple[int, ...],
    sparsity: Any,
) -> Array:
    """Put the entries at their coordinates; a coordinate in a block adds to its dimension."""
    axes: Array = np.zeros((len(shape), len(values)), np.int64)
    blocks = list(sparsity.BlockMapAsNumpy()) if sparsity.BlockMapLength() else []
    size_of = dict(zip((int(d) for d in order), sizes))
    for level, dimension in enumerate(int(d) for d in order):
        if dimension < len(shape):
            inner = [size_of[len(shape) + b] for b, axis in enumerate(blocks) if axis == dimension]
            axes[dimension] += where[:, level] * int(np.prod(inner, dtype=np.int64))
        else:
            axes[int(blocks[dimension - len(shape)])] += where[:, level]
    dense: Array = np.zeros(shape, values.dtype)
    dense[tuple(axes)] = values
    return dense
