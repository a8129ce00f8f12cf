"""`edge-tools fit-fall`: train the network of the rule `fall`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import List, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from edge.rules.fall import Options
from tools import places
from tools.progress import Progress
from tools.refining import fall_network
from tools.refining.fall_examples import Examples, of_clip, of_scene
from tools.refining.fall_scenes import Scene, scenes
from tools.render.motion.acts import TUNE
from tools.scoreboard.rules import SETS, recordings

HELP = "train the network of the rule fall on motion capture, scripts and rendered clips"
SCENES, EPOCHS, ASIDE = 90, 20, 6  # every sixth scene is kept aside
CLIPS_COUNT = 3  # times that an example through the networks counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", type=Path, required=True, metavar="F.npz", help="file to write")
    parser.add_argument(
        "--scenes", type=int, default=SCENES, metavar="N", help="by formula (%(default)s)"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all random choices")
    parser.add_argument(
        "--clips",
        action="store_true",
        help="learn from rendered clips of the tune split, too, which are drawn and go through the "
        "networks first (an hour)",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder")
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Make scenes, train, judge, write."""
    if arguments.scenes < 2 or arguments.epochs < 1:
        raise ConfigError("--scenes: must be 2 or more; --epochs: 1 or more")
    if not arguments.out.resolve().parent.is_dir():
        raise ConfigError(f"--out {arguments.out}: its folder does not exist")
    pairs: List[Tuple[Scene, Examples]] = []
    with Progress("scenes", arguments.scenes, "scenes", arguments.json) as bar:
        for scene in scenes(arguments.sets, arguments.scenes, arguments.seed):
            pairs.append((scene._replace(frames=[]), of_scene(scene)))
            bar.update()
    aside = pairs[::ASIDE]
    learnt = [e for i, (_, e) in enumerate(pairs) if i % ASIDE]
    if arguments.clips:
        found = recordings(arguments.models, arguments.sets, SETS, TUNE, arguments.json)
        learnt += [of_clip(clip) for clip in found] * CLIPS_COUNT
    with Progress("training", arguments.epochs, "epochs", arguments.json) as bar:
        weights = fall_network.train(learnt, arguments.epochs, arguments.seed, bar.update)
    write_whole(arguments.out, fall_network.to_bytes(weights), READABLE)
    result = fall_network.judged(weights, aside, Options().sure)
    lines = [f"{what}: {share:.3f}" for what, share in result.items()]
    print(json.dumps(result) if arguments.json else "\n".join(lines))
    return 0
