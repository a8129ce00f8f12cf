"""ONNX Runtime: the plug for any machine's CPU."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, Tuple

from edge.runtime._contract import Read, RunnerOptions, read_plain
from edge.runtime._cpu.runner import CpuRunner
from edge.runtime._cpu.tensors import require_inputs
from edge.runtime._onnx_file import check_stands_alone
from edge.runtime._ort.session import OrtSession


def open_runner(
    path: Path,
    shapes: Mapping[str, Tuple[int, ...]],
    options: RunnerOptions,
    read: Read = read_plain,
) -> CpuRunner:
    """Load an ONNX file; see `edge.runtime.open_runner`.

    The bytes are read once and ONNX Runtime gets no path, so a graph cannot reach other files.
    """
    data = read(path)
    check_stands_alone(data, path)
    session = OrtSession(data, path, threads=1 if options.pool else options.threads)
    require_inputs(session.inputs, shapes, str(path))
    digest = hashlib.sha256(data).hexdigest()
    return CpuRunner(session, shapes, options.max_batch, str(path), digest, options.pool)
