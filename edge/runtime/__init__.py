"""Executes networks: arrays in, arrays out. The suffix of the network's file chooses the plug."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Tuple

from edge import plug
from edge.errors import ConfigError
from edge.runtime._contract import (
    Crops,
    DeviceArray,
    Fill,
    Read,
    Runner,
    RunnerOptions,
    TensorSpec,
    read_plain,
)

__all__ = [
    "SUFFIXES",
    "Crops",
    "DeviceArray",
    "Fill",
    "Read",
    "Runner",
    "RunnerOptions",
    "TensorSpec",
    "read_plain",
    "open_runner",
]

SUFFIXES = {".onnx": "ort", ".engine": "trt"}  # the first runtime for a suffix


def open_runner(
    path: Path,
    shapes: Mapping[str, Tuple[int, ...]],
    options: RunnerOptions,
    read: Read = read_plain,
) -> Runner:
    """Load a network.

    Args:
        path: an ONNX file or an engine; its suffix chooses the runtime, and `options.onnx` that of
            an ONNX file.
        shapes: the shape of one sample of each input, without the batch. It fixes the sizes that
            the file leaves open, and must agree with the others.
        options: how the network is executed.
        read: gives the file's bytes, or refuses it (edge.keys.trust); nothing else reads the file.

    Raises:
        NoInputError: no such file. DataError: not a network. ConfigError: wrong shapes.
        UnavailableError: the runtime is not installed.
    """
    name = options.onnx if path.suffix == ".onnx" else SUFFIXES.get(path.suffix)
    if name is None:
        raise ConfigError(f"{path}: no runtime for {path.suffix!r}; known: {', '.join(SUFFIXES)}")
    runner: Runner = plug.load("runtime", name).open_runner(path, shapes, options, read)
    runner.use_kernels(options.preprocess)
    return runner
