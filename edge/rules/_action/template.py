"""A template: how an exercise is done, as a small file that people can read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

from edge.errors import ConfigError
from edge.rules._action.features import MIRROR, NAMES
from edge.settings.schema import build, key, name_problem

FARTHEST = 9.0  # of a cost
_SHORTEST, _LONGEST = 5, 400  # frames


@dataclass(frozen=True)
class Phase:
    """A part of a repetition."""

    name: str = key(help="as a coach calls it")
    end: float = key(help="share of the repetition at which it ends", low=0, high=1)


@dataclass(frozen=True)
class File:
    """The keys of a template file."""

    name: str = key(help="of the exercise", check=name_problem)
    source: str = key(help="where the motion comes from")
    licence: str = key(help="of the motion")
    rate_hz: float = key(help="frames a second of the table", low=5, high=120)
    limbs: List[str] = key(help="names of the columns")
    reaches: List[List[float]] = key(
        help="how far each limb reaches down, over its length; a row a frame"
    )
    tolerances: List[float] = key(help="deviation of the reach that is no fault, one a limb")
    phases: List[Phase] = key(help="parts of a repetition, in order")
    threshold: float = key(help="mean cost up to which it is this exercise", low=0.1)
    usual: float = key(0.0, "mean deviation over tolerance of a good repetition", 0, 3)
    examples: int = key(1, "repetitions that it was made from", 1)


@dataclass(frozen=True)
class Template:
    """How an exercise is done.

    Attributes:
        reaches: [M,9] f64, in the order of features.NAMES.
        tolerances: [9] f64 of the reaches.
        weights: [9] f64 with the mean 1: limbs that move more count more.
        phases: [(name, frame at which it ends)].
    """

    name: str
    source: str
    licence: str
    rate_hz: float
    reaches: np.ndarray
    tolerances: np.ndarray
    weights: np.ndarray
    phases: Tuple[Tuple[str, int], ...]
    threshold: float
    usual: float
    examples: int

    @property
    def length_s(self) -> float:
        """Seconds of one repetition."""
        return len(self.reaches) / self.rate_hz

    @cached_property
    def edge_cost(self) -> float:
        """The cost up to which a posture can be the first or the last of a repetition.

        Half of what the posture farthest from them costs. So half a repetition is none, however
        slowly it is done.
        """
        ends = self.costs(self.reaches)[:, 0][:, [0, -1]]
        return 0.5 * float(ends.max())

    def phase_of(self) -> np.ndarray:
        """Index of the phase of each frame [M]."""
        ends = np.array([end for _, end in self.phases])
        return np.asarray(np.searchsorted(ends, np.arange(len(self.reaches)), side="right"))

    def costs(self, observed: np.ndarray) -> np.ndarray:
        """Mean square [...,2,M] of deviation over tolerance of postures [...,9] from each frame.

        The first of the two is as it is, the second mirrored. Squares tell a movement that is off
        for a short time, such as one that does not go down far enough, from one that is a little
        off throughout. A limb counts FARTHEST at most, so that one wrong keypoint does not end a
        match; an unseen limb is left out. FARTHEST where too little is seen.
        """
        both = np.stack((observed, observed[..., MIRROR]), -2)
        known = ~np.isnan(both)
        weight = self.weights * known
        scaled, wanted = np.where(known, both / self.tolerances, 0), self.reaches / self.tolerances
        off = scaled[..., None, :] - wanted
        np.square(off, out=off)
        np.minimum(off, FARTHEST, out=off)
        sums = (off @ weight[..., None])[..., 0]
        share = weight.sum(-1, keepdims=True)
        enough = share > 0.5 * self.weights.sum()
        return np.asarray(np.where(enough, sums / np.maximum(share, 1e-9), FARTHEST))


def weights_of(reaches: np.ndarray) -> np.ndarray:
    """Weights [9] of limbs by how far each moves; one that rests counts a little, too."""
    moved = np.ptp(reaches, axis=0)
    weights = 0.05 + moved / max(float(moved.max()), 1e-9)
    return np.asarray(weights / weights.mean())


def of_table(table: Mapping[str, Any]) -> Template:
    """The template of a table.

    Raises:
        ConfigError: a key is wrong.
    """
    file = build(File, table)
    if list(file.limbs) != list(NAMES):
        raise ConfigError(f"limbs: expected {', '.join(NAMES)}")
    rows = file.reaches
    if not _SHORTEST <= len(rows) <= _LONGEST or any(len(r) != len(NAMES) for r in rows):
        raise ConfigError(
            f"reaches: expected {_SHORTEST} to {_LONGEST} rows of {len(NAMES)} numbers"
        )
    if len(file.tolerances) != len(NAMES) or min(file.tolerances) < 0.02:
        raise ConfigError(f"tolerances: expected {len(NAMES)} numbers of at least 0.02")
    ends = [phase.end for phase in file.phases]
    if not ends or ends != sorted(ends) or ends[-1] != 1:
        raise ConfigError("phases: their ends must rise, up to 1")
    reaches = np.array(rows, np.float64)
    return Template(
        file.name,
        file.source,
        file.licence,
        file.rate_hz,
        reaches,
        np.array(file.tolerances),
        weights_of(reaches),
        tuple((phase.name, round(phase.end * len(rows))) for phase in file.phases),
        file.threshold,
        file.usual,
        file.examples,
    )


def as_table(template: Template) -> Dict[str, Any]:
    """The table of a template; `of_table` gives the same template again."""
    n = len(template.reaches)
    return {
        "name": template.name,
        "source": template.source,
        "licence": template.licence,
        "examples": template.examples,
        "rate_hz": template.rate_hz,
        "threshold": round(template.threshold, 3),
        "usual": round(template.usual, 3),
        "phases": [{"name": name, "end": round(end / n, 4)} for name, end in template.phases],
        "limbs": list(NAMES),
        "tolerances": [round(float(v), 3) for v in template.tolerances],
        "reaches": [[round(float(v), 3) for v in row] for row in template.reaches],
    }
