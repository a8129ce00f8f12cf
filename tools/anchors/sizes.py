"""Sizes of people in px of a network's input: from labels, or found in a calibration set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np

from edge.errors import DataError
from edge.loop.assemble import Models
from edge.settings import config
from edge.structures import Frame
from tools.calib import selection
from tools.evaluation.read import open_truth
from tools.progress import Progress

_EACH_HELD_OUT = 5  # of labelled pictures, every fifth is held out
_LEAST_PX = 2.0  # of the input; smaller boxes are labels of a crowd's back row, or mistakes

Size = Tuple[int, int]


@dataclass(frozen=True, eq=False)
class Sizes:
    """Widths and heights, px of the input."""

    fitted: np.ndarray  # [N,2] f64, to fit anchors to
    held_out: np.ndarray  # [M,2] f64, to judge them by
    pictures: int


def of_labels(path: Path, network: Size) -> Sizes:
    """The boxes of labelled people.

    Args:
        path: labels, as `edge-tools evaluate` reads them.
        network: width and height of the input, px.

    Raises:
        NoInputError: nothing is there. DataError: it cannot be read.
    """
    truth = open_truth(path)
    found: List[np.ndarray] = []
    for picture in truth.pictures:
        boxes = picture.people.boxes[~picture.people.crowd]
        size = picture.size if min(picture.size) > 0 else _size_of(picture.path, picture.file)
        found.append(_in_input(boxes, size, network))
    held = np.arange(len(found)) % _EACH_HELD_OUT == _EACH_HELD_OUT - 1
    return _split(found, held)


def of_set(folder: Path, network: Size, detect: str, models: Path, quiet: bool) -> Sizes:
    """The boxes that a detector finds in the chosen frames of a calibration set.

    Args:
        folder: of the set.
        network: width and height of the input, px.
        detect: name of the detector.
        models: folder of models.
        quiet: show no progress.

    Raises:
        NoInputError, ConfigError, DataError: the set or the detector cannot be used.
    """
    chosen = selection.load(folder)
    selection.require_pictures(folder, chosen.frames)
    tables = {"models": {"dir": str(models)}, "detect": {"model": detect}}
    opened = Models(config.complete(config.build(config.Config, {**_CAMERA, **tables})))
    found: List[np.ndarray] = []
    try:
        with Progress("finding people", len(chosen.frames), "pictures", quiet) as bar:
            for index, picture in enumerate(chosen.frames):
                image = _read(folder / picture.file)
                frame = Frame(image, index, index * 1_000_000_000, "set", still=True)
                boxes = opened.detect([frame])[0].boxes.astype(np.float64)
                found.append(_in_input(boxes, frame.size, network))
                bar.update()
    finally:
        opened.close()
    held = np.array([p.split == selection.HELD_OUT for p in chosen.frames], bool)
    return _split(found, held)


_CAMERA = {"cameras": [{"name": "set", "source": "synthetic://walk"}]}


def _read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f"{path}: is no picture that can be read")
    return np.asarray(image)


def _size_of(path: object, name: str) -> Size:
    if not isinstance(path, Path):
        raise DataError(f"{name}: the labels give no size, and there is no such picture")
    image = _read(path)
    return image.shape[1], image.shape[0]


def _in_input(boxes: np.ndarray, size: Size, network: Size) -> np.ndarray:
    """Sizes [N,2] of boxes [N,4] px of a picture, in px of the input that shows it."""
    scale = min(network[0] / size[0], network[1] / size[1])
    sizes = np.asarray(boxes[:, 2:] - boxes[:, :2], np.float64) * scale
    return sizes[(np.isfinite(sizes) & (sizes >= _LEAST_PX)).all(1)]


def _split(found: Sequence[np.ndarray], held: np.ndarray) -> Sizes:
    none = np.zeros((0, 2))
    fitted = np.concatenate([none, *(f for f, h in zip(found, held) if not h)])
    held_out = np.concatenate([none, *(f for f, h in zip(found, held) if h)])
    return Sizes(fitted, held_out if len(held_out) else fitted, len(found))
