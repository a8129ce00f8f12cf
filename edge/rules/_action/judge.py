"""How well one repetition was done, and what was off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from edge.rules._action.alignment import align
from edge.rules._action.features import MIRROR, NAMES, degrees_of
from edge.rules._action.template import FARTHEST, Template

# A repetition whose mean deviation over tolerance is this much above that of a good one scores 37.
_SCALE = 1.1
_MOST_FAULTS = 3
# A repetition moves as its template does, if about another mean posture: a camera that looks down,
# a near camera, and a person's own manner shift the reach of a limb throughout.
_LEAST_LIKENESS = 0.8  # correlation of the two movements
_LEAST_EXTENT = 0.4  # of the movement over the template's
_MOST_SHAPE = 0.9  # mean square of what differs after the shift, over tolerances


@dataclass(frozen=True)
class Fault:
    """A limb that was off in a phase."""

    limb: str
    phase: str
    degrees: float  # observed minus template; positive = higher, of the trunk: leaning further

    def __str__(self) -> str:
        """In words, such as `left thigh 14 deg too high at bottom`."""
        over = self.degrees > 0
        if self.limb == "trunk":
            how = "too far forward or aside" if over else "too upright"
        else:
            how = "too high" if over else "too low"
        limb = self.limb.replace("_", " ")
        return f"{limb} {abs(self.degrees):.0f} deg {how} at {self.phase}"


@dataclass(frozen=True)
class Verdict:
    """The judgement of one repetition."""

    score: float  # 0..100
    is_one: bool  # whether it moves as the exercise does
    deviation: float  # weighted mean of the deviations over their tolerances
    faults: Tuple[Fault, ...]  # the largest first


def judge(template: Template, observed: np.ndarray, mirrored: bool) -> Verdict:
    """Compare a repetition with its template.

    Score = 100 exp(-(d - d0) / s): d is the mean deviation over the template's frames after
    alignment, d0 that of a good repetition.

    Args:
        template: of the exercise.
        observed: [T,9] reaches of the repetition, NaN = not seen.
        mirrored: whether it was done with the other side.
    """
    onto, _ = onto_template(template, observed, mirrored)
    off = (onto - template.reaches) / template.tolerances
    weight = template.weights * ~np.isnan(off)
    deviation = float(np.nansum(np.abs(off) * weight) / max(float(weight.sum()), 1e-9))
    score = 100 * float(np.exp(-max(deviation - template.usual, 0) / _SCALE))
    return Verdict(
        score, _moves_alike(template, onto), deviation, _faults(template, onto, mirrored)
    )


def _moves_alike(template: Template, onto: np.ndarray) -> bool:
    """Whether a repetition has the movement of its template, whatever its mean posture.

    Of both the mean of each limb is taken out. What is left must correlate, be large enough, and
    differ little; each limb has its weight.

    Args:
        template: of the exercise.
        onto: [M,9] reaches in the time of the template, NaN = not seen.
    """
    known = ~np.isnan(onto)
    weight = template.weights * known
    total = np.maximum(weight.sum(0), 1e-9)
    seen = np.where(known, onto, 0)
    moved = (seen - (weight * seen).sum(0) / total) * known
    wanted = (template.reaches - (weight * template.reaches).sum(0) / total) * known
    both, own, asked = (
        float((weight * a * b).sum())
        for a, b in ((moved, wanted), (moved, moved), (wanted, wanted))
    )
    off = np.minimum(np.square((moved - wanted) / template.tolerances), FARTHEST)
    shape = float((weight * off).sum()) / max(float(weight.sum()), 1e-9)
    likeness = both / max(float(np.sqrt(own * asked)), 1e-9)
    extent = both / max(asked, 1e-9)
    return likeness >= _LEAST_LIKENESS and extent >= _LEAST_EXTENT and shape <= _MOST_SHAPE


def onto_template(
    template: Template, observed: np.ndarray, mirrored: bool
) -> Tuple[np.ndarray, np.ndarray]:
    """A repetition in the time of its template.

    Args:
        template: of the exercise.
        observed: [T,9] reaches of the repetition, NaN = not seen.
        mirrored: whether it was done with the other side; limbs then change places.

    Returns:
        The mean [M,9] of the reaches that belong to each frame of the template, NaN = not seen, and
        the frame [M] of the repetition in the middle of those.
    """
    seen = observed[:, MIRROR] if mirrored else observed
    rows, frames = align(template.costs(seen)[:, 0])
    count = len(template.reaches)
    middle = [rows[frames == frame][len(rows[frames == frame]) // 2] for frame in range(count)]
    return _means(seen[rows], frames, count), np.array(middle)


def _means(seen: np.ndarray, frames: np.ndarray, count: int) -> np.ndarray:
    """The mean of what belongs to each frame of the template [M,9]; NaN = not seen."""
    known = ~np.isnan(seen)
    sums, counts = np.zeros((count, seen.shape[1])), np.zeros((count, seen.shape[1]))
    np.add.at(sums, frames, np.where(known, seen, 0))
    np.add.at(counts, frames, known)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _faults(template: Template, seen: np.ndarray, mirrored: bool) -> Tuple[Fault, ...]:
    """The limbs whose mean reach in a phase is further off than their tolerance."""
    phase = template.phase_of()
    found: List[Tuple[float, Fault]] = []
    for p, (name, _) in enumerate(template.phases):
        here, wanted = seen[phase == p], template.reaches[phase == p]
        known = ~np.isnan(here)
        counts = np.maximum(known.sum(0), 1)
        was, should = (np.where(known, v, 0).sum(0) / counts for v in (here, wanted))
        over = np.abs(was - should) / template.tolerances
        degrees = degrees_of(was) - degrees_of(should)
        for limb in np.flatnonzero((over > 1) & (2 * known.sum(0) > len(here))):
            named = NAMES[MIRROR[limb]] if mirrored else NAMES[limb]
            found.append((float(over[limb]), Fault(named, name, float(degrees[limb]))))
    found.sort(key=lambda pair: -pair[0])
    return tuple(fault for _, fault in found[:_MOST_FAULTS])
