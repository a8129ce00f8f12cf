"""The weights of an ONNX network as one vector, and back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List, Tuple

import numpy as np
import onnx
from onnx import numpy_helper

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import Recipe


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
    """The weights that training moves: float32 with two dimensions or more, and biases."""
    return [
        w for w in network.graph.initializer if w.data_type == onnx.TensorProto.FLOAT and w.dims
    ]


def vector(network: onnx.ModelProto) -> np.ndarray:
    """All of them as [P] f32."""
    parts = [numpy_helper.to_array(w).ravel() for w in trained(network)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def moved_by(network: onnx.ModelProto, step: np.ndarray) -> None:
    """Add a step [P] to the weights, in place."""
    at = 0
    for weight in trained(network):
        now = numpy_helper.to_array(weight)
        part = step[at : at + now.size].reshape(now.shape)
        weight.CopyFrom(numpy_helper.from_array((now + part).astype(np.float32), weight.name))
        at += now.size
