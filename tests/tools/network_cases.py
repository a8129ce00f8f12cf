"""Networks that the converters' tests and `make_golden.py` share."""

from __future__ import annotations

import struct

import numpy as np

from edge.recipe import Network
from tools.convert.verify import pixels

WHEEL = "mediapipe/modules/"
# Networks of the wheel that the product does not use: other operators, paddings and layouts.
OTHERS = [
    WHEEL + "palm_detection/palm_detection_full.tflite",
    WHEEL + "pose_detection/pose_detection.tflite",
    WHEEL + "face_detection/face_detection_full_range_sparse.tflite",
    WHEEL + "face_detection/face_detection_short_range.tflite",
    WHEEL + "iris_landmark/iris_landmark.tflite",
]
CUSTOM_OPERATORS = WHEEL + "face_landmark/face_landmark_with_attention.tflite"


def pixels_of(height: int, width: int) -> np.ndarray:
    """The picture of the conversions' check, [height, width, 3] 0..255."""
    return pixels(Network(file="x", width=width, height=height))


EVERY_LAYER = """
[net]
width=32
height=48   # a comment
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=mish

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=swish

[shortcut]
from=-2
activation=linear

[convolutional]
filters=16
size=1
stride=1
pad=1
activation=leaky

[route]
layers=-1
groups=2
group_id=1

[maxpool]
size=5
stride=1

[route]
layers=-2

[maxpool]
size=3
stride=1

[route]
layers=-1,-3

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=12
size=3
stride=1
pad=1
activation=logistic

[convolutional]
filters=18
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=1,2, 3,4, 5,6
classes=1
num=3

[route]
layers=-3

[upsample]
stride=2

[route]
layers=-1,3

[convolutional]
filters=18
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1,2
anchors=1,2, 3,4, 5,6
classes=1
num=3
"""
# (filters, input channels, kernel, batch norm) of the convolutions above, in order.
CONVOLUTIONS = [
    (8, 3, 3, True),
    (8, 8, 3, True),
    (16, 8, 1, False),
    (12, 16, 3, True),
    (18, 12, 1, False),
    (18, 28, 1, False),
]


def every_layer_cfg() -> str:
    """A cfg with every layer and activation that the converter knows."""
    return EVERY_LAYER.lstrip()


def every_layer_weights() -> bytes:
    """Weights for it; the numbers come from a generator whose stream NumPy promises to keep."""
    random = np.random.RandomState(7)
    parts = [struct.pack("<3iq", 0, 2, 5, 0)]
    for filters, channels, kernel, normalized in CONVOLUTIONS:
        parts.append(random.uniform(-0.5, 0.5, filters).astype("<f4").tobytes())
        if normalized:
            parts.append(random.uniform(0.5, 1.5, filters).astype("<f4").tobytes())
            parts.append(random.uniform(-0.5, 0.5, filters).astype("<f4").tobytes())
            parts.append(random.uniform(0.2, 2.0, filters).astype("<f4").tobytes())
        count = filters * channels * kernel * kernel
        reach = (3.0 / (channels * kernel * kernel)) ** 0.5
        parts.append(random.uniform(-reach, reach, count).astype("<f4").tobytes())
    return b"".join(parts)


def every_layer_input() -> np.ndarray:
    """One image [1, 3, 48, 32]."""
    return np.random.RandomState(3).uniform(0, 1, (1, 3, 48, 32)).astype(np.float32)


def thinned(values: np.ndarray) -> np.ndarray:
    """Maps [..., height, width] at every 8th row and column: enough to tell, small to keep."""
    return values[..., ::8, ::8] if values.ndim == 4 else values
