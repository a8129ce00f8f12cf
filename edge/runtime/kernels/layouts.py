"""The structures of crop.cu and decode.cu, for ctypes and NumPy."""

from __future__ import annotations

import ctypes
from typing import Dict

import numpy as np

from edge.errors import InternalError

FORMATS: Dict[str, int] = {"bgr": 0, "nv12": 1, "yuyv": 2, "rgb": 3, "gray": 4}
TYPES: Dict[str, int] = {"float32": 0, "float16": 1, "int8": 2, "uint8": 3, "int32": 4}

_U64, _I32, _F32 = ctypes.c_uint64, ctypes.c_int32, ctypes.c_float

# A row describes one crop; crop.cu explains the fields.
CROP = np.dtype(
    [
        ("pixels", np.uint64),
        ("chroma", np.uint64),
        ("width", np.int32),
        ("height", np.int32),
        ("pitch", np.int32),
        ("chroma_pitch", np.int32),
        ("format", np.int32),
        ("slot", np.int32),
        ("fit_width", np.int32),
        ("fit_height", np.int32),
        ("whole", np.int32),
        ("map", np.float32, (6,)),
        ("veil", np.int32),
    ]
)


class Target(ctypes.Structure):
    """The input to be filled and its normalisation: the argument of the kernel `crop`."""

    _fields_ = [
        ("data", _U64),
        ("crops", _U64),
        ("veils", _U64),
        ("width", _I32),
        ("height", _I32),
        ("count", _I32),
        ("type", _I32),
        ("pixelwise", _I32),
        ("bgr", _I32),
        ("border", _F32),
        ("scale", _F32 * 3),
        ("bias", _F32 * 3),
        ("scale_rest", _F32 * 3),
        ("bias_rest", _F32 * 3),
        ("spare", _I32),
    ]


class Peaks(ctypes.Structure):
    """Addresses of SimCC logits and of their maxima: the argument of the kernel `simcc_peaks`."""

    _fields_ = [
        ("logits", _U64 * 2),
        ("at", _U64),
        ("best", _U64),
        ("bins", _I32 * 2),
        ("rows", _I32),
        ("half", _I32),
        ("near", _U64),
        ("reach", _I32),
        ("spare", _I32),
    ]


class Column(ctypes.Structure):
    """Where one number of each row of a detector's output lies, in elements; see decode.Place."""

    _fields_ = [
        ("data", _U64),
        ("frame", _I32),
        ("outer", _I32),
        ("inner", _I32),
        ("part", _I32),
    ]


class Choice(ctypes.Structure):
    """Where a detector's rows and the chosen ones lie: the argument of the kernel `choose`."""

    _fields_ = [
        ("score", Column),
        ("factor", Column),
        ("box", Column),
        ("found", _U64),
        ("rows_at", _U64),
        ("scores", _U64),
        ("boxes", _U64),
        ("rows", _I32),
        ("frames", _I32),
        ("length", _I32),
        ("parts", _I32),
        ("most", _I32),
        ("half", _I32),
        ("logits", _I32),
        ("floor", _F32),
    ]


def type_number(dtype: np.dtype) -> int:
    """The kernels' number of an element type.

    Raises:
        InternalError: the kernels know no such type.
    """
    name = np.dtype(dtype).name
    if name not in TYPES:
        raise InternalError(f"the crop kernel writes {', '.join(TYPES)}, not {name}")
    return TYPES[name]
