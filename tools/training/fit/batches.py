"""Batches of training crops, each a function of the seed and the step alone."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from tools.training.data.crops import Crops
from tools.training.fit.augment import PLAIN, Augmentation, Crop, cut
from tools.training.networks.trainee import Goal, Trainee

_PERSON = 4  # labelled points from which a crop says that a person is there


class Batches:
    """The training crops of a run.

    Args:
        trainee: the network.
        crops: labelled people.
        held: people whose old answers are only held; None = there are none.
        held_share: of a batch.
        batch: people in a batch.
        how: the augmentation.
        seed: of all lots.
    """

    def __init__(
        self,
        trainee: Trainee,
        crops: Crops,
        held: Optional[Crops],
        held_share: float,
        batch: int,
        how: Augmentation,
        seed: int,
    ) -> None:
        self._trainee, self._crops, self._how, self._seed = trainee, crops, how, seed
        self._held = held if held is not None and len(held) else None
        self._held_rows = round(batch * held_share) if self._held is not None else 0
        self._rows = max(batch - self._held_rows, 1)

    @property
    def steps(self) -> int:
        """Steps of an epoch: each labelled person is in it once."""
        return max(1, -(-len(self._crops) // self._rows))

    def __call__(self, step: int) -> Tuple[Tensor, Goal]:
        """Normalised images [B,3,H,W] and labels of a step."""
        epoch, place = divmod(step, self.steps)
        order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._crops))
        wanted = order[place * self._rows : (place + 1) * self._rows].tolist()
        rng = np.random.default_rng([self._seed, 2, step])
        found = [cut(self._crops, i, self._trainee, self._how, rng) for i in wanted]
        labelled = len(found)
        if self._held is not None:
            some = rng.integers(0, len(self._held), self._held_rows).tolist()
            found += [cut(self._held, i, self._trainee, self._how, rng) for i in some]
        return gathered(self._trainee, found, labelled)


def gathered(trainee: Trainee, crops: Sequence[Crop], labelled: int) -> Tuple[Tensor, Goal]:
    """A batch of crops, of which the first `labelled` have labels that count."""
    counts = np.arange(len(crops)) < labelled
    weights = _stack([c.labelled for c in crops]) * torch.from_numpy(counts)[:, None]
    people = weights.sum(1) >= _PERSON
    goal = Goal(
        _stack([c.points for c in crops]),
        weights,
        _stack([c.seen for c in crops]) * weights,
        _stack([c.inside for c in crops]),
        people.float(),
    )
    return trainee.input_of(np.stack([c.image for c in crops])), goal


def plain(trainee: Trainee, crops: Crops, batch: int) -> List[Tuple[Tensor, Goal]]:
    """All crops unchanged, as the daemon cuts a new person out; batch by batch."""
    rng = np.random.default_rng(0)
    found = []
    for start in range(0, len(crops), batch):
        rows = range(start, min(start + batch, len(crops)))
        some = [cut(crops, i, trainee, PLAIN, rng) for i in rows]
        found.append(gathered(trainee, some, len(some)))
    return found


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))
