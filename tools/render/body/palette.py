"""Colours and patterns of skin, hair and cloth; albedo 0..1, linear, BGR."""

from __future__ import annotations

import colorsys
from typing import Tuple

import numpy as np

from tools.render.body.surface import (
    BANDS,
    CHECKS,
    MOTTLED,
    PLAIN,
    PRINT,
    STRIPES,
    material,
)

Draw = np.random.Generator
# sRGB tones from light to dark, after Fitzpatrick's types; in between is interpolated.
_SKIN = np.array(
    [(241, 205, 184), (226, 180, 152), (202, 152, 118), (160, 110, 78), (112, 72, 50), (70, 44, 34)]
)
_HAIR = ((18, 14, 12), (46, 32, 24), (88, 58, 36), (140, 100, 60), (190, 150, 95), (150, 148, 145))


def linear(rgb: Tuple[float, ...]) -> np.ndarray:
    """[3] f32 linear BGR of sRGB 0..255; the curve is a square, as `shade` writes its root."""
    return (np.array(rgb[::-1], np.float32) / 255) ** 2


def skin(rng: Draw) -> np.ndarray:
    """A skin colour."""
    place = rng.uniform(0, len(_SKIN) - 1)
    rgb = [np.interp(place, np.arange(len(_SKIN)), _SKIN[:, c]) for c in range(3)]
    return linear(tuple(np.clip(np.array(rgb) * rng.uniform(0.94, 1.06), 0, 255)))


def hair_colour(rng: Draw) -> np.ndarray:
    """A hair colour."""
    rgb = np.array(_HAIR[rng.choice(len(_HAIR), p=[0.32, 0.25, 0.17, 0.08, 0.08, 0.1])])
    return linear(tuple(np.clip(rgb * rng.uniform(0.8, 1.2), 0, 255)))


def cloth(rng: Draw, legs: bool = False) -> np.ndarray:
    """A colour of cloth; legs are darker and often blue."""
    kind = rng.random()
    if legs and kind < 0.4:  # denim
        return linear(tuple(np.array((45, 60, 95)) * rng.uniform(0.5, 1.7)))
    if kind < 0.25 + 0.25 * legs:
        return dark(rng)
    if kind < 0.4:
        return linear((rng.uniform(185, 240),) * 3) * rng.uniform(0.9, 1, 3).astype(np.float32)
    saturation = rng.uniform(0.1, 0.55) if rng.random() < 0.6 else rng.uniform(0.5, 0.9)
    rgb = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.25, 0.9 - 0.25 * legs))
    return linear(tuple(255 * x for x in rgb))


def dark(rng: Draw) -> np.ndarray:
    """Black, grey, navy or brown."""
    rgb = np.array([(28, 28, 30), (60, 60, 62), (26, 32, 58), (62, 46, 36)][rng.integers(4)])
    return linear(tuple(rgb * rng.uniform(0.7, 1.4)))


def pattern(rng: Draw, colour: np.ndarray) -> np.ndarray:
    """The material of a garment of this colour."""
    kind = rng.choice(
        [PLAIN, STRIPES, BANDS, CHECKS, MOTTLED, PRINT], p=[0.62, 0.08, 0.06, 0.08, 0.06, 0.1]
    )
    other = cloth(rng) if rng.random() < 0.7 else colour * 0.5
    return material(
        int(kind),
        scale=rng.uniform(12, 60),
        colour2=tuple(other),
        share=rng.uniform(0.25, 0.6),
        fold=rng.uniform(0.15, 0.5),
        fold_scale=rng.uniform(18, 45),
        gloss=rng.uniform(0, 0.05),
        grain=rng.uniform(0, 0.12),
    )
