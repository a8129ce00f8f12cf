"""Qualisys' calibration (.qca.txt, .xml). Its px are 1/64 px, its lengths mm.

Its cameras look along -z and have y up, so their axes are turned half around x.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import List
from xml.etree.ElementTree import Element

import numpy as np

from edge.errors import DataError
from edge.rig.made import OneCamera, make_rig
from edge.scene.rig import Rig

_FLIP = np.diag([1.0, -1.0, -1.0])
_PARTS = 64.0


def is_one(text: str) -> bool:
    """Whether a text may be such a file."""
    return "<calibration" in text[:4096]


def parse(text: str, path: Path, unit_m: float) -> Rig:
    """The cameras of a file that have a place; a camera is called as its serial number.

    Raises:
        DataError: it is no such file.
    """
    return make_rig(cameras(text, path), path, unit_m)


def cameras(text: str, path: Path) -> List[OneCamera]:
    """The cameras of a file that have a place.

    Raises:
        DataError: it is no such file.
    """
    try:
        # Without what stands before: a str must not state an encoding, and entities stay unknown.
        body = text[text.index("<calibration") :]
        tables = list(ElementTree.fromstring(body).iter("camera"))
        return [_camera(c) for c in tables if c.find("transform") is not None]
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path}: is no calibration of Qualisys: {error}") from error


def _camera(camera: Element) -> OneCamera:
    name = camera.get("serial") or camera.get("model") or "?"

    def numbers(tag: str, *names: str) -> List[float]:
        place = camera.find(tag)
        if place is None:
            raise ValueError(f"camera {name!r} has no {tag}")
        missing = [n for n in names if n not in place.attrib]
        if missing:
            raise ValueError(f"camera {name!r}: {tag} has no {missing[0]}")
        return [float(place.attrib[n]) for n in names]

    rows = numbers("transform", *[f"r{row}{column}" for row in "123" for column in "123"])
    turn = _FLIP @ np.reshape(rows, (3, 3))
    lens = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV", "skew")
    wide, high, x, y, skew = np.array(numbers("intrinsic", *lens)) / _PARTS
    first, second, third = numbers("intrinsic", *[f"radialDistortion{i}" for i in "123"])
    p1, p2 = numbers("intrinsic", *[f"tangentalDistortion{i}" for i in "12"])
    return OneCamera(
        name,
        [[wide, skew, x], [0, high, y], [0, 0, 1]],
        [first, second, p1, p2, third],
        turn,
        -turn @ numbers("transform", *"xyz"),
        _size(camera),
    )


def _size(camera: Element) -> List[float]:
    """Width and height of the video; 0 if the file does not say."""
    field = camera.find("fov_video")
    if field is None:
        return [0.0, 0.0]
    left, top, right, bottom = [
        float(field.get(n, "0")) for n in ("left", "top", "right", "bottom")
    ]
    return [right - left + 1, bottom - top + 1] if right > left and bottom > top else [0.0, 0.0]
