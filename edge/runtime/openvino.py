"""OpenVINO: the second plug for CPUs; it executes the same ONNX files, INT8 and BF16 faster."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, Tuple

from edge.errors import UnavailableError
from edge.runtime._contract import Read, RunnerOptions, read_plain
from edge.runtime._cpu.runner import CpuRunner
from edge.runtime._onnx_file import check_stands_alone

try:
    from edge.runtime._openvino import library
    from edge.runtime._openvino.session import OpenVinoSession, Threads
except (ImportError, OSError) as error:
    raise UnavailableError(
        f"OpenVINO cannot be imported ({error}); pip install 'openvino>=2024.4'"
    ) from error


def open_runner(
    path: Path,
    shapes: Mapping[str, Tuple[int, ...]],
    options: RunnerOptions,
    read: Read = read_plain,
) -> CpuRunner:
    """Load an ONNX file; see `edge.runtime.open_runner`.

    The bytes are read once and OpenVINO gets no path, so a graph cannot reach other files.

    Raises:
        UnavailableError: BF16 is asked for, and this CPU does not compute in it.
    """
    data = read(path)
    check_stands_alone(data, path)
    pool = options.pool
    threads = Threads(pool.cores, pool.cores, True) if pool else Threads(1, options.threads, False)
    if options.bf16 and not library.computes_bf16():
        raise UnavailableError(f"{path}: BF16 is asked for, but this CPU does not compute in it")
    session = OpenVinoSession(data, path, shapes, threads, options.bf16)
    digest = hashlib.sha256(data).hexdigest()
    return CpuRunner(session, shapes, options.max_batch, str(path), digest, pool)


def version() -> str:
    """The version of OpenVINO."""
    return library.version()


def computes_bf16() -> bool:
    """Whether this CPU computes in BF16."""
    return library.computes_bf16()
