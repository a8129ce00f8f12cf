"""What a check is given, and what this machine has of what checks need."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List

from edge.errors import EdgeError
from tools.engines.machine import read_machine

GOLDEN = Path(__file__).resolve().parents[1] / "edge" / "golden"


@dataclass
class Place:
    """Where checks work and how much of it they do."""

    folder: Path  # theirs alone
    models: Path  # a copy of engines/, to build in
    frames: int = 100_000  # of the soak
    quick: bool = False  # to see that checks work, on a machine that proves nothing
    say: Callable[[str], None] = print  # a line of what was measured


@dataclass(frozen=True)
class Here:
    """This machine."""

    gpu: str  # empty = none
    no_gpu: str
    has: Dict[str, str]  # what checks may need -> empty, or why it is missing

    def missing(self, needs: List[str]) -> str:
        """Why checks that need these cannot run; empty = they can."""
        return "; ".join(self.has[need] for need in needs if self.has[need])


def here() -> Here:
    """Look; the driver is asked before anything that could crash without one."""
    machine = read_machine()
    if machine.gpu is None:
        return Here("", machine.no_gpu, {})
    gpu = machine.gpu
    kind = "integrated" if gpu.integrated else "discrete"
    name = f"{gpu.name}, compute capability {gpu.compute_capability}, {kind}, CUDA"
    has = {
        "pycuda": _why("edge.runtime._cuda.memory"),
        "tensorrt": _why("edge.runtime.trt"),
        "kernels": _why_no_kernels(gpu.compute_capability),
    }
    return Here(f"{name} {gpu.driver_cuda}", "", has)


def _why(module: str) -> str:
    """One line from our own module, which says what is missing."""
    try:
        importlib.import_module(module)
    except EdgeError as error:
        return str(error)
    return ""


def _why_no_kernels(capability: str) -> str:
    major, minor = map(int, capability.split("."))
    cubins: Any = importlib.import_module("edge.runtime.kernels.cubins")
    kernels: Any = importlib.import_module("tools.kernels")
    try:
        cubins.fitting((major, minor))
    except EdgeError:
        try:
            kernels.build([major * 10 + minor], cubins.HERE, quiet=True)
        except EdgeError as error:
            return f"kernels: {error}"
    return ""
