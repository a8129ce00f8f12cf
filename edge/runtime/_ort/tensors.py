"""Shapes and types of inputs and outputs, as the ONNX file and the recipe give them."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

import numpy as np

from edge.errors import ConfigError, DataError
from edge.runtime._contract import TensorSpec

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}
BATCH, OPEN = -1, -2  # in a shape: the batch; another size that is known only at run time


def _dtype(node: Any) -> np.dtype[Any]:
    if node.type not in _DTYPES:
        raise DataError(f"tensor {node.name!r} has the type {node.type}, which is not supported")
    return np.dtype(_DTYPES[node.type])


def _dims(node: Any) -> Tuple[int, ...]:
    dims = [d if isinstance(d, int) else OPEN for d in node.shape]
    if dims and dims[0] == OPEN:
        dims[0] = BATCH
    return tuple(dims)


def input_spec(node: Any, shapes: Mapping[str, Tuple[int, ...]], name: str) -> TensorSpec:
    """Shape and type of an input; the recipe fills in the sizes that the file leaves open.

    Args:
        node: ONNX Runtime's description of the input.
        shapes: of one sample of each input, by the recipe.
        name: of the file, for messages.

    Raises:
        DataError: a size stays open. ConfigError: the file has another shape.
    """
    dims = _dims(node)
    wanted = shapes.get(node.name)
    if wanted is None:
        if OPEN in dims or not dims:
            raise DataError(f"{name}: input {node.name!r} has an open shape {node.shape}")
        return TensorSpec(dims, _dtype(node))
    fits = len(dims) == len(wanted) + 1
    if not fits or any(d not in (OPEN, w) for d, w in zip(dims[1:], wanted)):
        raise ConfigError(
            f"{name}: input {node.name!r} is {node.shape}, but model.toml says "
            f"{['batch', *wanted]}; correct width, height or layout there"
        )
    return TensorSpec((dims[0], *wanted), _dtype(node))


def output_spec(node: Any) -> TensorSpec:
    """Shape and type of an output, from ONNX Runtime's description."""
    return TensorSpec(_dims(node), _dtype(node))
