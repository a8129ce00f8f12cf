"""FedAvg over parameter files, with clipping, robust variants, and noise with its epsilon.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (AISTATS
2017); coordinate-wise median and trimmed mean: Yin et al. (ICML 2018); epsilon of Gaussian noise by
zero-concentrated differential privacy: Bun and Steinke (TCC 2016), proposition 1.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from edge.errors import DataError
from tools.federated.file import Moved

METHODS = ("mean", "median", "trimmed")
_FAR = 3.0  # a site this many times as far from the middle as the others is refused
_FEWEST_JUDGED = 3
_LEAST_FAR = 1e-9
DELTA = 1e-5


@dataclass(frozen=True)
class Average:
    """The step that all sites together make.

    Attributes:
        step: [P] f32, to be added to the weights of the base.
        used: sites.
        refused: sites, with the reason.
        clip: longest move that counts.
        epsilon: of the noise, for delta 1e-5; None = no noise.
    """

    step: np.ndarray
    used: List[str]
    refused: List[Tuple[str, str]]
    clip: float
    epsilon: Optional[float]


def average(
    sites: Sequence[Moved],
    base: str,
    method: str = "mean",
    clip: float = 0.0,
    noise: float = 0.0,
    seed: Optional[int] = None,
) -> Average:
    """Average the moves of sites.

    Args:
        sites: of one base.
        base: sha256 of the base network.
        method: mean (weighted by examples), median, or trimmed (without the largest and the
            smallest of each weight).
        clip: longest move that counts; 0 = the median of the sites' lengths.
        noise: standard deviation of Gaussian noise over the effect that one site can have.
        seed: of the noise; None = of the machine.

    Raises:
        DataError: a site began with another base or network, or too few are left.
    """
    for site in sites:
        if site.base != base:
            raise DataError(f"{site.site}: began with another base; it needs the present one")
        if (site.names, site.shapes) != (sites[0].names, sites[0].shapes):
            raise DataError(f"{site.site}: has other weights than {sites[0].site}")
    if len({site.site for site in sites}) != len(sites):
        raise DataError("two files are of one site; give one of them")
    used, refused = _judged(sites)
    if not used:
        raise DataError("no site is left")
    bound = clip or float(np.median([site.norm for site in used]))
    moves = np.stack([_clipped(site, bound) for site in used])
    shares = np.array([site.examples for site in used], float)
    shares /= shares.sum()
    step = _combined(moves, shares, method)
    epsilon = None
    if noise:
        # What one site can change: its share of a mean; with the others, at most the whole.
        effect = bound * (shares.max() if method == "mean" else 1.0)
        step = step + np.random.default_rng(seed).normal(0, noise * effect, step.shape)
        epsilon = epsilon_of(noise)
    names = [site.site for site in used]
    return Average(step.astype(np.float32), names, refused, bound, epsilon)


def _judged(sites: Sequence[Moved]) -> Tuple[List[Moved], List[Tuple[str, str]]]:
    """Sites that moved as the others, and those that did not; with two nobody can tell."""
    if len(sites) < _FEWEST_JUDGED:
        return list(sites), []
    moves = np.stack([site.moved for site in sites]).astype(np.float64)
    middle = np.median(moves, axis=0)
    far = np.linalg.norm(moves - middle, axis=1)
    used, refused = [], []
    for i, site in enumerate(sites):
        others = float(np.median(np.delete(far, i)))
        if far[i] > _FAR * max(others, _LEAST_FAR):
            times = far[i] / max(others, _LEAST_FAR)
            refused.append((site.site, f"moved {times:.1f} times as far from the middle as others"))
        else:
            used.append(site)
    return used, refused


def _clipped(site: Moved, bound: float) -> np.ndarray:
    return site.moved.astype(np.float64) * min(1.0, bound / max(site.norm, 1e-12))


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
