"""What a real camera does to a picture: blur, noise, a night mode, and compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np


@dataclass(frozen=True)
class Look:
    """The flaws of a camera."""

    blur_px: float = 0.0  # sigma of its lens
    motion_px: float = 0.0  # length of a smear
    motion_deg: float = 0.0
    noise: float = 0.0  # standard deviation, grey levels
    gain: float = 1.0
    shrink: float = 1.0  # of the sensor, enlarged again
    infrared: bool = False
    jpeg: int = 0  # quality of a compression before this; 0 = none


def draw_look(rng: np.random.Generator, hard: float, infrared: bool, exposure: float) -> Look:
    """Random flaws; `hard` 0..1 says how bad they may be, `exposure` is the camera's own gain."""
    return Look(
        blur_px=float(rng.uniform(0.3, 0.6 + 1.4 * hard)) if rng.random() < 0.3 + hard / 2 else 0.0,
        motion_px=float(rng.uniform(2, 2 + 8 * hard)) if rng.random() < 0.25 * hard else 0.0,
        motion_deg=float(rng.uniform(0, 180)),
        noise=float(rng.uniform(0.5, 2.5 + 6 * hard)) * (2.0 if infrared else 1.0),
        gain=float(exposure * np.exp(rng.normal(0, 0.06 + 0.15 * hard))),
        shrink=float(rng.uniform(1, 1 + 2 * hard)) if rng.random() < 0.4 * hard else 1.0,
        infrared=infrared,
        jpeg=int(rng.integers(40, 92)) if rng.random() < 0.5 * hard else 0,
    )


def apply(image: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """The picture [H,W,3] u8 as the camera gives it; `image` is used up."""
    height, width = image.shape[:2]
    if look.infrared:
        grey = cv2.transform(image, np.array([[0.2, 0.35, 0.45]]))
        image = cv2.merge([grey, grey, grey])
    if look.motion_px >= 1:
        image = cv2.filter2D(image, -1, _smear(look.motion_px, look.motion_deg))
    if look.blur_px > 0:
        image = cv2.GaussianBlur(image, (0, 0), look.blur_px)
    if look.shrink > 1.05:
        small = (max(int(width / look.shrink), 8), max(int(height / look.shrink), 8))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if look.gain != 1:
        image = cv2.convertScaleAbs(image, alpha=look.gain)
    if look.noise > 0:
        image = _noisy(image, look, rng)
    if look.jpeg:
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, look.jpeg])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return image


def _noisy(image: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise; its field is a random window of one table, because drawing it is slow."""
    height, width = image.shape[:2]
    table = _noise_table()
    top, left = (int(rng.integers(0, n)) for n in (256, 256))
    rows = np.arange(top, top + height) % table.shape[0]
    columns = np.arange(left, left + width) % table.shape[1]
    field = table[rows][:, columns]
    if look.infrared:
        field = np.repeat(field[:, :, :1], 3, axis=2)
    return cv2.addWeighted(image, 1.0, field, look.noise / 32, -128 * look.noise / 32)


@lru_cache(maxsize=1)
def _noise_table() -> np.ndarray:
    """[512,512,3] u8 of normal noise around 128 with a standard deviation of 32."""
    field = np.random.default_rng(7).normal(128, 32, (512, 512, 3))
    return np.clip(field, 0, 255).astype(np.uint8)


def _smear(length_px: float, angle_deg: float) -> np.ndarray:
    """Kernel of a motion along a line; its centre of mass is its middle, so the truth stays."""
    size = int(np.ceil(length_px)) | 1
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    step = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))]) * middle
    ends = [tuple(int(round(16 * (middle + s * d))) for d in step) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    kernel = kernel + kernel[::-1, ::-1]
    return kernel / max(float(kernel.sum()), 1e-6)
