"""TensorRT 8.5 to 11: the plug for NVIDIA GPUs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Mapping

from edge.errors import DataError, UnavailableError
from edge.runtime._contract import Read, RunnerOptions, read_plain
from edge.runtime._cuda.memory import open_device
from edge.runtime._trt.engine import Engine, Shape
from edge.runtime._trt.runner import TrtRunner

try:
    import tensorrt as trt
except ImportError as error:
    raise UnavailableError(
        f"TensorRT cannot be imported ({error}); on a Jetson: apt install python3-libnvinfer and a "
        "venv with --system-site-packages"
    ) from error


def open_runner(
    path: Path,
    shapes: Mapping[str, Shape],
    options: RunnerOptions,
    read: Read = read_plain,
) -> TrtRunner:
    """Load an engine; see `edge.runtime.open_runner`.

    The driver is initialised first: some versions of TensorRT crash without it. The file is read
    once, so the bytes that were verified are the bytes that are loaded. The engine is executed once
    here, because its first execution loads the kernels and takes far longer than any other.

    Raises:
        UnavailableError: no GPU, or no such DLA core. DataError: not an engine of this machine.
        TempError: no GPU memory.
    """
    device = open_device()
    data = read(path)
    if not data:
        raise DataError(f"{path}: is empty; build it again: `edge-tools build`")
    with device.active(str(path)):
        loaded = Engine(trt, data, str(path), options.dla_core)
        try:
            runner = TrtRunner(loaded, device, shapes, options, hashlib.sha256(data).hexdigest())
        except BaseException:
            loaded.close()
            raise
    runner.warm_up()
    return runner


def machine() -> Dict[str, Any]:
    """What an engine must have been built for, to run here: gpu, compute_capability, tensorrt.

    Raises:
        UnavailableError: no GPU.
    """
    device = open_device()
    major, minor = device.compute_capability
    return {
        "gpu": device.name,
        "compute_capability": f"{major}.{minor}",
        "tensorrt": str(trt.__version__),
    }
