"""Light by the hour: day, a lamp, a dim room, and an infrared lamp at the camera."""

from __future__ import annotations

import numpy as np

from tools.render.paint.light import Light

Draw = np.random.Generator


def draw_light(rng: Draw, kind: str) -> Light:
    """A random light of a kind of `recipe.LIGHTS`."""
    tilt = rng.uniform(25, 80) if kind == "day" else rng.uniform(45, 88)
    turn = rng.uniform(0, 2 * np.pi)
    towards = np.array(
        [
            np.cos(np.radians(tilt)) * np.cos(turn),
            np.cos(np.radians(tilt)) * np.sin(turn),
            np.sin(np.radians(tilt)),
        ]
    )
    warm = rng.uniform(-1, 1)
    tint = np.array([1 - 0.18 * warm, 1.0, 1 + 0.14 * warm])
    if kind == "infrared":
        dark = np.full(3, rng.uniform(0.01, 0.06))
        return Light(dark, dark * 0.5, np.full(3, 1e-3), towards, np.full(3, rng.uniform(0.5, 1.1)))
    level = {"day": 1.0, "lamp": 0.9, "dim": rng.uniform(0.12, 0.4)}[kind]
    ambient = level * rng.uniform(0.3, 0.75)
    key = level * rng.uniform(0.25, 0.9)
    sky = np.array([1.06, 1.0, 0.95]) if kind == "day" else tint
    soft_m = rng.uniform(0.003, 0.015) if kind == "day" else rng.uniform(0.01, 0.045)
    return Light(
        ambient * sky, ambient * tint * rng.uniform(0.35, 0.7), key * tint, towards, soft_m=soft_m
    )


def light_of_picture(rng: Draw, image: np.ndarray) -> Light:
    """A light that suits a photograph: as bright and as coloured as the photograph."""
    mean = (image.reshape(-1, 3).astype(np.float64) / 255).mean(0) ** 2 + 0.02
    level = float(np.clip(mean.mean() * 2.2, 0.08, 1.0))
    tint = np.clip(mean / mean.mean(), 0.75, 1.3)
    base = draw_light(rng, "lamp")
    ambient = level * rng.uniform(0.45, 0.75)
    return Light(
        ambient * tint,
        ambient * tint * rng.uniform(0.4, 0.7),
        level * rng.uniform(0.2, 0.55) * tint,
        base.towards,
        soft_m=base.soft_m,
    )
