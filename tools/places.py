"""Default folders of models and sets: in the working directory if there, else in the source."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from edge.loop.assemble import SOURCE_MODELS, default_models

SOURCE_SETS = Path(__file__).resolve().parent.parent / "calibration"


def models() -> Path:
    """The models folder, found like the daemon finds it."""
    return default_models()


def sets() -> Path:
    """The folder of media and calibration sets."""
    here = Path("calibration")
    return here if here.is_dir() else SOURCE_SETS


def own_models() -> Optional[Path]:
    """./engines, if it is a folder of the user and not the source tree's."""
    here = Path("engines")
    return here if here.is_dir() and here.resolve() != SOURCE_MODELS else None


def own_sets() -> Optional[Path]:
    """./calibration, if it is a folder of the user and not the source tree's."""
    here = Path("calibration")
    return here if here.is_dir() and here.resolve() != SOURCE_SETS else None
