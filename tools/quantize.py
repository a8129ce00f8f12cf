"""`edge-tools quantize`: from recorded inputs to INT8 networks for TensorRT and ONNX Runtime."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Dict

from edge.recipe import load_recipe
from tools import places
from tools.quant import inputs, report
from tools.quant.model import QuantizeJob, Written, quantize_model
from tools.quant.network import FLOAT_SHARE, QuantizeOptions
from tools.quant.ranges import METHODS

HELP = "write INT8 networks (Q/DQ) of a model, with ranges from recorded inputs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    add = parser.add_argument
    add("model", help="a folder in the models folder")
    add("--models", type=Path, default=places.models(), metavar="DIR", help="models folder")
    add("--set", default="", metavar="NAME", help="calibration set; default: from model.toml")
    add("--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets")
    add(
        "--method",
        default="auto",
        choices=["auto", *METHODS],
        help="how a range is read off the values of a tensor; auto: try all, keep the best",
    )
    add("--networks", nargs="+", default=[], metavar="NAME", help="quantize only these networks")
    add(
        "--float",
        action="append",
        default=[],
        metavar="PATTERN",
        help="layers that stay in floating point, such as *conv_1*; may be repeated",
    )
    add("--sensitivity", action="store_true", help="measure every layer, even if not needed")
    add(
        "--max-float",
        type=_count,
        default=-1,
        metavar="N",
        help="how many layers may become float to reach the target; default: the layers that "
        f"save most error for their cost, up to {FLOAT_SHARE:.0%}% of the MACs; residual branches "
        "are not layers: they are also tried in float, for any N",
    )
    add(
        "--target",
        type=_error,
        default=QuantizeOptions.target,
        metavar="E",
        help="relative output error that is good enough (%(default)s)",
    )
    add(
        "--cache-version",
        type=_count,
        default=0,
        metavar="V",
        help="also write a calibration cache for this TensorRT version, such as 8502",
    )
    add("--json", action="store_true", help="print the result as JSON")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more, got {text!r}")
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
    """Quantize the networks and print a report."""
    folder = arguments.models / arguments.model
    recipe = load_recipe(folder)
    chosen = inputs.chosen_networks(arguments.networks, list(recipe.networks), arguments.model)
    crops = inputs.crops_folder(
        arguments.sets, arguments.set or recipe.calibration, arguments.model
    )
    options = QuantizeOptions(
        arguments.method,
        arguments.float,
        arguments.sensitivity,
        arguments.max_float,
        arguments.target,
        arguments.json,
    )
    written = quantize_model(
        QuantizeJob(folder, recipe, chosen, crops, options, arguments.cache_version)
    )
    _print(written, arguments.json)
    return 0


def _print(written: Dict[str, Written], as_json: bool) -> None:
    if as_json:
        rows = {n: {**w.content, "files": [str(f) for f in w.files]} for n, w in written.items()}
        print(json.dumps(rows, indent=1))
        return
    print(report.table({name: one.outcome for name, one in written.items()}))
    print("\n".join(str(file) for one in written.values() for file in one.files))
