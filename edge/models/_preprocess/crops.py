"""Turns frames into network inputs, with OpenCV. Calibration, verification and daemon all use it.

`sample` cuts crops by matrices. `letterbox` fits whole frames. Both write into the runner's input
buffer, through one u8 scratch image of the input's size, which each thread keeps. A whole frame is
converted only if its layout is not BGR, RGB or gray. For OpenCV 5, the region of a crop is copied
into the form from which OpenCV crops fastest (`wide`).
"""

from __future__ import annotations

import threading
import weakref
from functools import lru_cache
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge import geometry
from edge.models._preprocess import veil
from edge.models._preprocess import wide as preprocess_wide
from edge.recipe import Network
from edge.structures import Frame, Veils
from edge.view import SWAPPED, crop_maps

PAD = 114  # grey of the bars for YOLOX, RTMDet and RTMO (open-mmlab/mmdetection, Pad; Tau-J/rtmlib)
_TO_BGR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "yuyv": cv2.COLOR_YUV2BGR_YUYV}
_TO_BGRA = {"nv12": cv2.COLOR_YUV2BGRA_NV12, "yuyv": cv2.COLOR_YUV2BGRA_YUYV}
# Shape of a crop's pixel, and whether its channel order is the network's -> code for cvtColor.
_TO_PIXELS = {
    ((), True): cv2.COLOR_GRAY2BGR,
    ((), False): cv2.COLOR_GRAY2BGR,
    ((3,), False): cv2.COLOR_BGR2RGB,
    ((4,), True): cv2.COLOR_BGRA2BGR,
    ((4,), False): cv2.COLOR_BGRA2RGB,
}
_LINEAR = cv2.INTER_LINEAR
_MANY = 64  # more pictures than the loop holds


class _Scratch(threading.local):
    """Scratch buffers of one thread, one for each size."""

    def __init__(self) -> None:
        self.inputs: Dict[Tuple[int, ...], np.ndarray] = {}
        self.small: Dict[Tuple[int, ...], np.ndarray] = {}
        self.planes: Dict[Tuple[int, ...], List[np.ndarray]] = {}

    def input(self, shape: Tuple[int, ...]) -> np.ndarray:
        if shape not in self.inputs:
            self.inputs[shape] = np.zeros(shape, np.uint8)
        return self.inputs[shape]

    def unturned(self, shape: Tuple[int, ...]) -> np.ndarray:
        if shape not in self.small:
            if len(self.small) >= _MANY:  # a camera changes its size again and again
                self.small.clear()
            self.small[shape] = np.zeros(shape, np.uint8)
        return self.small[shape]

    def split(self, picture: np.ndarray) -> List[np.ndarray]:
        height, width, channels = picture.shape
        if picture.shape not in self.planes:
            planes = [np.empty((height, width), np.uint8) for _ in range(channels)]
            self.planes[picture.shape] = planes
        planes = self.planes[picture.shape]
        cv2.split(picture, planes)
        return planes


class _Pictures:
    """Frames in a form that OpenCV can sample, for all threads. YUV is converted once per Frame.

    A buffer is used again when its Frame is gone, so there are no more buffers than frames in the
    loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._converted: List[Tuple[weakref.ReferenceType[Frame], np.ndarray]] = []

    def of(self, frame: Frame) -> np.ndarray:
        """[H,W,3], [H,W,4], or [H,W] of a gray frame."""
        if frame.layout == "gray":
            return frame.image.reshape(frame.image.shape[:2])  # [H,W] or [H,W,1]
        if frame.layout not in _TO_BGR:
            return frame.image
        with self._lock:
            known = next((bgr for ref, bgr in self._converted if ref() is frame), None)
            return self._convert(frame) if known is None else known

    def _convert(self, frame: Frame) -> np.ndarray:
        codes = _TO_BGRA if preprocess_wide.FASTER else _TO_BGR
        shape = (*frame.stored_size[::-1], 4 if preprocess_wide.FASTER else 3)
        free = next(
            (i for i, (ref, bgr) in enumerate(self._converted) if not ref() and bgr.shape == shape),
            None,
        )
        old = None if free is None else self._converted.pop(free)[1]
        bgr: np.ndarray = cv2.cvtColor(frame.image, codes[frame.layout], dst=old)
        if len(self._converted) >= _MANY:  # a camera changes its size again and again
            self._converted = [c for c in self._converted if c[0]()]
        self._converted.append((weakref.ref(frame), bgr))
        return bgr


_scratch = _Scratch()
_pictures = _Pictures()


def one_thread_a_crop() -> None:
    """Make OpenCV use one thread, for the whole process.

    If each thread that cuts crops has its own core, OpenCV's own threads only take time from them.
    On two cores this takes .96 to .99 of the time of a frame for three and more people, .99 to 1.02
    for one person, and .97 of the CPU time.
    """
    cv2.setNumThreads(1)


def sample(
    frames: Sequence[Frame],
    which: np.ndarray,
    matrices: np.ndarray,
    network: Network,
    out: np.ndarray,
    border: int = 0,
    veils: Optional[Veils] = None,
) -> None:
    """Cut crops out of frames, and normalise them for a network.

    Interpolation is bilinear, as in training (cv2.warpAffine). A pixel outside the frame has the
    grey value `border` before normalising.

    Args:
        frames: source frames.
        which: [B] index into `frames` of each crop.
        matrices: [B,2,3] from px of the frame to px of the input.
        network: size, layout, channel order, mean, std and type of the input.
        out: [B,3,H,W] or [B,H,W,3], filled in place.
        border: 0..255.
        veils: masks of hidden pixels; None = nothing is hidden.
    """
    tables, out = _tables_of(network, out), _storable(out)
    size = (network.width, network.height)
    maps = crop_maps(frames, which, matrices)
    hidden = [-1] * len(which) if veils is None else veils.of_crop.tolist()
    for i, frame in enumerate(which.tolist()):
        picture = preprocess_wide.widened(_pictures.of(frames[frame]), maps[i], size)
        crop = _scratch.input((network.height, network.width) + picture.shape[2:])
        cv2.warpAffine(picture, maps[i], size, dst=crop, flags=_LINEAR, borderValue=(border,) * 4)
        if veils is not None and hidden[i] >= 0:
            veil.hide(crop, veils.cells[hidden[i]], border)
        _fill(crop, frames[frame].layout, tables, network, out[i])


def letterbox(
    frames: Sequence[Frame], network: Network, out: np.ndarray, border: int = PAD
) -> np.ndarray:
    """Fit whole frames into the top left of the input, with bars of the grey value `border`.

    The aspect is kept. Sizes are rounded down to whole pixels and pictures are scaled by cv2.resize
    without a low-pass filter, as for YOLOX and RTMDet (Tau-J/rtmlib): the networks were trained so.

    Args:
        frames: [B] source frames.
        network: size, layout, channel order, mean, std and type of the input.
        out: [B,3,H,W] or [B,H,W,3], filled in place.
        border: 0..255.

    Returns:
        [B,2,3] f32 from px of the frame to px of the input.
    """
    tables, out = _tables_of(network, out), _storable(out)
    size = (network.width, network.height)
    matrices = np.zeros((len(frames), 2, 3), np.float32)
    for i, frame in enumerate(frames):
        matrices[i] = geometry.letterbox(frame.size, size)
        _fill(_fit(frame, size, border), frame.layout, tables, network, out[i])
    return matrices


def _fit(frame: Frame, size: geometry.Size, border: int) -> np.ndarray:
    picture = _pictures.of(frame)
    box = _scratch.input((size[1], size[0]) + picture.shape[2:])
    columns, rows = frame.size
    ratio = min(size[0] / columns, size[1] / rows)
    wide, high = max(1, int(columns * ratio)), max(1, int(rows * ratio))
    if frame.view is None or not frame.view.code:
        cv2.resize(picture, (wide, high), dst=box[:high, :wide], interpolation=_LINEAR)
    else:  # the small picture is turned, not the large one
        fit = (high, wide) if frame.view.code & SWAPPED else (wide, high)
        small = _scratch.unturned((fit[1], fit[0]) + picture.shape[2:])
        cv2.resize(picture, fit, dst=small, interpolation=_LINEAR)
        np.copyto(box[:high, :wide], frame.view.upright(small))
    box[high:] = border
    box[:high, wide:] = border
    return box


def _fill(
    crop: np.ndarray, layout: str, tables: np.ndarray, network: Network, out: np.ndarray
) -> None:
    """Normalise by look-up tables, which is exact for every type, mean and std."""
    order = _order(layout, network.channels)
    if network.layout == "nhwc":
        _fill_pixels(crop, tables, order, out)
        return
    planes = [crop] * 3 if layout == "gray" else _scratch.split(crop)
    for channel, plane in enumerate(order):
        cv2.LUT(planes[plane], tables[channel], dst=out[channel])


def _fill_pixels(
    crop: np.ndarray, tables: np.ndarray, order: Tuple[int, int, int], out: np.ndarray
) -> None:
    code = _TO_PIXELS.get((crop.shape[2:], order[0] == 0))
    if code is not None:
        crop = cv2.cvtColor(crop, code, dst=_scratch.input(crop.shape[:2] + (3,)))
    cv2.LUT(crop, _interleaved(tables), dst=out)


def _interleaved(tables: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(tables.transpose(1, 2, 0))  # [256,1,3]


def _order(layout: str, channels: str) -> Tuple[int, int, int]:
    """Index of the picture's plane for each channel of the network."""
    same = (layout == "rgb") == (channels == "rgb")
    return (0, 1, 2) if same else (2, 1, 0)


def _tables_of(network: Network, out: np.ndarray) -> np.ndarray:
    dtype = "float16" if out.dtype == np.float16 else network.dtype
    return _tables(tuple(network.mean), tuple(network.std), dtype)


def _storable(array: np.ndarray) -> np.ndarray:
    """Half floats as 16-bit integers, because some versions of OpenCV have no half-float tables."""
    return array.view(np.int16) if array.dtype == np.float16 else array


@lru_cache(maxsize=64)
def _tables(mean: Tuple[float, ...], std: Tuple[float, ...], dtype: str) -> np.ndarray:
    """[3,256,1]: the input value of each grey value in each channel of the network."""
    values: np.ndarray = (np.arange(256)[None] - np.array(mean)[:, None]) / np.array(std)[:, None]
    if not dtype.startswith("float"):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return _storable(np.asarray(values[..., None], dtype))
