"""The build record: the files, TensorRT version and machine that an engine was built with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Optional

from edge import __version__
from edge.errors import DataError
from tools.engines.machine import Machine
from tools.engines.plan import BuildPlan
from tools.engines.request import BuildRequest, OnnxFile
from tools.engines.trt import Built

SCHEMA = "engine-record/1"
NO_LAYERS = "TensorRT before 10.13 lists the layers of an engine only after loading it"


def record_path(engine: Path) -> Path:
    """Where the record of an engine is."""
    return engine.with_name(engine.name + ".json")


def describe(
    request: BuildRequest,
    source: OnnxFile,
    plan: BuildPlan,
    built: Built,
    machine: Machine,
    seconds: float,
) -> Dict[str, Any]:
    """The record of a finished build, as JSON values."""
    return {
        "schema": SCHEMA,
        "made_by": f"edge-tools {__version__}",
        "model": request.model,
        "network": request.network,
        "precision": request.precision,
        "engine": {"file": plan.engine.name, **_digest(built.engine)},
        "onnx": {"file": plan.onnx.name, "sha256": source.sha256, "fp16_casts_added": plan.half},
        "ranges": _file(request.file("ranges.json")) if plan.route in ("qdq", "cache") else None,
        "calibration": _calibration(request) if plan.route in ("qdq", "cache") else None,
        "machine": machine.as_json(),
        "tensorrt": plan.tensorrt,
        "build": _settings(plan),
        "layers": built.layers,
        **({} if built.layers is not None else {"layers_why": NO_LAYERS}),
        "notes": list(built.notes),
        "build_s": round(seconds, 1),
        "gate": read_gate(request.file(f"{request.precision}.gate.json")),
    }


def _settings(plan: BuildPlan) -> Dict[str, Any]:
    chosen = (
        "route",
        "strongly_typed",
        "creation_flags",
        "builder_flags",
        "cleared_flags",
        "float32_layers",
        "profile",
        "workspace_mb",
        "dla",
        "tactic_sources",
        "timing_cache",
    )
    settings = plan.as_json()
    return {key: settings[key] for key in chosen}


def _digest(data: bytes) -> Dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _file(path: Path) -> Optional[Dict[str, Any]]:
    if not path.is_file():
        return None
    return {"file": path.name, "sha256": _digest(path.read_bytes())["sha256"]}


def _calibration(request: BuildRequest) -> Optional[Dict[str, Any]]:
    if not request.calibration:
        return None
    path = request.folder.parent.parent / "calibration" / request.calibration / "set.toml"
    return {"set": request.calibration, **(_file(path) or {"sha256": None})}


def read_gate(path: Path) -> Optional[Any]:
    """The gate record of `edge-tools verify`; None if it did not run.

    Raises:
        DataError: the file is not JSON.
    """
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: is not JSON; run `edge-tools verify` again") from error


def read_record(engine: Path) -> Optional[Dict[str, Any]]:
    """The build record of an engine; None if it has none.

    Raises:
        DataError: the file is not a build record.
    """
    path = record_path(engine)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
        wrong = record["schema"] != SCHEMA or not isinstance(record["machine"]["gpu"], dict)
        record["engine"]["sha256"], record["tensorrt"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not a build record; build the engine again") from error
    if wrong:
        raise DataError(f"{path}: is a build record of another version; build the engine again")
    return dict(record)
