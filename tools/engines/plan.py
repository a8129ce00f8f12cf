"""Plan a TensorRT build as names and numbers; TensorRT itself is not needed for this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from edge.errors import ConfigError
from edge.recipe import Network
from tools.engines.cautions import cautions
from tools.engines.names import Version, has, parse
from tools.engines.request import BuildRequest, OnnxFile, Shape, shapes

WENT_BACK = "this network failed its accuracy gate in INT8 and is FP32 again: it is built in FP16"
NO_LIBRARIES = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")  # need neither cuBLAS nor cuDNN


@dataclass(frozen=True)
class BuildPlan:
    """How one engine is built. Flags are names of members of TensorRT's enums.

    Attributes:
        tensorrt: version.
        engine: file to write.
        onnx: file to parse.
        route: fp32 | fp16 | qdq (INT8 by Q/DQ nodes) | cache (INT8 by a calibration cache).
        strongly_typed: whether the graph says all types.
        half: whether FP16 casts are written into the graph before it is parsed.
        ranges: ranges file to make a calibration cache of; None = no cache.
        creation_flags: flags of the network.
        builder_flags: flags to set.
        cleared_flags: flags to clear.
        float32_layers: layers that are set to FP32.
        profile: input -> smallest, usual and largest shape.
        workspace_mb: memory for kernels.
        dla: DLA core; None = GPU.
        tactic_sources: libraries for kernels; empty = TensorRT's default.
        timing_cache: file of kernel timings; None = none.
        missing: files that must be made first, and the command for each.
        cautions: known problems.
        refused: why this TensorRT version cannot build it; empty = it can.
    """

    tensorrt: str
    engine: Path
    onnx: Path
    route: str
    strongly_typed: bool
    half: bool
    ranges: Optional[Path]
    creation_flags: Tuple[str, ...]
    builder_flags: Tuple[str, ...]
    cleared_flags: Tuple[str, ...]
    float32_layers: Tuple[str, ...]
    profile: Dict[str, Tuple[Shape, ...]]
    workspace_mb: int
    dla: Optional[int]
    tactic_sources: Tuple[str, ...]
    timing_cache: Optional[Path]
    missing: Tuple[str, ...]
    cautions: Tuple[str, ...]
    refused: str

    def as_json(self) -> Dict[str, Any]:
        """The plan as JSON values."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in vars(self).items()
        }


def plan_build(
    request: BuildRequest,
    source: OnnxFile,
    network: Network,
    tensorrt: str,
    has_libraries: bool = True,
) -> BuildPlan:
    """Plan the build of one engine.

    Args:
        request: what to build.
        source: the FP32 ONNX file.
        network: recipe of the network.
        tensorrt: version.
        has_libraries: whether cuBLAS and cuDNN can be loaded.

    Raises:
        ConfigError: the batch does not fit the network, or a DLA.
    """
    version = parse(tensorrt)
    batch = _batch(request, source)
    route = _route(request, version)
    back = route == "qdq" and _went_back(request.file("int8.onnx"))
    route = "fp16" if back else route
    strong = not has("BuilderFlag.FP16", version)
    parsed = _parsed(request, source, route)
    ranges = request.file("ranges.json") if route == "cache" else None
    limited = not has_libraries and not strong  # TensorRT 11 has no other sources
    return BuildPlan(
        tensorrt=tensorrt,
        engine=request.engine,
        onnx=parsed,
        route=route,
        strongly_typed=strong,
        half=strong and request.precision != "fp32",
        ranges=ranges,
        creation_flags=_creation_flags(strong, version),
        builder_flags=_builder_flags(request, source, version, route),
        cleared_flags=("TF32",) if request.precision == "fp32" else (),
        float32_layers=source.fragile if _constrained(request, source, version) else (),
        profile=shapes(source, batch, network),
        workspace_mb=request.workspace_mb,
        dla=request.dla,
        tactic_sources=NO_LIBRARIES if limited else (),
        timing_cache=request.timing_cache,
        missing=_missing(request.model, parsed, ranges),
        cautions=((WENT_BACK,) if back else ()) + cautions(request, source, version),
        refused=_refused(request, version),
    )


def _batch(request: BuildRequest, source: OnnxFile) -> Tuple[int, int, int]:
    fixed = next((dims[0] for dims in source.inputs.values() if dims and dims[0]), None)
    if request.batch_chosen and fixed is not None and set(request.batch) != {fixed}:
        raise ConfigError(
            f"--batch: {source.path} has a fixed batch of {fixed}; export it with a dynamic batch"
        )
    if request.dla is None:
        return request.batch
    if request.batch_chosen and len(set(request.batch)) > 1:
        raise ConfigError(
            "--batch: a DLA runs one batch size, so MIN, OPT and MAX must be equal; "
            f"try --batch {request.batch[1]}"
        )
    return request.batch if request.batch_chosen else (1, 1, 1)


def _route(request: BuildRequest, version: Version) -> str:
    if request.precision != "int8":
        return request.precision
    implicit = has("IInt8EntropyCalibrator2", version)
    return "cache" if request.dla is not None and implicit else "qdq"


def _parsed(request: BuildRequest, source: OnnxFile, route: str) -> Path:
    """File to parse: the Q/DQ network, or the one with equalized channels that ranges belong to."""
    if route == "qdq":
        return request.file("int8.onnx")
    equal = request.file("equal.onnx")
    return equal if route == "cache" and equal.is_file() else source.path


def _went_back(path: Path) -> bool:
    """Whether `verify` replaced the INT8 network by the FP32 one because it failed its gate."""
    return path.is_file() and b"QuantizeLinear" not in path.read_bytes()


def _creation_flags(strong: bool, version: Version) -> Tuple[str, ...]:
    if strong:
        return ("STRONGLY_TYPED",)
    explicit = has("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", version)
    return ("EXPLICIT_BATCH",) if explicit else ()


def _constrained(request: BuildRequest, source: OnnxFile, version: Version) -> bool:
    """Whether layers are set to FP32; a DLA has no FP32."""
    mixed = request.precision != "fp32" and request.dla is None
    return mixed and bool(source.fragile) and has("ILayer.precision", version)


def _builder_flags(
    request: BuildRequest, source: OnnxFile, version: Version, route: str
) -> Tuple[str, ...]:
    flags = []
    if has("BuilderFlag.FP16", version):
        flags += {"fp32": [], "fp16": ["FP16"]}.get(route, ["FP16", "INT8"])
    if _constrained(request, source, version):
        flags.append("PREFER_PRECISION_CONSTRAINTS")
    if request.dla is not None:
        flags.append("GPU_FALLBACK")
    if request.sparse:
        flags.append("SPARSE_WEIGHTS")
    return tuple(flags)


def _missing(model: str, parsed: Path, ranges: Optional[Path]) -> Tuple[str, ...]:
    needed = [path for path in (parsed, ranges) if path is not None and not path.is_file()]
    return tuple(f"{path}: is missing; `edge-tools quantize {model}` makes it" for path in needed)


def _refused(request: BuildRequest, version: Version) -> str:
    if request.dla is None:
        return ""
    if request.precision == "fp32":
        return "a DLA computes in INT8 and FP16 only; choose --precision int8 or fp16"
    if (10, 8) <= version < (11, 4, 1):
        return "TensorRT 10.8 to 11.4.0 has no DLA support; omit --dla, or use JetPack 5 or 6"
    return ""
