"""How long a rule could judge nobody, though people were in view."""

from __future__ import annotations

import numpy as np

UNSURE_S = 5.0  # a rule that could judge nobody in view for this long says so


class Blindness:
    """Since when nobody in view could be judged."""

    def __init__(self) -> None:
        self._judged_ns = -1
        self._blind_s = 0.0

    def note(self, known: np.ndarray, t_ns: int) -> None:
        """Note who of [N] people in view can be judged, bool."""
        if self._judged_ns < 0 or known.any() or not len(known):
            self._judged_ns = t_ns
        self._blind_s = (t_ns - self._judged_ns) * 1e-9

    def unsure(self, why: str) -> str:
        """`why` while nobody can be judged, else nothing."""
        return why if self._blind_s > UNSURE_S else ""
