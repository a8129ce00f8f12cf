"""How a network is trained: named recipes, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict

from edge.errors import ConfigError


@dataclass(frozen=True)
class TrainRecipe:
    """Settings of the optimiser."""

    name: str
    about: str
    optimiser: str  # adam | adamw
    rate: float  # the largest learning rate
    batch: int
    epochs: int
    decay: float  # weight decay of AdamW
    warm_steps: int  # the rate rises over these
    flat: float  # share of the steps before the cosine begins
    floor: float  # rate at the end over the largest
    clip: float  # largest norm of the gradient; 0 = no limit
    average: float  # decay of the averaged weights (EMA); 0 = none
    trunk: float  # rate of what was trained before over that of new layers
    stem: bool  # train the first layers, too
    patience: int  # epochs without a better result before it stops; 0 = nothing is kept for that
    head_first: int = 0  # steps in which only new layers are trained
    held_frames: int = 16  # of each clip whose old answers are held
    plain: bool = False  # pictures are drawn with all flaws already: crops get no occluders


RECIPES: Dict[str, TrainRecipe] = {
    r.name: r
    for r in (
        TrainRecipe(
            "tune",
            "fine-tuning of a trained network on some hundred frames; the default",
            *("adamw", 4e-5, 16, 30, 0.0, 20, 0.0, 0.02, 1.0, 0.95, 0.3, False, 10),
        ),
        TrainRecipe(
            "article",
            "the article's: Adam at 1e-3, batches of 32, 140 epochs, cosine",
            *("adam", 1e-3, 32, 140, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 1.0, True, 140),
        ),
        # open-mmlab/mmpose, configurations of RTMPose: AdamW at 4e-3 for batches of 1024, flat to
        # the middle, then a cosine to a twentieth; averaged weights with momentum 2e-4.
        TrainRecipe(
            "rtmpose",
            "RTMPose's: AdamW, the rate follows the batch, flat, then cosine, averaged weights",
            *("adamw", 1.25e-4, 32, 420, 0.05, 1000, 0.5, 0.05, 35.0, 0.9998, 1.0, True, 420),
        ),
        # open-mmlab/mmdetection, configurations of RTMDet: AdamW at 4e-3 for batches of 256, flat
        # to the middle, then a cosine to a twentieth; averaged weights with momentum 2e-4.
        TrainRecipe(
            "rtmdet",
            "RTMDet's: AdamW, the rate follows the batch, flat, then cosine, averaged weights",
            *("adamw", 5e-4, 32, 300, 0.05, 1000, 0.5, 0.05, 35.0, 0.9998, 1.0, True, 300),
        ),
        TrainRecipe(
            "light",
            "a light detector on a trained trunk: the trunk's coarse layers learn a tenth as fast",
            *("adamw", 2e-3, 16, 12, 0.02, 50, 0.0, 0.02, 10.0, 0.99, 0.1, False, 12),
        ),
        TrainRecipe(
            "prune",
            "a pruned network learns the old answers; a short run on crops without labels",
            *("adamw", 1e-5, 16, 1, 0.0, 10, 0.0, 0.02, 1.0, 0.9, 1.0, False, 0),
        ),
        # Rate and frozen statistics of a longer trial (docs/training.md); the rate stays, so that
        # the averaged weights of any moment can be used.
        TrainRecipe(
            "student",
            "the whole-body student: renders, the trunk at 2e-5, old answers held on real people",
            *("adamw", 1e-3, 16, 30, 0.01, 100, 0.8, 0.05, 5.0, 0.9995, 0.02, False, 0),
            head_first=200,
            held_frames=60,
            plain=True,
        ),
    )
}


def named(name: str) -> TrainRecipe:
    """A recipe by name. Raises ConfigError: there is none."""
    if name not in RECIPES:
        raise ConfigError(f"--recipe {name}: there are: {', '.join(RECIPES)}")
    return RECIPES[name]


def rate_factor(recipe: TrainRecipe, step: int, steps: int) -> float:
    """Learning rate of a step over the recipe's; a rise, perhaps a flat part, then a cosine.

    Args:
        recipe: of the run.
        step: from 0.
        steps: of the whole run.
    """
    warm = min(recipe.warm_steps, steps // 5)
    if step < warm:
        return (step + 1) / (warm + 1)
    flat = max(warm, int(recipe.flat * steps))
    if step < flat:
        return 1.0
    share = (step - flat) / max(steps - flat, 1)
    return recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * share))


def trunk_factor(recipe: TrainRecipe, step: int) -> float:
    """Further factor for what was trained before: 0 while the head learns alone, then a rise.

    A new head's first gradients are large, and the optimiser's first steps are as large as its
    rate allows.
    """
    if not recipe.head_first:
        return 1.0
    return min(1.0, max(0.0, (step + 1 - recipe.head_first) / (5 * recipe.warm_steps)))
