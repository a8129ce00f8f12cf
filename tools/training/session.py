"""A whole training: labels, crops, the loop, the verdict, and the model's folder."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from tools.evaluation.truth import Picture, Truth
from tools.training.boxes.augment import PictureChanges
from tools.training.check import leaks
from tools.training.data import crops, samples
from tools.training.data.samples import Sample, Split
from tools.training.fit import augment, batches, blend, loop, metrics, state
from tools.training.fit.recipe import TrainRecipe
from tools.training.judging import page, reference, verdict
from tools.training.judging.figures import Part
from tools.training.networks.trainee import Trainee

MODEL, PAGE, FIGURES, AUDIT = "model", "page.html", "figures.json", "trained_on.json"
HELD_SHARE = 0.25  # of a batch


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    name: str  # of the new model
    out: Path  # folder of the run
    truths: List[Truth]
    tests: List[Truth]  # further held-out recordings
    held_out: Sequence[str]
    pattern: Optional[str]
    recipe: TrainRecipe
    steps: int  # 0 = as many as the recipe's epochs have
    seed: int
    device: str
    old: Optional[Path]  # model folder before training; None: there is none
    detector: Path  # model folder, for videos without labels
    references: Optional[List[Path]]  # None: the media sets
    held: Optional[List[Path]]  # clips whose answers are held; None: the media set
    most_lost: float
    quiet: bool
    only_head: bool = False
    how: augment.Augmentation = augment.Augmentation()
    changes: PictureChanges = PictureChanges()  # of a detector's pictures, instead of `how`
    teacher: Optional[Path] = None  # detector whose boxes are the labels of `held`; None: `old`
    bf16: bool = False  # on a CPU, too

    @property
    def augmentation(self) -> augment.Augmentation:
        """`how`, without what the recipe's pictures have already."""
        return dataclasses.replace(self.how, occluder=0.0) if self.recipe.plain else self.how


@dataclass(frozen=True)
class Result:
    """What came of it."""

    done: bool  # false: stopped before the end, and can go on
    figures: Dict[str, Any]  # JSON values
    refused: str = ""


def run(order: Order, make: Callable[[], Trainee]) -> Result:
    """Train and judge; a run in the same folder goes on where it was.

    Args:
        order: what is asked for.
        make: builds the network with the weights that it begins with.

    Raises:
        EdgeError: labels, models or options cannot be used.
    """
    trainee = make()
    split = _split(order, trainee)
    order.out.mkdir(parents=True, exist_ok=True)
    there = crops.ensure(order.out, "train", split.train, max(trainee.size), order.quiet)
    stop = crops.ensure(order.out, "stop", split.stop, max(trainee.size), order.quiet)
    held = _held(order, trainee)
    old = make() if order.old is not None else None
    for network in (trainee, old):
        if network is not None and order.only_head:
            network.freeze_trunk()
        elif network is not None and not order.recipe.stem:
            network.freeze_stem()
    share = HELD_SHARE if held is not None else 0.0
    feed = batches.Batches(
        trainee, there, held, share, order.recipe.batch, order.augmentation, order.seed
    )
    steps = order.steps or order.recipe.epochs * feed.steps
    job = loop.Run(
        trainee=trainee,
        old=old,
        batches=feed,
        judged=batches.plain(trainee, stop, order.recipe.batch) if len(stop) else [],
        recipe=order.recipe,
        steps=steps,
        folder=order.out,
        plan=_plan(order, split, trainee, steps),
        device=order.device,
        bf16=order.bf16,
        quiet=order.quiet,
    )
    with Interruption() as asked:
        last = loop.fit(dataclasses.replace(job, stop=asked.yes))
    if not last.done:
        return Result(False, {"step": last.step, "steps": steps})
    blended: Dict[str, Any] = {}
    if old is not None and job.judged and trainee.blends:
        new_share, errors = blend.blend(trainee, old, job.judged, order.device)
        blended = {"new_share": new_share, "stop_errors": errors}
    return _judged(order, trainee, split, last, blended)


def _split(order: Order, trainee: Trainee) -> Split[Sample]:
    pattern = re.compile(order.pattern) if order.pattern else None
    found = samples.gather(order.truths, trainee.points, pattern)
    if not found:
        raise ConfigError(f"the labels have none of the points of {trainee.points.name}")
    tests = samples.gather(order.tests, trainee.points, pattern)
    if not tests:
        parts = samples.split(found, order.held_out)
        return parts if order.recipe.patience else Split(parts.train + parts.stop, [], parts.test)
    leaks.require_apart(found, tests)
    if order.held_out:
        raise ConfigError("--hold-out and --test: give one of them")
    if not order.recipe.patience:
        return Split(found, [], tests)
    train, stop = samples.with_stop(found)
    return Split(train, stop, tests)


def _held(order: Order, trainee: Trainee) -> Optional[crops.Crops]:
    """Crops of clips whose answers are held; those of a run that goes on stay as they are."""
    if order.old is None:
        return None
    if (order.out / state.FILE).is_file() and (order.out / "held.json").is_file():
        return crops.Crops(order.out, "held")
    paths = order.held
    if paths is None:
        paths = reference.default_videos(reference.HELD_SETS, order.quiet)
    if not paths:
        return None
    frames = order.recipe.held_frames
    truths = reference.open_reference(paths, order.old, order.detector, frames, order.quiet)
    found = samples.gather(truths, trainee.points)
    return crops.ensure(order.out, "held", found, max(trainee.size), order.quiet)


def _plan(order: Order, split: Split[Sample], trainee: Trainee, steps: int) -> Dict[str, Any]:
    side = max(trainee.size)
    return {
        "labels": crops.fingerprint([*split.train, *split.stop], side),
        "recipe": json.dumps(dataclasses.asdict(order.recipe)),
        "augmentation": json.dumps(dataclasses.asdict(order.augmentation)),
        "steps": steps,
        "seed": order.seed,
        "device": order.device,
        "threads": torch.get_num_threads(),
        "network": f"{type(trainee).__name__} {trainee.points.name} {trainee.parameters}",
    }


def _judged(
    order: Order, trainee: Trainee, split: Split[Sample], last: state.State, blended: Dict[str, Any]
) -> Result:
    new = order.out / MODEL
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    audit = {**_audit(order, split, last), **blended}
    trainee.module.to("cpu").eval()
    trainee.write(new, {"made_by": f"edge-tools {__version__} train", "recipe": order.recipe.name})
    (new / AUDIT).write_text(json.dumps(audit, indent=1), "utf-8")
    tested = verdict.compare(
        order.old, new, verdict.pictures_of(split.test), "held out", order.quiet
    )
    clips = _references(order)
    kept = verdict.compare(order.old, new, clips, "reference", order.quiet) if clips else None
    told = verdict.verdict(tested, kept, order.most_lost)
    figures = {
        **told,
        "name": order.name,
        "held_out": {"before": tested.before, "after": tested.after},
        "reference": {"before": kept.before, "after": kept.after} if kept else None,
        "trained_on": audit,
    }
    notes = _notes(order, audit)
    text = page.page(order.name, told, tested, kept, order.out / metrics.CURVE, notes)
    write_whole(order.out / PAGE, text.encode(), READABLE)
    write_whole(order.out / FIGURES, json.dumps(figures, indent=1).encode(), READABLE)
    return Result(True, figures, told["refused"])


def _references(order: Order) -> List[Tuple[Truth, List[Picture]]]:
    if order.old is None:
        return []
    paths = order.references
    if paths is None:
        paths = reference.default_videos(reference.SETS, order.quiet)
    truths = reference.open_reference(paths, order.old, order.detector, quiet=order.quiet)
    return [(Part.of(t, t.pictures).truth, t.pictures) for t in truths]


def _audit(order: Order, split: Split[Sample], last: state.State) -> Dict[str, Any]:
    """What the model was trained on: names and counts, no picture."""
    counts: Dict[str, Dict[str, int]] = {}
    for part in ("train", "stop", "test"):
        rows: List[Sample] = getattr(split, part)
        counts[part] = {}
        for sample in rows:
            counts[part][sample.recording] = counts[part].get(sample.recording, 0) + 1
    return {
        "people": counts,
        "data": [f"{t.name} ({t.kind})" for t in [*order.truths, *order.tests]],
        "recipe": dataclasses.asdict(order.recipe),
        "steps": last.step,
        "best_epoch": last.best_epoch,
        "spent_s": round(last.spent_s),
        "seed": order.seed,
        "torch": torch.__version__,
        "from": str(order.old.name) if order.old else "",
    }


def _notes(order: Order, audit: Dict[str, Any]) -> List[str]:
    lines = [f"edge-tools {__version__} train, recipe {order.recipe.name}: {order.recipe.about}"]
    lines.append(f"{audit['steps']} steps in {audit['spent_s']} s, seed {order.seed}")
    if "new_share" in audit:
        lines.append(f"weights: {audit['new_share']:.0%} new, the rest as before training")
    for part, people in audit["people"].items():
        listed = ", ".join(f"{name} ({count})" for name, count in people.items()) or "none"
        lines.append(f"{part}: {listed}")
    return lines


class Interruption:
    """Turns SIGINT and SIGTERM into a question between two steps, so that the state is saved."""

    def __init__(self) -> None:
        self._asked = False
        self._before: Dict[int, Any] = {}

    def yes(self) -> bool:
        """Whether somebody asked for the end."""
        return self._asked

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self._asked = True
