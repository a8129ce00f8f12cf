"""Which channels go, and weights of the layers behind them that make up for it.

A layer that sums over channels is a linear regression of its old output. Without a channel, the
regression is solved again, and the squared error rises by w^2 / inv(H), where H has the second
moments of the channels (Optimal Brain Surgeon; Hassibi and Stork 1993). The channel of the least
rise goes, again and again, and the last solution gives the new weights. No gradient is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

_RIDGE = 1e-3  # of the mean second moment; holds weights that the pictures say nothing of


@dataclass
class Moments:
    """Sums over places of pictures, for one reader with its bias as last row.

    Attributes:
        inner: [C+1,C+1] f64 of the channels with themselves.
        cross: [C+1,O] of the channels with the wanted output.
        energy: of the wanted output around its mean.
    """

    inner: Tensor
    cross: Tensor
    energy: float


def moments(pairs: Sequence[Tuple[Tensor, Tensor]]) -> Moments:
    """Moments of places.

    Args:
        pairs: of channels [P,C] and wanted outputs [P,O], piece by piece.
    """
    inner = cross = total = square = torch.zeros((), dtype=torch.float64)
    places = 0
    for channels, wanted in pairs:
        rows = torch.cat((channels, torch.ones(len(channels), 1)), 1).double()
        goal = wanted.double()
        inner, cross = inner + rows.T @ rows, cross + rows.T @ goal
        total, square = total + goal.sum(0), square + goal.square().sum(0)
        places += len(rows)
    energy = float((square - total.square() / places).sum())
    return Moments(inner / places, cross / places, energy / places)


def refit(
    readers: Sequence[Moments], old: Sequence[Tensor], keep: int
) -> Tuple[List[int], List[Tensor]]:
    """Take channels out of what readers sum over, and solve for their weights.

    Args:
        readers: moments, all of the same C channels.
        old: their weights [O,C+1]; bias last.
        keep: channels that stay.

    Returns:
        The numbers of the channels that stay, and for each reader weights [O,keep+1].
    """
    inverse, weights = [], []
    for one, before in zip(readers, old):
        ridge = _RIDGE * float(one.inner.diagonal()[:-1].mean())
        held = one.inner + ridge * torch.eye(len(one.inner), dtype=torch.float64)
        back = torch.linalg.inv(held)
        inverse.append(back)
        weights.append(back @ (one.cross + ridge * before.T.double()))
    count = len(inverse[0]) - 1
    stays = torch.ones(count, dtype=torch.bool)
    for _ in range(count - keep):
        rise = torch.zeros(count, dtype=torch.float64)
        for one, back, weight in zip(readers, inverse, weights):
            gone = weight[:-1].square().sum(1) / back.diagonal()[:-1].clamp(min=1e-12)
            rise = rise + gone / max(one.energy, 1e-12)
        which = int(torch.where(stays, rise, torch.inf).argmin())
        stays[which] = False
        for back, weight in zip(inverse, weights):
            column = back[:, which] / back[which, which]
            weight -= column[:, None] * weight[which].clone()
            back -= column[:, None] * back[which].clone()
            weight[which], back[which], back[:, which] = 0.0, 0.0, 0.0
            back[which, which] = 1.0
    rows = torch.cat((stays.nonzero()[:, 0], torch.tensor([count])))
    return rows[:-1].tolist(), [weight[rows].T.float() for weight in weights]
