"""Which memory camera frames live in on this machine."""

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
# Frames of each camera that the CPU copied so far for a GPU that cannot see them. Written where one
# thread at a time is (edge.runtime.kernels.stage).
staged: Counter[str] = collections.Counter()


def frame_memory(prefer: str) -> Optional[PageLocked]:
    """What allocates frames so that the GPU reads them in place; None = plain memory does.

    Args:
        prefer: `runtime.prefer` of the configuration; with `onnx` no GPU is touched.

    Returns:
        An `edge.runtime._cuda.frames.PageLocked`, to be closed after the cameras.
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
    """Whether they could be imported; a module that a test put in place counts."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in names)
    except ValueError:  # a module without a spec: it is there
        return True
