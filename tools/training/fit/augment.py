"""Training crops: one warp with turn, zoom, shift and mirror; then colour and occluders.

Every number comes from the generator that is given, so a step always gives the same batch: a run
that goes on after a kill needs no record of what was drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from edge import geometry, skeletons
from tools.evaluation.truth import hull
from tools.training.data.crops import Crops
from tools.training.networks.trainee import Region, Trainee

_NEAR = 0.15  # share of the input by which a labelled point may lie outside and still count
_HALF_POINTS = 3  # labelled points of a half, at least, to cut out that half


@dataclass(frozen=True)
class Augmentation:
    """How much is changed; shares are of the crops."""

    turn_deg: float = 30.0
    turned: float = 0.6
    zoom: Tuple[float, float] = (0.8, 1.2)
    shift: float = 0.06  # of the region's width
    flip: float = 0.5
    half_body: float = 0.2
    occluder: float = 0.4
    colour: float = 0.8
    grey: float = 0.1


PLAIN = Augmentation(0.0, 0.0, (1.0, 1.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Crop:
    """One training crop."""

    image: np.ndarray  # [H,W,3] u8 BGR
    points: np.ndarray  # [T,2] f32 px of the input
    labelled: np.ndarray  # [T] bool: labelled and near the crop
    seen: np.ndarray  # [T] bool: labelled as visible, and inside
    inside: np.ndarray  # [T] bool


def cut(
    crops: Crops, which: int, trainee: Trainee, how: Augmentation, rng: np.random.Generator
) -> Crop:
    """Cut a person out, changed by lot."""
    points, box, size = crops.points[which], crops.boxes[which], crops.sizes[which]
    # All lots are drawn at once, so that a crop does not depend on which of them are used.
    lots = rng.uniform(size=16)
    region = _region(trainee, points, box, size, how, lots)
    matrix = geometry.square_crops(
        region.centre[None],
        np.array([region.width_px], np.float32),
        np.array([region.turn], np.float32),
        trainee.size,
    )[0]
    flipped = bool(lots[5] < how.flip)
    if flipped:
        matrix = np.array([[-1, 0, trainee.size[0] - 1], [0, 1, 0]]) @ _square(matrix)
        points = points[trainee.flip]
    image = _warped(crops, which, matrix, trainee.size)
    if lots[6] < how.colour:
        image = coloured(image, rng, lots[7] < how.grey)
    if lots[8] < how.occluder:
        _occlude(image, rng)
    return _labels(points, matrix, trainee.size, image)


def _region(
    trainee: Trainee,
    points: np.ndarray,
    box: np.ndarray,
    size: np.ndarray,
    how: Augmentation,
    lots: np.ndarray,
) -> Region:
    if lots[0] < how.half_body:
        box = _half(trainee, points, box, lots[9])
    region = trainee.region(points, box, size, float(lots[10]))
    centre = region.centre + how.shift * region.width_px * (2 * lots[1:3] - 1)
    low, high = how.zoom
    turn = np.radians(how.turn_deg) * (2 * lots[4] - 1) * (lots[11] < how.turned)
    width = region.width_px * (low + (high - low) * lots[3])
    return Region(centre.astype(np.float32), float(width), float(region.turn + turn))


def _half(trainee: Trainee, points: np.ndarray, box: np.ndarray, lot: float) -> np.ndarray:
    """The box of the upper or the lower half, if enough of it is labelled."""
    if trainee.points.name not in skeletons.names():
        return box
    skeleton = skeletons.get(trainee.points.name)
    half = points[skeleton.upper if lot < 0.6 else skeleton.lower]
    if int((half[:, 2] > 0).sum()) < _HALF_POINTS:
        return box
    return np.array(hull(half), np.float32)


def _square(matrix: np.ndarray) -> np.ndarray:
    return np.vstack((matrix, [0.0, 0.0, 1.0]))


def _warped(crops: Crops, which: int, matrix: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    there = np.linalg.inv(_square(crops.matrices[which]))
    whole = matrix @ there
    return np.asarray(cv2.warpAffine(crops.image(which), whole, size, flags=cv2.INTER_LINEAR))


def coloured(image: np.ndarray, rng: np.random.Generator, grey: bool) -> np.ndarray:
    """Brightness, contrast, colour of the light, noise and blur."""
    if grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, 2)
    gains = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
    levels = np.arange(256)[:, None]
    table = (levels - 128) * gains + 128 + rng.uniform(-30, 30)
    image = cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)[None])
    if rng.uniform() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.8))
    if rng.uniform() < 0.3:
        noise = rng.integers(-12, 13, image.shape, np.int16)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return np.asarray(image)


def _occlude(image: np.ndarray, rng: np.random.Generator) -> None:
    """One or two rectangles or ellipses of a colour with noise, in place."""
    high, wide = image.shape[:2]
    for _ in range(int(rng.integers(1, 3))):
        size = rng.uniform(0.08, 0.35, 2) * (wide, high)
        centre = rng.uniform(0, 1, 2) * (wide, high)
        mask = np.zeros((high, wide), np.uint8)
        if rng.uniform() < 0.5:
            ends = [*(centre - size / 2).astype(int), *(centre + size / 2).astype(int)]
            cv2.rectangle(mask, tuple(map(int, ends[:2])), tuple(map(int, ends[2:])), 1, -1)
        else:
            shape = (tuple(map(float, centre)), tuple(map(float, size)), float(rng.uniform(0, 180)))
            cv2.ellipse(mask, shape, 1, -1)
        fill = rng.integers(0, 256, 3) + rng.integers(-20, 21, (high, wide, 1))
        np.copyto(image, np.clip(fill, 0, 255).astype(np.uint8), where=mask[..., None] > 0)


def _labels(
    points: np.ndarray, matrix: np.ndarray, size: Tuple[int, int], image: np.ndarray
) -> Crop:
    places = geometry.apply(matrix[None], points[None, :, :2])[0]
    ends = np.array(size, np.float32)
    inside = ((places >= 0) & (places < ends)).all(1)
    near = ((places >= -_NEAR * ends) & (places < (1 + _NEAR) * ends)).all(1)
    there = points[:, 2] > 0
    return Crop(image, places, there & near, (points[:, 2] > 1) & inside, inside & there)
