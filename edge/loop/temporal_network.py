"""The temporal network that corrects the filter, executed by the runtime's plug."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import numpy as np

from edge.people import temporal
from edge.runtime import RunnerOptions, open_runner

# `edge-tools fit-temporal` made it; its metadata say from what.
FILE = Path(temporal.__file__).with_name("temporal.onnx")
_MOST_ROWS = 1 << 14  # of one execution: 123 people of 133 keypoints


class TemporalNetwork:
    """A `temporal.Network` for all cameras of a loop, in the thread that smooths.

    One core: the other networks need theirs meanwhile. The session ends with the object.

    Raises:
        EdgeError: the file is missing or damaged.
    """

    def __init__(self, file: Path = FILE) -> None:
        shapes = {"told": (temporal.FEATURES,), "h": (temporal.UNITS,), "c": (temporal.UNITS,)}
        self._runner = open_runner(file, shapes, RunnerOptions(threads=1, max_batch=_MOST_ROWS))

    def __call__(
        self, told: np.ndarray, h: np.ndarray, c: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Corrections [M,2] H and states [M,48] twice, borrowed until the next call."""
        fed = self._runner.feed(len(told))
        for name, values in (("told", told), ("h", h), ("c", c)):
            np.copyto(fed[name], values)
        found = self._runner.run()
        return found["add"], found["h_next"], found["c_next"]
