"""Run a build plan with TensorRT. No other tool uses TensorRT.

Check for a driver (tools.engines.machine) before making a `Builder`: without one, some versions end
the process instead of raising.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge.errors import DataError, TempError, UnavailableError
from edge.runtime._onnx_file import check_stands_alone
from tools.engines import callbacks
from tools.engines.callbacks import OnPhase
from tools.engines.names import cache_number, has, parse
from tools.engines.plan import BuildPlan
from tools.quant.cache import write_cache
from tools.quant.ranges_file import read_ranges_file


@dataclass(frozen=True)
class Built:
    """Result of a build.

    Attributes:
        engine: content of the engine file.
        layers: name, kind and output types of each layer; None if TensorRT does not give them.
        timing_cache: kernel timings to keep; None = none.
        notes: remarks for the user.
    """

    engine: bytes
    layers: Optional[List[Dict[str, Any]]]
    timing_cache: Optional[bytes]
    notes: Tuple[str, ...]


def load() -> Any:
    """Import TensorRT.

    Raises:
        UnavailableError: TensorRT, or a library that it needs, is missing.
    """
    try:
        return importlib.import_module("tensorrt")
    except ImportError as error:
        raise UnavailableError(
            f"TensorRT cannot be imported ({error}); on a Jetson: apt install python3-libnvinfer "
            "and a venv with --system-site-packages; --dry-run shows the plan"
        ) from error


def build(trt: Any, plan: BuildPlan, onnx: bytes, nodes: List[str], on_phase: OnPhase) -> Built:
    """Run a build plan.

    Args:
        trt: module of TensorRT, in the version of the plan.
        plan: what to build.
        onnx: content of the graph file; its hash is in the build record.
        nodes: names of its nodes, for messages.
        on_phase: called with the progress of the build, if TensorRT reports it.

    Raises:
        DataError: TensorRT refuses the graph. UnavailableError: no such DLA, or no builder.
        TempError: TensorRT accepts the graph but builds nothing.
    """
    return _Build(trt, plan, on_phase).run(onnx, nodes)


class _Build:
    """One build. `kept` holds objects that TensorRT only points to."""

    def __init__(self, trt: Any, plan: BuildPlan, on_phase: OnPhase) -> None:
        self.trt = trt
        self.plan = plan
        self.on_phase = on_phase
        self.version = parse(str(trt.__version__))
        self.errors: List[str] = []
        self.notes: List[str] = []
        self.logger = callbacks.logger(trt, self.errors)
        self.kept: List[Any] = []

    def run(self, onnx: bytes, nodes: List[str]) -> Built:
        check_stands_alone(onnx, self.plan.onnx)
        builder = self._builder()
        network = builder.create_network(
            _bits(self.trt.NetworkDefinitionCreationFlag, self.plan.creation_flags)
        )
        self._parse(network, onnx, nodes)
        config = builder.create_builder_config()
        self._configure(config)
        self._place(builder, config)
        self._profile(builder, config)
        self._calibrate(config)
        self._constrain(network)
        cache = self._timing_cache(config)
        data, layers = self._execute(builder, network, config)
        return Built(data, layers, bytes(cache.serialize()) if cache else None, tuple(self.notes))

    def _builder(self) -> Any:
        trt = self.trt
        try:
            return trt.Builder(self.logger)
        except TypeError as error:  # pybind raises it if the factory returns nothing
            raise UnavailableError(
                f"TensorRT {self.plan.tensorrt} cannot start: {self._last(str(error))}"
            ) from error

    def _parse(self, network: Any, onnx: bytes, nodes: List[str]) -> None:
        trt = self.trt
        parser = trt.OnnxParser(network, self.logger)
        self.kept.append(parser)  # it holds the weights of the network
        if parser.parse(onnx):
            return
        found = [self._parser_error(parser.get_error(i), nodes) for i in range(parser.num_errors)]
        what = "; ".join(found[:3]) or self._last("no reason given")
        raise DataError(f"{self.plan.onnx}: TensorRT {self.plan.tensorrt} refuses it: {what}")

    def _parser_error(self, error: Any, nodes: List[str]) -> str:
        place = error.node()
        name = nodes[place] if 0 <= place < len(nodes) else ""
        if has("ParserError.node_name", self.version) and error.node_name():
            name = f"{error.node_name()} ({error.node_operator()})"
        return f"node {name or place}: {' '.join(error.desc().split())}"

    def _configure(self, config: Any) -> None:
        trt, plan = self.trt, self.plan
        for name in plan.builder_flags:
            config.set_flag(getattr(trt.BuilderFlag, name))
        for name in plan.cleared_flags:
            config.clear_flag(getattr(trt.BuilderFlag, name))
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan.workspace_mb << 20)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if plan.tactic_sources:
            config.set_tactic_sources(_bits(trt.TacticSource, plan.tactic_sources))
        if has("IBuilderConfig.progress_monitor", self.version):
            monitor = callbacks.monitor(trt, self.on_phase)
            config.progress_monitor = monitor
            self.kept.append(monitor)

    def _place(self, builder: Any, config: Any) -> None:
        trt, core = self.trt, self.plan.dla
        if core is None:
            return
        if core >= builder.num_DLA_cores:
            raise UnavailableError(
                f"--dla: this machine has {builder.num_DLA_cores} DLA cores, so no core {core}"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = core

    def _profile(self, builder: Any, config: Any) -> None:
        if not self.plan.profile:
            return
        profile = builder.create_optimization_profile()
        for name, (least, usual, most) in self.plan.profile.items():
            profile.set_shape(name, least, usual, most)
        if config.add_optimization_profile(profile) < 0:
            raise DataError(f"{self.plan.onnx}: TensorRT refuses the batch: {self._last('')}")
        if self.plan.route == "cache":
            config.set_calibration_profile(profile)

    def _calibrate(self, config: Any) -> None:
        if self.plan.ranges is None:
            return
        # TensorRT refuses a cache of another version, so it is written for this one.
        amax = read_ranges_file(self.plan.ranges)["amax"]
        text = write_cache(amax, cache_number(self.version))
        calibrator = callbacks.calibrator(self.trt, text.encode())
        config.int8_calibrator = calibrator
        self.kept.append(calibrator)

    def _constrain(self, network: Any) -> None:
        trt, names = self.trt, set(self.plan.float32_layers)
        if not names or not has("ILayer.precision", self.version):
            return
        floating = (trt.DataType.FLOAT, trt.DataType.HALF)
        for i in range(network.num_layers):
            layer = network.get_layer(i)
            if layer.name in names and layer.get_output(0).dtype in floating:
                layer.precision = trt.DataType.FLOAT
                layer.set_output_type(0, trt.DataType.FLOAT)  # else the output is rounded

    def _timing_cache(self, config: Any) -> Any:
        path = self.plan.timing_cache
        if path is None:
            return None
        old = path.read_bytes() if path.is_file() else b""
        cache = config.create_timing_cache(old)
        if cache is None or not config.set_timing_cache(cache, False):
            self.notes.append(f"{path}: is of another TensorRT or GPU; it is replaced")
            cache = config.create_timing_cache(b"")
            config.set_timing_cache(cache, False)
        self.kept.append(cache)
        return cache

    def _execute(
        self, builder: Any, network: Any, config: Any
    ) -> Tuple[bytes, Optional[List[Dict[str, Any]]]]:
        """Build the engine; list its layers if this version returns the engine itself."""
        if has("Builder.build_engine_with_config", self.version):
            engine = builder.build_engine_with_config(network, config)
            self._must(engine)
            return bytes(engine.serialize()), self._layers(engine)
        data = builder.build_serialized_network(network, config)
        self._must(data)
        return bytes(data), None

    def _layers(self, engine: Any) -> List[Dict[str, Any]]:
        trt = self.trt
        inspector = engine.create_engine_inspector()
        text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
        return [_layer(entry) for entry in json.loads(text).get("Layers", [])]

    def _must(self, result: Any) -> None:
        if result is None:
            raise TempError(
                f"{self.plan.onnx}: TensorRT {self.plan.tensorrt} built nothing: "
                f"{self._last('interrupted, or out of memory; try a smaller --batch')}"
            )

    def _last(self, otherwise: str) -> str:
        return " ".join(self.errors[-1].split()) if self.errors else otherwise


def _bits(enum: Any, names: Tuple[str, ...]) -> int:
    bits = 0
    for name in names:
        bits |= 1 << int(getattr(enum, name))
    return bits


def _layer(entry: Any) -> Dict[str, Any]:
    """Name, kind and output types of a layer, from an entry of the engine inspector."""
    if isinstance(entry, str):  # an engine without details has names only
        return {"name": entry}
    outputs = [str(o.get("Format/Datatype", "")) for o in entry.get("Outputs", [])]
    return {"name": entry.get("Name", ""), "kind": entry.get("LayerType", ""), "outputs": outputs}


def timing_cache_path(models: Path, tensorrt: str, compute_capability: str) -> Path:
    """File of kernel timings; they are valid for one TensorRT version and one kind of GPU."""
    kind = compute_capability.replace(".", "")
    return models / ".timing" / f"trt{tensorrt}-sm{kind}.timing"
