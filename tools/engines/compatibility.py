"""Whether an engine can run on this machine, by its build record.

An engine runs only with the TensorRT version and the kind of GPU that it was built with. The
JetPack version matters only through these, so a different one is only a remark.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge.loop.engine_fit import same_version as same_version  # the daemon judges by the same
from tools.engines.machine import Machine

PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt_bindings")


@dataclass(frozen=True)
class Compatibility:
    """Whether an engine can run here.

    Attributes:
        fits: None if it is not known.
        reasons: why it cannot run, or why it is not known.
        remarks: differences that do not matter.
    """

    fits: Optional[bool]
    reasons: Tuple[str, ...]
    remarks: Tuple[str, ...] = ()


def installed_tensorrt() -> str:
    """Version of the installed TensorRT Python package; empty if there is none.

    TensorRT is not imported.
    """
    for package in PACKAGES:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    spec = importlib.util.find_spec("tensorrt")  # a Debian package may have no metadata
    if spec is None or spec.origin is None:
        return ""
    text = Path(spec.origin).read_text(encoding="utf-8", errors="replace")
    found = re.search(r"__version__ = [\"']([\d.]+)", text)
    return found.group(1) if found else ""


def judge(
    record: Optional[Dict[str, Any]], sha256: str, machine: Machine, tensorrt: str
) -> Compatibility:
    """Compare the build record of an engine with this machine.

    Args:
        record: build record of the engine; None = the engine has none.
        sha256: of the engine file.
        machine: this machine.
        tensorrt: version installed here; empty = none.
    """
    if record is None:
        return Compatibility(None, ("it has no build record; `edge-tools build` writes one",))
    reasons = _differences(record, machine, tensorrt)
    if record["engine"]["sha256"] != sha256:
        reasons.insert(0, "its build record is of another engine file; build again")
    remarks = []
    was, now = record["machine"].get("l4t", ""), machine.l4t
    if was != now:
        remarks.append(f"built on L4T {was or '(none)'}, this machine has {now or '(none)'}")
    return Compatibility(not reasons, tuple(reasons), tuple(remarks))


def _differences(record: Dict[str, Any], machine: Machine, tensorrt: str) -> List[str]:
    gpu = record["machine"]["gpu"]
    wanted, built_with = gpu.get("compute_capability"), str(record["tensorrt"])
    found = []
    if machine.gpu is None:
        found.append(f"built for {gpu.get('name')} ({wanted}); here: {machine.no_gpu}")
    elif machine.gpu.compute_capability != wanted:
        here = f"{machine.gpu.name} ({machine.gpu.compute_capability})"
        found.append(
            f"built for compute capability {wanted} ({gpu.get('name')}); this GPU is {here}"
        )
    if not tensorrt:
        found.append(f"built with TensorRT {built_with}; none is installed here")
    elif not same_version(built_with, tensorrt):
        found.append(f"built with TensorRT {built_with}; {tensorrt} is installed here")
    return found
