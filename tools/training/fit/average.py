"""The running average of weights (EMA), whose network is the smoother one."""

from __future__ import annotations

from typing import Dict

import torch
from torch import Tensor, nn


class Average:
    """Averaged weights of a module.

    Args:
        module: whose weights are averaged.
        decay: share of the old average that is kept; the first steps keep less.
        start: an average to go on with; empty = the weights of now.
    """

    def __init__(self, module: nn.Module, decay: float, start: Dict[str, Tensor]) -> None:
        self._module, self._decay = module, decay
        self.weights = start or {k: v.detach().clone() for k, v in module.state_dict().items()}

    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        with torch.no_grad():
            self._take_in(step)

    def _take_in(self, step: int) -> None:
        keep = min(self._decay, (1 + step) / (10 + step))
        for name, now in self._module.state_dict().items():
            kept = self.weights[name]
            if kept.is_floating_point():
                # A weight that does not move stays as it is, to the last bit.
                kept.lerp_(now.to(kept), 1 - keep)
            else:
                kept.copy_(now)
