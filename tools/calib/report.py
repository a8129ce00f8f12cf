"""One page about a calibration set: its frames, and how they compare with all frames scanned."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Tuple

import cv2
import numpy as np

from edge.errors import DataError
from tools.calib.scan import ScannedFrames
from tools.calib.selection import HELD_OUT, Selection

REPORT = "report.png"
THUMBNAILS = 24
THUMBNAIL_PX = (192, 144)
COLUMNS = 8
GREEN, ORANGE = (80, 200, 80), (40, 140, 250)  # BGR: calibration, held out


def write(
    folder: Path, selection: Selection, seen: ScannedFrames, chosen: np.ndarray, name: str
) -> None:
    """Draw REPORT; without matplotlib, which a box does not have, nothing is drawn.

    Args:
        folder: of the set, with its pictures.
        selection: the chosen frames.
        seen: all frames scanned.
        chosen: [C] indices of the chosen frames in `seen`.
        name: of the set.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return
    figure = Figure(figsize=(12, 9), dpi=100)
    grid = figure.add_gridspec(2, 4, height_ratios=(2.4, 1), hspace=0.25)
    sheet = figure.add_subplot(grid[0, :])
    sheet.imshow(cv2.cvtColor(_thumbnails(folder, selection), cv2.COLOR_BGR2RGB))
    sheet.axis("off")
    sheet.set_title(_title(name, selection, seen), fontsize=10, loc="left")
    for place, (label, values, bins) in enumerate(_columns(seen)):
        _histogram(figure.add_subplot(grid[1, place]), label, values, values[chosen], bins)
    figure.savefig(str(folder / REPORT), bbox_inches="tight")


def _title(name: str, selection: Selection, seen: ScannedFrames) -> str:
    held = len(selection.of(HELD_OUT))
    people = sum(p.people for p in selection.frames)
    return (
        f"{name}: {len(selection.frames) - held} calibration frames (green) and {held} "
        f"held out (orange) of {len(seen)} scanned in {len(selection.sources)} recordings, "
        f"{people} people; seed {selection.seed}"
    )


def _columns(seen: ScannedFrames) -> List[Tuple[str, np.ndarray, Any]]:
    return [
        ("people in a frame", seen.people, np.arange(-0.5, max(8, seen.people.max()) + 1)),
        ("their height, share of the frame", seen.height, np.linspace(0, 1, 21)),
        ("brightness, mean grey", seen.brightness, np.linspace(0, 255, 26)),
        ("sharpness, variance of the Laplacian", seen.sharpness, 20),
    ]


def _histogram(axes: Any, label: str, every: np.ndarray, chosen: np.ndarray, bins: Any) -> None:
    axes.hist([every, chosen], bins, density=True, label=["scanned", "chosen"])
    axes.set_title(label, fontsize=8)
    axes.set_yticks([])
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7)


def _thumbnails(folder: Path, selection: Selection) -> np.ndarray:
    """Some of the chosen frames, held-out frames last."""
    frames = sorted(selection.frames, key=lambda p: p.split == HELD_OUT)
    places = np.unique(np.linspace(0, len(frames) - 1, THUMBNAILS).astype(int))
    wide, high = THUMBNAIL_PX
    sheet = np.full((-(-len(places) // COLUMNS) * high, COLUMNS * wide, 3), 255, np.uint8)
    for place, picture in enumerate(frames[i] for i in places):
        image = read_picture(folder / picture.file)
        scale = min((wide - 8) / image.shape[1], (high - 8) / image.shape[0])
        fx, fy = (max(scale, 1 / image.shape[axis]) for axis in (1, 0))  # at least one pixel
        small = cv2.resize(image, None, fx=fx, fy=fy, interpolation=cv2.INTER_AREA)
        colour = ORANGE if picture.split == HELD_OUT else GREEN
        small = cv2.copyMakeBorder(small, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=colour)
        y, x = place // COLUMNS * high, place % COLUMNS * wide
        sheet[y : y + small.shape[0], x : x + small.shape[1]] = small
    return sheet


def read_picture(path: Path) -> np.ndarray:
    """Read a chosen picture, [H,W,3] u8 BGR.

    Raises:
        DataError: the file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path}: cannot be decoded as an image")
    return np.asarray(image, np.uint8)
