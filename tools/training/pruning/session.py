"""A whole pruning: channels out, a short distillation, before and after, and the model's folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import DataError
from tools.evaluation.page.sheet import document
from tools.evaluation.page.tables import table
from tools.evaluation.truth import Picture, Truth
from tools.training.data import crops, samples
from tools.training.fit import augment, loop, metrics
from tools.training.fit.recipe import TrainRecipe
from tools.training.judging import pace, reference, verdict
from tools.training.judging.figures import Part
from tools.training.judging.page import curve_of
from tools.training.networks.blazepose import STEM_LAYERS, BlazePoseBody
from tools.training.pruning.cut import cut
from tools.training.pruning.network import PrunedBody, Unlabelled, pictures
from tools.training.session import AUDIT, FIGURES, MODEL, PAGE, Interruption, Result

CUT = "cut"  # model folder in OUT: channels are out, nothing is learnt yet
HELD_FRAMES = 30  # of each clip
CHECKED = 4  # batches that say whether learning helped
BODY = "body.onnx"


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    name: str  # of the new model
    out: Path  # folder of the run
    model: Path  # folder of the whole model
    ratio: float  # of the channels
    held: Optional[List[Path]]  # clips and labels whose people it learns from; None: media set
    references: Optional[List[Path]]  # judged; None: media sets
    detector: Path  # model folder, for videos
    recipe: TrainRecipe
    steps: int
    pictures: int  # for the weights that make up
    most_lost: float
    seed: int
    quiet: bool


def run(order: Order) -> Result:
    """Prune and judge; a run in the same folder goes on where it was.

    Raises:
        EdgeError: the model cannot be pruned, or clips cannot be read.
    """
    whole = BlazePoseBody(order.model)
    order.out.mkdir(parents=True, exist_ok=True)
    there = _people(order, whole)
    how = augment.Augmentation()
    told = _cut(order, whole, Unlabelled(whole, there, 16, how, order.seed))
    old = PrunedBody(order.model)
    new = PrunedBody(order.out / CUT, f"{order.model.name}, a share of its channels taken out")
    for network in (old, new):
        if not order.recipe.stem:
            network.graph.freeze(min(STEM_LAYERS, len(network.graph.layers) // 5))
    job = loop.Run(
        trainee=new,
        old=old,
        batches=Unlabelled(new, there, order.recipe.batch, how, order.seed),
        judged=[],
        recipe=order.recipe,
        steps=order.steps,
        folder=order.out,
        plan=_plan(order, there),
        quiet=order.quiet,
    )
    made: Dict[str, Any] = {"channels": told, "spent_s": 0, "learnt": False}
    if order.steps:
        with Interruption() as asked:
            last = loop.fit(dataclasses.replace(job, stop=asked.yes))
        if not last.done:
            return Result(False, {"step": last.step, "steps": order.steps})
        made["spent_s"] = round(last.spent_s)
        made["learnt"] = _keep_better(order, job)
    return _judged(order, new, made)


def _people(order: Order, whole: BlazePoseBody) -> crops.Crops:
    paths = order.held
    if paths is None:
        paths = reference.default_videos(reference.HELD_SETS, order.quiet)
    truths = reference.open_reference(paths, order.model, order.detector, HELD_FRAMES, order.quiet)
    found = samples.gather(truths, whole.points)
    if not found:
        raise DataError("--hold: nobody is found there, so nothing says which channels count")
    return crops.ensure(order.out, "held", found, max(whole.size), order.quiet)


def _cut(order: Order, whole: BlazePoseBody, feed: Unlabelled) -> Dict[str, List[int]]:
    """Write the model of fewer channels, unless an earlier run did."""
    folder = order.out / CUT
    note = folder / AUDIT
    mark = {
        "ratio": order.ratio,
        "pictures": order.pictures,
        "seed": order.seed,
        "from": _sum(order),
    }
    if note.is_file():
        known = json.loads(note.read_text("utf-8"))
        if known["mark"] == mark:
            return dict(known["channels"])
    shutil.rmtree(folder, ignore_errors=True)
    small = BlazePoseBody(order.model)
    for network in (small, whole):
        network.module.eval()
    images = pictures(feed, order.pictures)
    told = cut(small.graph, whole.graph, images, order.ratio, order.seed, order.quiet)
    if not told:
        raise DataError(
            f"{order.model}: its network has no channels that can be taken out at --ratio "
            f"{order.ratio:g}"
        )
    folder.mkdir()
    small.write(folder, {"made_by": f"edge-tools {__version__} prune"})
    channels = {name: list(counts) for name, counts in told.items()}
    note.write_text(json.dumps({"mark": mark, "channels": channels}), "utf-8")
    return channels


def _keep_better(order: Order, job: loop.Run) -> bool:
    """Give the network its weights before learning again, if these are nearer to the old answers.

    A short run at a rate that is too large does harm. Judged on batches that it has not learnt.
    """
    assert job.old is not None
    weights = [job.trainee.module.state_dict(), PrunedBody(order.out / CUT).module.state_dict()]
    losses = []
    for some in [{k: v.clone() for k, v in w.items()} for w in weights]:
        job.trainee.module.load_state_dict(some)
        job.trainee.module.eval()
        total = 0.0
        for number in range(order.steps, order.steps + CHECKED):
            images, goal = job.batches(number)
            with torch.no_grad():
                outputs, before = job.trainee.both(job.old, images, goal)
                parts = job.trainee.losses(outputs, before, goal)
            total += float(torch.stack(list(parts.values())).sum())
        losses.append((total, some))
    best = min(losses, key=lambda one: one[0])
    job.trainee.module.load_state_dict(best[1])
    return best is losses[0]


def _sum(order: Order) -> str:
    return hashlib.sha256((order.model / BODY).read_bytes()).hexdigest()


def _plan(order: Order, there: crops.Crops) -> Dict[str, Any]:
    return {
        "ratio": order.ratio,
        "people": len(there),
        "recipe": json.dumps(dataclasses.asdict(order.recipe)),
        "steps": order.steps,
        "seed": order.seed,
        "threads": torch.get_num_threads(),
        "from": _sum(order),
    }


def _judged(order: Order, new: PrunedBody, audit: Dict[str, Any]) -> Result:
    folder = order.out / MODEL
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    new.module.to("cpu").eval()
    new.write(folder, {"made_by": f"edge-tools {__version__} prune", "ratio": f"{order.ratio:g}"})
    audit = {
        **audit,
        "ratio": order.ratio,
        "steps": order.steps,
        "seed": order.seed,
        "from": order.model.name,
        "torch": torch.__version__,
        "recipe": dataclasses.asdict(order.recipe),
    }
    (folder / AUDIT).write_text(json.dumps(audit, indent=1), "utf-8")
    clips = _references(order)
    judged = verdict.compare(order.model, folder, clips, "distilled", order.quiet)
    halfway = judged
    if audit["learnt"]:
        halfway = verdict.compare(None, order.out / CUT, clips, "channels out", order.quiet)
    lost = {
        "cut": verdict.lost(halfway._replace(before=judged.before)),
        "distilled": verdict.lost(judged),
    }
    refused = ""
    if lost["distilled"] > order.most_lost:
        refused = (
            f"the reference clips lose {lost['distilled']:.1%} of their OKS, "
            f"{order.most_lost:.0%} may be"
        )
    figures = {
        "name": order.name,
        "refused": refused,
        "oks_lost": lost,
        "reference": {
            "before": judged.before,
            "cut": halfway.after,
            "distilled": judged.after,
        },
        "speed": _speed(order.model / BODY, folder / BODY),
        "bytes": {"before": _size(order.model), "after": _size(folder)},
        "made": audit,
    }
    write_whole(order.out / FIGURES, json.dumps(figures, indent=1).encode(), READABLE)
    page = _page(order, figures)
    write_whole(order.out / PAGE, page.encode(), READABLE)
    return Result(True, figures, refused)


def _references(order: Order) -> List[Tuple[Truth, List[Picture]]]:
    paths = order.references
    if paths is None:
        paths = reference.default_videos(reference.SETS, order.quiet)
    truths = reference.open_reference(paths, order.model, order.detector, quiet=order.quiet)
    return [(Part.of(t, t.pictures).truth, t.pictures) for t in truths]


def _speed(before: Path, after: Path) -> Dict[str, Any]:
    """CPU time of both in turns, ms; the share is of one round, with its quartiles."""
    spent = pace.each_round_ms({"before": [(before, 1)], "after": [(after, 1)]})
    share = np.array(spent["after"]) / np.array(spent["before"])
    return {
        "before_ms": float(np.median(spent["before"])),
        "after_ms": float(np.median(spent["after"])),
        "share": [float(v) for v in np.percentile(share, (25, 50, 75))],
    }


def _size(folder: Path) -> int:
    return (folder / BODY).stat().st_size


def _page(order: Order, told: Dict[str, Any]) -> str:
    speed, size, reference_ = told["speed"], told["bytes"], told["reference"]
    low, middle, high = speed["share"]
    rows = [
        ["OKS, reference", *(reference_[n]["oks"] for n in ("before", "cut", "distilled"))],
        [
            "error, share of the box",
            *(reference_[n]["error"] for n in ("before", "cut", "distilled")),
        ],
        ["people found", *(reference_[n]["found"] for n in ("before", "cut", "distilled"))],
        ["CPU time of a look, ms", f"{speed['before_ms']:.1f}", "", f"{speed['after_ms']:.1f}"],
        ["share of the time [quartiles]", "", "", f"{middle:.2f} [{low:.2f} {high:.2f}]"],
        ["bytes", size["before"], "", size["after"]],
    ]
    head = f"refused: {told['refused']}" if told["refused"] else "accepted"
    channels = [[name, *counts] for name, counts in told["made"]["channels"].items()]
    title = f"{order.name}: {order.model.name} at a ratio of {order.ratio:g}"
    blocks = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="{"worse" if told["refused"] else ""}">{escape(head)}</p>',
        table(["", "before", "channels out", "distilled"], rows),
        "<h2>Channels</h2>",
        table(["layer", "before", "after"], channels),
        curve_of(order.out / metrics.CURVE),
        f"<p>edge-tools {__version__} prune, {order.steps} steps, seed {order.seed}</p>",
    ]
    return document(title, blocks)
