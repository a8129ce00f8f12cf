"""`edge-tools fit-temporal`: train the temporal network that corrects the filter of keypoints."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from edge.settings.config import Config, Smooth
from tools import places
from tools.benches._mocap import TUNE
from tools.evaluation import request
from tools.progress import Progress
from tools.refining import judging, network, quantizing, residuals, sequences

HELP = "train the temporal network that corrects the keypoint filter, and judge it"
RATES_HZ = (10, 15, 25, 30, 60)
SIDES_DEG = (20, 110, 200, 290)
LONG_S = 6.0
STEPS = 1500
FRAME = (100, 133)  # people and keypoints of the frame whose time is measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", type=Path, required=True, metavar="F.onnx", help="file to write")
    parser.add_argument(
        "--clips",
        type=Path,
        nargs="+",
        default=[],
        metavar="SET",
        help="clips with truth (edge-tools synth, split tune): the networks' errors on them are "
        "the noise; without any it is that of `edge-tools bench smoothing` alone",
    )
    parser.add_argument(
        "--report", type=Path, nargs="+", default=[], metavar="SET", help="the same, split report"
    )
    parser.add_argument(
        "--fp32", action="store_true", help="write the network in FP32, not in INT8 (dynamic)"
    )
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="of the optimiser")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and noise")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of PyTorch")
    parser.add_argument("--detect", default="", metavar="MODEL", help="detector to run; or none")
    parser.add_argument("--pose", default="", metavar="MODEL", help="pose model to run")
    parser.add_argument("--models", type=Path, metavar="DIR", help="models folder")
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="motion capture"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Collect, train, judge, write. The result does not decide what the daemon uses."""
    if arguments.steps < 1 or arguments.threads < 1:
        raise ConfigError("--steps and --threads: must be 1 or more")
    if not arguments.out.resolve().parent.is_dir():
        raise ConfigError(f"--out {arguments.out}: its folder does not exist")
    network.use_threads(arguments.threads)
    tune, report = (_tracks(arguments, clips) for clips in (arguments.clips, arguments.report))
    data = _data(arguments, tune)
    with Progress("training", arguments.steps, "steps", arguments.json) as bar:
        net = network.train(data, arguments.steps, arguments.seed, lambda *_: bar.update())
    plain = network.to_onnx(net, _notes(arguments, len(tune))).SerializeToString()
    small = quantizing.dynamic(plain)
    result = {
        "rows": judging.judge(net, arguments.sets, report, arguments.seed + 1),
        "costs": judging.costs({"fp32": plain, "int8 dynamic": small}, *FRAME, arguments.seed),
    }
    write_whole(arguments.out, plain if arguments.fp32 else small, READABLE)
    print(json.dumps(result) if arguments.json else _text(result))
    return 0


def _tracks(arguments: argparse.Namespace, clips: List[Path]) -> List[residuals.Track]:
    """Errors of the networks on clips; an .npz file has those of an earlier run."""
    if not clips:
        return []
    if len(clips) == 1 and clips[0].suffix == ".npz":
        return residuals.read(clips[0])
    models = str(arguments.models) if arguments.models else ""
    settings = request.configured(Config(), arguments.detect, arguments.pose, models)
    return residuals.collect(clips, settings, arguments.json)


def _data(
    arguments: argparse.Namespace, tracks: List[residuals.Track]
) -> List[sequences.Sequences]:
    """Motion capture of the tuning clips at every rate, with both kinds of noise."""
    rng = np.random.default_rng(arguments.seed)
    found = []
    for rate_hz in RATES_HZ:
        truth = sequences.truths(arguments.sets, TUNE, rate_hz, LONG_S, SIDES_DEG)
        for library in [tracks, []] if tracks else [[]]:
            seen, scores = sequences.seen(truth, rate_hz, library, rng)
            found.append(sequences.sequences(truth, seen, scores, rate_hz, Smooth()))
    return found


def _notes(arguments: argparse.Namespace, tracks: int) -> Dict[str, str]:
    """What made the file, for its metadata."""
    return {
        "made_by": f"edge-tools {__version__} fit-temporal",
        "steps": str(arguments.steps),
        "seed": str(arguments.seed),
        "motion": " ".join(TUNE),
        "residual_tracks": str(tracks),
        "licence": "Apache-2.0",
    }


def _text(result: Dict[str, Any]) -> str:
    """The result as a table in Markdown and a line for each file."""
    head = f"| fps, noise, side | {' | '.join(judging.FIGURES)} |"
    lines = [head, "| --- |" + " ---: |" * len(judging.FIGURES)]
    for row in result["rows"]:
        name = f"{row['rate_hz']}, {row['noise']}, {row['side']}"
        cells = [_number(row[figure]) for figure in judging.FIGURES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, cost in result["costs"].items():
        lines.append(
            f"{name}: {cost['bytes']} bytes, {cost['ms']:.1f} ms for {FRAME[0]} people x {FRAME[1]}"
            f" keypoints, off by {cost['largest_difference_h']:.5f} H at most"
        )
    return "\n".join(lines)


def _number(value: Optional[float]) -> str:
    return "-" if value is None else f"{value:.4f}"
