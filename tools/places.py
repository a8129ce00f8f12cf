"""Where models and sets are when nobody says: here if there is such a folder, else the source's."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from edge.loop.assemble import SOURCE_MODELS, default_models

SOURCE_SETS = Path(__file__).resolve().parent.parent / "calibration"


def models() -> Path:
    """The models folder, as the daemon finds it."""
    return default_models()


def sets() -> Path:
    """The folder of media and calibration sets."""
    here = Path("calibration")
    return here if here.is_dir() else SOURCE_SETS


def own_models() -> Optional[Path]:
    """./engines where that is a folder of the user's own, not the source tree's."""
    here = Path("engines")
    return here if here.is_dir() and here.resolve() != SOURCE_MODELS else None


def own_sets() -> Optional[Path]:
    """The same of ./calibration."""
    here = Path("calibration")
    return here if here.is_dir() and here.resolve() != SOURCE_SETS else None
