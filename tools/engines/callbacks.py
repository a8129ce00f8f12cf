"""What TensorRT calls back: its log, its progress, its question for ranges.

The classes derive from TensorRT's own, so they are made when its module is at hand.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

Say = Callable[[str, int, int], bool]  # phase, step, steps -> whether to go on


def logger(trt: Any, errors: List[str]) -> Any:
    """A logger of TensorRT's kind.

    Args:
        trt: TensorRT's module.
        errors: gets each error's text.
    """

    class Logger(trt.ILogger):
        """Keeps TensorRT's errors for our one line; the rest is noise for a user."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                errors.append(message)

    return Logger()


def monitor(trt: Any, say: Say) -> Any:
    """A progress monitor (TensorRT 10 on)."""

    class Monitor(trt.IProgressMonitor):
        """Passes phases on; answers False to end the build."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: Dict[str, int] = {}

        def phase_start(self, phase: str, parent: Optional[str], steps: int) -> None:
            self._steps[phase] = steps
            say(phase, 0, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            return say(phase, step + 1, self._steps.get(phase, 0))

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()


def calibrator(trt: Any, text: bytes) -> Any:
    """A calibrator that serves a finished cache (TensorRT 8 to 10)."""

    class Calibrator(trt.IInt8EntropyCalibrator2):
        """Gives the ranges that were measured elsewhere; never asks for data."""

        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: List[str]) -> None:
            return None

        def read_calibration_cache(self) -> bytes:
            return text

        def write_calibration_cache(self, cache: bytes) -> None:
            return None

    return Calibrator()
