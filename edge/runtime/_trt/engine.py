"""A TensorRT engine: deserializes it, and describes its tensors. For all versions from 8.5 on.

Only names that every version has are used here. Members of enums are compared by name, because
their numbers change between versions.
"""

from __future__ import annotations

import collections
import logging
from dataclasses import dataclass
from typing import Any, Deque, Dict, List, Mapping, Optional, Tuple

import numpy as np

from edge.errors import ConfigError, DataError, UnavailableError

log = logging.getLogger(__name__)
Shape = Tuple[int, ...]

# TensorRT's own nptype() of 8.5 fails with NumPy 1.24 and later.
_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
OPEN = -1
_loggers: Dict[Any, Any] = {}
errors: Deque[str] = collections.deque(maxlen=8)  # of TensorRT, the last ones


@dataclass(frozen=True)
class TensorShape:
    """One input or output of an engine."""

    name: str
    is_input: bool
    dtype: np.dtype
    shape: Shape  # -1 = open
    profile: Tuple[Shape, ...]  # smallest, usual and largest shape of an input with an open size


class Engine:
    """A loaded engine; to be closed after all its contexts.

    Args:
        trt: the module of TensorRT.
        data: the serialized engine.
        name: for messages.
        dla_core: the DLA core it was built for; None = the GPU.

    Raises:
        DataError: TensorRT cannot load it, or it has tensors that cannot be used here.
        UnavailableError: TensorRT cannot start, or there is no such DLA core.
    """

    def __init__(self, trt: Any, data: bytes, name: str, dla_core: Optional[int] = None) -> None:
        self.trt = trt
        self.name = name
        runtime = _start(trt, name)
        if dla_core is not None:
            _place(runtime, name, dla_core)
        errors.clear()
        engine = runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise DataError(
                f"{name}: TensorRT {trt.__version__} cannot load it: {last_error()}; "
                "build it again on this machine: `edge-tools build`"
            )
        self.engine, self._runtime = engine, runtime
        self.tensors = [self._tensor(i) for i in range(engine.num_io_tensors)]

    def _tensor(self, index: int) -> TensorShape:
        trt, engine = self.trt, self.engine
        name = str(engine.get_tensor_name(index))
        kind = str(engine.get_tensor_dtype(name).name)
        if kind not in _DTYPES:
            raise DataError(f"{self.name}: tensor {name!r} has the type {kind}; export it as FP32")
        if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE:
            raise DataError(f"{self.name}: tensor {name!r} holds a shape; export with fixed sizes")
        if engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
            raise DataError(f"{self.name}: tensor {name!r} is not linear; build with `edge-tools`")
        is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        shape = tuple(engine.get_tensor_shape(name))
        profile: Tuple[Shape, ...] = ()
        if is_input and OPEN in shape:
            profile = tuple(tuple(s) for s in engine.get_tensor_profile_shape(name, 0))
        return TensorShape(name, is_input, np.dtype(_DTYPES[kind]), shape, profile)

    def close(self) -> None:
        """Free the engine; may be called twice."""
        self.engine = None
        self._runtime = None


def last_error(default: str = "it gives no reason") -> str:
    """TensorRT's last error as one line; `default` if there was none."""
    return " ".join(errors[-1].split())[:300] if errors else default


def _start(trt: Any, name: str) -> Any:
    """Create the runtime; the driver must be initialised before, or some versions crash."""
    if trt not in _loggers:
        _loggers[trt] = _logger(trt)  # TensorRT keeps the first logger for ever
    try:
        return trt.Runtime(_loggers[trt])
    except TypeError as error:  # pybind says so where TensorRT creates nothing
        raise UnavailableError(
            f"{name}: TensorRT {trt.__version__} cannot start: {last_error(str(error))}"
        ) from error


def _place(runtime: Any, name: str, core: int) -> None:
    if core >= runtime.num_DLA_cores:
        raise UnavailableError(
            f"{name}: was built for DLA core {core}; this machine has {runtime.num_DLA_cores}"
        )
    runtime.DLA_core = core


def _logger(trt: Any) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc] # its base is known at run time
        """Keeps errors for our one line, and passes warnings to our log."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                errors.append(message)
            elif severity == trt.ILogger.WARNING:
                log.debug("TensorRT: %s", message)

    return Logger()


def check_inputs(
    engine: str, tensors: List[TensorShape], wanted: Mapping[str, Shape]
) -> Dict[str, Shape]:
    """The sample shape of each input; the recipe fills in the open sizes.

    Args:
        engine: its name, for messages.
        tensors: of the engine.
        wanted: sample shapes, by the recipe.

    Raises:
        DataError: no such input. ConfigError: the recipe and the engine disagree.
    """
    inputs = {t.name: t for t in tensors if t.is_input}
    for name in wanted:
        if name not in inputs:
            raise DataError(f"{engine}: no input {name!r}; there are: {', '.join(inputs)}")
    return {name: _sample(engine, t, wanted.get(name)) for name, t in inputs.items()}


def _sample(engine: str, tensor: TensorShape, wanted: Optional[Shape]) -> Shape:
    own = tensor.shape[1:]
    if tensor.profile:  # an open size with one possible value is known
        least, _, most = tensor.profile
        own = tuple(lo if lo == hi else d for d, lo, hi in zip(own, least[1:], most[1:]))
    shape = own if wanted is None else wanted
    fits = len(shape) == len(own) and all(d in (OPEN, w) for d, w in zip(own, shape))
    if not fits or OPEN in shape or not tensor.shape:
        known = f"model.toml says {['batch', *wanted]}" if wanted else "its sizes are open"
        raise ConfigError(
            f"{engine}: input {tensor.name!r} is {list(tensor.shape)}, but {known}; "
            "correct model.toml, or build again with `edge-tools build`"
        )
    return shape


def batches(engine: str, tensors: List[TensorShape]) -> Tuple[int, int]:
    """The smallest and the largest batch of an engine.

    Raises:
        DataError: its inputs have different limits.
    """
    found = set()
    for tensor in tensors:
        if tensor.is_input:
            open_batch = bool(tensor.profile) and tensor.shape[0] == OPEN
            low = tensor.profile[0][0] if open_batch else tensor.shape[0]
            found.add((low, tensor.profile[2][0] if open_batch else low))
    if len(found) != 1:
        raise DataError(f"{engine}: inputs disagree on the batch: {sorted(found)}")
    return found.pop()
