"""Network inputs for a comparison, made like the daemon makes them, from given or drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

import cv2
import numpy as np

from edge import geometry
from edge.errors import DataError, NoInputError
from edge.models._preprocess import crops
from edge.recipe import Network as Input
from edge.structures import Frame
from tools.arch.catalog import Architecture

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
DRAWN_SIZE = (480, 640)  # height, width px
DRAWN_SEED = 20


def input_of(architecture: Architecture, file: str = "model.onnx") -> Input:
    """The input as in a recipe's [networks.main]."""
    pixels = architecture.pixels
    return Input(
        file=file,
        width=architecture.width_px,
        height=architecture.height_px,
        channels=pixels.channels,
        mean=list(pixels.mean),
        std=list(pixels.std),
    )


def images_at(paths: Sequence[Path], limit: int) -> List[np.ndarray]:
    """The first images [H,W,3] u8 BGR in files and folders, sorted by name.

    Raises:
        NoInputError: a path does not exist, or there is no image.
        DataError: a file cannot be read as an image.
    """
    files: List[Path] = []
    for path in paths:
        if not path.exists():
            raise NoInputError(f"{path}: no such file or folder")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        files += [p for p in inside if path.is_file() or p.suffix.lower() in SUFFIXES]
    if not files:
        raise NoInputError(f"{paths[0]}: contains no image ({', '.join(SUFFIXES)})")
    return [_read(file) for file in files[:limit]]


def _read(file: Path) -> np.ndarray:
    try:
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None  # larger than OpenCV allows
    if image is None:
        raise DataError(f"{file}: cannot be read as an image")
    return np.asarray(image)


def drawn_images(count: int) -> List[np.ndarray]:
    """Figures on a blurred noise background, the same in every run."""
    source = np.random.default_rng(DRAWN_SEED)
    return [_drawn(source) for _ in range(count)]


def _drawn(source: np.random.Generator) -> np.ndarray:
    rows, columns = DRAWN_SIZE
    coarse = source.integers(0, 256, (rows // 40, columns // 40, 3), np.uint8)
    image = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        _draw_figure(image, source)
    grain = source.normal(0, 6, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def _draw_figure(image: np.ndarray, source: np.random.Generator) -> None:
    """Draw a head, a trunk and four limbs."""
    tall = int(source.integers(80, 400))
    x, y = int(source.integers(60, 580)), int(source.integers(20, 200))
    colours = source.integers(0, 256, (3, 3)).tolist()
    hip, neck, wide = y + tall // 2, y + tall // 6, max(2, tall // 14)
    for side in (-1, 1):
        hand = (x + side * int(source.integers(5, tall // 2)), int(source.integers(y, hip + 1)))
        foot = (x + side * int(source.integers(2, tall // 4)), y + tall)
        cv2.line(image, (x, neck), hand, colours[0], wide)
        cv2.line(image, (x, hip), foot, colours[1], wide)
    cv2.line(image, (x, neck), (x, hip), colours[0], 3 * wide)
    cv2.circle(image, (x, y + tall // 12), tall // 12, colours[2], -1)


def inputs(architecture: Architecture, images: Sequence[np.ndarray]) -> np.ndarray:
    """[B,3,H,W] float32, one per image. For a top-down network, the image is a person's box."""
    network = input_of(architecture)
    frames = [Frame(np.ascontiguousarray(im), i, 0, "export") for i, im in enumerate(images)]
    out = np.empty((len(frames), *network.sample_shape), np.float32)
    if architecture.family != "simcc":
        crops.letterbox(frames, network, out)
        return out
    boxes = np.array([[0, 0, *frame.size] for frame in frames], np.float32)
    # The image is the whole region, not a person in its middle, so no margin is added.
    matrices = geometry.crop_affine(boxes, (network.width, network.height), padding=1.0)
    crops.sample(frames, np.arange(len(frames)), matrices, network, out)
    return out
