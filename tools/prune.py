"""`edge-tools prune`: take channels out of a pose network, and let it learn its old answers."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict

from edge.errors import INTERRUPTED, ConfigError
from edge.settings.schema import name_problem
from tools import places
from tools.train import MODEL, REFUSED, install, is_own

HELP = "take channels out of a pose network; refused if it loses too much"
MOST_RATIO = 0.75
# OKS that the reference clips may lose, up to a ratio of .25 and above it.
MOST_LOST, MOST_LOST_ABOVE, USUAL_RATIO = 0.02, 0.05, 0.25

EXAMPLES = """\
  edge-tools prune blazepose --ratio .25              writes the model blazepose-pruned25
  edge-tools prune blazepose --ratio .5 --steps 2000 --hold clips/ labels/
results: OUT/page.html and OUT/figures.json: OKS on the reference clips, milliseconds of both in
turns, and bytes. A run that was killed goes on with the same command.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("model", metavar="MODEL", help="name of a model of the family blazepose")
    parser.add_argument(
        "--ratio", type=float, default=USUAL_RATIO, metavar="X", help="of the channels (.25)"
    )
    parser.add_argument("--name", default="", help="of the new model (MODEL-prunedNN)")
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument("--force", action="store_true", help="replace a model made before")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the run (out/prune/NAME)"
    )
    parser.add_argument(
        "--hold",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="videos or labels whose people it learns from (media set singleperson)",
    )
    parser.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="labels or videos to judge with (media sets multiperson, walker)",
    )
    parser.add_argument(
        "--most-lost",
        type=float,
        metavar="X",
        help="OKS the reference may lose (.02; above a ratio of .25: .05)",
    )
    parser.add_argument(
        "--detector", default="yolov4-tiny", metavar="MODEL", help="finds people in videos"
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=240,
        metavar="N",
        help="people that say which channels count",
    )
    parser.add_argument("--steps", type=int, default=600, metavar="N", help="of the distillation")
    parser.add_argument("--rate", type=float, metavar="X", help="the largest learning rate (1e-5)")
    parser.add_argument("--batch", type=int, metavar="N", help="people in a batch (16)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all lots")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0 = one for each core")
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in OUT")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Prune and judge; the exit code is 1 if the model is refused."""
    name = arguments.name or f"{arguments.model}-pruned{round(100 * arguments.ratio)}"
    _require_options(arguments, name)
    out = arguments.out or Path("out/prune") / name
    if arguments.restart:
        shutil.rmtree(out, ignore_errors=True)
    result = _pruned(arguments, name, out)
    if not result.done:
        step = f"step {result.figures['step']} of {result.figures['steps']}"
        print(f"stopped at {step}; the same command goes on from there")
        return INTERRUPTED
    if not result.refused:
        install(out / MODEL, arguments.models / name)
    told = _text(result.figures, out, arguments.models / name)
    print(json.dumps(result.figures) if arguments.json else told)
    return REFUSED if result.refused else 0


def _require_options(arguments: argparse.Namespace, name: str) -> None:
    problem = name_problem(name)
    if problem:
        raise ConfigError(f"--name {name}: {problem}")
    if not 0 < arguments.ratio <= MOST_RATIO:
        raise ConfigError(f"--ratio {arguments.ratio:g}: must be above 0 and at most {MOST_RATIO}")
    if arguments.most_lost is not None and not 0 <= arguments.most_lost <= 1:
        raise ConfigError("--most-lost: must be 0 to 1")
    for option in ("rate", "batch", "pictures"):
        value = getattr(arguments, option)
        if value is not None and not value > 0:
            raise ConfigError(f"--{option} {value}: must be above 0")
    for option in ("steps", "seed", "threads"):
        if getattr(arguments, option) < 0:
            raise ConfigError(f"--{option}: must be at least 0")
    folder = arguments.models / name
    if folder.exists() and not (arguments.force and is_own(folder)):
        raise ConfigError(f"{folder}: exists already; choose another --name, or add --force")


def _pruned(arguments: argparse.Namespace, name: str, out: Path) -> Any:
    import torch

    from tools.training.fit.recipe import named
    from tools.training.pruning import session

    torch.set_num_threads(arguments.threads or os.cpu_count() or 1)
    changed = {n: getattr(arguments, n) for n in ("batch", "rate")}
    recipe = dataclasses.replace(
        named("prune"), **{k: v for k, v in changed.items() if v is not None}
    )
    usual = MOST_LOST if arguments.ratio <= USUAL_RATIO else MOST_LOST_ABOVE
    return session.run(
        session.Order(
            name=name,
            out=out,
            model=arguments.models / arguments.model,
            ratio=arguments.ratio,
            held=arguments.hold,
            references=arguments.reference,
            detector=arguments.models / arguments.detector,
            recipe=recipe,
            steps=arguments.steps,
            pictures=arguments.pictures,
            most_lost=usual if arguments.most_lost is None else arguments.most_lost,
            seed=arguments.seed,
            quiet=arguments.json,
        )
    )


def _text(told: Dict[str, Any], out: Path, folder: Path) -> str:
    speed, size, lost = told["speed"], told["bytes"], told["oks_lost"]
    low, middle, high = speed["share"]
    lines = [
        f"reference: {lost['cut']:.1%} of the OKS lost, {lost['distilled']:.1%} after distillation",
        f"time: {speed['before_ms']:.1f} -> {speed['after_ms']:.1f} ms of CPU, "
        f"{middle:.2f} of it [{low:.2f} {high:.2f}]",
        f"bytes: {size['before']} -> {size['after']}",
        f"page: {out / 'page.html'}",
    ]
    if told["refused"]:
        lines.append(f"refused: {told['refused']}; the model stays in {out / MODEL}")
    else:
        lines.append(f"wrote {folder}; next: edge-tools calibrate, quantize, verify, bundle")
    return "\n".join(lines)
