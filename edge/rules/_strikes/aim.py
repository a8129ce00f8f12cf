"""At whom a blow is aimed."""

from __future__ import annotations

import numpy as np

from edge.rules._strikes.blows import Blows
from edge.rules._strikes.windows import Bodies

_ASIDE = 0.2  # least cosine between the blow and the direction of the target
_TOUCHING_H = 0.35  # the direction of somebody who is nearer in the picture says nothing
_ALIKE = 1.5  # a person who is seen that many times as tall is nearer or farther away


def aimed_at(struck: Blows, rows: np.ndarray, found: Bodies, reach_h: float) -> np.ndarray:
    """The memory's row of each blow's target [B] i64, -1 = nobody.

    Args:
        struck: the blows of people among `found`.
        rows: [N] of the memory, of the people in view.
        found: these people.
        reach_h: a target is not further away, in heights.
    """
    if not len(struck.rows):
        return np.zeros(0, np.int64)
    place = np.full(int(rows.max()) + 1, -1)
    place[rows] = np.arange(len(rows))
    own = place[struck.rows]
    way = np.conj(found.trunk[None] - found.trunk[own, None]) / found.tall[own, None]
    far = np.abs(way)
    along = (way * struck.tip[:, None].conj()).real / np.maximum(
        far * np.abs(struck.tip)[:, None], 1e-6
    )
    tall = found.tall[None] / found.tall[own, None]
    fits = (far <= reach_h) & ((along >= _ASIDE) | (far < _TOUCHING_H)) & found.known
    fits &= (tall < _ALIKE) & (tall > 1 / _ALIKE)
    fits[np.arange(len(own)), own] = False
    cost = np.where(fits, far, np.inf)
    best = cost.argmin(1)
    return np.where(fits.any(1), rows[best], -1)
