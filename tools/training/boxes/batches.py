"""Batches of training pictures, each a function of the seed and the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from tools.training.boxes.augment import PLAIN, PictureChanges, Shown, show
from tools.training.boxes.store import Pictures
from tools.training.networks.trainee import Trainee


@dataclass(frozen=True)
class BoxGoal:
    """Labels of a batch, px of the input; rows that are no box are zeros."""

    boxes: Tensor  # [B,G,4]
    people: Tensor  # [B] i64 number of boxes
    ignored: Tensor  # [B,I,4]
    aside: Tensor  # [B] i64 number of ignored boxes


class PictureBatches:
    """The training pictures of a run.

    Args:
        trainee: the network.
        pictures: labelled.
        held: pictures with the boxes of the network before training; None = there are none.
        held_share: of a batch.
        batch: pictures in a batch.
        how: the augmentation.
        seed: of all lots.
    """

    def __init__(
        self,
        trainee: Trainee,
        pictures: Pictures,
        held: Optional[Pictures],
        held_share: float,
        batch: int,
        how: PictureChanges,
        seed: int,
    ) -> None:
        self._trainee, self._pictures, self._how, self._seed = trainee, pictures, how, seed
        self._held = held if held is not None and len(held) else None
        self._held_rows = round(batch * held_share) if self._held is not None else 0
        self._rows = max(batch - self._held_rows, 1)

    @property
    def steps(self) -> int:
        """Steps of an epoch: each labelled picture is in it once."""
        return max(1, -(-len(self._pictures) // self._rows))

    def __call__(self, step: int) -> Tuple[Tensor, BoxGoal]:
        """Normalised images [B,3,H,W] and labels of a step."""
        epoch, place = divmod(step, self.steps)
        order = np.random.default_rng([self._seed, 1, epoch]).permutation(len(self._pictures))
        wanted = order[place * self._rows : (place + 1) * self._rows].tolist()
        rng = np.random.default_rng([self._seed, 2, step])
        size = self._trainee.size
        found = [show(self._pictures, i, size, self._how, rng) for i in wanted]
        if self._held is not None:
            some = rng.integers(0, len(self._held), self._held_rows).tolist()
            found += [show(self._held, i, size, self._how, rng) for i in some]
        return gathered(self._trainee, found)


def gathered(trainee: Trainee, pictures: Sequence[Shown]) -> Tuple[Tensor, BoxGoal]:
    """A batch of pictures."""
    boxes, people = _padded([p.boxes for p in pictures])
    ignored, aside = _padded([p.ignored for p in pictures])
    images = trainee.input_of(np.stack([p.image for p in pictures]))
    return images, BoxGoal(boxes, people, ignored, aside)


def plain(trainee: Trainee, pictures: Pictures, batch: int) -> List[Tuple[Tensor, BoxGoal]]:
    """All pictures as the daemon gives them to the network, batch by batch."""
    rng = np.random.default_rng(0)
    found = []
    for start in range(0, len(pictures), batch):
        rows = range(start, min(start + batch, len(pictures)))
        some = [show(pictures, i, trainee.size, PLAIN, rng) for i in rows]
        found.append(gathered(trainee, some))
    return found


def _padded(parts: Sequence[np.ndarray]) -> Tuple[Tensor, Tensor]:
    counts = [len(p) for p in parts]
    out = np.zeros((len(parts), max(counts, default=0), 4), np.float32)
    for row, part in enumerate(parts):
        out[row, : len(part)] = part
    return torch.from_numpy(out), torch.tensor(counts, dtype=torch.int64)
