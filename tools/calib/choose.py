"""Which frames: even over what is to be seen, no two alike, held-out ones apart in time. Pure."""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np

from tools.calib.scan import Seen

PEOPLE = (1, 2, 3, 5, 9)  # a bin begins at each; below the first: no one
HEIGHT = (0.25, 0.5)  # of the frame: small, middle, large people
BRIGHTNESS = (60.0, 160.0)  # grey: dark, middle, bright
SHARPNESS = (1 / 3, 2 / 3)  # quantiles of what was seen: blurred, middle, sharp
ALIKE = 1.0  # root mean square grey levels between descriptions: below, it is the same picture
NO_ONE = 0.1  # at most this share of the chosen frames shows nobody
GUARD_S = 1.0  # between held-out and calibration frames of a clip, where it is long enough ...
GUARD_SHARE = 0.04  # ... and at least this share of it where it is not
FEW = 6  # a clip of fewer frames has no stretch to hold out
CALIBRATION, HELD_OUT, UNUSED = 0, 1, 2


def split(seen: Seen, held_share: float, rng: np.random.Generator) -> np.ndarray:
    """[F] CALIBRATION, HELD_OUT or UNUSED: one stretch of every clip is held out.

    The stretch has the same place in all clips, so that cameras which recorded the same scene
    together never show one moment to both sides; a guard on both its sides is left unused.
    """
    width = min(0.5, held_share + 0.02)
    start = float(rng.uniform(0, 1 - width))
    roles = np.full(len(seen), CALIBRATION)
    counts = np.bincount(seen.clip) if len(seen) else np.zeros(0, np.int64)
    for clip in np.flatnonzero(counts >= FEW):
        rows = np.flatnonzero(seen.clip == clip)
        roles[rows] = _split_clip(seen.t_s[rows], start, width)
    rest = np.flatnonzero(counts[seen.clip] < FEW)  # single pictures make one clip together
    if len(rest):
        roles[rest] = _split_clip(np.arange(len(rest), dtype=np.float64), start, width)
    return roles


def _split_clip(t_s: np.ndarray, start: float, width: float) -> np.ndarray:
    """Roles of one clip's frames at their times."""
    span = max(float(t_s[-1] - t_s[0]), 1e-9)
    place = (t_s - t_s[0]) / span
    step = float(np.diff(place).min()) if len(place) > 1 else 1.0
    # A second where that costs little of the clip; never less than to the next frame but one.
    guard = max(min(GUARD_S / span, 2 * GUARD_SHARE), GUARD_SHARE, 1.5 * step)
    roles = np.full(len(t_s), UNUSED)
    held = (place >= start) & (place <= start + width)
    roles[held] = HELD_OUT
    roles[(place < start - guard) | (place > start + width + guard)] = CALIBRATION
    return roles


def strata(seen: Seen) -> np.ndarray:
    """[F] which combination of people, their height, brightness and sharpness a frame has."""
    edges = np.quantile(seen.sharpness, SHARPNESS) if len(seen) else np.zeros(2)
    bins = (
        np.digitize(seen.people, PEOPLE),
        np.digitize(seen.height, HEIGHT),
        np.digitize(seen.brightness, BRIGHTNESS),
        np.digitize(seen.sharpness, edges),
    )
    number = np.zeros(len(seen), np.int64)
    for b in bins:
        number = number * 10 + b
    return number


def choose(
    seen: Seen, pool: np.ndarray, count: int, rng: np.random.Generator, taken: np.ndarray
) -> np.ndarray:
    """Frames of a pool, spread over its strata and as unlike each other as can be.

    Args:
        seen: all frames.
        pool: [P] indices to choose from.
        count: how many at most; fewer where the pool has no more that differ.
        rng: breaks ties.
        taken: indices chosen before, whose likes are not wanted again.

    Returns:
        Indices, rising.
    """
    kinds = strata(seen)[pool]
    gap = _Gaps(seen.cells[pool], seen.cells[taken])
    free = {int(k): np.flatnonzero(kinds == k) for k in np.unique(kinds)}
    quota = _quotas({k: len(rows) for k, rows in free.items()}, count)
    limit_empty = int(count * NO_ONE)
    chosen: List[int] = []
    for kind in rng.permutation(sorted(free)).tolist():
        wanted = min(quota[kind], limit_empty) if kind < 1000 else quota[kind]
        got = gap.spread(free[kind], wanted, rng)
        limit_empty -= len(got) if kind < 1000 else 0
        chosen += got
    # What alike frames left open goes to the most different of all that show someone.
    rest = np.setdiff1d(np.flatnonzero(kinds >= 1000), chosen)
    chosen += gap.spread(rest, count - len(chosen), rng)
    return np.sort(pool[np.array(chosen, np.int64)])


def _quotas(sizes: Dict[int, int], count: int) -> Dict[int, int]:
    """Frames of each stratum: one of every, the rest by the root of its size: rare ones count."""
    quota = dict.fromkeys(sizes, 0)
    left = min(count, sum(sizes.values()))
    while left:
        open_ = [k for k in sizes if quota[k] < sizes[k]]
        weight = {k: sizes[k] ** 0.5 / (quota[k] + 1) for k in open_}
        best = max(open_, key=lambda k: (quota[k] == 0, weight[k], -k))
        quota[best] += 1
        left -= 1
    return quota


class _Gaps:
    """How far each frame of a pool is from the nearest that was taken."""

    def __init__(self, cells: np.ndarray, taken: np.ndarray) -> None:
        self._cells = cells
        self._nearest = np.full(len(cells), np.inf, np.float32)
        for row in taken:
            self._take(row)

    def _take(self, row: np.ndarray) -> None:
        step = self._cells.astype(np.float32) - row.astype(np.float32)
        apart = np.sqrt(np.square(step, out=step).mean(1))
        np.minimum(self._nearest, apart, out=self._nearest)

    def spread(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> List[int]:
        """Farthest point first (Gonzalez 1985); stops where all that is left is alike."""
        chosen: List[int] = []
        order = rng.permutation(rows)
        while len(chosen) < count and len(order):
            best = int(order[int(self._nearest[order].argmax())])
            if self._nearest[best] < ALIKE:
                break
            chosen.append(best)
            self._take(self._cells[best])
        return chosen


def pick(seen: Seen, frames: int, held_out: int, seed: int) -> Tuple[np.ndarray, np.ndarray]:
    """Indices of calibration and of held-out frames."""
    rng = np.random.default_rng(seed)
    roles = split(seen, held_out / max(frames + held_out, 1), rng)
    first = choose(seen, np.flatnonzero(roles == CALIBRATION), frames, rng, np.zeros(0, np.int64))
    second = choose(seen, np.flatnonzero(roles == HELD_OUT), held_out, rng, first)
    return first, second
