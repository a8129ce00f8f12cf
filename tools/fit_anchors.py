"""`edge-tools fit-anchors`: anchors of YOLO heads, fitted to the people of a data set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from edge.errors import ConfigError, DataError, NoInputError
from edge.models.yolov4 import Yolov4Settings
from edge.recipe import Network, load_recipe
from edge.settings import config
from edge.settings.schema import build
from tools import places
from tools.anchors import kmeans, sizes
from tools.calib import selection

HELP = "anchors for YOLO heads that are trained, fitted to the people of a data set"
TRAINED = "a network finds worse with other anchors than those that it was trained with"
EXAMPLES = (
    """\
DATA is a calibration set of `edge-tools calibrate`, in which a detector finds the boxes, or labels
in a format of `edge-tools evaluate`. Four fifths of the labelled pictures, or the set's frames to
calibrate with, are fitted to; the others are judged by.
  edge-tools fit-anchors hall
  edge-tools fit-anchors gym/labels.json --model yolov4-tiny-608
  edge-tools fit-anchors calibration/rendered-crowds/tune --out anchors.toml

The table is [options] of the model.toml of a network that was trained with these anchors: train
first, because """
    + f"{TRAINED}.\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("data", metavar="DATA", help="name or folder of a set, or labels")
    parser.add_argument(
        "--model",
        default="yolov4-tiny",
        help="its heads and its input's size are used (%(default)s)",
    )
    parser.add_argument(
        "--detect",
        default=config.Detect().model,
        metavar="MODEL",
        help="finds the boxes in a calibration set (%(default)s)",
    )
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the random starts (%(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="F.toml", help="file for the table")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Fit the anchors and print the table."""
    if arguments.seed < 0:
        raise ConfigError(f"--seed {arguments.seed}: must be 0 or more")
    network, table, heads = _heads(arguments.models / arguments.model)
    people = _sizes(arguments, (network.width, network.height))
    count = sum(len(anchors) for _, anchors in heads)
    different = len(np.unique(people.fitted, axis=0))
    if different < count:
        raise DataError(
            f"{arguments.data}: has {different} people of different sizes to fit to; "
            f"{count} anchors need at least {count}"
        )
    fitted = kmeans.fit(people.fitted, count, arguments.seed)
    today = np.concatenate([anchors for _, anchors in heads])
    result: Dict[str, Any] = {
        "model": arguments.model,
        "input": [network.width, network.height],
        "pictures": people.pictures,
        "people": len(people.fitted),
        "held_out": len(people.held_out),
        "mean_iou": _mean(people.held_out, fitted),
        "mean_iou_of_model": _mean(people.held_out, today),
        "table": table,
        "anchors": _dealt(fitted, heads),
    }
    if arguments.out:
        _write(arguments.out, _table(result))
    print(json.dumps(result) if arguments.json else _text(result))
    return 0


def _heads(folder: Path) -> Tuple[Network, str, List[Tuple[str, np.ndarray]]]:
    """The network with YOLO heads of a model, and its anchors.

    Also the name of the table of model.toml that holds them. The finest head comes first.

    Raises:
        NoInputError: no such model. ConfigError: it has no such heads.
    """
    recipe = load_recipe(folder)
    hybrid = recipe.family == "hybrid" and recipe.options.get("boxes") == "yolov4"
    if recipe.family != "yolov4" and not hybrid:
        raise ConfigError(
            f"--model {folder.name}: is of the family {recipe.family}, which has no anchors; "
            "take one of the family yolov4"
        )
    options = recipe.options.get("boxes_options", {}) if hybrid else recipe.options
    settings = build(Yolov4Settings, options, "options")
    heads = [(name, np.array(sizes, np.float64)) for name, sizes in settings.anchors.items()]
    return (
        recipe.networks["boxes" if hybrid else "main"],
        "options.boxes_options.anchors" if hybrid else "options.anchors",
        sorted(heads, key=lambda head: float(head[1].prod(1).mean())),
    )


def _sizes(arguments: argparse.Namespace, network: sizes.Size) -> sizes.Sizes:
    data = Path(arguments.data)
    for folder in (data, arguments.sets / arguments.data):
        if folder.is_dir() and selection.file_of(folder).is_file():
            return sizes.of_set(folder, network, arguments.detect, arguments.models, arguments.json)
    if not data.exists():
        raise NoInputError(
            f"{data}: no such labels, and no calibration set of that name in {arguments.sets}; "
            f"`edge-tools calibrate {data.name} --from ...` makes one"
        )
    return sizes.of_labels(data, network)


def _mean(people: np.ndarray, anchors: np.ndarray) -> float:
    """Mean IoU of people and the anchor that fits each best."""
    return round(float(kmeans.iou(people, anchors).max(1).mean()), 4)


def _dealt(fitted: np.ndarray, heads: List[Tuple[str, np.ndarray]]) -> Dict[str, List[List[float]]]:
    """The anchors of each head: the smallest go to the finest."""
    dealt: Dict[str, List[List[float]]] = {}
    start = 0
    for name, anchors in heads:
        mine = fitted[start : start + len(anchors)]
        dealt[name] = [[round(float(v), 1) for v in size] for size in mine]
        start += len(anchors)
    return dealt


def _table(result: Dict[str, Any]) -> str:
    lines = (f"{name} = {sizes}" for name, sizes in result["anchors"].items())
    return "\n".join((f"[{result['table']}]", *lines)) + "\n"


def _text(result: Dict[str, Any]) -> str:
    wide, high = result["input"]
    return (
        f"{result['people']} people of {result['pictures']} pictures, in px of {wide} x {high}\n"
        f"mean IoU of {result['held_out']} held-out people and their best anchor: "
        f"{result['mean_iou']:.3f}; with the anchors of {result['model']} "
        f"{result['mean_iou_of_model']:.3f}\n\n{_table(result)}\n"
        f"Train with these anchors first: {TRAINED}."
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise NoInputError(f"--out {path}: {error.strerror or error}") from error
