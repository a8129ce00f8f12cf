"""A TensorRT module of any version, generated from the list of that version's names.

Classes, attributes, enum members and their numbers come from tests/data/trt_api; what is not on the
list raises AttributeError, as it would on the real thing. Behaviour is added only to names that the
version has. Everything that is called or set is written down in `module.calls`.
"""

from __future__ import annotations

import enum
import functools
import json
import types
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from tests.fakes import tensorrt_runtime as runtime

API = Path(__file__).resolve().parents[1] / "data" / "trt_api"
VERSIONS = ("8.5.3.1", "8.6.1", "10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")


def names(version: str) -> Dict[str, Any]:
    """The list: module, classes (with attributes), enums (with numbers)."""
    return json.loads((API / f"{version}.json").read_text("utf-8"))


class Fake(types.ModuleType):
    """The module. Settings of a test are attributes that begin with an underscore."""

    def __init__(self, version: str) -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        self.calls: List[Tuple[Any, ...]] = []
        self._api = names(version)
        self._major = int(version.split(".")[0])
        self._parser_errors: List[Tuple[int, str]] = []  # node number, text
        self._builds = True
        self._dla_cores = 2
        self._driver = True
        self._cuda: Any = None  # the fake driver, for the runtime half (tensorrt_runtime)
        self._verified: Any = None  # sha256 of what may be loaded; None = anything
        self._contexts: Any = None  # how many there may be
        self._fails = ""  # what an execution fails with
        self._capturable = True
        self._kinds: Dict[str, str] = {}  # types, formats and places of tensors that differ
        self._formats: Dict[str, str] = {}
        self._locations: Dict[str, str] = {}
        self._phases = [("Building Engine", None, 2), ("Tactics", "Building Engine", 3)]
        for name, members in self._api["enums"].items():
            setattr(self, name, enum.Enum(name, members, type=_Number))
        for name in self._api["classes"]:
            if name not in self._api["enums"]:
                setattr(self, name, _make(self, name))

    def record(self, *what: Any) -> None:
        self.calls.append(what)

    def called(self, name: str) -> List[Tuple[Any, ...]]:
        """Arguments of each call or setting of `Class.attribute`, in order."""
        return [call[1:] for call in self.calls if call[0] == name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(f"module 'tensorrt' {self.__version__} has no attribute {name!r}")


class _Number:
    """pybind's enums become a number only when they are asked to."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __int__(self) -> int:
        return self._number

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"  # type: ignore[attr-defined]


class Strict:
    """An object that has the attributes of its list and no others."""

    _fake: Fake
    _class: str
    _names: frozenset

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "_names" not in cls.__dict__ and hasattr(cls, "_names"):  # a user's own class
            wrong = {n for n in vars(cls) if not n.startswith("_")} - cls._names
            if wrong:
                raise AttributeError(f"{cls._class} has no {sorted(wrong)}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in type(self)._names:
            raise AttributeError(f"{type(self)._class} has no attribute {name!r}")
        return functools.partial(self._fake.record, f"{self._class}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            if name not in type(self)._names:
                raise AttributeError(f"{type(self)._class} has no attribute {name!r}")
            self._fake.record(f"{self._class}.{name}", value)
        object.__setattr__(self, name, value)


def _make(fake: Fake, name: str) -> type:
    listed = frozenset(fake._api["classes"][name])
    space: Dict[str, Any] = {"_fake": fake, "_class": name, "_names": listed}
    space.update({n: n for n in listed if n.isupper()})  # members that a class repeats
    for attribute, behaviour in BEHAVIOUR.get(name, {}).items():
        if attribute == "__init__" or attribute.startswith("_"):
            space[attribute] = behaviour
        elif attribute in listed:
            plain = isinstance(behaviour, property)
            space[attribute] = behaviour if plain else _recorded(f"{name}.{attribute}", behaviour)
    return type(name, (Strict,), space)


def _recorded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        self._fake.record(name, *arguments, *named.values())
        return function(self, *arguments, **named)

    return call


def _decode(kind: Any, bits: int) -> List[str]:
    """Names of the members whose bits are set; unknown bits are refused."""
    found = [member for member in kind if bits >> int(member) & 1]
    assert sum(1 << int(member) for member in found) == bits, f"{kind.__name__}: {bits}"
    return [member.name for member in found]


def _start(self: Any, logger: Any) -> None:
    self._logger = logger
    assert isinstance(logger, self._fake.ILogger)
    self._fake.record("Builder")
    if not self._fake._driver:
        logger.log(self._fake.ILogger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")


def _create_network(self: Any, flags: int = 0) -> Any:
    network = self._fake.INetworkDefinition()
    network._flags = _decode(self._fake.NetworkDefinitionCreationFlag, flags)
    network._logger, network._layers, network._inputs = self._logger, [], {}
    return network


def _create_config(self: Any) -> Any:
    config = self._fake.IBuilderConfig()
    config._flags, config._profiles, config._cache = {"TF32"}, [], None
    return config


def _problem(fake: Fake, network: Any, config: Any) -> str:
    """TensorRT's own rules that a wrong plan would break."""
    quantized = any(layer._op == "QuantizeLinear" for layer in network._layers)
    strong = "STRONGLY_TYPED" in network._flags
    if not network._layers:
        return "Network must have at least one output"
    if fake._major < 10 and "EXPLICIT_BATCH" not in network._flags:
        return "The ONNX parser needs an explicit batch"
    if quantized and not strong and "INT8" not in config._flags:
        return "Int8 precision has not been enabled for a network with Q/DQ layers"
    if any(None in dims for dims in network._inputs.values()) and not config._profiles:
        return "Network has dynamic inputs, but no optimization profile has been defined"
    dla = vars(config).get("default_device_type") is fake.DeviceType.DLA
    if dla and fake._major < 11 and quantized:
        return "DLA does not support Q/DQ layers"
    implicit = not quantized and "INT8" in config._flags
    return _range_problem(fake, config) if implicit else ""


def _range_problem(fake: Fake, config: Any) -> str:
    calibrator = vars(config).get("int8_calibrator")
    if calibrator is None:
        return "Calibration failure: no calibrator and no dynamic ranges"
    head = calibrator.read_calibration_cache().split(b"\n")[0].decode()
    number = {
        "8.5.3.1": 8503,
        "8.6.1": 8601,
        "10.3.0": 100300,
        "10.13.3.9": 101303,
        "10.16.1.11": 101601,
    }[fake.__version__]
    wanted = f"TRT-{number}-EntropyCalibration2"
    return "" if head == wanted else f"Calibration cache is {head}, not {wanted}"


def _built(self: Any, network: Any, config: Any) -> bool:
    fake = self._fake
    problem = _problem(fake, network, config)
    if problem:
        self._logger.log(fake.ILogger.ERROR, problem)
    monitor = vars(config).get("progress_monitor")
    if monitor is not None and not problem:
        for phase, parent, steps in fake._phases:
            monitor.phase_start(phase, parent, steps)
            for step in range(steps):
                if not monitor.step_complete(phase, step):
                    return False
            monitor.phase_finish(phase)
    if config._cache is not None:
        config._cache._data += b"timed"
    return fake._builds and not problem


def _build_serialized(self: Any, network: Any, config: Any) -> Any:
    return _memory(self._fake, _plan(network, config)) if _built(self, network, config) else None


def _plan(network: Any, config: Any) -> bytes:
    shapes = config._profiles[0]._shapes if config._profiles else {}
    return runtime.plan(network._onnx, network._fake.__version__, shapes)


def _build_engine(self: Any, network: Any, config: Any) -> Any:
    if not _built(self, network, config):
        return None
    engine = self._fake.ICudaEngine()
    engine._layers = network._layers
    engine._plan = _plan(network, config)
    return engine


def _memory(fake: Fake, data: bytes) -> Any:
    memory = fake.IHostMemory()
    memory._data = data
    return memory


def _parse(self: Any, data: bytes) -> bool:
    fake, network = self._fake, self._network
    for _, text in fake._parser_errors:
        network._logger.log(fake.ILogger.ERROR, text)
    if fake._parser_errors:
        return False
    import onnx

    graph = onnx.load_model_from_string(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    network._inputs = {
        value.name: [d.dim_value or None for d in value.type.tensor_type.shape.dim]
        for value in graph.input
        if value.name not in weights
    }
    network._layers = [_layer(fake, node) for node in graph.node]
    network._onnx = data
    return True


def _layer(fake: Fake, node: Any) -> Any:
    layer = fake.ILayer()
    layer._op, layer._title = node.op_type, node.name
    return layer


def _output(self: Any, index: int) -> Any:
    tensor = self._fake.ITensor()
    shapes = self._op == "Shape"
    tensor._dtype = self._fake.DataType.INT32 if shapes else self._fake.DataType.FLOAT
    return tensor


def _parser_error(self: Any, index: int) -> Any:
    error = self._fake.ParserError()
    error._node, error._text = self._fake._parser_errors[index]
    return error


def _set_flag(self: Any, flag: Any) -> None:
    assert isinstance(flag, self._fake.BuilderFlag)
    self._flags.add(flag.name)


def _set_pool(self: Any, pool: Any, size: int) -> None:
    assert isinstance(pool, self._fake.MemoryPoolType)
    assert size > 0


def _set_shape(self: Any, name: str, least: Any, usual: Any, most: Any) -> None:
    for sizes in zip(least, usual, most):
        assert 1 <= sizes[0] <= sizes[1] <= sizes[2]
    self._shapes[name] = (least, usual, most)


def _create_profile(self: Any) -> Any:
    profile = self._fake.IOptimizationProfile()
    profile._shapes = {}
    return profile


def _add_profile(self: Any, profile: Any) -> int:
    assert isinstance(profile, self._fake.IOptimizationProfile)
    self._profiles.append(profile)
    return len(self._profiles) - 1


def _create_cache(self: Any, data: bytes) -> Any:
    if data[:4] not in (b"", b"time"):
        return None
    cache = self._fake.ITimingCache()
    cache._data = data or b"time"
    return cache


def _set_cache(self: Any, cache: Any, ignore_mismatch: bool) -> bool:
    self._cache = cache
    return True


def _information(self: Any, form: Any) -> str:
    assert form is self._fake.LayerInformationFormat.JSON
    return json.dumps(
        {
            "Layers": [
                {
                    "Name": layer._title,
                    "LayerType": layer._op,
                    "Outputs": [{"Name": "x", "Format/Datatype": "Row major Int8"}],
                }
                for layer in self._engine._layers
            ]
        }
    )


def _inspector(self: Any) -> Any:
    inspector = self._fake.EngineInspector()
    inspector._engine = self
    return inspector


def _parser(self: Any, network: Any, logger: Any) -> None:
    self._network = network


def _nothing(self: Any) -> None:
    self._fake.record(f"{self._class}()")


def _bytes(self: Any) -> bytes:
    return self._data


BEHAVIOUR: Dict[str, Dict[str, Any]] = {
    "Builder": {
        "__init__": _start,
        "create_network": _create_network,
        "create_builder_config": _create_config,
        "create_optimization_profile": _create_profile,
        "build_serialized_network": _build_serialized,
        "build_engine_with_config": _build_engine,
        "num_DLA_cores": property(lambda self: self._fake._dla_cores),
    },
    "INetworkDefinition": {
        "num_layers": property(lambda self: len(self._layers)),
        "get_layer": lambda self, index: self._layers[index],
    },
    "ILayer": {"name": property(lambda self: self._title), "get_output": _output},
    "ITensor": {"dtype": property(lambda self: self._dtype)},
    "OnnxParser": {
        "__init__": _parser,
        "parse": _parse,
        "num_errors": property(lambda self: len(self._fake._parser_errors)),
        "get_error": _parser_error,
    },
    "ParserError": {
        "node": lambda self: self._node,
        "desc": lambda self: self._text,
        "node_name": lambda self: f"node{self._node}",
        "node_operator": lambda self: "Conv",
    },
    "IBuilderConfig": {
        "set_flag": _set_flag,
        "clear_flag": lambda self, flag: self._flags.discard(flag.name),
        "set_memory_pool_limit": _set_pool,
        "set_tactic_sources": lambda self, bits: bool(_decode(self._fake.TacticSource, bits)),
        "add_optimization_profile": _add_profile,
        "set_calibration_profile": lambda self, profile: True,
        "create_timing_cache": _create_cache,
        "set_timing_cache": _set_cache,
    },
    "IOptimizationProfile": {"set_shape": _set_shape},
    "ITimingCache": {"serialize": lambda self: _memory(self._fake, self._data)},
    "IHostMemory": {"__bytes__": _bytes},
    "ICudaEngine": {
        "create_engine_inspector": _inspector,
        "serialize": lambda self: _memory(self._fake, self._plan),
    },
    "EngineInspector": {"get_engine_information": _information},
    "ILogger": {"__init__": _nothing},
    "IProgressMonitor": {"__init__": _nothing},
    "IInt8EntropyCalibrator2": {"__init__": _nothing},
}
for _name, _attributes in runtime.BEHAVIOUR.items():
    BEHAVIOUR.setdefault(_name, {}).update(_attributes)


def make(version: str, **settings: Optional[Any]) -> Fake:
    """A fresh module; settings: parser_errors, builds, dla_cores, driver, phases."""
    fake = Fake(version)
    for name, value in settings.items():
        assert hasattr(fake, f"_{name}"), name
        setattr(fake, f"_{name}", value)
    return fake
