"""`edge-tools train`: train a pose network or a detector on your own labels, and judge it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Optional

from edge.errors import INTERRUPTED, ConfigError
from edge.recipe import load_recipe
from edge.settings.schema import name_problem
from tools import places
from tools.evaluation.read import KINDS
from tools.training.check.command import add_check_arguments, check
from tools.training.data.sources import open_all
from tools.training.judging import text

HELP = "train a pose network or a detector on your own labels; a page shows before and after"
REFUSED = 1
MODEL = "model"  # folder in OUT
DETECTORS = ("rtmdet", "yolox")  # families

EXAMPLES = """\
  edge-tools train labels/ --check                    what is wrong with the labels; no training
  edge-tools train labels/ --name clinic              fine-tune blazepose; CPU, resumable
  edge-tools train labels/ --name clinic --test monday/ --recipe article
  edge-tools train renders/ --test others/ --name whole --arch student --recipe student
  edge-tools train labels/ --name own --arch rtmpose-t-wholebody --checkpoint F.pth
  edge-tools train labels/ --name door --arch rtmdet-nano-person --checkpoint F.pth   a detector
results: OUT/page.html, OUT/figures.json, OUT/metrics.jsonl, OUT/curve.png; the model goes to the
models folder unless it is refused. A run that was killed goes on with the same command.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("labels", nargs="+", type=Path, metavar="LABELS", help=KINDS)
    parser.add_argument("--name", default="", help="name of the new model")
    add_check_arguments(parser)
    _add_network(parser)
    _add_judging(parser)
    _add_loop(parser)
    parser.add_argument(
        "--bars",
        action="store_true",
        help="train nothing: measure the student --checkpoint RUN/state.pt on LABELS",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def _add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="blazepose", help="model to begin with, of the family blazepose"
    )
    parser.add_argument(
        "--arch", metavar="NAME", help="an architecture of `edge-tools export`, or student"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="F",
        help="its weights (.pth; of a student, state.pt of a run)",
    )
    parser.add_argument(
        "--skeleton",
        default="",
        help="keypoints of --arch, if others than its own; keeps the trunk",
    )
    parser.add_argument(
        "--trunk", metavar="MODEL", help="model whose trunk light-mobile begins with"
    )
    parser.add_argument("--size", metavar="WxH", help="input of a detector, px (the usual size)")
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument("--force", action="store_true", help="replace a model trained before")


def _add_judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reference",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="labels or videos that may not get worse (media sets multiperson, walker)",
    )
    parser.add_argument(
        "--hold",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="labels or videos whose old answers are held in training (media set singleperson)",
    )
    parser.add_argument(
        "--most-lost",
        type=float,
        default=0.02,
        metavar="X",
        help="OKS the reference may lose (.02)",
    )
    parser.add_argument(
        "--detector",
        default="yolov4-tiny",
        metavar="MODEL",
        help="finds people in such videos; with it a detector that begins anew is compared",
    )
    parser.add_argument(
        "--hold-with",
        metavar="MODEL",
        help="detector whose boxes a new detector learns in videos of --hold (the one before)",
    )


def _add_loop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="tune, article, rtmpose, student, rtmdet, light (tune; rtmdet for a new detector)",
    )
    for name, kind, what in (
        ("epochs", int, "instead of the recipe's"),
        ("batch", int, "people in a batch"),
        ("rate", float, "the largest learning rate"),
        ("steps", int, "end after these, whatever the epochs"),
    ):
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=what)
    parser.add_argument(
        "--only-head",
        action="store_true",
        help="keep the trunk as it is: less time, and half as much to `share`",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all lots")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0 = one for each core")
    parser.add_argument(
        "--bf16", action="store_true", help="compute in BF16 on a CPU that has instructions for it"
    )
    parser.add_argument("--device", default="", help="cpu or cuda (default: cuda if it is there)")
    parser.add_argument("--restart", action="store_true", help="forget an earlier run in OUT")


def run(arguments: argparse.Namespace) -> int:
    """Check, or train and judge; the exit code is 1 if the model is refused."""
    if arguments.check:
        return check(arguments)
    if getattr(arguments, "bars", False):
        from tools.training.judging import bars_command

        return bars_command.run(arguments)
    _require_options(arguments)
    out = arguments.out or Path("out/train") / arguments.name
    if arguments.restart:
        shutil.rmtree(out, ignore_errors=True)
    result = _trained(arguments, out)
    if not result.done:
        step = f"step {result.figures['step']} of {result.figures['steps']}"
        print(f"stopped at {step}; the same command goes on from there")
        return INTERRUPTED
    if not result.refused:
        install(out / MODEL, arguments.models / arguments.name)
    told = text.of(result.figures, out, arguments.models / arguments.name)
    print(json.dumps(result.figures) if arguments.json else told)
    return REFUSED if result.refused else 0


def _require_options(arguments: argparse.Namespace) -> None:
    problem = name_problem(arguments.name) if arguments.name else "is missing"
    if problem:
        raise ConfigError(f"--name: {problem}")
    for name in ("epochs", "batch", "rate", "steps"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise ConfigError(f"--{name} {value}: must be above 0")
    if arguments.seed < 0 or arguments.threads < 0:
        raise ConfigError("--seed and --threads: must be at least 0")
    if not 0 <= arguments.most_lost <= 1:
        raise ConfigError("--most-lost: must be 0 to 1")
    if arguments.checkpoint and not arguments.arch:
        raise ConfigError("--checkpoint: needs --arch NAME; `edge-tools export --list` has them")
    if (arguments.arch == "student") != (_recipe_name(arguments) == "student"):
        raise ConfigError("--arch student and --recipe student go together")
    folder = arguments.models / arguments.name
    if folder.exists() and not (arguments.force and is_own(folder)):
        raise ConfigError(f"{folder}: exists already; choose another --name, or add --force")


def is_own(folder: Path) -> bool:
    """Whether a model folder was made here: nothing can fetch its weights again."""
    return not any(n.weights for n in load_recipe(folder).networks.values())


def _trained(arguments: argparse.Namespace, out: Path) -> Any:
    """The result of a pose network's session, or of a detector's."""
    from tools.training import networks_by_name, session

    order = _order(arguments, out)
    if not _is_detector(arguments):
        _refuse_detector_options(arguments)
        make = partial(
            networks_by_name.make,
            arguments.models / arguments.model,
            arguments.arch,
            arguments.checkpoint,
            arguments.skeleton,
            arguments.seed,
            getattr(arguments, "teacher", None),  # of `distill`
            getattr(arguments, "teacher_checkpoint", None),
            getattr(arguments, "stage", 1),
        )
        return session.run(order, make)
    from tools.export import pixels
    from tools.training.boxes import session as of_boxes
    from tools.training.boxes import start

    if arguments.skeleton or getattr(arguments, "teacher", None):
        raise ConfigError(f"--arch {arguments.arch}: is a detector; it has no skeleton, no teacher")
    if arguments.only_head:
        raise ConfigError(f"--only-head: {arguments.arch} is a detector; it is for pose networks")
    trunk = arguments.models / arguments.trunk if arguments.trunk else None
    size = pixels(arguments.size) if arguments.size else None
    teacher = arguments.models / arguments.hold_with if arguments.hold_with else None
    return of_boxes.run(
        dataclasses.replace(order, old=order.detector, teacher=teacher),
        partial(start.make, arguments.arch, arguments.checkpoint, trunk, size, arguments.seed),
    )


def _refuse_detector_options(arguments: argparse.Namespace) -> None:
    for name in ("trunk", "size", "hold_with"):
        if getattr(arguments, name, None):
            raise ConfigError(f"--{name.replace('_', '-')}: is for detectors; give their --arch")


def _recipe_name(arguments: argparse.Namespace) -> str:
    if arguments.recipe:
        return str(arguments.recipe)
    return "rtmdet" if _is_detector(arguments) and not arguments.checkpoint else "tune"


def _is_detector(arguments: argparse.Namespace) -> bool:
    from tools.arch import describe

    if arguments.arch in (None, "", "student"):
        return False
    return describe(arguments.arch).family in DETECTORS


def _order(arguments: argparse.Namespace, out: Path) -> Any:
    import torch

    from tools.training import session
    from tools.training.fit.recipe import named

    recipe = named(_recipe_name(arguments))
    changed = {n: getattr(arguments, n) for n in ("epochs", "batch", "rate")}
    recipe = dataclasses.replace(recipe, **{k: v for k, v in changed.items() if v is not None})
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(arguments.threads or os.cpu_count() or 1)
    torch.manual_seed(arguments.seed)
    old: Optional[Path] = (
        None if arguments.arch not in (None, "student") else arguments.models / arguments.model
    )
    return session.Order(
        name=arguments.name,
        out=out,
        truths=open_all(arguments.labels, arguments.pictures, arguments.keypoints),
        tests=open_all(arguments.test, None, arguments.keypoints),
        held_out=arguments.hold_out,
        pattern=arguments.recording,
        recipe=recipe,
        steps=arguments.steps or 0,
        seed=arguments.seed,
        device=device,
        old=old,
        detector=arguments.models / arguments.detector,
        references=arguments.reference,
        held=arguments.hold,
        most_lost=arguments.most_lost,
        quiet=arguments.json,
        bf16=arguments.bf16,
        only_head=arguments.only_head,
    )


def install(model: Path, folder: Path) -> None:
    """Copy the model into the models folder; an older one is replaced as a whole."""
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for place in (new, old):
        shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(model, new)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
