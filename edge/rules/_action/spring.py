"""Find a template in a stream: subsequence matching under dynamic time warping.

SPRING, from Sakurai, Faloutsos and Yamamuro, "Stream Monitoring under the Time Warping Distance"
(ICDE 2007): a match may begin at any frame, and it is given when no running match that overlaps it
can become better. Each frame costs the same time, whatever came before.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

FAR = 1e9  # a distance that no match has


def step(
    costs: np.ndarray,
    before: np.ndarray,
    begins_ns: np.ndarray,
    t_ns: int,
    may_begin: np.ndarray,
    most_rows: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """The next column of the matrix of distances.

    D(i) = c(i) + min(D(i-1), D'(i), D'(i-1)) with D' of the frame before and D(-1) = 0. The chain
    over i is solved for all rows at once: with the running sum C of the costs, D(i) is C(i) plus
    the least of min(D'(j), D'(j-1)) - C(j-1) over the last `most_rows` j. Without that bound
    somebody who stands still could pass through a whole template in one frame.

    Args:
        costs: [...,M] f64 between this frame and each frame of the template.
        before: [...,M] f64 distances at the frame before; FAR = no match.
        begins_ns: [...,M] i64, when the match of each of these began.
        t_ns: time of this frame.
        may_begin: [...] bool, whether a match may begin at this frame.
        most_rows: [...] i64, how many frames of the template this one can stand for.

    Returns:
        The distances [...,M] and the times [...,M] at which their matches began.
    """
    fresh = np.where(may_begin, 0.0, FAR)[..., None]
    slid = np.concatenate((fresh, before[..., :-1]), -1)
    slid_ns = np.concatenate((np.full_like(begins_ns[..., :1], t_ns), begins_ns[..., :-1]), -1)
    stay = before < slid  # of equal ones the later beginning
    least, least_ns = np.where(stay, before, slid), np.where(stay, begins_ns, slid_ns)
    total = np.cumsum(costs, -1)
    entry = least - (total - costs)
    lowest, lowest_ns = entry.copy(), least_ns.copy()
    for back in range(1, min(int(most_rows.max(initial=1)), costs.shape[-1])):
        lower = (entry[..., :-back] < lowest[..., back:]) & (most_rows > back)[..., None]
        np.copyto(lowest[..., back:], entry[..., :-back], where=lower)
        np.copyto(lowest_ns[..., back:], least_ns[..., :-back], where=lower)
    return np.minimum(lowest + total, FAR), lowest_ns
