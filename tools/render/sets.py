"""Rendered sets by name, for commands that measure with them."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from tools import places
from tools.render import make, recipe


def default_folder(name: str, split: str, sets_dir: Optional[Path] = None) -> Path:
    """Where a set lies if nobody says: `calibration/NAME/SPLIT`."""
    return (sets_dir or places.sets()) / name / split


def ensure_rendered(
    name: str,
    split: str,
    sets_dir: Optional[Path] = None,
    count: Optional[int] = None,
    quiet: bool = False,
) -> Path:
    """The folder of a rendered set; made if it is missing, unfinished or of another recipe.

    Args:
        name: of a recipe.
        split: tune | report.
        sets_dir: folder of sets; the source tree's `calibration/` if None.
        count: of pictures or clips; the recipe's if None.
        quiet: show no progress on stderr.

    Raises:
        NoInputError: no such recipe. EdgeError: as `make.make`.
    """
    chosen = recipe.changed(recipe.load(name, sets_dir), count=count)
    folder = default_folder(name, split, sets_dir)
    order = make.Order(
        name, chosen, folder, split, seed=0, workers=make.default_workers(), quiet=quiet
    )
    told = folder / make.RECORD
    if not told.is_file() or told.read_bytes() != make.record(order, finished=True):
        make.make(order)
    return folder
