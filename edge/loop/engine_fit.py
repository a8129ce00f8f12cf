"""Decides by its build record whether an engine can serve on this machine."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from edge.errors import EdgeError

SCHEMA = "engine-record/1"


@dataclass(frozen=True)
class Judged:
    """An engine file, and the reasons against it."""

    path: Path
    against: Tuple[str, ...]  # empty = nothing
    dla_core: Optional[int] = None
    rebuild: bool = False  # an engine that is built again would fit


def engine_path(folder: Path, file: str, precision: str) -> Path:
    """The path at which `edge-tools build` writes the engine of an ONNX file."""
    return folder / f"{Path(file).stem}.{precision}.engine"


def judge(path: Path, machine: Mapping[str, Any], read: Callable[[Path], bytes]) -> Judged:
    """Compare an engine's build record with this machine and with the ONNX file.

    Args:
        path: of the engine.
        machine: gpu, compute_capability and tensorrt of this machine.
        read: gives the bytes of an ONNX file, or refuses it.
    """
    if not path.is_file():
        return Judged(path, ("there is no engine yet",), rebuild=True)
    record = _read_record(path.with_name(path.name + ".json"))
    if record is None:
        return Judged(path, ("no build record lies beside it",), rebuild=True)
    against = _machine_differs(record, machine) + _changed(path.parent, record, read)
    gate = record.get("gate")
    if isinstance(gate, dict) and gate.get("passed") is False:
        return Judged(path, ("it did not pass its accuracy gate", *against))
    build = record.get("build")
    core = build.get("dla") if isinstance(build, dict) else None
    core = core if isinstance(core, int) else None
    return Judged(path, tuple(against), core, bool(against))


def _read_record(path: Path) -> Optional[Dict[str, Any]]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    wrong = not isinstance(record, dict) or record.get("schema") != SCHEMA
    return None if wrong else dict(record)


def _machine_differs(record: Mapping[str, Any], machine: Mapping[str, Any]) -> List[str]:
    """An engine runs only on the kind of GPU and with the TensorRT that it was built for."""
    gpu = _table(_table(record, "machine"), "gpu")
    wanted, version = gpu.get("compute_capability"), str(record.get("tensorrt"))
    found = []
    if wanted != machine["compute_capability"]:
        here = f"{machine['gpu']} has {machine['compute_capability']}"
        found.append(f"built for compute capability {wanted} ({gpu.get('name')}); {here}")
    if not same_version(version, machine["tensorrt"]):
        found.append(f"built with TensorRT {version}; here is {machine['tensorrt']}")
    return found


def _changed(folder: Path, record: Mapping[str, Any], read: Callable[[Path], bytes]) -> List[str]:
    """Whether the ONNX file has changed since the build; a file that is gone has not."""
    onnx = _table(record, "onnx")
    name = str(onnx.get("file", ""))
    path = folder / Path(name).name
    if Path(name).name != name or not path.is_file():
        return []
    try:
        digest = hashlib.sha256(read(path)).hexdigest()
    except EdgeError:
        return []  # reported when the file itself is loaded
    return [] if digest == onnx.get("sha256") else [f"{name} has changed since it was built"]


def _table(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def same_version(one: str, other: str) -> bool:
    """Whether two versions of TensorRT load each other's engines: 8.5.2 and 8.5.2.2 do."""
    first, second = (re.findall(r"\d+", text)[:3] for text in (one, other))
    length = min(len(first), len(second))
    return length > 0 and first[:length] == second[:length]
