"""Sessions of ONNX Runtime, and its errors as one line. The library is imported here only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Tuple, Type

import onnxruntime

from edge.errors import DataError

_BOUNDED_SPIN = (1, 26)  # the first version whose library has spin_duration_us (merged 2026-03-31)
_SPIN_US = 20
_MAX_LINE = 300  # characters of an error


def _errors() -> Tuple[Type[Exception], ...]:
    """ONNX Runtime's own exceptions; they have no common ancestor below Exception."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = (
        "Fail",
        "InvalidArgument",
        "NoSuchFile",
        "NoModel",
        "EngineError",
        "RuntimeException",
        "InvalidProtobuf",
        "ModelLoaded",
        "NotImplemented",
        "InvalidGraph",
        "EPFail",
    )
    there = vars(state)
    return (*(there[n] for n in names if n in there), RuntimeError, ValueError)


_ERRORS = _errors()


def open_session(data: bytes, path: Path, threads: int) -> Any:
    """Load a network.

    Args:
        data: the bytes of its ONNX file.
        path: for messages; it is not read.
        threads: of one execution; 0 = ONNX Runtime's choice.

    Raises:
        DataError: ONNX Runtime cannot load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _threads_without_affinity()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    for key, value in _spinning().items():
        options.add_session_config_entry(key, value)
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _ERRORS as error:
        version = onnxruntime.__version__
        raise DataError(
            f"{path}: is not a network that ONNX Runtime {version} can load: {_first_line(error)}"
        ) from error


def execute(session: Any, binding: Any, name: str) -> None:
    """Execute a network once.

    Args:
        session: of `open_session`.
        binding: ONNX Runtime's IO binding, which holds the inputs and outputs.
        name: of the network, for messages.

    Raises:
        DataError: the network failed.
    """
    try:
        session.run_with_iobinding(binding)
    except _ERRORS as error:
        raise DataError(f"{name}: the network failed: {_first_line(error)}") from error


def _threads_without_affinity() -> int:
    """0, ONNX Runtime's own choice, or a number where threads cannot be pinned to cores.

    The service's system call filter forbids pinning. Without a number the runtime would try it, and
    log an error for each thread of each network.
    """
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
    except PermissionError:
        return len(cores)
    return 0


def _spinning() -> Dict[str, str]:
    """How long an idle thread of the pool waits awake (spins).

    If it spins for ever, it takes the core from decoding and from the rest of the machine: with two
    cores busy elsewhere a step took six times as long. If it never spins, each of a hundred layers
    pays for waking it. 20 us within a run cost 3 to 8 % on busy cores and win 10 to 20 % on free
    ones (the body, hand and face networks, two cores, compared with no spinning).
    """
    bounded = tuple(int(n) for n in onnxruntime.__version__.split(".")[:2]) >= _BOUNDED_SPIN
    if not bounded:
        return {"session.intra_op.allow_spinning": "0"}
    return {
        "session.intra_op.allow_spinning": "1",
        "session.intra_op.spin_duration_us": str(_SPIN_US),
        "session.force_spinning_stop": "1",
    }


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0]
    return text if len(text) <= _MAX_LINE else text[: _MAX_LINE - 3] + "..."
