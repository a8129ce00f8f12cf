"""`edge-tools share`: what a site learned, as a signed parameter file; no picture is in it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from edge.errors import ConfigError, DataError
from edge.recipe import load_recipe
from edge.settings.schema import name_problem
from tools import places
from tools.federated import weights
from tools.federated.file import MOST_EXAMPLES, Moved, write
from tools.signing import load_secret

AUDIT = "trained_on.json"  # of tools.training.session, which would load PyTorch

HELP = "write how far training moved a model as a signed parameter file, for `average`"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("model", help="that was trained here (`edge-tools train`)")
    parser.add_argument("--base", default="blazepose", help="model that it began with")
    parser.add_argument("--network", default="body", help="of the model (default: %(default)s)")
    parser.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help="labelled people in training (default: what `train` has counted)",
    )
    parser.add_argument("--site", required=True, help="name of this site")
    parser.add_argument("--key", type=Path, required=True, help="the site's secret key (`keygen`)")
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--out", type=Path, metavar="F", help="default: SITE.params")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the file."""
    if name_problem(arguments.site):
        raise ConfigError(f"--site: {name_problem(arguments.site)}")
    examples = _examples(arguments)
    if not 0 < examples <= MOST_EXAMPLES:
        raise ConfigError(f"--examples: must be 1 to {MOST_EXAMPLES}")
    file = weights.file_of(load_recipe(arguments.models / arguments.base), arguments.network)
    before, base = weights.load(arguments.models / arguments.base / file)
    after, _ = weights.load(arguments.models / arguments.model / file)
    try:
        steps = weights.moves(before, after)
    except DataError as error:
        raise DataError(f"{arguments.model}: {error}") from error
    if not steps:
        raise DataError(f"{arguments.model}: has the weights of {arguments.base}; train it first")
    step = np.concatenate([part.ravel() for part in steps.values()])
    shapes = tuple(part.shape for part in steps.values())
    moved = Moved(arguments.site, base, examples, tuple(steps), shapes, step)
    out = arguments.out or Path(f"{arguments.site}.params")
    size = write(out, moved, load_secret(arguments.key))
    told = {"file": str(out), "bytes": size, "weights": len(step), "examples": examples}
    told["norm"] = round(moved.norm, 6)
    print(
        json.dumps(told)
        if arguments.json
        else f"{out}: {len(step)} weights of {len(steps)} layers, {examples} examples, {size} bytes"
    )
    return 0


def _examples(arguments: argparse.Namespace) -> int:
    """Those of --examples, else those that `train` has written down."""
    path = arguments.models / arguments.model / AUDIT
    try:
        audit = json.loads(path.read_text("utf-8"))
        began, counted = audit["from"], sum(audit["people"]["train"].values())
    except FileNotFoundError:
        if arguments.examples is None:
            raise ConfigError(f"{path}: is not there; give --examples") from None
        return int(arguments.examples)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: {error}") from error
    if began and began != arguments.base:
        raise ConfigError(f"{arguments.model}: began with {began}; give --base {began}")
    return int(counted if arguments.examples is None else arguments.examples)
