"""How far a measurement is believed: outliers count less, and the farther the less.

A measurement is either as good as its score says, or an outlier. The probability follows from both
likelihoods (a mixture of two normal distributions). An outlier is weighed, not rejected: a limb
that really jumped is followed a little at once, and the rest with the next measurement.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

_OUTLIER_H2 = 0.15**2 / 2  # variance of an outlier's error in each direction
_FAR_SHARE = 0.25  # of its squared distance: the variance of an outlier farther out than that
_SURE = 30.0  # log odds beyond which nothing changes
BELIEVED = 0.5  # a measurement with a lower probability counts as an outlier


def doubted(
    distance_h2: np.ndarray, expected_h2: np.ndarray, noise_h2: np.ndarray, gate: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Judge measurements by their distances from where they were expected.

    Args:
        distance_h2: squared distance [...] H².
        expected_h2: variance [...] H² of the expected place in each direction.
        noise_h2: variance [...] H² of a measurement of this score.
        gate: twice the log odds, before anything is measured, that it is no outlier.

    Returns:
        The probability [...] that a measurement is no outlier, and the variance [...] H² with which
        it should count.
    """
    good, bad = expected_h2 + noise_h2, expected_h2 + noise_h2 + _OUTLIER_H2
    odds = gate / 2 + np.log(bad / good) - distance_h2 / 2 * (1 / good - 1 / bad)
    belief = 1 / (1 + np.exp(-np.clip(odds, -_SURE, _SURE)))
    outlier_h2 = np.maximum(_OUTLIER_H2, _FAR_SHARE * distance_h2)
    weight = belief + (1 - belief) * noise_h2 / (noise_h2 + outlier_h2)
    return belief, noise_h2 / weight
