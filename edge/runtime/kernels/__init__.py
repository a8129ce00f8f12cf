"""CUDA kernels: crops of frames into a network's input, and decoding where the network wrote.

`crop.cu` and `decode.cu` are compiled by nvcc or NVRTC for the GPU (`edge-tools kernels`), and by
g++ as plain C++, so that the same source is tested on a machine without a GPU.
"""

from __future__ import annotations

import logging
from typing import Any

from edge.errors import EdgeError

log = logging.getLogger(__name__)


def enable(runner: Any, want: str, name: str) -> None:
    """Let a kernel fill the runner's input from now on, where its engine can be fed on the GPU.

    Args:
        runner: of any runtime; one without `feed_on_device` is left as it is.
        want: auto, kernel or opencv.
        name: of the engine, for messages.

    Raises:
        EdgeError: `kernel` is wanted and there is none for this GPU.
    """
    if want == "opencv" or not hasattr(runner, "feed_on_device"):
        return
    from edge.runtime.kernels.cutter import Cutter  # imports PyCUDA, which is there with an engine
    from edge.runtime.kernels.stage import stage_of

    try:
        runner.crops = Cutter(runner, stage_of(runner.device))
    except EdgeError as error:
        if want == "kernel":
            runner.close()
            raise
        log.warning("%s: crops by OpenCV on the CPU: %s", name, error)
