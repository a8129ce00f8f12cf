"""Choose frames: spread over all kinds of frames, no two alike, held-out ones apart. Pure."""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np

from tools.calib.scan import ScannedFrames

PEOPLE = (1, 2, 3, 5, 9)  # edges of bins; the first bin: frames without people
HEIGHT = (0.25, 0.5)  # edges of bins, share of the frame: small, middle, large people
BRIGHTNESS = (60.0, 160.0)  # edges of bins, grey level: dark, middle, bright
SHARPNESS = (1 / 3, 2 / 3)  # edges of bins, quantiles of all frames: blurred, middle, sharp
ALIKE = 1.0  # frames whose cells differ by less (RMS of grey levels) are the same picture
NO_ONE = 0.1  # largest share of chosen frames without people
GUARD_S = 1.0  # unused time between held-out and calibration frames of a long clip ...
GUARD_SHARE = 0.04  # ... and the least share of any clip
FEW = 6  # a clip with fewer frames is not divided on its own
CALIBRATION, HELD_OUT, UNUSED = 0, 1, 2


def split(seen: ScannedFrames, held_share: float, rng: np.random.Generator) -> np.ndarray:
    """Role of each frame, [F]: CALIBRATION, HELD_OUT or UNUSED.

    In each clip the same stretch of time is held out. So if several cameras recorded one scene
    together, no moment of it is on both sides. Frames next to the stretch are unused.
    """
    width = min(0.5, held_share + 0.02)
    start = float(rng.uniform(0, 1 - width))
    roles = np.full(len(seen), CALIBRATION)
    counts = np.bincount(seen.clip) if len(seen) else np.zeros(0, np.int64)
    for clip in np.flatnonzero(counts >= FEW):
        rows = np.flatnonzero(seen.clip == clip)
        roles[rows] = _split_clip(seen.t_s[rows], start, width)
    rest = np.flatnonzero(counts[seen.clip] < FEW)  # short clips count as one clip together
    if len(rest):
        roles[rest] = _split_clip(np.arange(len(rest), dtype=np.float64), start, width)
    return roles


def _split_clip(t_s: np.ndarray, start: float, width: float) -> np.ndarray:
    """Roles of the frames of one clip, by their times."""
    span = max(float(t_s[-1] - t_s[0]), 1e-9)
    place = (t_s - t_s[0]) / span
    step = float(np.diff(place).min()) if len(place) > 1 else 1.0
    # A second if that is little of the clip; at least to the second next frame.
    guard = max(min(GUARD_S / span, 2 * GUARD_SHARE), GUARD_SHARE, 1.5 * step)
    roles = np.full(len(t_s), UNUSED)
    held = (place >= start) & (place <= start + width)
    roles[held] = HELD_OUT
    roles[(place < start - guard) | (place > start + width + guard)] = CALIBRATION
    return roles


def strata(seen: ScannedFrames) -> np.ndarray:
    """Stratum of each frame, [F]: its bins of people, height, brightness and sharpness."""
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
    seen: ScannedFrames, pool: np.ndarray, count: int, rng: np.random.Generator, taken: np.ndarray
) -> np.ndarray:
    """Choose frames of a pool, spread over its strata and as different as possible.

    Args:
        seen: all frames.
        pool: [P] indices to choose from.
        count: how many at most; fewer if the pool has not enough different frames.
        rng: breaks ties.
        taken: indices chosen before; frames like these are not chosen.

    Returns:
        Indices in ascending order.
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
    # Places that alike frames left empty go to the most different frames with people.
    rest = np.setdiff1d(np.flatnonzero(kinds >= 1000), chosen)
    chosen += gap.spread(rest, count - len(chosen), rng)
    return np.sort(pool[np.array(chosen, np.int64)])


def _quotas(sizes: Dict[int, int], count: int) -> Dict[int, int]:
    """Frames of each stratum: one each, the rest by the square root of its size."""
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
    """Distance of each frame of a pool to the nearest frame taken."""

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
        """Farthest point first (Gonzalez 1985), until all frames left are alike."""
        chosen: List[int] = []
        order = rng.permutation(rows)
        while len(chosen) < count and len(order):
            best = int(order[int(self._nearest[order].argmax())])
            if self._nearest[best] < ALIKE:
                break
            chosen.append(best)
            self._take(self._cells[best])
        return chosen


def pick(
    seen: ScannedFrames, frames: int, held_out: int, seed: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Choose frames; gives the indices of calibration frames and of held-out frames."""
    rng = np.random.default_rng(seed)
    roles = split(seen, held_out / max(frames + held_out, 1), rng)
    first = choose(seen, np.flatnonzero(roles == CALIBRATION), frames, rng, np.zeros(0, np.int64))
    second = choose(seen, np.flatnonzero(roles == HELD_OUT), held_out, rng, first)
    return first, second
