"""The arguments of the crop kernel: a row for each crop, and the description of the input."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from edge.errors import InternalError
from edge.recipe import Network
from edge.runtime.kernels.layouts import CROP, FORMATS, Target, type_number
from edge.structures import Frame

_NO_MAP = (0.0,) * 6
_MAX_CROPS = 65535  # blocks of a grid in z (CUDA Programming Guide, compute capabilities)


def rows_of_frames(frames: Sequence[Frame], pointers: Sequence[int]) -> np.ndarray:
    """[F] CROP rows with the fields that depend on the frame alone.

    Args:
        frames: of any layout; rows of the image may be padded, pixels of a row are adjacent.
        pointers: the kernel's address of each frame's first byte.

    Raises:
        InternalError: an image whose pixels are not adjacent.
    """
    return np.array([_row(f, p) for f, p in zip(frames, pointers)], CROP)


def _row(frame: Frame, pointer: int) -> Tuple[Any, ...]:
    """In the order of CROP's fields; a tuple, because setting single fields is ten times slower."""
    check_image(frame)
    (width, height), pitch = frame.stored_size, frame.image.strides[0]
    chroma = pointer + height * pitch if frame.layout == "nv12" else 0
    what = (FORMATS[frame.layout], 0, 0, 0, 0, _NO_MAP, 0)
    return (pointer, chroma, width, height, pitch, pitch, *what)


def check_image(frame: Frame) -> None:
    """Check that the kernel can read an image: rows from top to bottom, adjacent pixels.

    Raises:
        InternalError: the image lies otherwise in memory.
    """
    image = frame.image
    inner = image.strides[1:]
    tight = (image.shape[2], 1) if image.ndim == 3 else (1,)
    if inner != tight or image.dtype != np.uint8 or image.strides[0] < 0:
        raise InternalError(
            f"{frame.camera}: an image with strides {image.strides} cannot be read by the kernel"
        )


def fill_samples(
    table: np.ndarray,
    sources: np.ndarray,
    which: np.ndarray,
    matrices: np.ndarray,
    size: Tuple[int, int],
) -> None:
    """Fill the rows that make the kernel sample crops as `_preprocess.crops.sample` does.

    Args:
        table: [B] CROP, filled in place.
        sources: [F] of `rows_of_frames`.
        which: [B] index into `sources`.
        matrices: [B,2,3] px of the stored picture -> input px.
        size: width, height of the input.
    """
    table[:] = sources[which]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        table["map"] = _inverted(matrices)
    table["slot"] = np.arange(len(table))
    table["fit_width"], table["fit_height"] = size


def _inverted(matrices: np.ndarray) -> np.ndarray:
    """[B,6] float64, input px -> frame px, computed in the order of cv2.warpAffine.

    The order matters: coordinates often lie half way between two float32 numbers, and another order
    would round them to the other one.
    """
    a, b, x, c, d, y = np.asarray(matrices, np.float64).reshape(-1, 6).T
    whole = 1 / (a * d - b * c)
    a, b, c, d = d * whole, -whole * b, -whole * c, a * whole
    return np.stack((a, b, -a * x - b * y, c, d, -c * x - d * y), -1)


def fill_letterboxes(
    table: np.ndarray, sources: np.ndarray, frames: Sequence[Frame], size: Tuple[int, int]
) -> None:
    """Fill the rows that make the kernel fit whole frames as `_preprocess.crops.letterbox` does.

    The size of the fitted picture is rounded down to whole px, and the frame is scaled to it.

    Args:
        table: [F] CROP, filled in place.
        sources: [F] of `rows_of_frames`.
        frames: [F] the same frames, for their views.
        size: width, height of the input.
    """
    table[:] = sources
    upright = np.array([f.size for f in frames], np.float64)
    ratio = np.min(np.array(size) / upright, axis=-1, keepdims=True)
    fit = np.maximum((upright * ratio).astype(np.int64), 1)
    table["fit_width"], table["fit_height"] = fit.T
    table["slot"] = np.arange(len(table))
    table["whole"] = [1 + (0 if f.view is None else f.view.code) for f in frames]


def target_of(network: Network, dtype: np.dtype, border: float, quantum: float = 1.0) -> Target:
    """Describe a network's input for the kernel; the caller sets `data`, `crops` and `count`.

    Args:
        network: size, layout, channel order, mean and std.
        dtype: of the engine's input, which may be narrower than the network's.
        border: 0..255, grey value outside the frame.
        quantum: normalised value of one integer step, for engines whose input is INT8.
    """
    target = Target(width=network.width, height=network.height, border=border)
    target.type = type_number(dtype)
    target.pixelwise = int(network.layout == "nhwc")
    target.bgr = int(network.channels == "bgr")
    for i, (mean, std) in enumerate(zip(network.mean, network.std)):
        scale, bias = 1 / (std * quantum), -mean / (std * quantum)
        target.scale[i], target.bias[i] = scale, bias
        target.scale_rest[i] = scale - target.scale[i]
        target.bias_rest[i] = bias - target.bias[i]
    return target


def check_count(count: int) -> None:
    """Check that one launch can make this many crops.

    Raises:
        InternalError: it cannot.
    """
    if count > _MAX_CROPS:
        raise InternalError(f"{count} crops in one launch; the GPU takes {_MAX_CROPS}")
