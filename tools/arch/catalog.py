"""All architectures by name, built from tables of their sizes.

The tables hold facts of the configurations in open-mmlab/mmpose 1.3.2 and
open-mmlab/mmdetection 3.3.0 (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Callable, Dict, Optional, Tuple, Union

from tools.arch.light import LightDetector
from tools.arch.mobilenet import MobileNet
from tools.arch.network import Network, Size
from tools.arch.rtmdet import Rtmdet
from tools.arch.rtmo import Rtmo
from tools.arch.shufflenet import ShuffleNet
from tools.arch.simcc import SimccNetwork
from tools.arch.yolox import Yolox

# Size -> (factor on the number of blocks, factor on the channels).
FACTORS = {
    "t": (0.167, 0.375),
    "s": (0.33, 0.5),
    "m": (0.67, 0.75),
    "l": (1.0, 1.0),
    "x": (1.33, 1.25),
}
YOLOX_FACTORS = dict(FACTORS, nano=(0.33, 0.25), tiny=(0.33, 0.375))
RTMDET_FACTORS = dict(FACTORS, nano=(0.33, 0.25), tiny=FACTORS["t"])
RTMO_FACTORS = dict(FACTORS, t=(0.33, 0.375))

KEYPOINTS = {"coco17": 17, "halpe26": 26, "halpe136": 136, "wholebody133": 133}
SMALL, LARGE = (256, 192), (384, 288)  # height, width px
PERSON = ("person",)
LIGHT_WIDTH = 64  # channels of neck and head of the light detectors
COCO = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)


@dataclass(frozen=True)
class Pixels:
    """How an image becomes the input. `mean` and `std` are in the order of `channels`."""

    channels: str  # rgb or bgr
    mean: Tuple[float, float, float]
    std: Tuple[float, float, float]


RGB = Pixels("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
BGR = Pixels("bgr", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395))
UNIT = Pixels("rgb", (127.50194552529183,) * 3, (127.50194552529183,) * 3)
PLAIN = Pixels("bgr", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Architecture:
    """A network that can be built, with the meaning of its input and outputs."""

    name: str
    family: str  # a model family of edge.models
    width_px: int
    height_px: int
    pixels: Pixels
    construct: Callable[[Size], Network]
    skeleton: str = ""  # a skeleton of edge.skeletons; empty for detectors
    classes: Tuple[str, ...] = ()  # for detectors

    @property
    def size(self) -> Size:
        """Height, width in px."""
        return self.height_px, self.width_px

    def build(self, size: Optional[Size] = None) -> Network:
        """The network with random weights, in evaluation mode. `size` is height and width in px."""
        network = self.construct(size or self.size)
        network.eval()
        return network


def _simcc(name: str, size: str, skeleton: str, px: Size, fine: bool = False) -> Architecture:
    deepen, widen = FACTORS[size]

    def construct(at: Size) -> Network:
        return SimccNetwork(deepen, widen, KEYPOINTS[skeleton], at, fine)

    return Architecture(name, "simcc", px[1], px[0], RGB, construct, skeleton)


def _rtmdet(name: str, size: str, classes: Tuple[str, ...], px: int) -> Architecture:
    deepen, widen = RTMDET_FACTORS[size]

    def construct(at: Size) -> Network:
        return Rtmdet(
            deepen,
            widen,
            len(classes),
            at,
            separable=size == "nano",
            exponential=size in ("m", "l", "x"),
        )

    return Architecture(name, "rtmdet", px, px, BGR, construct, classes=classes)


def _yolox(name: str, size: str, px: int) -> Architecture:
    deepen, widen = YOLOX_FACTORS[size]

    def construct(at: Size) -> Network:
        return Yolox(deepen, widen, len(COCO), at, separable=size == "nano")

    return Architecture(name, "yolox", px, px, PLAIN, construct, classes=COCO)


def _light(name: str, trunk: Callable[[], Union[MobileNet, ShuffleNet]], px: int) -> Architecture:
    """Ours; the pixels are MoveNet's, whose trunk one of them has."""

    def construct(at: Size) -> Network:
        return LightDetector(trunk(), LIGHT_WIDTH, at)

    return Architecture(name, "rtmdet", px, px, UNIT, construct, classes=PERSON)


def _rtmo(name: str, size: str, px: int) -> Architecture:
    deepen, widen = RTMO_FACTORS[size]

    def construct(at: Size) -> Network:
        return Rtmo(deepen, widen, at)

    return Architecture(name, "rtmo", px, px, PLAIN, construct, "coco17", PERSON)


def _pose_rows() -> Dict[str, Architecture]:
    """Rows: name pattern, sizes, skeleton, height and width, whether it has RTMW's head."""
    rows = (
        ("rtmpose-{}-wholebody", "tsmlx", "wholebody133", SMALL, False),
        ("rtmpose-{}-wholebody-384x288", "lx", "wholebody133", LARGE, False),
        ("dwpose-{}", "tsml", "wholebody133", SMALL, False),
        ("dwpose-{}-384x288", "l", "wholebody133", LARGE, False),
        ("rtmw-{}", "mlx", "wholebody133", SMALL, True),
        ("rtmw-{}-384x288", "lx", "wholebody133", LARGE, True),
        ("rtmpose-{}-body17", "tsml", "coco17", SMALL, False),
        ("rtmpose-{}-body17-384x288", "ml", "coco17", LARGE, False),
        ("rtmpose-{}-body26", "tsml", "halpe26", SMALL, False),
        ("rtmpose-{}-body26-384x288", "mlx", "halpe26", LARGE, False),
    )
    found = {}
    for pattern, sizes, skeleton, px, fine in rows:
        for size in sizes:
            name = pattern.format(size)
            found[name] = _simcc(name, size, skeleton, px, fine)
    return found


def _detector_rows() -> Dict[str, Architecture]:
    found = [_rtmdet("rtmdet-nano-person", "nano", PERSON, 320)]
    found.append(_rtmdet("rtmdet-m-person", "m", PERSON, 640))
    found += [_rtmdet(f"rtmdet-{size}", size, COCO, 640) for size in ("tiny", *"smlx")]
    found += [_yolox(f"yolox-{size}", size, 416) for size in ("nano", "tiny")]
    found += [_yolox(f"yolox-{size}", size, 640) for size in "smlx"]
    found += [_rtmo(f"rtmo-{size}", size, 416 if size == "t" else 640) for size in "tsml"]
    found.append(_light("light-shuffle05", partial(ShuffleNet, "0.5"), 416))
    found.append(_light("light-shuffle10", partial(ShuffleNet, "1.0"), 320))
    found.append(_light("light-mobile", MobileNet, 288))
    return {architecture.name: architecture for architecture in found}


CATALOG: Dict[str, Architecture] = dict(_pose_rows(), **_detector_rows())
