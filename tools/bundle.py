"""`edge-tools bundle`: a models folder as one signed file that a box takes over by itself."""

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
from tools.sign import load_secret, signable

HELP = "make, look into or install a signed model bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    deeds = parser.add_subparsers(dest="deed", required=True, metavar="make|inspect|install")
    make = deeds.add_parser("make", help="sign models and put them into one file")
    make.add_argument("model", nargs="+", help="folders of the models folder")
    make.add_argument("--models", type=Path, default=places.models(), help="models folder")
    make.add_argument("--key", type=Path, required=True, help="secret key of `keygen`")
    make.add_argument(
        "--version", type=int, required=True, help="higher than that of every bundle before"
    )
    make.add_argument("--name", default="", help="for people")
    make.add_argument("--out", type=Path, required=True, metavar="F")
    make.add_argument("--json", action="store_true", help="print what is in it as JSON")
    inspect = deeds.add_parser("inspect", help="verify everything and tell what is in it")
    install = deeds.add_parser("install", help="put it into a state directory, for the next start")
    for one in (inspect, install):
        one.add_argument("file", type=Path)
        one.add_argument("--key", type=Path, required=True, help="public key (NAME.pub)")
        one.add_argument("--json", action="store_true", help="print the answer as JSON")
    install.add_argument("--state", type=Path, required=True, help="state.dir of the box")


def run(arguments: argparse.Namespace) -> int:
    """Do one of the three."""
    deed = {"make": _make, "inspect": _inspect, "install": _install}[arguments.deed]
    return deed(arguments)


def _make(arguments: argparse.Namespace) -> int:
    if arguments.version < 1:
        raise ConfigError("--version: begins at 1")
    files = chosen(arguments.models, arguments.model)
    key = load_secret(arguments.key)
    try:
        with new_file(arguments.out, READABLE) as out:
            contents = write_bundle(out, files, arguments.version, arguments.name, key)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error
    _tell(arguments.out, contents, arguments.json)
    return 0


def chosen(root: Path, models: List[str]) -> Dict[str, Path]:
    """The files of models that a bundle takes along.

    Raises:
        NoInputError: no such model. ConfigError: its recipe is wrong.
    """
    for name in models:
        load_recipe(root / name)
    found = {p.relative_to(root).as_posix(): p for p in signable(root)}
    return {n: p for n, p in found.items() if n.split("/")[0] in models}


def _inspect(arguments: argparse.Namespace) -> int:
    contents = verify(arguments.file, arguments.key, arguments.json)
    _tell(arguments.file, contents, arguments.json)
    return 0


def verify(path: Path, key: Path, quiet: bool = False) -> Contents:
    """Read a bundle to its end, as a box does.

    Raises:
        DataError: it is not to be trusted.
    """
    with open_bundle(path) as file:
        contents = read_head(file, path, load_key(key))
        with Progress(path.name, sum(contents.sizes.values()), "B", quiet) as bar:
            for _, piece, _ in read_files(file, path, contents):
                bar.update(len(piece))
    return contents


def _install(arguments: argparse.Namespace) -> int:
    if not arguments.state.is_dir():
        raise NoInputError(f"{arguments.state}: no such state directory")
    slots = Slots(arguments.state / "bundles")
    slot, version = slots.install(arguments.file, load_key(arguments.key))
    slots.switch(slot, version)
    text = f"version {version} is in slot {slot}; on probation from the next start on"
    print(json.dumps({"slot": slot, "version": version}) if arguments.json else text)
    return 0


def _tell(path: Path, contents: Contents, as_json: bool) -> None:
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
        f"{total_mb:.1f} MB, signature and hashes are right"
    )
    for inside in sorted(contents.files):
        print(f"  {contents.sizes[inside]:>12}  {contents.files[inside][:16]}  {inside}")
