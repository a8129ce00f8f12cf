"""Imports OpenVINO; nothing else does. Its usage records are never switched on.

`import openvino` imports OpenVINO's converter, and the converter then sends a record over the
network (openvino-telemetry). Nothing here needs the converter, so its import is made to fail:
without it OpenVINO imports no telemetry.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
import sys
from pathlib import Path
from typing import Any, Iterator

_CONVERTER = "openvino.tools.ovc"
_CPU_INFO = Path("/proc/cpuinfo")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


@contextlib.contextmanager
def _left_out(name: str) -> Iterator[None]:
    """Make imports of a module fail meanwhile, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with _left_out(_CONVERTER):
    import openvino


@functools.lru_cache(maxsize=1)
def core() -> Any:
    """OpenVINO's entry point; it finds the devices once."""
    return openvino.Core()


def tensor(buffer: Any) -> Any:
    """A tensor that is this buffer."""
    return openvino.Tensor(buffer, shared_memory=True)


def partial_shape(dims: Any) -> Any:
    """A shape; -1 = open."""
    return openvino.PartialShape(list(dims))


def operations() -> Any:
    """Makes operations of a model; before 2025 they lie elsewhere."""
    return getattr(openvino, "opset8", None) or importlib.import_module("openvino.runtime.opset8")


def version() -> str:
    """Such as 2026.4.1: without the build."""
    found = re.match(r"[\d.]+", str(openvino.__version__))
    return found.group().rstrip(".") if found else str(openvino.__version__)


def computes_bf16() -> bool:
    """Whether the CPU has instructions for BF16, and OpenVINO uses them.

    OpenVINO also converts to BF16 where the CPU has no such instructions; that wins nothing.
    """
    try:
        flags = set(_CPU_INFO.read_text("utf-8", "replace").split())
    except OSError:
        return False
    return bool(flags & _BF16_FLAGS) and "BF16" in core().get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    )
