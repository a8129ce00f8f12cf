"""`edge-tools bundle`: pack models into one signed file, which boxes install by themselves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Dict, List

from edge.bundle.file import Contents, open_bundle, read_files, read_head, write_bundle
from edge.bundle.slots import Slots
from edge.durable import READABLE, new_file
from edge.errors import ConfigError, NoInputError
from edge.keys.trust import load_key
from edge.recipe import load_recipe
from tools import places
from tools.progress import Progress
from tools.sign import signable
from tools.signing import load_secret

HELP = "make, inspect or install a signed model bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="make|inspect|install")
    make = actions.add_parser("make", help="sign models and pack them into one file")
    make.add_argument("model", nargs="+", help="folders in the models folder")
    make.add_argument("--models", type=Path, default=places.models(), help="models folder")
    make.add_argument("--key", type=Path, required=True, help="secret key of `keygen`")
    make.add_argument(
        "--version",
        type=int,
        required=True,
        help="version number, higher than that of all earlier bundles",
    )
    make.add_argument("--name", default="", help="name of the bundle, for people")
    make.add_argument("--out", type=Path, required=True, metavar="F")
    make.add_argument("--json", action="store_true", help="print the contents as JSON")
    inspect = actions.add_parser("inspect", help="verify a bundle and print its contents")
    install = actions.add_parser(
        "install", help="put a bundle into a box's state directory; the next start uses it"
    )
    for one in (inspect, install):
        one.add_argument("file", type=Path)
        one.add_argument("--key", type=Path, required=True, help="public key (NAME.pub)")
        one.add_argument("--json", action="store_true", help="print the result as JSON")
    install.add_argument("--state", type=Path, required=True, help="state.dir of the box")


def run(arguments: argparse.Namespace) -> int:
    """Run `make`, `inspect` or `install`."""
    action = {"make": _make, "inspect": _inspect, "install": _install}[arguments.action]
    return action(arguments)


def _make(arguments: argparse.Namespace) -> int:
    if arguments.version < 1:
        raise ConfigError("--version: must be 1 or more")
    files = chosen(arguments.models, arguments.model)
    key = load_secret(arguments.key)
    try:
        with new_file(arguments.out, READABLE) as out:
            contents = write_bundle(out, files, arguments.version, arguments.name, key)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error
    _print(arguments.out, contents, arguments.json)
    return 0


def chosen(root: Path, models: List[str]) -> Dict[str, Path]:
    """The files of models that go into a bundle.

    Raises:
        NoInputError: a model does not exist. ConfigError: a recipe is wrong.
    """
    for name in models:
        load_recipe(root / name)
    found = {p.relative_to(root).as_posix(): p for p in signable(root)}
    return {n: p for n, p in found.items() if n.split("/")[0] in models}


def _inspect(arguments: argparse.Namespace) -> int:
    contents = verify(arguments.file, arguments.key, arguments.json)
    _print(arguments.file, contents, arguments.json)
    return 0


def verify(path: Path, key: Path, quiet: bool = False) -> Contents:
    """Read a whole bundle, as a box does.

    Raises:
        DataError: the bundle is damaged, or not signed with this key.
    """
    with open_bundle(path) as file:
        contents = read_head(file, path, load_key(key))
        with Progress(path.name, sum(contents.sizes.values()), "B", quiet) as bar:
            for _, piece, _ in read_files(file, path, contents):
                bar.update(len(piece))
    return contents


def _install(arguments: argparse.Namespace) -> int:
    if not arguments.state.is_dir():
        raise NoInputError(f"{arguments.state}: no such directory; give the box's state.dir")
    places.require_owner(arguments.state)
    slots = Slots(arguments.state / "bundles")
    slot, version = slots.install(arguments.file, load_key(arguments.key))
    slots.switch(slot, version)
    text = f"version {version} is in slot {slot}; the next start begins its probation"
    print(json.dumps({"slot": slot, "version": version}) if arguments.json else text)
    return 0


def _print(path: Path, contents: Contents, as_json: bool) -> None:
    if as_json:
        table = {
            "version": contents.version,
            "name": contents.name,
            "sizes": contents.sizes,
            "files": contents.files,
        }
        print(json.dumps(table, indent=1))
        return
    name = f" {contents.name!r}" if contents.name else ""
    total_mb = sum(contents.sizes.values()) / 1e6
    print(
        f"{path}: version {contents.version}{name}, {len(contents.files)} files, "
        f"{total_mb:.1f} MB, signature and hashes are correct"
    )
    for inside in sorted(contents.files):
        print(f"  {contents.sizes[inside]:>12}  {contents.files[inside][:16]}  {inside}")
