"""Shapes and types of inputs and outputs, as the ONNX file and the recipe give them."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

from edge.errors import ConfigError, DataError
from edge.runtime._contract import TensorSpec
from edge.runtime._cpu.session import OPEN, Port


def input_spec(port: Port, shapes: Mapping[str, Tuple[int, ...]], name: str) -> TensorSpec:
    """Shape and type of an input; the recipe fills in the sizes that the file leaves open.

    Args:
        port: the input.
        shapes: of one sample of each input, by the recipe.
        name: of the file, for messages.

    Raises:
        DataError: a size stays open. ConfigError: the file has another shape.
    """
    dims = port.dims
    wanted = shapes.get(port.name)
    if wanted is None:
        if OPEN in dims or not dims:
            raise DataError(f"{name}: input {port.name!r} has an open shape {port.told}")
        return TensorSpec(dims, port.dtype)
    fits = len(dims) == len(wanted) + 1
    if not fits or any(d not in (OPEN, w) for d, w in zip(dims[1:], wanted)):
        raise ConfigError(
            f"{name}: input {port.name!r} is {port.told}, but model.toml says "
            f"{['batch', *wanted]}; correct width, height or layout there"
        )
    return TensorSpec((dims[0], *wanted), port.dtype)


def output_spec(port: Port) -> TensorSpec:
    """Shape and type of an output."""
    return TensorSpec(port.dims, port.dtype)


def require_inputs(
    inputs: Sequence[Port], shapes: Mapping[str, Tuple[int, ...]], name: str
) -> None:
    """Refuse a recipe that names an input which the network does not have.

    Raises:
        DataError: there is no such input; the message lists those there are.
    """
    names = [port.name for port in inputs]
    for wanted in shapes:
        if wanted not in names:
            raise DataError(f"{name}: no input {wanted!r}; there are: {', '.join(names)}")
