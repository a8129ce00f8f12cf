"""`edge-tools quantize`: from recorded inputs to INT8 networks for TensorRT and ONNX Runtime."""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Dict, List

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from edge.recipe import Network, Recipe, load_recipe
from tools import places
from tools.proof.record import candidate_path, path_of
from tools.quant import inputs, network, report
from tools.quant.cache import write_cache
from tools.quant.graph import layers, load_model, wire
from tools.quant.network import FLOAT_SHARE, Outcome, Wishes
from tools.quant.ranges import METHODS

HELP = "write INT8 networks (Q/DQ) of a model, with ranges from recorded inputs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    add = parser.add_argument
    add("model", help="its folder in the models folder")
    add("--models", type=Path, default=places.models(), metavar="DIR", help="models folder")
    add("--set", default="", metavar="NAME", help="calibration set; default: model.toml's")
    add("--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets")
    add("--method", default="auto", choices=["auto", *METHODS], help="how ranges are read")
    add("--networks", nargs="+", default=[], metavar="NAME", help="only these of the model")
    add(
        "--float",
        action="append",
        default=[],
        metavar="PATTERN",
        help="layers that stay in floating point, as *conv_1*; may be given again",
    )
    add("--sensitivity", action="store_true", help="measure every layer, even if not needed")
    add(
        "--max-float",
        type=_count,
        default=-1,
        metavar="N",
        help="layers that may become float to reach the target; default: those that take back most "
        f"for their cost, {FLOAT_SHARE:.0%}% of the MACs at most; residual branches "
        "are no layers: they are tried in float whatever N is",
    )
    add(
        "--target",
        type=_error,
        default=Wishes.target,
        metavar="E",
        help="relative output error that is good enough (%(default)s)",
    )
    add(
        "--cache-version",
        type=_count,
        default=0,
        metavar="V",
        help="also write a calibration cache for this TensorRT, as 8502",
    )
    add("--json", action="store_true", help="print the result as JSON")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def _error(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, got {text!r}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Quantize each network; files are written when all of them succeeded."""
    folder = arguments.models / arguments.model
    recipe = load_recipe(folder)
    chosen = inputs.names(arguments.networks, list(recipe.networks), arguments.model)
    _check_patterns(folder, recipe, chosen, arguments.float)
    crops = inputs.set_folder(arguments.sets, arguments.set or recipe.calibration, arguments.model)
    outcomes = {n: _make(folder, recipe, n, crops, arguments) for n in chosen}
    for part in recipe.networks.values():  # what was proven, was of the whole model as it was
        path_of(candidate_path(folder, part, "int8")).unlink(missing_ok=True)
    found = {
        n: _write(folder, recipe.networks[n], crops / f"{n}.npy", outcome, arguments)
        for n, outcome in outcomes.items()
    }
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print(report.table(outcomes))
        print("\n".join(str(file) for entry in found.values() for file in entry["files"]))
    return 0


def _check_patterns(folder: Path, recipe: Recipe, chosen: List[str], patterns: List[str]) -> None:
    """A pattern that means no layer is a slip of the pen.

    Raises:
        ConfigError: one matches nothing.
    """
    if not patterns:
        return
    there = [
        layer.name
        for name in chosen
        for layer in layers(wire(load_model(folder / recipe.networks[name].file)))
    ]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise ConfigError(
                f"--float {pattern!r}: no layer matches, as {there[0]!r} would"
                if there
                else f"--float {pattern!r}: there are no layers"
            )


def _make(
    folder: Path, recipe: Recipe, name: str, crops: Path, arguments: argparse.Namespace
) -> Outcome:
    part = recipe.networks[name]
    model = load_model(folder / part.file)
    wishes = Wishes(
        arguments.method,
        [*recipe.float_layers, *arguments.float],
        arguments.sensitivity,
        arguments.max_float,
        arguments.target,
        arguments.json,
    )
    recorded = inputs.open_crops(crops / f"{name}.npy", part)
    return network.make(model, recorded, wishes, f"{folder.name}/{name}")


def _write(
    folder: Path, part: Network, crops: Path, outcome: Outcome, arguments: argparse.Namespace
) -> Dict[str, Any]:
    """Ranges, picture and cache first: the network itself appears when all is there."""
    file = folder / part.file
    content = report.describe(outcome, file, crops)
    title = f"{folder.name}/{crops.stem}"
    files = {
        ".ranges.json": json.dumps(content, indent=1).encode(),
        ".quant.png": report.picture(outcome, title),
    }
    if arguments.cache_version:
        files[".trt-cache"] = write_cache(outcome.ranges, arguments.cache_version).encode()
    equal = file.with_suffix(".equal" + file.suffix)
    if outcome.equal is not None:
        files[".equal" + file.suffix] = outcome.equal.SerializeToString()
    elif equal.exists():
        equal.unlink()
    files[".int8" + file.suffix] = outcome.model.SerializeToString()
    for suffix, data in files.items():
        write_whole(file.with_suffix(suffix), data, READABLE)
    return {**content, "files": [str(file.with_suffix(suffix)) for suffix in files]}
