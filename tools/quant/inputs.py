"""Recorded crops that a network is calibrated with, read batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import Network
from tools.calib.record import from_pixels, load_pixels

BATCH = 4
CHOICE_EVERY = 4  # every fourth crop is for measuring errors, the others give the ranges


@dataclass(frozen=True)
class Crops:
    """Recorded inputs of one network; only the batch in use is in memory.

    Attributes:
        path: .npy file, [N,...] u8.
        network: recipe of the network: how pixels become inputs.
        places: indices of the crops in the file, ascending.
    """

    path: Path
    network: Network
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def subset(self, count: int) -> Crops:
        """`count` of the crops at most, spread evenly."""
        if len(self) <= count:
            return self
        chosen = np.linspace(0, len(self) - 1, count).astype(int)
        return Crops(self.path, self.network, self.places[chosen])

    def batches(self, name: str) -> Iterator[Dict[str, np.ndarray]]:
        """Batches as the daemon feeds them, for the graph input `name`."""
        pixels = load_pixels(self.path)
        for start in range(0, len(self), BATCH):
            yield {name: from_pixels(pixels[self.places[start : start + BATCH]], self.network)}


def open_crops(path: Path, network: Network) -> Crops:
    """All crops of a file.

    Raises:
        DataError: the file is missing, damaged or empty, or is for another input size.
    """
    pixels = load_pixels(path)
    if not len(pixels):
        raise DataError(f"{path}: holds no crops; calibrate with recordings that show people")
    if pixels.shape[1:] != network.sample_shape:
        size = "x".join(str(n) for n in pixels.shape[1:])
        want = "x".join(str(n) for n in network.sample_shape)
        raise DataError(
            f"{path}: crops are {size}, the network takes {want}; run `edge-tools calibrate` again"
        )
    return Crops(path, network, np.arange(len(pixels)))


def split_crops(crops: Crops) -> List[Crops]:
    """Crops that give ranges, and crops that errors are measured on.

    Of fewer than eight crops all are used for both.
    """
    choice = np.arange(len(crops)) % CHOICE_EVERY == CHOICE_EVERY - 1
    if choice.sum() < 2:
        return [crops, crops]
    return [Crops(crops.path, crops.network, crops.places[m]) for m in (~choice, choice)]


def crops_folder(sets: Path, name: str, model: str) -> Path:
    """Folder of the recorded inputs of a model in a calibration set.

    Raises:
        ConfigError: no set is named. NoInputError: the set has no inputs of this model.
    """
    if not name:
        raise ConfigError(f"{model}: model.toml names no calibration set; add --set NAME")
    folder = sets / name / "crops" / model
    if folder.is_dir():
        return folder
    there = sorted(p.parent.parent.name for p in sets.glob(f"*/crops/{model}"))
    raise NoInputError(
        f"{folder}: no recorded inputs of this model; `edge-tools calibrate` records them; "
        f"sets with inputs: {', '.join(there) or 'none'}"
    )


def chosen_networks(wanted: Sequence[str], there: Sequence[str], model: str) -> List[str]:
    """The networks asked for; all networks if none is asked for.

    Raises:
        ConfigError: the model has no network of that name.
    """
    for name in wanted:
        if name not in there:
            raise ConfigError(f"{model} has no network {name!r}; it has: {', '.join(there)}")
    return list(wanted) or list(there)
