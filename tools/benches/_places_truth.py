"""What truly happens at places, by people's joints in metres: labels for the rules of places.

z is up, the floor is z = 0. A label is what a rule must tell. A doubt is a span in which an event
is neither right nor wrong, because it is near a bound.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Tuple

import numpy as np

CLEAR_M = 0.3  # of a line: a crossing must reach this far on both sides
LOITER_S, LOITER_M = 10.0, 1.0
HELD_S = 1.0
_SMOOTH_S = 0.4
_EARLY_S = 1.0  # an event may come so early
_BRIDGE_S = 1.5  # what is over for less has not ended
_EYES_M = 0.03  # both wrists over the eyes: hands up
_UPRIGHT_M = 0.3  # shoulders over the hips of somebody who does not lie or fall
_DENSE = (
    1.2  # share of the bound from which on a density is certain, and below its inverse it is not
)


class Label(NamedTuple):
    """Something that a rule must tell of a person (-1 = of nobody), once between two times."""

    person: int
    action: str
    start_s: float
    end_s: float


class Truth(NamedTuple):
    """What happened, and when an event may be told or not."""

    labels: List[Label]
    doubts: List[Label]


def feet(points: np.ndarray, rate_hz: float) -> np.ndarray:
    """Places [T,N] m of people [T,N,17,3] on the floor, without the sway of steps; NaN = away."""
    hips = points[:, :, 11:13, :2].mean(2)
    return _mean(hips[..., 0] + 1j * hips[..., 1], rate_hz)


def _mean(values: np.ndarray, rate_hz: float) -> np.ndarray:
    """A running mean [T,...] over `_SMOOTH_S`; NaN where a value is."""
    half = max(round(_SMOOTH_S * rate_hz / 2), 1)
    padded = np.concatenate([values[:1]] * half + [values] + [values[-1:]] * half)
    window = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    return np.asarray(window.mean(-1))


def crossings(place: np.ndarray, rate_hz: float, ends: Tuple[complex, complex]) -> Truth:
    """Crossings of a line on the floor, with clear ground on both sides.

    Args:
        place: [T,N] m.
        rate_hz: of the frames.
        ends: of the line; `in` is to its right as the camera sees it.
    """
    side = ends[1] - ends[0]
    there = (place - ends[0]) / side
    off, along = there.imag * abs(side), there.real
    labels: List[Label] = []
    doubts: List[Label] = []
    for who in range(place.shape[1]):
        last, last_t = 0, 0
        for t in range(len(place)):
            clear = int(np.sign(off[t, who])) if abs(off[t, who]) > CLEAR_M else 0
            if not clear:
                continue
            if last and clear != last:
                within = along[last_t : t + 1, who]
                what = Label(who, "in" if clear < 0 else "out", last_t / rate_hz, t / rate_hz)
                inside = bool((within > 0.03).all() and (within < 0.97).all())
                near = bool((within > -0.05).any() and (within < 1.05).any())
                if inside:
                    labels.append(what)
                elif near:
                    doubts.append(what)
            last, last_t = clear, t
        doubts += _turns_back(off[:, who], who, rate_hz)
    return Truth(labels, doubts)


def _turns_back(off: np.ndarray, who: int, rate_hz: float) -> List[Label]:
    """Ways across the line that do not reach clear ground: no event is wrong there."""
    changes = np.flatnonzero(np.diff(np.sign(np.nan_to_num(off))) != 0) / rate_hz
    return [Label(who, way, float(s), float(s)) for s in changes for way in ("in", "out")]


def spans(
    person: int,
    action: str,
    certain: np.ndarray,
    possible: np.ndarray,
    rate_hz: float,
    for_s: float,
) -> Truth:
    """A label for each time that something is certain for long enough; doubts where it is possible.

    Args:
        person: for the labels.
        action: for the labels.
        certain: [T] bool.
        possible: [T] bool, true where `certain` is.
        rate_hz: of the frames.
        for_s: how long it must last.
    """
    labels: List[Label] = []
    doubts: List[Label] = []
    for start, end in _runs(_bridged(possible, round(_BRIDGE_S * rate_hz))):
        inside = [(a, b) for a, b in _runs(certain[start:end]) if (b - a) / rate_hz >= for_s]
        what = Label(person, action, start / rate_hz, end / rate_hz)
        (labels if inside else doubts).append(what)
    return Truth(labels, doubts)


def _bridged(which: np.ndarray, most: int) -> np.ndarray:
    """Spans [T] bool without gaps of up to `most` frames."""
    out = which.copy()
    for start, end in _runs(~which):
        out[start:end] |= start > 0 and end < len(which) and end - start <= most
    return out


def _runs(which: np.ndarray) -> List[Tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], which.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def joined(parts: List[Truth]) -> Truth:
    """All labels and all doubts."""
    return Truth([a for p in parts for a in p.labels], [a for p in parts for a in p.doubts])


def loitering(
    place: np.ndarray, rate_hz: float, after_s: float = LOITER_S, radius_m: float = LOITER_M
) -> Truth:
    """Stays of people [T,N] within a circle."""
    window = round(after_s * rate_hz)
    padded = np.concatenate((np.full((window - 1, place.shape[1]), np.nan + 0j), place))
    past = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0)
    low = past.real.min(-1) + 1j * past.imag.min(-1)
    high = past.real.max(-1) + 1j * past.imag.max(-1)
    radius = np.nan_to_num(np.abs(past - ((low + high) / 2)[..., None]).max(-1), nan=np.inf)
    return _each(radius, rate_hz, lambda r: (r < 0.8 * radius_m, r < 1.4 * radius_m), 0.5)


def hands_up(points: np.ndarray, rate_hz: float) -> Truth:
    """Spans in which people [T,N,17,3] hold both hands up."""
    eyes = points[:, :, 1:3, 2].mean(2)
    over = points[:, :, 9:11, 2].min(2) - eyes
    stands = points[:, :, 5:7, 2].mean(2) - points[:, :, 11:13, 2].mean(2) > _UPRIGHT_M
    over = np.where(stands, over, np.nan)
    return _each(over, rate_hz, lambda z: (z > _EYES_M, z > -0.15), HELD_S + 0.3)


def _each(
    values: np.ndarray,
    rate_hz: float,
    judge: Callable[[np.ndarray], Tuple[np.ndarray, np.ndarray]],
    for_s: float,
) -> Truth:
    found = []
    for who in range(values.shape[1]):
        certain, possible = judge(np.nan_to_num(values[:, who], nan=-1e9))
        found.append(spans(who, "start", certain, possible, rate_hz, for_s))
    return joined(found)


def crowding(
    place: np.ndarray, rate_hz: float, corners: np.ndarray, bound_per_m2: float, for_s: float
) -> Truth:
    """Spans in which a convex polygon of the floor [V] holds more people than allowed."""
    sides = np.roll(corners, -1) - corners
    off = ((place[..., None] - corners) * sides.conj()).imag
    inside = (off > 0).all(-1) | (off < 0).all(-1)
    area_m2 = abs((corners * np.roll(corners, -1).conj()).imag.sum()) / 2
    density = _mean(inside.sum(1).astype(np.float64), rate_hz) / area_m2
    certain, possible = density > _DENSE * bound_per_m2, density > bound_per_m2 / _DENSE
    return spans(-1, "over", certain, possible, rate_hz, for_s)


class Score(NamedTuple):
    """How right events are."""

    labels: int
    found: int
    right: int
    false: int
    repeats: int  # events of a label that was answered already

    def plus(self, other: Score) -> Score:
        """Both together."""
        return Score(*[a + b for a, b in zip(self, other)])


def judge(truth: Truth, told: List[Tuple[int, str, float]], slack_s: float) -> Score:
    """Match events (person, action, s) with labels; each label answers for one event.

    A second event of the same label is a repeat; of a crossing, which is counted, it is false.
    """
    free = list(truth.labels)
    right = false = repeats = 0
    for person, action, t_s in sorted(told, key=lambda e: e[2]):
        mine = [a for a in free if _fits(a, person, action, t_s, slack_s)]
        again = [a for a in truth.labels if _fits(a, person, action, t_s, slack_s)]
        if mine:
            free.remove(min(mine, key=lambda a: a.start_s))
            right += 1
        elif again and action not in ("in", "out"):
            repeats += 1
        elif not any(_fits(a, person, action, t_s, slack_s) for a in truth.doubts):
            false += 1
    return Score(len(truth.labels), len(truth.labels) - len(free), right, false, repeats)


def _fits(label: Label, person: int, action: str, t_s: float, slack_s: float) -> bool:
    near = label.start_s - _EARLY_S <= t_s <= label.end_s + slack_s
    return near and label.person == person and label.action == action
