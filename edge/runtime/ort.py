"""ONNX Runtime: the runner of any machine. Fixed buffers through IO binding, any batch size."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple, Type

import numpy as np
import onnxruntime

from edge.errors import DataError, InternalError
from edge.runtime._contract import Fill, Read, Runner, RunnerOptions, TensorSpec, read_plain
from edge.runtime._crew import Crew, finish
from edge.runtime._onnx_file import check_stands_alone
from edge.runtime._ort_tensors import BATCH, OPEN, input_spec, output_spec

_BOUNDED_SPIN = (1, 26)  # the first version whose library has spin_duration_us (merged 2026-03-31)
_SPIN_US = 20


def _ort_errors() -> Tuple[Type[Exception], ...]:
    """ONNX Runtime's own exceptions have no common ancestor below Exception."""
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
    return tuple(getattr(state, n) for n in names if hasattr(state, n)) + (RuntimeError, ValueError)


_ERRORS = _ort_errors()


class OrtRunner(Runner):
    """One ONNX network on the CPU; the contract is `edge.runtime.Runner`."""

    def __init__(
        self,
        session: Any,
        shapes: Mapping[str, Tuple[int, ...]],
        max_batch: int,
        name: str,
        sha256: str = "",
        crew: Optional[Crew] = None,
    ) -> None:
        self._session = session
        self._name = name
        self._crew = crew
        self.sha256 = sha256
        self._runs = 0
        self.inputs = {i.name: input_spec(i, shapes, name) for i in session.get_inputs()}
        self.outputs = {o.name: output_spec(o) for o in session.get_outputs()}
        fixed = {s.shape[0] for s in self.inputs.values()} - {BATCH}
        if len(fixed) > 1:
            raise DataError(f"{name}: inputs disagree on the batch: {sorted(fixed)}")
        self.fixed_batch: Optional[int] = fixed.pop() if fixed else None
        self.max_batch = self.fixed_batch or max_batch
        self._wanted: Set[str] = set()  # outputs that somebody reads; empty = all
        self._read: List[str] = []
        self._begun: Optional[List[Future[Any]]] = None
        self._batch = self._capacity = 0
        self._feeds: Dict[str, np.ndarray] = {}
        self._results: Dict[str, np.ndarray] = {}
        self._bindings: Dict[Tuple[int, int], Any] = {}

    @property
    def runs(self) -> int:
        """Executions so far; a batch that the crew shares out counts once."""
        return self._runs

    @property
    def concurrent(self) -> bool:
        """With a crew, whose threads all its networks share."""
        return self._crew is not None

    def want(self, output: str) -> None:
        """Note that somebody reads an output; the others are not kept."""
        self._wanted.add(output)

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """Input buffers for `batch` samples, borrowed until the next feed."""
        if self._session is None:
            raise InternalError(f"{self._name}: was closed")
        self._let_end()
        read = [n for n in self.outputs if n in self._wanted or not self._wanted]
        if batch > self._capacity or not self._capacity or read != self._read:
            self._read = read
            self._grow(max(batch, self._capacity, 1))
        self._batch = batch
        return {name: buffer[:batch] for name, buffer in self._feeds.items()}

    def begin(self, fill: Fill) -> bool:
        """Fill the input and execute in the crew's threads, if it has one; `run` waits for it."""
        if self._crew is None:
            return False

        def work(start: int, count: int) -> Dict[str, np.ndarray]:
            fill(start, count)
            return self._run_chunk(start, count)

        self._begun = self._crew.begin(work, self._pieces())
        return True

    def run(self) -> Dict[str, np.ndarray]:
        """Execute what was fed; outputs are borrowed until the next feed.

        Raises:
            DataError: the network refuses its input.
        """
        parts = self._parts()
        results: Dict[str, np.ndarray] = {}
        for name in self._read:
            spec = self.outputs[name]
            if name in self._results:
                results[name] = self._results[name][: self._batch]
            elif parts:
                results[name] = self._join(name, [p[name] for p in parts])
            else:
                results[name] = np.empty([0] + [max(d, 0) for d in spec.shape[1:]], spec.dtype)
        return results

    def _join(self, name: str, parts: List[np.ndarray]) -> np.ndarray:
        """Chunks of an output of open shape; shorter ones are padded with zeros."""
        if len(parts) == 1:
            whole = not self.fixed_batch or not self._follows_batch(self.outputs[name])
            return parts[0] if whole else parts[0][: self._batch]
        if not self._follows_batch(self.outputs[name]):
            raise DataError(
                f"{self._name}: output {name!r} does not follow the batch, so {self._batch} "
                f"samples cannot run in chunks; raise runtime.max_batch above {self.max_batch}"
            )
        tail = np.max([p.shape[1:] for p in parts], axis=0)
        joined = np.zeros((sum(len(p) for p in parts), *tail), parts[0].dtype)
        start = 0
        for part in parts:
            where = (slice(start, start + len(part)), *map(slice, part.shape[1:]))
            joined[where] = part
            start += len(part)
        return joined[: self._batch]

    def close(self) -> None:
        """Let go of the network and the buffers."""
        self._let_end()
        self._session = None
        self._bindings.clear()
        self._feeds.clear()
        self._results.clear()
        self._capacity = 0

    def _parts(self) -> List[Dict[str, np.ndarray]]:
        """Every piece's outputs of open shape; a batch that the crew shares out counts once."""
        begun, self._begun = self._begun, None
        if begun is None and self._crew is not None:
            begun = self._crew.begin(self._run_chunk, self._pieces())
        if begun is None:
            parts = [self._run_chunk(*piece) for piece in self._pieces()]
        else:
            parts = finish(begun)
        self._runs += len(self._chunks(self.max_batch))
        return parts

    def _pieces(self) -> List[Tuple[int, int]]:
        """A crew takes samples one by one, unless an output could not be put together again."""
        alone = self._crew is not None and len(self._results) == len(self._read)
        return self._chunks((self.fixed_batch or 1) if alone else self.max_batch)

    def _let_end(self) -> None:
        """The buffers are in use until what was begun is done; whoever began it does not ask."""
        if self._begun is not None:
            wait(self._begun)
            self._begun = None

    def _chunks(self, step: int) -> List[Tuple[int, int]]:
        starts = range(0, self._batch, step)
        return [(s, step if self.fixed_batch else min(step, self._batch - s)) for s in starts]

    def _grow(self, batch: int) -> None:
        """Powers of two, so that a growing crowd costs a handful of allocations in all."""
        capacity = 1 << (batch - 1).bit_length()
        if self.fixed_batch:
            capacity = -(-capacity // self.fixed_batch) * self.fixed_batch
        self._bindings.clear()
        self._results.clear()
        self._capacity = 0
        for name, spec in self.inputs.items():
            self._feeds[name] = self._room(name, spec, capacity)
        for name, spec in self.outputs.items():
            if name in self._read and OPEN not in spec.shape and self._follows_batch(spec):
                self._results[name] = self._room(name, spec, capacity)
        self._capacity = capacity

    def _room(self, name: str, spec: TensorSpec, capacity: int) -> np.ndarray:
        """Raises DataError: a damaged file may ask for more than there is."""
        try:
            return np.zeros((capacity, *spec.shape[1:]), spec.dtype)
        except (MemoryError, ValueError) as error:
            raise DataError(f"{self._name}: no room for {name!r}: {error}") from error

    def _follows_batch(self, spec: TensorSpec) -> bool:
        return bool(spec.shape) and spec.shape[0] in (BATCH, self.fixed_batch)

    def _run_chunk(self, start: int, count: int) -> Dict[str, np.ndarray]:
        """Outputs of open shape only; the others land in their buffers."""
        key = (start, count)
        if key not in self._bindings:
            self._bindings[key] = self._bind(start, count)
        binding = self._bindings[key]
        try:
            self._session.run_with_iobinding(binding)
        except _ERRORS as error:
            raise DataError(f"{self._name}: the network failed: {_first_line(error)}") from error
        if len(self._results) == len(self._read):
            return {}
        values = zip(self._read, binding.get_outputs())
        return {n: v.numpy() for n, v in values if n not in self._results}

    def _bind(self, start: int, count: int) -> Any:
        binding = self._session.io_binding()
        for name, buffer in self._feeds.items():
            view = buffer[start : start + count]
            binding.bind_input(name, "cpu", 0, view.dtype.type, view.shape, view.ctypes.data)
        for name in self._read:
            if name in self._results:
                view = self._results[name][start : start + count]
                binding.bind_output(name, "cpu", 0, view.dtype.type, view.shape, view.ctypes.data)
            else:
                binding.bind_output(name, "cpu")
        return binding


def open_runner(
    path: Path,
    shapes: Mapping[str, Tuple[int, ...]],
    options: RunnerOptions,
    read: Read = read_plain,
) -> OrtRunner:
    """Load an ONNX file; see `edge.runtime.open_runner`.

    The bytes are read once and the runtime gets no path, so a graph cannot reach other files.
    """
    data = read(path)
    check_stands_alone(data, path)
    threads = 1 if options.crew else options.threads
    session = _session(data, path, threads)
    try:
        for name in shapes:
            names = [i.name for i in session.get_inputs()]
            if name not in names:
                raise DataError(f"{path}: no input {name!r}; there are: {', '.join(names)}")
        digest = hashlib.sha256(data).hexdigest()
        return OrtRunner(session, shapes, options.max_batch, str(path), digest, options.crew)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is damaged: a name in it is no text") from error


def _session(data: bytes, path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _threads_unpinned()
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


def _threads_unpinned() -> int:
    """0, ONNX Runtime's own choice, or a number where threads may not be tied to cores.

    The service's system call filter forbids it; without a number the runtime would try, and write
    an error for each thread of each network.
    """
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cores)
    except PermissionError:
        return len(cores)
    return 0


def _spinning() -> Dict[str, str]:
    """How long an idle thread of the pool waits awake.

    For good, it takes the core from decoding and from the rest of the machine: with two cores busy
    elsewhere a step took six times as long. Not at all, each of a hundred layers pays for waking
    it. 20 us within a run cost 3 to 8 % on busy cores and win 10 to 20 % on free ones (the body,
    hand and face networks, two cores, against no spinning).
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
    return text if len(text) <= 300 else text[:297] + "..."
