"""Whether a filter fits what it is given: the consistency of its innovations.

The innovation of a keypoint, squared and over the variance that the filter expected, is 1 on
average for each direction if the filter's noise is that of the network (the normalised innovation
squared, NIS; Bar-Shalom, Li and Kirubarajan 2001, section 5.4). A larger value: the network is
noisier than `smooth.r` says, or people move faster than `smooth.q` says. A smaller one: the filter
could smooth more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from edge.people.filters.doubt import BELIEVED
from edge.people.filters.sighting import Filtered, Sighting

_MEAN_S = 10.0  # weights fall to 1/e in this time


@dataclass(frozen=True)
class Consistent:
    """The figures of about the last 10 s of one camera."""

    nis: float  # mean of believed measurements, for each direction; 1 = as expected
    outlier_share: float  # of measurements that were not believed, 0..1


class Consistency:
    """Exponential means over the frames of one camera."""

    def __init__(self) -> None:
        self._nis = self._believed = self._measured = 0.0

    def note(self, seen: Sighting, found: Filtered) -> None:
        """Add the measurements of a frame."""
        if not len(seen.points):
            return
        measured = found.known & (seen.scores > 0)
        believed = measured & (found.belief > BELIEVED)
        off = (seen.points - found.predicted) / seen.heights_px[..., None]
        nis = (np.square(off[..., 0]) + np.square(off[..., 1])) / (2 * found.variance_h2)
        kept = float(np.exp(-seen.dt_s.max() / _MEAN_S))
        self._nis = self._nis * kept + float((nis * believed).sum())
        self._believed = self._believed * kept + float(np.count_nonzero(believed))
        self._measured = self._measured * kept + float(np.count_nonzero(measured))

    def read(self) -> Optional[Consistent]:
        """The figures; None before anything was believed."""
        if self._believed < 1:
            return None
        share = 1 - self._believed / self._measured
        return Consistent(self._nis / self._believed, max(share, 0.0))
