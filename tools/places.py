"""Default folders of models and sets, in a source tree and on a box.

In a source tree, it is a folder of the working directory if that has one, else the source's. On a
box (the installed package), it is the same, else a folder of the service's user, who alone writes
there.
"""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from pathlib import Path
from typing import Optional

from edge.errors import ConfigError
from edge.loop.assemble import SOURCE_MODELS, default_models
from edge.recipe import INSTALLED, INSTALLED_MODELS
from tools import box

SOURCE_SETS = Path(__file__).resolve().parent.parent / "calibration"
INSTALLED_SETS = INSTALLED / "calibration"


def models() -> Path:
    """The models folder, found like the daemon finds it."""
    return default_models()


def sets() -> Path:
    """The folder of media and calibration sets."""
    here = Path("calibration")
    if os.path.isdir(here):  # noqa: PTH112 - Path.is_dir raises where nobody may look
        return here
    return INSTALLED_SETS if box.on_box() else SOURCE_SETS


def shipped_models() -> Path:
    """The recipes that come with the program."""
    return box.RECIPES if box.on_box() else SOURCE_MODELS


def own_models() -> Optional[Path]:
    """./engines if it is not the source tree's; else on a box the installed folder."""
    here = Path("engines")
    if os.path.isdir(here) and here.resolve() != SOURCE_MODELS:  # noqa: PTH112 - as in `sets`
        return here
    return INSTALLED_MODELS if box.on_box() else None


def own_sets() -> Optional[Path]:
    """./calibration if it is not the source tree's; else on a box the installed folder."""
    here = Path("calibration")
    if os.path.isdir(here) and here.resolve() != SOURCE_SETS:  # noqa: PTH112 - as in `sets`
        return here
    return INSTALLED_SETS if box.on_box() else None


def require_owner(folder: Optional[Path]) -> None:
    """Refuse root in a folder of the service's user, who could plant links there.

    What root writes there, the service often cannot read, either.

    Raises:
        ConfigError: with the command line to type instead.
    """
    if folder is None or os.geteuid() != 0:
        return
    place = folder.resolve()
    if INSTALLED in (place, *place.parents) and place.exists() and place.stat().st_uid:
        owner = pwd.getpwuid(place.stat().st_uid).pw_name
        again = " ".join(shlex.quote(word) for word in ["edge-tools", *sys.argv[1:]])
        raise ConfigError(
            f"{place}: belongs to the user {owner}, so root must not write there: "
            f"runuser -u {owner} -- {again}"
        )
