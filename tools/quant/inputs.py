"""The crops that a network is calibrated with, read in small pieces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Sequence

import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import Network
from tools.calib.record import from_pixels, load_pixels

BATCH = 4
CHOICE_EVERY = 4  # every fourth crop chooses, the others give the ranges


@dataclass(frozen=True)
class Crops:
    """Recorded inputs of one network; only the crops in use are in memory.

    Attributes:
        path: [N,...] u8 file.
        network: how pixels become inputs.
        places: which crops of the file, ascending.
    """

    path: Path
    network: Network
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def few(self, count: int) -> Crops:
        """At most `count` of them, spread evenly."""
        if len(self) <= count:
            return self
        chosen = np.linspace(0, len(self) - 1, count).astype(int)
        return Crops(self.path, self.network, self.places[chosen])

    def batches(self, name: str) -> Iterator[Dict[str, np.ndarray]]:
        """Inputs as the daemon feeds them, under the graph input's name."""
        pixels = load_pixels(self.path)
        for start in range(0, len(self), BATCH):
            yield {name: from_pixels(pixels[self.places[start : start + BATCH]], self.network)}


def open_crops(path: Path, network: Network) -> Crops:
    """All crops of a file.

    Raises:
        DataError: missing, damaged, empty, or made for another input size.
    """
    pixels = load_pixels(path)
    if not len(pixels):
        raise DataError(f"{path}: holds no crops; record pictures with people in view")
    if pixels.shape[1:] != network.sample_shape:
        size = "x".join(str(n) for n in pixels.shape[1:])
        want = "x".join(str(n) for n in network.sample_shape)
        raise DataError(
            f"{path}: crops are {size}, the network takes {want}; run `edge-tools calibrate` again"
        )
    return Crops(path, network, np.arange(len(pixels)))


def split(crops: Crops) -> List[Crops]:
    """Crops that give ranges and crops that choose between methods; the same if there are few."""
    choice = np.arange(len(crops)) % CHOICE_EVERY == CHOICE_EVERY - 1
    if choice.sum() < 2:
        return [crops, crops]
    return [Crops(crops.path, crops.network, crops.places[m]) for m in (~choice, choice)]


def set_folder(sets: Path, name: str, model: str) -> Path:
    """The folder of a calibration set's crops for a model.

    Raises:
        ConfigError: no set was named. NoInputError: it is not there, or not for this model.
    """
    if not name:
        raise ConfigError(f"{model}: model.toml names no calibration set; add --set NAME")
    folder = sets / name / "crops" / model
    if folder.is_dir():
        return folder
    there = sorted(p.parent.parent.name for p in sets.glob(f"*/crops/{model}"))
    raise NoInputError(
        f"{folder}: no crops of this model; `edge-tools calibrate` records them; "
        f"sets with them: {', '.join(there) or 'none'}"
    )


def names(wanted: Sequence[str], there: Sequence[str], model: str) -> List[str]:
    """The networks asked for, all if none.

    Raises:
        ConfigError: one is unknown.
    """
    for name in wanted:
        if name not in there:
            raise ConfigError(f"{model} has no network {name!r}; it has: {', '.join(there)}")
    return list(wanted) or list(there)
