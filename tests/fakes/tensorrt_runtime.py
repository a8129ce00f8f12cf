"""TensorRT's runtime half for the fake module: engines that really compute, and that check order.

An engine file is `plan`, a line of JSON (version, profile) and an ONNX file, which ONNX Runtime
executes on the addresses that were set, when the fake driver's stream is waited for. What the real
library would punish by a crash, wrong numbers or nothing at all is written down in the driver's
`faults`: the runtime touched before the driver, an address set while work that reads it is queued,
shapes set after addresses, bytes nobody verified, a graph replayed after its context was changed or
gone.
"""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import onnxruntime

Profile = Mapping[str, Sequence[Sequence[int]]]
MAGIC = b"plan"
ALIGNMENT = 256
ACTIVATIONS = 4096  # bytes of memory that a context needs
_KINDS = {
    "tensor(float)": "FLOAT",
    "tensor(float16)": "HALF",
    "tensor(int64)": "INT64",
    "tensor(int32)": "INT32",
    "tensor(uint8)": "UINT8",
    "tensor(int8)": "INT8",
    "tensor(bool)": "BOOL",
}
_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT64": np.int64,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT8": np.int8,
    "BOOL": np.bool_,
}


def plan(onnx: bytes, version: str, profile: Optional[Profile] = None) -> bytes:
    """An engine file of the fake."""
    head = {
        "tensorrt": version,
        "profile": {n: [list(s) for s in p] for n, p in (profile or {}).items()},
    }
    return MAGIC + json.dumps(head).encode() + b"\n" + onnx


def _runtime(self: Any, logger: Any) -> None:
    fake = self._fake
    fake.record("Runtime")
    assert isinstance(logger, fake.ILogger)
    self._logger = logger
    if fake._cuda is not None:
        _driver(fake, "Runtime")


def _driver(fake: Any, what: str) -> None:
    """The real one would end the process."""
    if not fake._cuda.started:
        fake._cuda.wrong(f"SIGSEGV: {what} before cuInit")
    if not fake._cuda.stacks.get(threading.get_ident()):
        fake._cuda.wrong(f"{what} without a context")


def _deserialize(self: Any, data: bytes) -> Any:
    fake = self._fake
    _driver(fake, "deserialize_cuda_engine")
    if fake._verified is not None and hashlib.sha256(data).hexdigest() not in fake._verified:
        fake._cuda.wrong("deserialized bytes that nobody verified")
    if data[: len(MAGIC)] != MAGIC:
        self._logger.log(fake.ILogger.ERROR, "1: [stdArchiveReader] magicTag does not match")
        return None
    head, onnx = data[len(MAGIC) :].split(b"\n", 1)
    built = json.loads(head)
    if built["tensorrt"] != fake.__version__:
        self._logger.log(fake.ILogger.ERROR, f"6: plan is of version {built['tensorrt']}")
        return None
    return _engine(fake, onnx, built["profile"], self._logger)


def _engine(fake: Any, onnx: bytes, profile: Profile, logger: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    engine = fake.ICudaEngine()
    engine._logger, engine._profile = logger, profile
    engine._session = onnxruntime.InferenceSession(onnx, options, ["CPUExecutionProvider"])
    inputs, outputs = engine._session.get_inputs(), engine._session.get_outputs()
    engine._inputs = [node.name for node in inputs]
    engine._tensors = {node.name: node for node in [*inputs, *outputs]}
    engine._contexts = weakref.WeakSet()
    engine._busy = weakref.WeakSet()  # contexts that hold the one profile
    return engine


def _shape(node: Any) -> Tuple[int, ...]:
    return tuple(d if isinstance(d, int) else -1 for d in node.shape)


def _mode(self: Any, name: str) -> Any:
    kinds = self._fake.TensorIOMode
    return kinds.INPUT if name in self._inputs else kinds.OUTPUT


def _profile_shape(self: Any, name: str, index: int) -> List[Tuple[int, ...]]:
    assert index == 0
    assert name in self._inputs
    return [tuple(s) for s in self._profile[name]]


def _create(self: Any, strategy: Any = None) -> Any:
    fake = self._fake
    _driver(fake, "create_execution_context")
    if fake._contexts is not None and len(self._contexts) >= fake._contexts:
        self._logger.log(fake.ILogger.ERROR, "2: [executionContext] out of memory")
        return None
    context = fake.IExecutionContext()
    context._engine, context._session = self, self._session  # kept alive, as pybind does
    context._shapes, context._addresses, context._memory = {}, {}, None
    context._own = strategy is None or strategy.name != "USER_MANAGED"
    context._queued, context._ready, context._changes = [], False, 0
    self._contexts.add(context)
    return context


def _set_memory(self: Any, memory: int, size: int) -> None:
    assert not self._own, "this context has memory of its own"
    assert size >= ACTIVATIONS
    self._fake._cuda.memory(memory, size)
    self._memory = (memory, size)


def _idle(self: Any, what: str) -> None:
    if any(not work.done for work in self._queued):
        self._fake._cuda.wrong(f"{what} while an execution that uses the old one is queued")
    self._queued = []


def _set_input_shape(self: Any, name: str, shape: Sequence[int]) -> bool:
    engine, fake = self._engine, self._fake
    _driver(fake, "set_input_shape")
    _idle(self, "shape set")
    own = _shape(engine._tensors[name])
    dynamic = -1 in own
    if dynamic and fake._major < 10 and (engine._busy - {self}):
        engine._logger.log(fake.ILogger.ERROR, "3: profile 0 is in use by another context")
        return False
    if dynamic:
        engine._busy.add(self)
    limits = engine._profile.get(name, [own] * 3)
    fits = len(shape) == len(own) and all(
        low <= n <= high for low, n, high in zip(limits[0], shape, limits[2])
    )
    if not fits:
        engine._logger.log(fake.ILogger.ERROR, f"3: {name}: {list(shape)} not in {limits}")
        return False
    if self._shapes.get(name) != tuple(shape):
        self._shapes[name] = tuple(shape)
        self._ready, self._addresses = False, {}
        self._changes += 1
    return True


def _tensor_shape(self: Any, name: str) -> Tuple[int, ...]:
    engine = self._engine
    if name in self._shapes:
        return tuple(self._shapes[name])
    own = _shape(engine._tensors[name])
    if name in engine._inputs:
        return own
    batch = next(iter(self._shapes.values()))[0] if self._shapes else -1
    return tuple(batch if d == -1 and i == 0 else d for i, d in enumerate(own))


def _set_address(self: Any, name: str, address: int) -> bool:
    engine, cuda = self._engine, self._fake._cuda
    _driver(self._fake, "set_tensor_address")
    _idle(self, "address set")
    if name not in engine._tensors:
        return False
    missing = [
        n for n in engine._inputs if -1 in _shape(engine._tensors[n]) and n not in self._shapes
    ]
    if missing:
        cuda.wrong(f"{name}: address set before the shape of {missing}")
    if address % ALIGNMENT:
        cuda.wrong(f"{name}: address {address:#x} is not a multiple of {ALIGNMENT}")
    cuda.memory(address, 1)
    if self._addresses.get(name) != address:
        self._addresses[name] = address
        self._changes += 1
    return True


def _places(self: Any) -> Dict[str, Tuple[int, Tuple[int, ...], Any]]:
    """Address, shape and type of every tensor as it is set now."""
    places = {}
    for name, node in self._engine._tensors.items():
        if name not in self._addresses:
            self._fake._cuda.wrong(f"{name}: executed without an address")
        shape, kind = _tensor_shape(self, name), np.dtype(_DTYPES[_KINDS[node.type]])
        places[name] = (self._addresses[name], shape, kind)
    return places


def _execute(self: Any, stream_handle: int) -> bool:
    engine, fake = self._engine, self._fake
    cuda = fake._cuda
    _driver(fake, "execute_async_v3")
    if fake._fails:
        engine._logger.log(fake.ILogger.ERROR, fake._fails)
        return False
    if not self._own and self._memory is None:
        cuda.wrong("executed without memory for activations")
    capturing = cuda.queue_of(stream_handle).captured is not None
    if capturing and (not self._ready or not fake._capturable):
        engine._logger.log(fake.ILogger.ERROR, "1: operation not permitted while capturing")
        cuda.queue_of(stream_handle).broken = True
        return False
    places = _places(self)
    uses = [(a, int(np.prod(s)) * k.itemsize) for a, s, k in places.values()]
    uses += [] if self._memory is None else [self._memory]
    changes = self._changes if capturing else None
    this = weakref.ref(self)
    inputs = list(engine._inputs)
    session = self._session

    def run() -> None:
        context = this()
        if context is None:
            cuda.wrong("an execution outlived its context")
        elif changes is not None and context._changes != changes:
            cuda.wrong("a graph was replayed after its context was changed")
        _compute(cuda, session, inputs, places)

    cuda.enqueue(stream_handle, "an execution", uses, run)
    if not capturing:
        self._queued.append(cuda.queue_of(stream_handle).waiting[-1])
    self._ready = True
    return True


def _compute(cuda: Any, session: Any, inputs: List[str], places: Mapping[str, Any]) -> None:
    arrays = {}
    for name, (address, shape, kind) in places.items():
        flat = cuda.memory(address, int(np.prod(shape)) * kind.itemsize)
        arrays[name] = flat.view(kind).reshape(shape)
    outputs = [name for name in places if name not in inputs]
    results = session.run(outputs, {name: arrays[name] for name in inputs})
    for name, result in zip(outputs, results):
        arrays[name][...] = result
    cuda.executed.append({name: address for name, (address, _, _) in places.items()})


BEHAVIOUR: Dict[str, Dict[str, Any]] = {
    "Runtime": {
        "__init__": _runtime,
        "deserialize_cuda_engine": _deserialize,
        "num_DLA_cores": property(lambda self: self._fake._dla_cores),
    },
    "ICudaEngine": {
        "num_io_tensors": property(lambda self: len(self._tensors)),
        "get_tensor_name": lambda self, index: list(self._tensors)[index],
        "get_tensor_mode": _mode,
        "get_tensor_shape": lambda self, name: _shape(self._tensors[name]),
        "get_tensor_dtype": lambda self, name: getattr(
            self._fake.DataType, self._fake._kinds.get(name) or _KINDS[self._tensors[name].type]
        ),
        "get_tensor_format": lambda self, name: getattr(
            self._fake.TensorFormat, self._fake._formats.get(name, "LINEAR")
        ),
        "get_tensor_location": lambda self, name: getattr(
            self._fake.TensorLocation, self._fake._locations.get(name, "DEVICE")
        ),
        "get_tensor_profile_shape": _profile_shape,
        "device_memory_size_v2": property(lambda self: ACTIVATIONS),
        "create_execution_context": _create,
    },
    "IExecutionContext": {
        "set_device_memory": _set_memory,
        "set_input_shape": _set_input_shape,
        "get_tensor_shape": _tensor_shape,
        "set_tensor_address": _set_address,
        "execute_async_v3": _execute,
    },
}
