"""What the crop kernel must give, in float64 NumPy, written from the definitions alone."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from edge.recipe import Network
from edge.structures import Frame


def rgb_of(frame: Frame) -> np.ndarray:
    """[H,W,3] float64, whole numbers: BT.601 limited range, chroma of the pair a pixel is in."""
    image = frame.image.astype(np.float64)
    if frame.layout == "bgr":
        return image[..., ::-1]
    if frame.layout == "rgb":
        return image
    if frame.layout == "gray":
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, -1)
    width, height = frame.size
    columns = np.minimum(np.arange(width) // 2, width // 2 - 1)
    if frame.layout == "nv12":
        rows = np.minimum(np.arange(height) // 2, height // 2 - 1)
        chroma = image[height : height + height // 2, : width // 2 * 2]
        u, v = (chroma[:, i::2][rows][:, columns] for i in (0, 1))
        return _from_yuv(image[:height], u, v)
    return _from_yuv(image[..., 0], image[:, 2 * columns, 1], image[:, 2 * columns + 1, 1])


def _from_yuv(luma: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Factors of three decimals in 1/2^20, halves upwards: cv2.cvtColor's own."""
    factors = np.rint(np.array([1.164, 1.596, 0.813, 0.391, 2.018]) * 2**20)
    one, red, green_v, green_u, blue = factors
    y, u, v = one * np.maximum(luma - 16, 0), u - 128, v - 128
    rgb = np.stack((y + red * v, y - green_v * v - green_u * u, y + blue * u), -1)
    return np.floor(np.clip(rgb * 2.0**-20, 0, 255) + 0.5)


def bilinear(picture: np.ndarray, x: np.ndarray, y: np.ndarray, border: float) -> np.ndarray:
    """[...,3] values of a picture [H,W,3] at frame px; outside it everything is `border`."""
    high, wide = picture.shape[:2]
    padded = np.full((high + 2, wide + 2, 3), border, np.float64)
    padded[1:-1, 1:-1] = picture
    x, y = np.clip(x, -1, wide) + 1, np.clip(y, -1, high) + 1
    i, j = np.minimum(np.floor(x).astype(int), wide), np.minimum(np.floor(y).astype(int), high)
    right, below = (x - i)[..., None], (y - j)[..., None]
    top = padded[j, i] * (1 - right) + padded[j, i + 1] * right
    low = padded[j + 1, i] * (1 - right) + padded[j + 1, i + 1] * right
    return np.asarray(top * (1 - below) + low * below)


def cropped(frame: Frame, matrix: np.ndarray, network: Network, border: float) -> np.ndarray:
    """[H,W,3] RGB float64 before rounding, of a matrix [2,3] frame px -> input px."""
    back = np.linalg.inv(np.vstack((np.asarray(matrix, np.float64), [0, 0, 1])))
    v, u = np.mgrid[: network.height, : network.width].astype(np.float64)
    x = back[0, 0] * u + back[0, 1] * v + back[0, 2]
    y = back[1, 0] * u + back[1, 1] * v + back[1, 2]
    return bilinear(rgb_of(frame), x, y, border)


def letterboxed(frame: Frame, network: Network, border: float) -> np.ndarray:
    """[H,W,3] RGB float64 before rounding: stretched from edge to edge, at the top left."""
    picture = rgb_of(frame)
    high, wide = picture.shape[:2]
    ratio = min(network.width / wide, network.height / high)
    fit: Tuple[int, int] = (max(1, int(wide * ratio)), max(1, int(high * ratio)))
    u = np.clip((np.arange(fit[0]) + 0.5) * wide / fit[0] - 0.5, 0, wide - 1)
    v = np.clip((np.arange(fit[1]) + 0.5) * high / fit[1] - 0.5, 0, high - 1)
    out = np.full((network.height, network.width, 3), border, np.float64)
    out[: fit[1], : fit[0]] = bilinear(picture, *np.meshgrid(u, v), border)  # type: ignore[call-arg]
    return out


def normalised(rgb: np.ndarray, network: Network) -> np.ndarray:
    """Colours [...,H,W,3] as the network wants them, float64: its channels, mean, std, layout."""
    ordered = rgb if network.channels == "rgb" else rgb[..., ::-1]
    values = (ordered - np.array(network.mean)) / np.array(network.std)
    return np.asarray(values if network.layout == "nhwc" else np.moveaxis(values, -1, -3))
