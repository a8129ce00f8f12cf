"""FedAvg over parameter files, with clipping, robust variants, and noise with its epsilon.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (AISTATS
2017); coordinate-wise median and trimmed mean: Yin et al. (ICML 2018); epsilon of Gaussian noise by
zero-concentrated differential privacy: Bun and Steinke (TCC 2016), proposition 1.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge.errors import DataError
from tools.federated.file import Moved

METHODS = ("mean", "median", "trimmed")
_FAR = 3.0  # a site this many times as far from the middle as the others is refused
_FEWEST_JUDGED = 3
_LEAST_FAR = 1e-9
# Cosine between a site's move and the others'. Four rendered sites have .47 and more; a random move
# of a million weights has 0.
_LEAST_ALIKE = 0.05
# A site says itself how many examples it has; more than this many times the median do not count.
_MOST_TIMES = 4.0
DELTA = 1e-5


@dataclass(frozen=True)
class Average:
    """The step that all sites together make.

    Attributes:
        names: of the weights that move.
        step: [P] f32, to be added to them.
        used: sites.
        refused: sites, with the reason.
        clip: longest move that counts.
        epsilon: of the noise, for delta 1e-5; None = no noise.
    """

    names: Tuple[str, ...]
    step: np.ndarray
    used: List[str]
    refused: List[Tuple[str, str]]
    clip: float
    epsilon: Optional[float]


def require_fit(
    sites: Sequence[Moved], base: str, shapes: Dict[str, Tuple[int, ...]]
) -> List[Moved]:
    """Sites of this base, each with all weights that any of them moved; what it lacks is 0.

    Args:
        sites: as they were read.
        base: sha256 of the base network.
        shapes: of the base network's weights by name.

    Raises:
        DataError: a site began with another base or has other weights, or two are of one name.
    """
    for site in sites:
        if site.base != base:
            raise DataError(f"{site.site}: began with another base; it needs the present one")
        if len(set(site.names)) != len(site.names) or any(
            shapes.get(n) != s for n, s in zip(site.names, site.shapes)
        ):
            raise DataError(f"{site.site}: has other weights than the base")
    if len({site.site for site in sites}) != len(sites):
        raise DataError("two files are of one site; give one of them")
    moved = {name for site in sites for name in site.names}
    order = [name for name in shapes if name in moved]
    return [_with_all(site, order, shapes) for site in sites]


def _with_all(site: Moved, order: Sequence[str], shapes: Dict[str, Tuple[int, ...]]) -> Moved:
    ends = np.cumsum([int(np.prod(shape, dtype=np.int64)) for shape in site.shapes])
    own = dict(zip(site.names, np.split(site.moved, ends[:-1])))
    parts = [own.get(n, np.zeros(int(np.prod(shapes[n])), np.float32)) for n in order]
    wanted = tuple(shapes[n] for n in order)
    return Moved(site.site, site.base, site.examples, tuple(order), wanted, np.concatenate(parts))


def judged(sites: Sequence[Moved]) -> Tuple[List[Moved], List[Tuple[str, str]]]:
    """Sites that moved as the others, and those that did not; with two nobody can tell."""
    if len(sites) < _FEWEST_JUDGED:
        return list(sites), []
    moves = np.stack([site.moved for site in sites])
    middle = np.median(moves, axis=0)
    far = np.array([np.linalg.norm((row - middle).astype(np.float64)) for row in moves])
    used, refused = [], []
    units = np.stack([site.moved / np.float32(max(site.norm, 1e-12)) for site in sites])
    whole = units.sum(0)
    for i, site in enumerate(sites):
        others = float(np.median(np.delete(far, i)))
        alike = _cosine(units[i], whole - units[i])
        if far[i] > _FAR * max(others, _LEAST_FAR):
            times = far[i] / max(others, _LEAST_FAR)
            refused.append((site.site, f"moved {times:.1f} times as far from the middle as others"))
        elif alike < _LEAST_ALIKE:
            refused.append((site.site, f"moved in another direction, cosine {alike:.2f} to others"))
        else:
            used.append(site)
    return used, refused


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    length = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / max(length, 1e-12)


def average(
    used: Sequence[Moved],
    refused: Sequence[Tuple[str, str]] = (),
    method: str = "mean",
    clip: float = 0.0,
    noise: float = 0.0,
    seed: Optional[int] = None,
) -> Average:
    """Average the moves of sites.

    Args:
        used: sites of `require_fit` that are not refused.
        refused: the others, with reasons, to be told.
        method: mean (weighted by examples), median, or trimmed (without the largest and the
            smallest of each weight).
        clip: longest move that counts; 0 = the median of the sites' lengths.
        noise: standard deviation of Gaussian noise over the most that the mean changes if one
            site's move is replaced; needs `clip` and the mean, else epsilon would be wrong.
        seed: of the noise; None = of the machine.

    Raises:
        DataError: no site is left.
    """
    if not used:
        raise DataError("no site is left: " + "; ".join(f"{s} {why}" for s, why in refused))
    bound = clip or float(np.median([site.norm for site in used]))
    moves = np.stack([_clipped(site, bound) for site in used])
    shares = shares_of([site.examples for site in used])
    step = _combined(moves, shares, method)
    if noise:
        # Two clipped moves are at most twice the bound apart.
        effect = 2 * bound * float(shares.max())
        step = step + np.random.default_rng(seed).normal(0, noise * effect, step.shape)
    names = [site.site for site in used]
    epsilon = epsilon_of(noise) if noise else None
    return Average(used[0].names, step.astype(np.float32), names, list(refused), bound, epsilon)


def shares_of(examples: Sequence[int]) -> np.ndarray:
    """What part of the mean each site is."""
    counts = np.array(examples, float)
    counts = np.minimum(counts, _MOST_TIMES * np.median(counts))
    return np.asarray(counts / counts.sum())


def _clipped(site: Moved, bound: float) -> np.ndarray:
    return np.asarray(site.moved * np.float32(min(1.0, bound / max(site.norm, 1e-12))))


def _combined(moves: np.ndarray, shares: np.ndarray, method: str) -> np.ndarray:
    if method == "median":
        return np.asarray(np.median(moves, axis=0))
    if method == "trimmed" and len(moves) > 2:
        ordered = np.sort(moves, axis=0)[1:-1]
        return np.asarray(ordered.mean(0))
    return np.asarray(shares @ moves)


def epsilon_of(noise: float) -> float:
    """Epsilon of one release for delta 1e-5; noise is the multiplier of `average`."""
    rho = 1 / (2 * noise**2)
    return rho + 2 * math.sqrt(rho * math.log(1 / DELTA))
