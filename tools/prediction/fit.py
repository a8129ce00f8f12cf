"""Fit the efficiencies of the roofline to published measurements, and compute the fit's error.

The fit minimises the squares of log(predicted / measured) with the Levenberg-Marquardt method, over
the logarithms of the efficiencies. A weak pull to a start value keeps an efficiency in place that
few measurements depend on.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from tools.prediction.boards import MODES
from tools.prediction.published import Measurement
from tools.prediction.roofline import Efficiencies, Load, call_seconds, layer_seconds, load

START = Efficiencies(0.4, 0.4, 0.4, 0.4, 0.8, 0.3, 0.7, 6.0, 6.0, 50.0, 100.0)
PULL = 0.2  # weight of the distance of a log efficiency from START; residuals are about 0.1
STEPS, SLOPE = 40, 1e-4


class Compared(NamedTuple):
    """A measurement and its prediction by a fit without it."""

    measurement: Measurement
    predicted_ms: float

    @property
    def error(self) -> float:
        """Relative error; 0.1 = the predicted time is a tenth too long."""
        return self.predicted_ms / self.measurement.ms - 1


class JoinedLoads:
    """Many networks on many boards as one array, which makes a fit take milliseconds."""

    def __init__(self, found: Sequence[Measurement]) -> None:
        self.measured_s = np.array([m.ms for m in found]) / 1e3
        loads = [load(m.layers(), MODES[m.mode], m.precision, m.batch) for m in found]
        self._halves: List[Tuple[Load, List[int], np.ndarray]] = []
        for ampere in (False, True):
            index = [i for i, work in enumerate(loads) if work.ampere is ampere]
            if index:
                part = [loads[i] for i in index]
                self._halves.append((_joined(part), index, _starts(part)))

    def seconds(self, with_: Efficiencies) -> np.ndarray:
        """Predicted times in seconds, [N]."""
        out = np.empty(len(self.measured_s))
        for work, index, starts in self._halves:
            each = layer_seconds(work, with_) * work.launches
            out[index] = np.add.reduceat(each, starts) + call_seconds(work, with_)
        return out

    def residuals(self, with_: Efficiencies) -> np.ndarray:
        """log(predicted / measured), [N]."""
        return np.log(self.seconds(with_) / self.measured_s)


def _starts(loads: Sequence[Load]) -> np.ndarray:
    return np.cumsum([0] + [len(w.launches) for w in loads])[:-1]


def _joined(loads: Sequence[Load]) -> Load:
    """The loads as one, in order."""
    arrays = [np.concatenate(column) for column in zip(*(w[:-1] for w in loads))]
    return Load._make([*arrays, loads[0].ampere])


def fit(found: Sequence[Measurement]) -> Efficiencies:
    """The efficiencies that fit these measurements best."""
    return solve(JoinedLoads(found))


def solve(joined: JoinedLoads, keep: Sequence[int] = ()) -> Efficiencies:
    """Fit to the measurements with the indices `keep`; to all if it is empty."""
    rows = list(keep) or list(range(len(joined.measured_s)))
    start = np.log(np.array(START))

    def residuals(x: np.ndarray) -> np.ndarray:
        values = Efficiencies(*np.exp(x))
        return np.concatenate([joined.residuals(values)[rows], PULL * (x - start)])

    return Efficiencies(*(float(v) for v in np.exp(_least_squares(residuals, start))))


def _least_squares(residuals: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    x, damping = start, 1e-2
    now = residuals(x)
    for _ in range(STEPS):
        slopes = np.stack(
            [(residuals(x + SLOPE * unit) - now) / SLOPE for unit in np.eye(len(x))], 1
        )
        normal = slopes.T @ slopes
        step = np.linalg.solve(normal + damping * np.eye(len(x)), -slopes.T @ now)
        after = residuals(x + step)
        if after @ after < now @ now:
            settled = now @ now - after @ after < 1e-9
            x, now, damping = x + step, after, damping / 5
            if settled:
                break
        else:
            damping *= 5
    return x


def left_out(found: Sequence[Measurement], part: str = "") -> List[Compared]:
    """Predict each measurement by a fit without it.

    Args:
        found: measurements. Those with `fitted` False are predicted by a fit of all others.
        part: also leave out all measurements with the same `network`, `source` or `mode`.
    """
    joined = JoinedLoads(found)
    cache: Dict[str, np.ndarray] = {}
    compared = []
    for i, m in enumerate(found):
        name = str(getattr(m, part)) if part else str(i)
        if not m.fitted:
            name = ""
        if name not in cache:
            cache[name] = _without(joined, found, part, name)
        compared.append(Compared(m, float(cache[name][i]) * 1e3))
    return compared


def _without(joined: JoinedLoads, found: Sequence[Measurement], part: str, name: str) -> np.ndarray:
    keep = [
        i
        for i, m in enumerate(found)
        if m.fitted and (str(getattr(m, part)) if part else str(i)) != name
    ]
    return joined.seconds(solve(joined, keep))


def typical(compared: Sequence[Compared]) -> Dict[str, float]:
    """Median and 90th percentile of the error's size as factors; 1.2 = a fifth."""
    sizes = np.exp(np.abs(np.log([1 + c.error for c in compared])))
    return {"median": float(np.median(sizes)), "p90": float(np.quantile(sizes, 0.9))}
