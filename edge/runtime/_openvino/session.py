"""Networks compiled by OpenVINO, and its errors as one line."""

from __future__ import annotations

from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from edge.errors import DataError
from edge.runtime._contract import TensorSpec
from edge.runtime._cpu.session import BATCH, OPEN, Port, Session
from edge.runtime._cpu.tensors import input_spec, require_inputs
from edge.runtime._openvino import exact_heads, library

_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError)
_MAX_LINE = 300  # characters of an error
_SIZES = (32, 16, 8, 4, 2, 1)  # samples of one execution
_RESULT = "/sink_port_0"  # how OpenVINO's reader of ONNX ends the names of outputs
# How lines of an error begin that tell where it arose, and not what is wrong.
_FRAME = ("Exception from", "Check '", "FrontEnd API failed", "Model wasn't fully", "Summary:")


class Threads(NamedTuple):
    """How one network uses the cores."""

    streams: int  # executions at the same time
    threads: int  # of all executions together; 0 = OpenVINO's choice
    single: bool  # each execution has one sample


class _Binding(NamedTuple):
    """Tensors of one execution, by the position of the input or output."""

    feeds: List[Tuple[int, Any]]
    results: List[Tuple[int, Any]]
    others: List[Tuple[int, str]]


class OpenVinoSession(Session):
    """A network in OpenVINO.

    Where all outputs follow the batch, batches are split into powers of two, because OpenVINO
    prepares each layer once for each size, which takes time and memory. In a pool a network
    executes single samples only: then it is compiled for one sample, and small networks win up to
    a half.

    Args:
        data: the bytes of its ONNX file.
        path: for messages; it is not read.
        shapes: of one sample of each input.
        threads: how it uses the cores.
        bf16: compute float layers in BF16; else in FP32.

    Raises:
        DataError: OpenVINO cannot load it. ConfigError: the recipe has another shape.
    """

    def __init__(
        self,
        data: bytes,
        path: Path,
        shapes: Mapping[str, Tuple[int, ...]],
        threads: Threads,
        bf16: bool,
    ) -> None:
        self._name = str(path)
        try:
            model = library.core().read_model(data, b"")
            self.inputs = [
                _port(port, port.get_node().get_friendly_name()) for port in model.inputs
            ]
            specs = self._specs(shapes)
            self._reshape(model, specs, BATCH)
            self.outputs = [_port(port, _output_name(port)) for port in model.outputs]
            self.sizes: Sequence[int] = _SIZES if self._follow_the_batch(specs) else ()
            if self.sizes and threads.single:
                self.sizes = (1,)
                self._reshape(model, specs, 1)
            if bf16:
                exact_heads.keep(model)
            self._compiled = library.core().compile_model(model, "CPU", _options(threads, bf16))
        except _ERRORS as error:
            raise DataError(
                f"{path}: is not a network that OpenVINO {library.version()} can load: "
                f"{_telling_line(error)}"
            ) from error
        self._feeds = {port.name: i for i, port in enumerate(self.inputs)}
        self._results = {port.name: i for i, port in enumerate(self.outputs)}
        self._idle: SimpleQueue[Any] = SimpleQueue()

    def bind(
        self,
        feeds: Mapping[str, np.ndarray],
        results: Mapping[str, np.ndarray],
        others: Sequence[str],
    ) -> Any:
        """Make tensors of the buffers."""
        return _Binding(
            [(self._feeds[n], library.tensor(view)) for n, view in feeds.items()],
            [(self._results[n], library.tensor(view)) for n, view in results.items()],
            [(self._results[n], n) for n in others],
        )

    def execute(self, binding: Any) -> Dict[str, np.ndarray]:
        """Execute once, with a request that no other thread uses.

        Raises:
            DataError: the network failed.
        """
        try:
            request = self._request()
            for i, fed in binding.feeds:
                request.set_input_tensor(i, fed)
            for i, result in binding.results:
                request.set_output_tensor(i, result)
            request.infer(share_outputs=True)
            found = {n: request.get_output_tensor(i).data.copy() for i, n in binding.others}
        except _ERRORS as error:
            line = _telling_line(error)
            raise DataError(f"{self._name}: the network failed: {line}") from error
        self._idle.put(request)
        return found

    def unbind(self) -> None:
        """Drop all requests: each one holds the buffers of its last execution."""
        self._idle = SimpleQueue()

    def _request(self) -> Any:
        try:
            return self._idle.get_nowait()
        except Empty:
            return self._compiled.create_infer_request()

    def _specs(self, shapes: Mapping[str, Tuple[int, ...]]) -> Dict[str, TensorSpec]:
        require_inputs(self.inputs, shapes, self._name)
        return {port.name: input_spec(port, shapes, self._name) for port in self.inputs}

    def _reshape(self, model: Any, specs: Mapping[str, TensorSpec], batch: int) -> None:
        """Fix the sizes of the inputs; a batch that the file fixes stays."""
        wanted = {}
        for port, spec in zip(model.inputs, specs.values()):
            dims = [batch if d == BATCH else d for d in spec.shape]
            wanted[port] = library.partial_shape(dims)
        model.reshape(wanted)

    def _follow_the_batch(self, specs: Mapping[str, TensorSpec]) -> bool:
        """Whether the batch is open, and each output has a row of known sizes for each sample."""
        return all(spec.shape[:1] == (BATCH,) for spec in specs.values()) and all(
            port.dims[:1] == (BATCH,) and OPEN not in port.dims for port in self.outputs
        )


def _options(threads: Threads, bf16: bool) -> Dict[str, Any]:
    """One stream a core in a pool, else one stream over all cores; threads stay unpinned.

    Pinned threads of several networks would all wait for the same cores; besides, the service's
    system call filter forbids pinning.
    """
    options = {
        "NUM_STREAMS": threads.streams,
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "ENABLE_CPU_PINNING": False,
    }
    if threads.threads:
        options["INFERENCE_NUM_THREADS"] = threads.threads
    return options


def _port(port: Any, name: str) -> Port:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        raise DataError(f"tensor {name!r} has an open number of axes, which is not supported")
    dims = [OPEN if d.is_dynamic else d.get_length() for d in shape]
    if dims and dims[0] == OPEN:
        dims[0] = BATCH
    try:
        dtype = np.dtype(port.get_element_type().to_dtype())
    except _ERRORS as error:
        kind = port.get_element_type()
        raise DataError(f"tensor {name!r} has the type {kind}, which is not supported") from error
    return Port(name, tuple(dims), dtype, str(shape))


def _output_name(port: Any) -> str:
    """The output's name in the ONNX file: a tensor that is given twice has several names."""
    name = str(port.get_node().get_friendly_name())
    return name[: -len(_RESULT)] if name.endswith(_RESULT) else str(port.get_any_name())


def _telling_line(error: Exception) -> str:
    """OpenVINO names its own source files first, then what was wrong."""
    lines = [line.strip() for line in str(error).split("\n")]
    told = [n for n in lines if n and not n.startswith(_FRAME)]
    text = (told or [n for n in lines if n] or [type(error).__name__])[0].lstrip("- ")
    return text if len(text) <= _MAX_LINE else text[: _MAX_LINE - 3] + "..."
