"""Sessions of ONNX Runtime, and its errors as one line. The library is imported here only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Mapping, Sequence, Tuple, Type

import numpy as np
import onnxruntime

from edge.errors import DataError
from edge.runtime._cpu.session import BATCH, OPEN, Port, Session

_BOUNDED_SPIN = (1, 26)  # the first version whose library has spin_duration_us (merged 2026-03-31)
_SPIN_US = 20
_MAX_LINE = 300  # characters of an error
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


class OrtSession(Session):
    """A network in ONNX Runtime.

    Args:
        data: the bytes of its ONNX file.
        path: for messages; it is not read.
        threads: of one execution; 0 = ONNX Runtime's choice.

    Raises:
        DataError: ONNX Runtime cannot load it.
    """

    sizes = ()

    def __init__(self, data: bytes, path: Path, threads: int) -> None:
        self._name = str(path)
        self._session = _open(data, path, threads)
        try:
            self.inputs = [_port(node) for node in self._session.get_inputs()]
            self.outputs = [_port(node) for node in self._session.get_outputs()]
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: is damaged: a name in it is not valid text") from error

    def bind(
        self,
        feeds: Mapping[str, np.ndarray],
        results: Mapping[str, np.ndarray],
        others: Sequence[str],
    ) -> Any:
        """Bind buffers; the other outputs are bound to memory of ONNX Runtime."""
        binding = self._session.io_binding()
        for name, view in feeds.items():
            binding.bind_input(name, "cpu", 0, view.dtype.type, view.shape, view.ctypes.data)
        for name, view in results.items():
            binding.bind_output(name, "cpu", 0, view.dtype.type, view.shape, view.ctypes.data)
        for name in others:
            binding.bind_output(name, "cpu")
        return binding, (*results, *others), set(others)

    def execute(self, binding: Any) -> Dict[str, np.ndarray]:
        """Execute once; raises DataError: the network failed."""
        bound, names, others = binding
        try:
            self._session.run_with_iobinding(bound)
        except _ERRORS as error:
            raise DataError(f"{self._name}: the network failed: {_first_line(error)}") from error
        if not others:
            return {}
        values = zip(names, bound.get_outputs())
        return {n: v.numpy() for n, v in values if n in others}

    def unbind(self) -> None:
        """Do nothing: each binding has its own buffers."""


def _open(data: bytes, path: Path, threads: int) -> Any:
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


def _port(node: Any) -> Port:
    if node.type not in _DTYPES:
        raise DataError(f"tensor {node.name!r} has the type {node.type}, which is not supported")
    dims = [d if isinstance(d, int) else OPEN for d in node.shape]
    if dims and dims[0] == OPEN:
        dims[0] = BATCH
    return Port(node.name, tuple(dims), np.dtype(_DTYPES[node.type]), str(node.shape))


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
