"""What will be given to a TensorRT of some version, as names and numbers: decided without it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from edge.errors import ConfigError
from edge.recipe import Network
from tools.engines.cautions import cautions
from tools.engines.names import Version, has, parse
from tools.engines.request import Request, Shape, Source, shapes

WENT_BACK = (
    "this network failed its accuracy gate in INT8 and went back to floating point: it is built "
    "in FP16"
)
NO_LIBRARIES = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")  # need neither cuBLAS nor cuDNN


@dataclass(frozen=True)
class Plan:
    """One build. Names are members of TensorRT's enums, never numbers."""

    tensorrt: str
    engine: Path
    onnx: Path  # the file that is parsed
    route: str  # fp32 | fp16 | qdq | cache
    strongly_typed: bool
    half: bool  # FP16 casts are written into the graph before it is parsed
    ranges: Optional[Path]  # served as a calibration cache
    creation_flags: Tuple[str, ...]
    builder_flags: Tuple[str, ...]
    cleared_flags: Tuple[str, ...]
    float32_layers: Tuple[str, ...]
    profile: Dict[str, Tuple[Shape, ...]]  # input -> smallest, usual, largest shape
    workspace_mb: int
    dla: Optional[int]
    tactic_sources: Tuple[str, ...]  # empty = TensorRT's own choice
    timing_cache: Optional[Path]
    missing: Tuple[str, ...]  # what must be made first, and how
    cautions: Tuple[str, ...]
    refused: str  # why this version cannot; empty = it can

    def as_json(self) -> Dict[str, Any]:
        """The plan as plain values."""
        return {
            key: str(value) if isinstance(value, Path) else value
            for key, value in vars(self).items()
        }


def plan(
    request: Request,
    source: Source,
    network: Network,
    tensorrt: str,
    has_libraries: bool = True,
) -> Plan:
    """Decide everything about one engine.

    Args:
        request: what is wanted.
        source: the plain ONNX file.
        network: its part of the recipe.
        tensorrt: version.
        has_libraries: cuBLAS and cuDNN can be loaded.

    Raises:
        ConfigError: a wish that no version can fulfil.
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
    return Plan(
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


def _batch(request: Request, source: Source) -> Tuple[int, int, int]:
    fixed = next((dims[0] for dims in source.inputs.values() if dims and dims[0]), None)
    if request.batch_chosen and fixed is not None and set(request.batch) != {fixed}:
        raise ConfigError(
            f"--batch: {source.path} has a fixed batch of {fixed}; export it with an open one"
        )
    if request.dla is None:
        return request.batch
    if request.batch_chosen and len(set(request.batch)) > 1:
        raise ConfigError(
            "--batch: a DLA runs one batch size, so MIN, OPT and MAX must be equal; "
            f"try --batch {request.batch[1]}"
        )
    return request.batch if request.batch_chosen else (1, 1, 1)


def _route(request: Request, version: Version) -> str:
    if request.precision != "int8":
        return request.precision
    implicit = has("IInt8EntropyCalibrator2", version)
    return "cache" if request.dla is not None and implicit else "qdq"


def _parsed(request: Request, source: Source, route: str) -> Path:
    """The network that belongs to the ranges: in Q/DQ form, or with its channels equalized."""
    if route == "qdq":
        return request.file("int8.onnx")
    equal = request.file("equal.onnx")
    return equal if route == "cache" and equal.is_file() else source.path


def _went_back(path: Path) -> bool:
    """Whether `verify` put the float network in the place of an INT8 one that failed its gate."""
    return path.is_file() and b"QuantizeLinear" not in path.read_bytes()


def _creation_flags(strong: bool, version: Version) -> Tuple[str, ...]:
    if strong:
        return ("STRONGLY_TYPED",)
    explicit = has("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", version)
    return ("EXPLICIT_BATCH",) if explicit else ()


def _constrained(request: Request, source: Source, version: Version) -> bool:
    """Whether layers are asked to stay in FP32; a DLA has no FP32 to stay in."""
    mixed = request.precision != "fp32" and request.dla is None
    return mixed and bool(source.fragile) and has("ILayer.precision", version)


def _builder_flags(
    request: Request, source: Source, version: Version, route: str
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


def _refused(request: Request, version: Version) -> str:
    if request.dla is None:
        return ""
    if request.precision == "fp32":
        return "a DLA computes in INT8 and FP16 only; choose --precision int8 or fp16"
    if (10, 8) <= version < (11, 4, 1):
        return "TensorRT 10.8 to 11.4.0 has no DLA; leave --dla out, or use JetPack 5 or 6"
    return ""
