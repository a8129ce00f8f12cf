"""`edge-tools fit-strikes`: train the network that finds blows for the rules strike and fight."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tools import places
from tools.benches._pairs import TUNE
from tools.progress import Progress
from tools.striking import network
from tools.striking.examples import calm_examples, examples

HELP = "train the network that finds punches and kicks, on motion by formula and motion capture"

_REPEATED = 12  # recordings are few beside the scenes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", type=Path, required=True, metavar="F.npz", help="file to write")
    parser.add_argument("--seeds", type=int, default=16, metavar="N", help="rounds of scenes")
    parser.add_argument("--steps", type=int, default=1600, metavar="N", help="of the optimiser")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and batches")
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="motion capture"
    )
    parser.add_argument(
        "--calm",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="recordings in which nobody strikes: the networks' own errors; split tune",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Draw the scenes, train, and write the weights."""
    found = []
    with Progress("scenes", arguments.seeds, "rounds") as bar:
        for seed in range(arguments.seeds):
            found.append(examples(arguments.sets, TUNE, seed))
            bar.update()
    calm = [calm_examples(folder) for folder in arguments.calm]
    found += calm * _REPEATED
    with Progress("training", arguments.steps, "steps") as bar:
        weights = network.train(found, arguments.steps, arguments.seed, bar.update)
    network.write(arguments.out, weights)
    count = sum(len(e.windows) for e in found)
    figures = {"file": str(arguments.out), "examples": count, "steps": arguments.steps}
    text = f"{arguments.out}: trained on {count} windows in {arguments.steps} steps"
    print(json.dumps(figures) if arguments.json else text)
    return 0
