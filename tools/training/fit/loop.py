"""The training loop: one process, plain PyTorch, killed and resumed at any step.

A step is a function of the weights, the optimiser's state and the step's number, so a run that was
killed gives on the CPU the same weights as one that was not.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple

import torch
from torch import Tensor, nn

from edge.errors import DataError
from tools.training.fit import metrics, state
from tools.training.fit.average import Average
from tools.training.fit.recipe import TrainRecipe, rate_factor, trunk_factor
from tools.training.networks.trainee import Losses, Trainee

SAVE_EVERY_S = 120.0
TELL_FIRST_S, TELL_EVERY_S = 60.0, 900.0
REPORT_STEPS = 20

Batch = Tuple[Tensor, Any]  # images, and the labels that Trainee.losses takes


class Feed(Protocol):
    """Gives the batch of each step."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""

    def __call__(self, step: int) -> Batch:
        """Normalised images [B,3,H,W] and labels of a step."""


@dataclass
class Run:
    """What is trained, and how."""

    trainee: Trainee
    old: Optional[Trainee]  # the network before training, whose answers are held
    batches: Feed
    judged: List[Batch]  # crops that decide when to stop; empty = the last weights count
    recipe: TrainRecipe
    steps: int
    folder: Path
    plan: Dict[str, Any]  # see state.State
    device: str = "cpu"
    bf16: bool = False  # on a CPU, too
    quiet: bool = False
    save_every_s: float = SAVE_EVERY_S
    more_losses: Optional[Callable[[Any, Any], Losses]] = None  # of distillation
    stop: Callable[[], bool] = lambda: False  # asked between steps


def fit(run: Run) -> state.State:
    """Train, or go on with a run that was stopped; afterwards the network has the best weights.

    Returns:
        The last state; `done` is false if `run.stop` ended it early.

    Raises:
        DataError: the loss is not finite any more. ConfigError: the folder has another run.
    """
    loop = _Loop(run)
    while not loop.now.done and not run.stop():
        loop.step()
    loop.save()
    if loop.now.best and loop.now.done:
        run.trainee.module.load_state_dict(loop.now.best)
    metrics.draw(loop.metrics, run.folder)
    return loop.now


class _Loop:
    """A run between its steps."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.module = run.trainee.module.to(run.device)
        training(run.trainee)
        if run.old is not None:
            run.old.module.to(run.device).eval().requires_grad_(False)
        self.optimiser = _optimiser(run)
        self.now = state.load(run.folder, run.plan) or state.State(run.plan)
        if self.now.weights:
            self.module.load_state_dict(self.now.weights)
            self.optimiser.load_state_dict(self.now.optimiser)
        kept = {k: v.to(run.device) for k, v in self.now.average.items()}
        self.average = (
            Average(self.module, run.recipe.average, kept) if run.recipe.average else None
        )
        self.metrics = metrics.Metrics(run.folder, self.now.metrics_bytes)
        self._began_s = self._saved_s = time.monotonic()
        self._spent_s, self._first = self.now.spent_s, self.now.step
        self._tell_s = self._began_s + TELL_FIRST_S
        # Results depend on the number of threads; metrics rows are of whole reports.
        self._parts: Dict[str, float] = {}

    def step(self) -> None:
        """One step; and at the end of an epoch a look at the crops that decide."""
        run, number = self.run, self.now.step
        factor = rate_factor(run.recipe, number, run.steps)
        for group in self.optimiser.param_groups:
            known = trunk_factor(run.recipe, number) if group.get("known") else 1.0
            group["lr"] = run.recipe.rate * group["share"] * factor * known
        run.trainee.hold_trunk(number < run.recipe.head_first)
        images, goal = run.batches(number)
        parts = self._losses(images.to(run.device), _to(goal, run.device))
        loss: Tensor = torch.stack(list(parts.values())).sum()
        if not bool(torch.isfinite(loss)):
            raise DataError(
                f"step {number}: the loss is not finite any more; give a smaller --rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if run.recipe.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), run.recipe.clip)
        self.optimiser.step()
        if self.average is not None:
            self.average.update(number)
        self.now.step = number + 1
        self._report(number, float(loss.detach()), parts, factor)
        self._after()

    def _losses(self, images: Tensor, goal: Any) -> Losses:
        run = self.run
        old: Dict[str, Tensor] = {}
        with _mixed(run.device, run.bf16):
            if run.old is None:
                outputs = run.trainee.forward(images)
            else:
                outputs, old = run.trainee.both(run.old, images, goal)
        plain = {name: value.float() for name, value in outputs.items()}
        parts = run.trainee.losses(plain, {n: v.float() for n, v in old.items()}, goal)
        if run.more_losses is not None:
            parts.update(run.more_losses(images, goal))
        return parts

    def _report(self, number: int, loss: float, parts: Losses, factor: float) -> None:
        if number % REPORT_STEPS == 0 or self.now.step == self.run.steps:
            row = {name: round(float(value.detach()), 5) for name, value in parts.items()}
            rate = self.run.recipe.rate * factor
            self.metrics.add({"step": number, "rate": rate, "loss": round(loss, 5), "parts": row})

    def _after(self) -> None:
        """End of an epoch or of the run, the state, and the time that is left."""
        now, run = self.now, self.run
        if now.step % run.batches.steps == 0 or now.step >= run.steps:
            self._judge()
        now.done = now.done or now.step >= run.steps
        clock_s = time.monotonic()
        if clock_s - self._saved_s >= run.save_every_s:
            self.save()
            self._saved_s = clock_s
        if clock_s >= self._tell_s and not run.quiet:
            self._tell_s = clock_s + TELL_EVERY_S
            each_s = (clock_s - self._began_s) / max(now.step - self._first, 1)
            print(time_left(now.step, run.steps, each_s), file=sys.stderr, flush=True)

    def _judge(self) -> None:
        run, now = self.run, self.now
        epoch = -(-now.step // run.batches.steps)
        if not run.judged:
            if now.step >= run.steps:
                now.best = _copied(self._weights())
            return
        error = error_of(run.trainee, self._weights(), run.judged, run.device)
        self.metrics.add({"step": now.step, "epoch": epoch, "error": round(error, 6)})
        if error < now.best_error:
            now.best_error, now.best_epoch, now.best = error, epoch, _copied(self._weights())
        elif epoch - now.best_epoch >= run.recipe.patience:
            now.done = True

    def _weights(self) -> Dict[str, Tensor]:
        return self.module.state_dict() if self.average is None else self.average.weights

    def save(self) -> None:
        """Write the state."""
        now = self.now
        now.weights = _copied(self.module.state_dict())
        now.average = _copied(self.average.weights) if self.average is not None else {}
        now.optimiser = self.optimiser.state_dict()
        now.metrics_bytes = self.metrics.size
        now.spent_s = self._spent_s + time.monotonic() - self._began_s
        state.save(self.run.folder, now)


def error_of(
    trainee: Trainee, weights: Dict[str, Tensor], judged: List[Batch], device: str
) -> float:
    """Mean of the network's own errors over crops or pictures, with these weights."""
    module = trainee.module
    before = copy.deepcopy(module.state_dict())
    module.load_state_dict(weights)
    module.eval()
    total, count = 0.0, 0.0
    with torch.no_grad():
        for images, goal in judged:
            error, counted = trainee.errors(trainee.forward(images.to(device)), goal)
            total, count = total + error, count + counted
    module.load_state_dict(before)
    training(trainee)
    return total / max(count, 1.0)


def time_left(step: int, steps: int, each_s: float) -> str:
    """One line about the time that is left."""
    left_s = each_s * (steps - step)
    hours, minutes = divmod(round(left_s / 60), 60)
    text = f"{hours} h {minutes} min" if hours else f"{max(minutes, 1)} min"
    return f"training: step {step} of {steps}, {each_s:.2f} s a step, at most {text} left"


def training(trainee: Trainee) -> None:
    """Training mode; batch norms of a trained network keep their statistics.

    Those of small batches of one place are worse.
    """
    trainee.module.train()
    for part in trainee.module.modules():
        if trainee.trained and isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def _optimiser(run: Run) -> Any:
    groups = run.trainee.groups(run.recipe.trunk)
    kind = torch.optim.AdamW if run.recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=run.recipe.rate, weight_decay=run.recipe.decay)


def _mixed(device: str, bf16: bool) -> Any:
    """BF16 where it pays: on a GPU. On CPUs without instructions for it, it is slower than FP32."""
    if device == "cpu" and not bf16:
        return contextlib.nullcontext()
    return torch.autocast(device, torch.bfloat16)


def _to(goal: Any, device: str) -> Any:
    return type(goal)(*(value.to(device) for value in vars(goal).values()))


def _copied(weights: Dict[str, Tensor]) -> Dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in weights.items()}
