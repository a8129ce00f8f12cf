"""`edge-tools average`: one model of what several sites learned (FedAvg); no pictures travel."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import List, Tuple

import numpy as np
import onnx

from edge.errors import ConfigError
from edge.keys.trust import load_key
from edge.recipe import load_recipe
from edge.settings.schema import name_problem
from tools import places
from tools.evaluation.read import KINDS
from tools.federated import model, weights
from tools.federated.averaging import DELTA, METHODS, Average, average, judged, require_fit
from tools.federated.file import Moved, read
from tools.training.data.sources import open_all

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
        help="Gaussian noise, as a multiple of what one site can change; needs --clip; epsilon is "
        "printed",
    )
    parser.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        default=[],
        metavar="LABELS",
        help=f"refuse a site whose own model is worse on these: {KINDS}",
    )
    parser.add_argument(
        "--most-lost", type=float, default=0.02, metavar="X", help="OKS a site may lose there (.02)"
    )
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--force", action="store_true", help="replace a model of this name")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Average, and write the model."""
    _require_options(arguments)
    target, source = arguments.models / arguments.name, arguments.models / arguments.base
    if target.exists() and not arguments.force:
        raise ConfigError(f"{target}: exists; --force replaces it")
    file = weights.file_of(load_recipe(source), arguments.network)
    network, base = weights.load(source / file)
    sites = require_fit(_read(arguments), base, weights.shapes_of(network))
    # Whom the others' moves decide about would make the noise's epsilon wrong.
    used, refused = (sites, []) if arguments.noise else judged(sites)
    if arguments.reference:
        used, worse = _none_lost(arguments, network, used)
        refused = [*refused, *worse]
    made = average(used, refused, arguments.method, arguments.clip, arguments.noise)
    weights.add(network, made.names, made.step)
    model.write(source, target, arguments.network, network.SerializeToString())
    _tell(arguments, made, target)
    return 0


def _require_options(arguments: argparse.Namespace) -> None:
    if name_problem(arguments.name):
        raise ConfigError(f"--name: {name_problem(arguments.name)}")
    if not 0 <= arguments.noise <= 1000 or not 0 <= arguments.clip < np.inf:
        raise ConfigError("--noise and --clip: must be at least 0")
    if not 0 <= arguments.most_lost <= 1:
        raise ConfigError("--most-lost: must be 0 to 1")
    if arguments.noise and (not arguments.clip or arguments.method != "mean"):
        raise ConfigError(
            "--noise: its epsilon is known for a --clip that does not depend on the sites, and for "
            "the mean; give --clip, without --method"
        )
    if arguments.noise and arguments.reference:
        raise ConfigError("--noise and --reference: give one of them; refusals change epsilon")


def _read(arguments: argparse.Namespace) -> List[Moved]:
    sites = [read(path, load_key(arguments.keys / f"{path.stem}.pub")) for path in arguments.files]
    for path, site in zip(arguments.files, sites):
        if path.stem != site.site:
            raise ConfigError(f"{path}: is of the site {site.site}; name it {site.site}.params")
    return sites


def _none_lost(
    arguments: argparse.Namespace, network: onnx.ModelProto, sites: List[Moved]
) -> Tuple[List[Moved], List[Tuple[str, str]]]:
    """Sites whose own model is no worse on the reference, and the others with the reason."""
    source, quiet = arguments.models / arguments.base, arguments.json
    truths = open_all(arguments.reference)
    before = float(np.mean(model.oks_of(source, truths, "base", quiet)))
    used, refused = [], []
    for site in sites:
        own = onnx.ModelProto()
        own.CopyFrom(network)
        weights.add(own, site.names, site.moved)
        with tempfile.TemporaryDirectory() as folder:
            model.write(source, Path(folder), arguments.network, own.SerializeToString())
            after = float(np.mean(model.oks_of(Path(folder), truths, site.site, quiet)))
        lost = (before - after) / max(before, 1e-9)
        if lost > arguments.most_lost:
            refused.append((site.site, f"loses {lost:.1%} of the OKS of the reference"))
        else:
            used.append(site)
    return used, refused


def _tell(arguments: argparse.Namespace, made: Average, target: Path) -> None:
    told = {k: v for k, v in vars(made).items() if k not in ("step", "names")}
    told["weights"] = len(made.step)
    if arguments.json:
        print(json.dumps({"model": str(target), **told}))
        return
    for site, why in made.refused:
        print(f"{site}: refused, it {why}")
    print(f"{target}: of {', '.join(made.used)}; moves longer than {made.clip:.4g} were cut")
    if made.epsilon is not None:
        print(f"noise: epsilon {made.epsilon:.2f} for delta {DELTA:g}, for this one release")
    print(f"next: edge-tools verify {arguments.name}, quantize, bundle make")
