"""Models and media sets by name: find the folder, copy the shipped recipe, fetch the files."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Dict, Optional

from edge.errors import NoInputError
from tools.fetch import checkpoints
from tools.fetch.media import install_set
from tools.fetch.models import copy_recipe, install_model
from tools.places import SOURCE_SETS, shipped_models

ENGINES, CALIBRATION = shipped_models(), SOURCE_SETS  # shipped recipes


def ensure_model(name: str, models_dir: Optional[Path] = None, quiet: bool = False) -> Path:
    """The folder of a model with all its networks in it; fetches what is missing.

    Args:
        name: a folder of `engines/`.
        models_dir: folder of models; the source tree's `engines/` if None.
        quiet: show no progress on stderr.

    Raises:
        NoInputError: no such model. EdgeError: a network cannot be fetched or converted.
    """
    folder = item_folder(name, "model", models_dir)
    install_model(folder, quiet=quiet)
    return folder


def ensure_set(name: str, sets_dir: Optional[Path] = None, quiet: bool = False) -> Path:
    """The folder of a media set with all its files in it; fetches what is missing.

    Args:
        name: a folder of `calibration/`.
        sets_dir: folder of media sets; the source tree's `calibration/` if None.
        quiet: show no progress on stderr.

    Raises:
        NoInputError: no such set. EdgeError: a file cannot be fetched.
    """
    folder = item_folder(name, "set", sets_dir)
    install_set(folder, quiet=quiet)
    return folder


def item_folder(name: str, kind: str, parent: Optional[Path]) -> Path:
    """The folder of a model or media set; a shipped recipe is copied to it if it has none.

    Args:
        name: of the model or set.
        kind: model | set.
        parent: folder of models or sets; the source tree's if None.

    Raises:
        NoInputError: no such model or set.
    """
    shipped = shipped_folder(kind) / name
    toml = "model.toml" if kind == "model" else "set.toml"
    folder = parent / name if parent else shipped
    if not (folder / toml).is_file():
        if not (shipped / toml).is_file():
            raise NoInputError(_unknown(name))
        copy_recipe(shipped / toml, folder)
    return folder


def shipped_folder(kind: str) -> Path:
    """Folder of the shipped recipes: `engines/` of models, `calibration/` of media sets."""
    return ENGINES if kind == "model" else CALIBRATION


def _unknown(name: str) -> str:
    known = sorted({*known_names(None, None), *checkpoints.checkpoints()})
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known names: {', '.join(known)}"
    return f"no model or media set called {name}; {hint}"


def known_names(models_dir: Optional[Path], sets_dir: Optional[Path]) -> Dict[str, str]:
    """Name -> kind of every model and media set; a model hides a set of the same name."""
    found = {}
    for parent in (CALIBRATION, sets_dir):
        found.update({p.parent.name: "set" for p in (parent or CALIBRATION).glob("*/set.toml")})
    for parent in (ENGINES, models_dir):
        found.update({p.parent.name: "model" for p in (parent or ENGINES).glob("*/model.toml")})
    return found
