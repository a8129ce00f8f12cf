"""`edge-tools share`: what a site learned, as a signed parameter file; no picture is in it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge.errors import ConfigError, DataError
from edge.recipe import load_recipe
from edge.settings.schema import name_problem
from tools import places
from tools.federated import weights
from tools.federated.file import MOST_EXAMPLES, Moved, write
from tools.signing import load_secret

HELP = "write how far training moved a model as a signed parameter file, for `average`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("model", help="that was trained here (`edge-tools train`)")
    parser.add_argument("--base", default="blazepose", help="model that it began with")
    parser.add_argument("--network", default="body", help="of the model (default: %(default)s)")
    parser.add_argument("--examples", type=int, required=True, help="labelled people in training")
    parser.add_argument("--site", required=True, help="name of this site")
    parser.add_argument("--key", type=Path, required=True, help="the site's secret key (`keygen`)")
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--out", type=Path, metavar="F", help="default: SITE.params")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    if name_problem(arguments.site):
        raise ConfigError(f"--site: {name_problem(arguments.site)}")
    if not 0 < arguments.examples <= MOST_EXAMPLES:
        raise ConfigError(f"--examples: must be 1 to {MOST_EXAMPLES}")
    file = weights.file_of(load_recipe(arguments.models / arguments.base), arguments.network)
    before, base = weights.load(arguments.models / arguments.base / file)
    after, _ = weights.load(arguments.models / arguments.model / file)
    names = tuple(w.name for w in weights.trained(before))
    shapes = tuple(tuple(w.dims) for w in weights.trained(before))
    if shapes != tuple(tuple(w.dims) for w in weights.trained(after)):
        raise DataError(f"{arguments.model}: has other weights than {arguments.base}")
    step = weights.vector(after) - weights.vector(before)
    moved = Moved(arguments.site, base, arguments.examples, names, shapes, step)
    out = arguments.out or Path(f"{arguments.site}.params")
    size = write(out, moved, load_secret(arguments.key))
    told = {"file": str(out), "bytes": size, "weights": len(step), "norm": round(moved.norm, 6)}
    print(json.dumps(told) if arguments.json else f"{out}: {len(step)} weights, {size} bytes")
    return 0
