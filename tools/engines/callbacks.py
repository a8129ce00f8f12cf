"""Objects that TensorRT calls: logger, progress monitor, calibrator.

Their classes derive from classes of TensorRT, so they are defined once its module is imported.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

OnPhase = Callable[[str, int, int], bool]  # phase, step, steps -> False ends the build


def logger(trt: Any, errors: List[str]) -> Any:
    """A TensorRT logger that keeps the errors.

    Args:
        trt: module of TensorRT.
        errors: the text of each error is appended to it.
    """

    class Logger(trt.ILogger):
        """Keeps errors; other messages do not help a user."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                errors.append(message)

    return Logger()


def monitor(trt: Any, on_phase: OnPhase) -> Any:
    """A progress monitor; TensorRT 10 and later have it."""

    class Monitor(trt.IProgressMonitor):
        """Passes phases to `on_phase`, and its answer back to TensorRT."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: Dict[str, int] = {}

        def phase_start(self, phase: str, parent: Optional[str], steps: int) -> None:
            self._steps[phase] = steps
            on_phase(phase, 0, steps)

        def step_complete(self, phase: str, step: int) -> bool:
            return on_phase(phase, step + 1, self._steps.get(phase, 0))

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

    return Monitor()


def calibrator(trt: Any, text: bytes) -> Any:
    """A calibrator that gives TensorRT 8 to 10 a finished calibration cache."""

    class Calibrator(trt.IInt8EntropyCalibrator2):
        """Gives ranges that were measured before; reads no calibration data."""

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
