"""The weights of an ONNX network by name, how far they moved, and back into the network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
import onnx
from onnx import numpy_helper

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import Recipe

# Which inputs of an operator are learned. Limits, shapes and scales of others never move: noise on
# them would break a network.
_LEARNED = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm"), slice(1, None)),
    "BatchNormalization": slice(1, 3),
    "LayerNormalization": slice(1, None),
    **dict.fromkeys(("MatMul", "PRelu", "Add", "Mul"), slice(None)),
}


def file_of(recipe: Recipe, network: str) -> str:
    """The file of a network of a model; raises ConfigError."""
    if network not in recipe.networks:
        raise ConfigError(f"--network: no {network}; there are: {', '.join(recipe.networks)}")
    return recipe.networks[network].file


def load(path: Path) -> Tuple[onnx.ModelProto, str]:
    """A network and the sha256 of its file; raises NoInputError, DataError."""
    try:
        content = path.read_bytes()
        return onnx.load_model_from_string(content), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    except Exception as error:  # protobuf has its own kinds
        raise DataError(f"{path}: is no ONNX network") from error


def trained(network: onnx.ModelProto) -> List[onnx.TensorProto]:
    """The weights that training can move: float32, of operators that learn, no single number."""
    used = {
        name
        for node in network.graph.node
        for name in node.input[_LEARNED.get(node.op_type, slice(0, 0))]
    }
    return [
        w
        for w in network.graph.initializer
        if w.name in used and w.data_type == onnx.TensorProto.FLOAT and w.dims
    ]


def shapes_of(network: onnx.ModelProto) -> Dict[str, Tuple[int, ...]]:
    """Name -> shape of what training can move."""
    return {w.name: tuple(w.dims) for w in trained(network)}


def vector(network: onnx.ModelProto) -> np.ndarray:
    """All of them as [P] f32."""
    parts = [numpy_helper.to_array(w).ravel() for w in trained(network)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def moves(before: onnx.ModelProto, after: onnx.ModelProto) -> Dict[str, np.ndarray]:
    """New minus old of each weight that differs; a frozen trunk is left out.

    Raises:
        DataError: the networks have other weights.
    """
    if shapes_of(before) != shapes_of(after):
        raise DataError("has other weights than its base")
    new = {w.name: numpy_helper.to_array(w) for w in trained(after)}
    steps = {w.name: new[w.name] - numpy_helper.to_array(w) for w in trained(before)}
    return {name: step for name, step in steps.items() if step.any()}


def add(network: onnx.ModelProto, names: Sequence[str], step: np.ndarray) -> None:
    """Add a step [P], of the weights with these names one after the other, in place."""
    known = {w.name: w for w in trained(network)}
    at = 0
    for name in names:
        now = numpy_helper.to_array(known[name])
        part = step[at : at + now.size].reshape(now.shape)
        known[name].CopyFrom(numpy_helper.from_array((now + part).astype(np.float32), name))
        at += now.size
