"""Weights between those before and after training: most of the gain, little of what is lost.

Halfway on the straight line between both, a network still has most of what it learnt, and again
most of what it knew of other places (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903).
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from torch import Tensor

from tools.training.fit.loop import Batch, error_of
from tools.training.networks.trainee import Trainee

SHARES = (0.25, 0.5, 0.75)  # of the new weights
KEPT = 0.85  # least share of the gain on the stop recordings


def blend(
    trainee: Trainee, old: Trainee, judged: List[Batch], device: str
) -> Tuple[float, Dict[str, float]]:
    """Move a trained network back towards the old one as far as KEPT allows.

    Args:
        trainee: holds the new weights, then those that are chosen.
        old: the network before training.
        judged: crops of recordings that were not trained on.
        device: of both.

    Returns:
        The share of the new weights, and the error of each share.
    """
    new = {k: v.detach().clone() for k, v in trainee.module.state_dict().items()}
    before = {k: v.detach().to(device) for k, v in old.module.state_dict().items()}
    errors: Dict[str, float] = {}
    for share in (0.0, *SHARES, 1.0):
        errors[f"{share:g}"] = error_of(trainee, _between(before, new, share), judged, device)
    gain = errors["0"] - errors["1"]
    fine = [s for s in SHARES if errors["0"] - errors[f"{s:g}"] >= KEPT * gain]
    chosen = min(fine, default=1.0) if gain > 0 else 1.0
    trainee.module.load_state_dict(_between(before, new, chosen))
    return chosen, errors


def _between(old: Dict[str, Tensor], new: Dict[str, Tensor], share: float) -> Dict[str, Tensor]:
    return {
        name: old[name] + share * (value - old[name]) if value.is_floating_point() else value
        for name, value in new.items()
    }
