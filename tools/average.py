"""`edge-tools average`: one model of what several sites learned (FedAvg); no pictures travel."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError
from edge.keys.trust import load_key
from edge.recipe import Recipe, load_recipe
from edge.settings.schema import name_problem
from tools import places
from tools.federated import weights
from tools.federated.averaging import DELTA, METHODS, average
from tools.federated.file import read
from tools.importing.recipe import to_toml

HELP = "average the parameter files of several sites into a new model (federated learning)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("files", nargs="+", type=Path, metavar="F.params", help="of `share`")
    parser.add_argument("--name", required=True, help="name of the new model")
    parser.add_argument("--base", default="blazepose", help="model that all sites began with")
    parser.add_argument("--network", default="body", help="of the model (default: %(default)s)")
    parser.add_argument(
        "--keys", type=Path, required=True, metavar="DIR", help="SITE.pub for each F.params"
    )
    parser.add_argument("--method", choices=METHODS, default="mean", help="default: %(default)s")
    parser.add_argument(
        "--clip", type=float, default=0.0, help="longest move that counts; 0 = the sites' median"
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="Z",
        help="Gaussian noise, as a multiple of what one site can change; epsilon is printed",
    )
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--force", action="store_true", help="replace a model of this name")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Average, and write the model."""
    if name_problem(arguments.name):
        raise ConfigError(f"--name: {name_problem(arguments.name)}")
    if not 0 <= arguments.noise <= 1000 or not 0 <= arguments.clip < np.inf:
        raise ConfigError("--noise and --clip: must be at least 0")
    target, source = arguments.models / arguments.name, arguments.models / arguments.base
    if target.exists() and not arguments.force:
        raise ConfigError(f"{target}: exists; --force replaces it")
    recipe = load_recipe(source)
    file = weights.file_of(recipe, arguments.network)
    network, base = weights.load(source / file)
    sites = [read(path, load_key(arguments.keys / f"{path.stem}.pub")) for path in arguments.files]
    for path, site in zip(arguments.files, sites):
        if path.stem != site.site:
            raise ConfigError(f"{path}: is of the site {site.site}; name it {site.site}.params")
    made = average(sites, base, arguments.method, arguments.clip, arguments.noise)
    weights.moved_by(network, made.step)
    _write(source, target, recipe, arguments.network, network.SerializeToString())
    _tell(arguments, made, target)
    return 0


def _write(source: Path, target: Path, recipe: Recipe, name: str, content: bytes) -> None:
    """Copy the base, with the new network in place of its own."""
    networks = {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for other, network in recipe.networks.items():
            data = content if other == name else (source / network.file).read_bytes()
            write_whole(target / network.file, data, READABLE)
            sha256 = hashlib.sha256(data).hexdigest()
            networks[other] = dataclasses.replace(network, weights=None, sha256=sha256)
        new = dataclasses.replace(recipe, networks=networks, description="of several sites")
        write_whole(target / "model.toml", to_toml(new).encode(), READABLE)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error


def _tell(arguments: argparse.Namespace, made: object, target: Path) -> None:
    told = {k: v for k, v in vars(made).items() if k != "step"}
    if arguments.json:
        print(json.dumps({"model": str(target), **told}))
        return
    for site, why in told["refused"]:
        print(f"{site}: refused, it {why}")
    print(f"{target}: of {', '.join(told['used'])}; moves longer than {told['clip']:.4g} were cut")
    if told["epsilon"] is not None:
        print(f"noise: epsilon {told['epsilon']:.2f} for delta {DELTA:g}, for this one release")
    print(f"next: edge-tools verify {arguments.name}, quantize, bundle make")
