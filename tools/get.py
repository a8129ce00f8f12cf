"""`edge-tools get`: fetch models and media sets by name.

A NAME is a model (`engines/NAME/model.toml`), a media set (`calibration/NAME/set.toml`), or an
official checkpoint (tools/fetch/checkpoints.toml), whose terms must be accepted. Archives
are downloaded, checked by sha256, converted and verified. Files that are there are not fetched or
converted again; an interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List

from edge.errors import EdgeError, NoInputError
from edge.recipe import load_recipe
from tools import places
from tools.calib import selection
from tools.fetch import checkpoints
from tools.fetch.by_name import item_folder, known_names, shipped_folder
from tools.fetch.media import install_set, is_set_ready
from tools.fetch.models import install_model, is_ready
from tools.fetch.sources import load_set

HELP = "fetch models and media sets: download, check, convert, verify"
OWN = "not from a registry"
CALIBRATED = "made by edge-tools calibrate"


@dataclass
class Item:
    """One model or media set, and the result of fetching it.

    Attributes:
        name: of the model or set.
        kind: model | set.
        folder: where it is.
        state: ready | missing | failed.
        written: names of the files written.
        error: one line; empty = no error.
        exit_code: 0 = no error.
    """

    name: str
    kind: str
    folder: str
    state: str = "missing"
    written: List[str] = field(default_factory=list)
    error: str = ""
    exit_code: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a model, a media set, or an official checkpoint"
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept the terms of an official checkpoint, which are shown without this option",
    )
    parser.add_argument("--all", action="store_true", help="fetch all models and media sets")
    parser.add_argument("--list", action="store_true", help="list all names and their state")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder (engines/)")
    parser.add_argument("--sets", type=Path, metavar="DIR", help="folder of sets (calibration/)")
    parser.add_argument("--force", action="store_true", help="also fetch files that are there")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Fetch each NAME; if one fails, the others are still fetched."""
    arguments.models = arguments.models or places.own_models()
    arguments.sets = arguments.sets or places.own_sets()
    known = known_names(arguments.models, arguments.sets)
    if arguments.list:
        return _list(arguments, known)
    places.require_owner(arguments.models)
    names = _fetchable(arguments, known) if arguments.all else arguments.names
    if not names:
        raise NoInputError("name a model or a media set; `edge-tools get --list` shows them")
    items = [_any(name, known, arguments) for name in names]
    if arguments.json:
        print(json.dumps([asdict(item) for item in items], indent=1))
    return next((item.exit_code for item in items if item.exit_code), 0)


def _fetchable(arguments: argparse.Namespace, known: Dict[str, str]) -> List[str]:
    """All names except those of the user's own models and sets, which no registry has."""
    rows = [_row(name, kind, arguments) for name, kind in sorted(known.items())]
    return [row["name"] for row in rows if row["source"] not in (OWN, CALIBRATED)]


def _any(name: str, known: Dict[str, str], arguments: argparse.Namespace) -> Item:
    official = checkpoints.find(name)
    if official is not None:
        made_here = (_models(arguments) / official.name / checkpoints.RECORD).is_file()
        if made_here or official.name not in known:
            return _get_official(official, arguments)
    return _get(name, known.get(name, "model"), arguments)


def _models(arguments: argparse.Namespace) -> Path:
    return arguments.models or places.shipped_models()


def _get_official(official: checkpoints.Checkpoint, arguments: argparse.Namespace) -> Item:
    """Make a model of a checkpoint; without --accept-licence its terms are shown."""
    models = _models(arguments)
    item = Item(official.name, "model", str(models / official.name))
    accepted, force, quiet = arguments.accept_licence, arguments.force, arguments.json
    try:
        if not (accepted or quiet or checkpoints.is_ready(official, models)):
            print(official.terms(), file=sys.stderr, flush=True)
        install = checkpoints.install_checkpoint
        item.written = install(official, models, accepted, _exported, force, quiet)
        item.state = "ready"
    except EdgeError as error:
        item.state, item.error, item.exit_code = "failed", str(error), error.exit_code
    if not arguments.json:
        _print(item)
    return item


def _exported(words: List[str]) -> Dict[str, Any]:
    """The report of `edge-tools export` with these options."""
    from tools import export

    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return export.export(parser.parse_args(words))


def _get(name: str, kind: str, arguments: argparse.Namespace) -> Item:
    item = Item(name, kind, "")
    try:
        folder = item_folder(name, kind, arguments.models if kind == "model" else arguments.sets)
        item.folder = str(folder)
        if kind == "set" and selection.is_made(folder):
            raise NoInputError(f"{CALIBRATED}, so there is nothing to fetch")
        install = install_model if kind == "model" else install_set
        item.written = install(folder, arguments.force, arguments.json)
        item.state = "ready"
    except EdgeError as error:
        item.state, item.error, item.exit_code = "failed", str(error), error.exit_code
    if not arguments.json:
        _print(item)
    return item


def _print(item: Item) -> None:
    if item.error:
        print(f"edge-tools: {item.name}: {item.error}", file=sys.stderr, flush=True)
    elif item.written:
        print(f"{item.name}: {', '.join(item.written)} ready in {item.folder}", flush=True)
    else:
        print(f"{item.name}: up to date", flush=True)


def _list(arguments: argparse.Namespace, known: Dict[str, str]) -> int:
    rows = [_row(name, kind, arguments) for name, kind in sorted(known.items())]
    official = checkpoints.checkpoints().values()
    rows += [_official_row(c, arguments) for c in official if c.name not in known]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['name']:24} {row['kind']:6} {row['state']:8} {row['description']}")
        print(f"{'':40}{'; '.join(filter(None, (row['licence'], row['source'])))}")
    return 0


def _row(name: str, kind: str, arguments: argparse.Namespace) -> Dict[str, str]:
    parent = arguments.models if kind == "model" else arguments.sets
    here = parent / name if parent else None
    folder = here if here and here.is_dir() else shipped_folder(kind) / name
    row = {"name": name, "kind": kind, "folder": str(folder), "licence": ""}
    try:
        row.update(_model_row(folder) if kind == "model" else _set_row(folder))
    except EdgeError as error:  # not a recipe: the user's own files
        row.update(state="other", description=str(error), source=OWN)
    return row


def _official_row(
    official: checkpoints.Checkpoint, arguments: argparse.Namespace
) -> Dict[str, str]:
    return {
        "name": official.name,
        "kind": "model",
        "folder": str(_models(arguments) / official.name),
        "licence": f"{official.licence}; trained on {', '.join(official.training)}",
        "state": "missing",
        "description": f"official checkpoint of {official.arch}; asks for --accept-licence",
        "source": official.address,
    }


def _model_row(folder: Path) -> Dict[str, str]:
    recipe = load_recipe(folder)
    weights = [n.weights for n in recipe.networks.values() if n.weights]
    packages = [f"{w.registry}: {w.package} {w.version}".strip() for w in weights]
    return {
        "state": "ready" if is_ready(folder) else "missing",
        "description": recipe.description,
        "licence": recipe.licence,
        "source": ", ".join(dict.fromkeys(packages)) or OWN,
    }


def _set_row(folder: Path) -> Dict[str, str]:
    if selection.is_made(folder):
        return _calibrated_row(folder)
    media = load_set(folder)
    packages = [f"{s.registry}: {s.package} {s.version}".strip() for s in media.sources]
    return {
        "state": "ready" if is_set_ready(folder) else "missing",
        "description": media.description,
        "licence": media.licence,
        "source": ", ".join(dict.fromkeys(packages)),
    }


def _calibrated_row(folder: Path) -> Dict[str, str]:
    """Row of a set made by `edge-tools calibrate`."""
    chosen = selection.load(folder)
    there = all((folder / picture.file).is_file() for picture in chosen.frames)
    return {
        "state": "ready" if there else "missing",
        "description": chosen.description,
        "licence": chosen.licence,
        "source": CALIBRATED,
    }
