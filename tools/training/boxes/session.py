"""A whole training of a detector: labels, pictures, the loop, the verdict, the model's folder."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import torch

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from tools.evaluation.truth import Truth
from tools.training.boxes import batches, judging, page, samples, store
from tools.training.boxes.detector import DetectorTrainee
from tools.training.boxes.samples import Labelled
from tools.training.check import leaks
from tools.training.data.samples import Split, split, with_stop
from tools.training.data.sources import open_all
from tools.training.fit import blend, loop, metrics, state
from tools.training.judging import reference
from tools.training.session import (
    AUDIT,
    FIGURES,
    HELD_SHARE,
    MODEL,
    PAGE,
    Interruption,
    Order,
    Result,
)

BEFORE = "before"  # folder of the network with the weights that it began with
HELD_FRAMES, JUDGED_FRAMES = 24, 16  # of each video


def run(order: Order, make: Callable[[], DetectorTrainee]) -> Result:
    """Train and judge; a run in the same folder goes on where it was.

    Args:
        order: what is asked for; `old` is the detector before, with which the new one is compared.
        make: builds the network with the weights that it begins with.

    Raises:
        EdgeError: labels, models or options cannot be used.
    """
    trainee = make()
    parts = _split(order)
    order.out.mkdir(parents=True, exist_ok=True)
    old = _before(order, make) if trainee.trained else order.old
    side = max(trainee.size)
    there = store.ensure(order.out, "train", parts.train, side, order.quiet)
    stop = store.ensure(order.out, "stop", parts.stop, side, order.quiet)
    held = _held(order, old, side)
    if not order.recipe.stem:
        trainee.freeze_stem()
    share = HELD_SHARE if held is not None else 0.0
    feed = batches.PictureBatches(
        trainee, there, held, share, order.recipe.batch, order.changes, order.seed
    )
    steps = order.steps or order.recipe.epochs * feed.steps
    job = loop.Run(
        trainee=trainee,
        old=None,
        batches=feed,
        judged=batches.plain(trainee, stop, order.recipe.batch) if len(stop) else [],
        recipe=order.recipe,
        steps=steps,
        folder=order.out,
        plan=_plan(order, parts, trainee, steps),
        device=order.device,
        bf16=order.bf16,
        quiet=order.quiet,
    )
    with Interruption() as asked:
        last = loop.fit(dataclasses.replace(job, stop=asked.yes))
    if not last.done:
        return Result(False, {"step": last.step, "steps": steps})
    blended: Dict[str, Any] = {}
    if trainee.trained and job.judged:
        start = make()
        new_share, errors = blend.blend(trainee, start, job.judged, order.device)
        blended = {"new_share": new_share, "stop_errors": errors}
    return _judged(order, trainee, parts, last, {**blended, "before": old.name if old else ""}, old)


def _split(order: Order) -> Split[Labelled]:
    pattern = re.compile(order.pattern) if order.pattern else None
    found = samples.gather(order.truths, pattern)
    tests = samples.gather(order.tests, pattern)
    if not tests:
        return split(found, order.held_out)
    leaks.require_apart(found, tests)
    if order.held_out:
        raise ConfigError("--hold-out and --test: give one of them")
    train, stop = with_stop(found)
    return Split(train, stop, tests)


def _before(order: Order, make: Callable[[], DetectorTrainee]) -> Path:
    folder = order.out / BEFORE
    if not (folder / "model.toml").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        network = make()
        network.module.to("cpu").eval()
        network.write(folder, {"made_by": f"edge-tools {__version__} train, before training"})
    return folder


def _held(order: Order, old: Optional[Path], side: int) -> Optional[store.Pictures]:
    """Pictures with a detector's boxes; those of a run that goes on stay as they are."""
    teacher = order.teacher or old
    if teacher is None:
        return None
    if (order.out / state.FILE).is_file() and (order.out / "held.json").is_file():
        return store.Pictures(order.out, "held")
    paths = order.held
    if paths is None:
        paths = reference.default_videos(reference.HELD_SETS, order.quiet)
    if not paths:
        return None
    found = _opened(paths, teacher, HELD_FRAMES, order.quiet)
    return store.ensure(order.out, "held", samples.gather(found), side, order.quiet)


def _opened(paths: List[Path], teacher: Path, count: int, quiet: bool) -> List[Truth]:
    """Label files as they are, and videos with the teacher's boxes."""
    found: List[Truth] = []
    for path in paths:
        videos = reference.videos_in(path)
        found += open_all([path]) if not videos else []
        found += [judging.of_video(video, teacher, count, quiet) for video in videos]
    return found


def _plan(
    order: Order, parts: Split[Labelled], trainee: DetectorTrainee, steps: int
) -> Dict[str, Any]:
    return {
        "labels": store.fingerprint([*parts.train, *parts.stop], max(trainee.size)),
        "recipe": json.dumps(dataclasses.asdict(order.recipe)),
        "augmentation": json.dumps(dataclasses.asdict(order.changes)),
        "steps": steps,
        "seed": order.seed,
        "device": order.device,
        "bf16": order.bf16,
        "threads": torch.get_num_threads(),
        "network": f"{trainee.arch.name} {trainee.size} {trainee.parameters}",
    }


def _judged(
    order: Order,
    trainee: DetectorTrainee,
    parts: Split[Labelled],
    last: state.State,
    more: Dict[str, Any],
    old: Optional[Path],
) -> Result:
    new = order.out / MODEL
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    audit = {**_audit(order, parts, last), **more}
    trainee.module.to("cpu").eval()
    trainee.write(new, {"made_by": f"edge-tools {__version__} train", "recipe": order.recipe.name})
    (new / AUDIT).write_text(json.dumps(audit, indent=1), "utf-8")
    tested = judging.compare(old, new, parts.test, "held out", order.quiet)
    clips = _references(order, old)
    kept = judging.compare(old, new, clips, "reference", order.quiet) if clips else None
    told = judging.verdict(tested, kept, order.most_lost)
    figures = {
        **told,
        "name": order.name,
        "held_out": {"before": tested.before, "after": tested.after},
        "reference": {"before": kept.before, "after": kept.after} if kept else None,
        "trained_on": audit,
    }
    text = page.page(
        order.name, told, tested, kept, order.out / metrics.CURVE, _notes(order, audit)
    )
    write_whole(order.out / PAGE, text.encode(), READABLE)
    write_whole(order.out / FIGURES, json.dumps(figures, indent=1).encode(), READABLE)
    return Result(True, figures, told["refused"])


def _references(order: Order, old: Optional[Path]) -> List[Labelled]:
    if old is None and order.references is None:
        return []
    paths = order.references
    if paths is None:
        paths = reference.default_videos(reference.SETS, order.quiet)
    if old is None and any(reference.videos_in(p) for p in paths):
        raise ConfigError("--reference: a video needs --detector, whose boxes are its labels")
    found = _opened(paths, old or order.out, JUDGED_FRAMES, order.quiet)
    return samples.gather(found)


def _audit(order: Order, parts: Split[Labelled], last: state.State) -> Dict[str, Any]:
    """What the model was trained on: names and counts, no picture."""
    counts: Dict[str, Dict[str, Any]] = {}
    for part in ("train", "stop", "test"):
        rows: List[Labelled] = getattr(parts, part)
        counts[part] = {}
        for row in rows:
            known = counts[part].setdefault(row.recording, {"pictures": 0, "people": 0})
            known["pictures"] += 1
            known["people"] += len(row.boxes)
    return {
        "parts": counts,
        "data": [f"{t.name} ({t.kind})" for t in [*order.truths, *order.tests]],
        "held": [f"{p.parent.name}/{p.name}" for p in order.held or []],
        "teacher": order.teacher.name if order.teacher else "",
        "recipe": dataclasses.asdict(order.recipe),
        "steps": last.step,
        "best_epoch": last.best_epoch,
        "spent_s": round(last.spent_s),
        "seed": order.seed,
        "torch": torch.__version__,
    }


def _notes(order: Order, audit: Dict[str, Any]) -> List[str]:
    lines = [f"edge-tools {__version__} train, recipe {order.recipe.name}: {order.recipe.about}"]
    lines.append(f"{audit['steps']} steps in {audit['spent_s']} s, seed {order.seed}")
    lines.append(f"before: {audit['before'] or 'nothing'}")
    if "new_share" in audit:
        lines.append(f"weights: {audit['new_share']:.0%} new, the rest as before training")
    for part, rows in audit["parts"].items():
        listed = ", ".join(f"{n} ({c['pictures']}, {c['people']} people)" for n, c in rows.items())
        lines.append(f"{part}: {listed or 'none'}")
    return lines
