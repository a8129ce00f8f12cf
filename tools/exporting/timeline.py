"""Frame numbers of a constant rate: by the time of a frame, the same in all cameras."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Tuple

import numpy as np

from tools.exporting.sight import Sight

LOOK_AHEAD = 240  # frames from which the rate is estimated
_USUAL_HZ = (10, 12, 12.5, 15, 20, 23.976, 24, 25, 29.97, 30, 48, 50, 59.94, 60, 90, 100, 120, 240)
_NEAR = 0.01  # relative distance at which a usual rate is taken
ASSUMED_HZ = 30.0


def with_rate(sights: Iterable[Sight], rate_hz: float = 0.0) -> Tuple[float, Iterator[Sight]]:
    """The frame rate of a camera, and all frames again.

    Args:
        sights: frames of any cameras; LOOK_AHEAD of them are held at the same time.
        rate_hz: given by the user; 0 = estimate it by the median time between two frames of one
            camera. A usual rate is taken if it is within 1 %.
    """
    rest = iter(sights)
    if rate_hz:
        return rate_hz, rest
    ahead: List[Sight] = [sight for _, sight in zip(range(LOOK_AHEAD), rest)]
    return _rate_hz(ahead), _chained(ahead, rest)


def _chained(ahead: List[Sight], rest: Iterator[Sight]) -> Iterator[Sight]:
    yield from ahead
    ahead.clear()
    yield from rest


def _rate_hz(sights: List[Sight]) -> float:
    times: Dict[Tuple[str, str, str], List[int]] = {}
    for sight in sights:
        key = (sight.device, sight.boot_id, sight.camera)
        times.setdefault(key, []).append(sight.t_mono_ns)
    steps = np.concatenate([np.zeros(0), *(np.diff(np.array(t)) for t in times.values())])
    steps = steps[steps > 0]
    if not len(steps):
        return ASSUMED_HZ
    rate_hz = 1e9 / float(np.median(steps))
    usual = min(_USUAL_HZ, key=lambda hz: abs(hz - rate_hz))
    return float(usual) if abs(usual - rate_hz) <= _NEAR * usual else round(rate_hz, 3)


class Timeline:
    """Numbers frames from the first one of each run.

    Args:
        rate_hz: of the numbers.

    Attributes:
        doubled: frames that have the number of an earlier one of their camera.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.doubled = 0
        self._first_ns: Dict[Tuple[str, str], int] = {}
        self._last: Dict[str, int] = {}
        self._labels: Dict[Tuple[str, str], str] = {}
        self._devices: List[str] = []

    def number(self, sight: Sight) -> int:
        """The number of a frame, by its time since the first frame of its run; from 0."""
        number = round(self.exactly(sight))
        label = self.label(sight)
        self.doubled += self._last.get(label) == number
        self._last[label] = number
        return number

    def exactly(self, sight: Sight) -> float:
        """The same number before it is rounded, at least 0."""
        first_ns = self._first_ns.setdefault((sight.device, sight.boot_id), sight.t_mono_ns)
        return max((sight.t_mono_ns - first_ns) * self.rate_hz * 1e-9, 0.0)

    def label(self, sight: Sight) -> str:
        """The camera, made distinct if there are several devices or runs."""
        run = (sight.device, sight.boot_id)
        if run not in self._labels:
            if sight.device not in self._devices:
                self._devices.append(sight.device)
            before = sum(device == sight.device for device, _ in self._labels)
            first = "" if sight.device == self._devices[0] else f"{sight.device}_"
            self._labels[run] = first + "{}" + (f"-run{before + 1}" if before else "")
        return self._labels[run].format(sight.camera)
