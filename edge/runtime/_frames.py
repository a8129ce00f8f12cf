"""Chooses the memory that camera frames live in on this machine."""

from __future__ import annotations

import collections
import importlib.util
import logging
from typing import TYPE_CHECKING, Counter, Optional

from edge.errors import EdgeError

if TYPE_CHECKING:
    from edge.runtime._cuda.frames import PageLocked

log = logging.getLogger(__name__)
PLAIN = "plain memory"
# Frames of each camera that the CPU has copied so far, because the GPU could not read them in
# place. Written under a lock (edge.runtime.kernels.staging).
staged: Counter[str] = collections.Counter()


def frame_memory(prefer: str) -> Optional[PageLocked]:
    """Open the memory that the GPU reads in place; None = use plain memory.

    Args:
        prefer: `runtime.prefer` of the configuration; with `onnx` the GPU is not used.

    Returns:
        Memory to be closed after the cameras.
    """
    if prefer == "onnx" or not _there("tensorrt", "pycuda"):
        return None
    try:
        from edge.runtime._cuda.frames import PageLocked
        from edge.runtime._cuda.memory import open_device

        memory = PageLocked(open_device())
    except EdgeError as error:
        log.info("camera frames in %s: %s", PLAIN, error)
        return None
    log.info("camera frames in %s (%s)", memory.kind, memory.device.name)
    return memory


def _there(*names: str) -> bool:
    """Whether these modules can be imported; a module that a test put in place counts."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in names)
    except ValueError:  # a module without a spec: it is there
        return True
