"""Layers of published networks, for measurements whose graphs are not here.

ResNet (arXiv 1512.03385), VGG (1409.1556), MobileNetV2 (1801.04381), MnasNet-B1 (1807.11626),
YOLOv3 (1804.02767), and the head of NVIDIA's trt_pose on ResNet-18. Batch norms are folded.
"""

from __future__ import annotations

from typing import List, Tuple

from tools.prediction.layers import Layer, conv, linear, move

Size = Tuple[int, int]
RESNETS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
VGGS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
# Expansion, channels, repeats, stride, window.
MOBILENET_V2 = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
MNASNET_B1 = (
    (1, 16, 1, 1, 3),
    (3, 24, 3, 2, 3),
    (3, 40, 3, 2, 5),
    (6, 80, 3, 2, 5),
    (6, 96, 2, 1, 3),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def half(size: Size) -> Size:
    """The size after a stride of 2."""
    return -(-size[0] // 2), -(-size[1] // 2)


def pool(size: Size, channels: int) -> Layer:
    """A pooling layer with stride 2."""
    after = half(size)
    return move(size[0] * size[1] * channels, after[0] * after[1] * channels)


def backbone(name: str, px: int) -> List[Layer]:
    """The layers of a ResNet up to its last stage."""
    size = half((px, px))
    found = [conv((px, px), 3, 64, 7, 2), pool(size, 64)]
    size, channels, deep = half(size), 64, name not in ("resnet18", "resnet34")
    for stage, blocks in enumerate(RESNETS[name]):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            found += (_bottleneck if deep else _plain)(size, channels, width, stride)
            channels = width * (4 if deep else 1)
            size = half(size) if stride == 2 else size
    return found


def _plain(size: Size, inputs: int, width: int, stride: int) -> List[Layer]:
    after = half(size) if stride == 2 else size
    short = [conv(size, inputs, width, 1, stride)] if inputs != width else []
    return [conv(size, inputs, width, 3, stride), conv(after, width, width, 3, added=True), *short]


def _bottleneck(size: Size, inputs: int, width: int, stride: int) -> List[Layer]:
    after = half(size) if stride == 2 else size
    short = [conv(size, inputs, 4 * width, 1, stride)] if inputs != 4 * width else []
    middle = conv(size, width, width, 3, stride)
    return [conv(size, inputs, width), middle, conv(after, width, 4 * width, added=True), *short]


def resnet(name: str, px: int = 224) -> List[Layer]:
    """The layers of a ResNet with its classifier."""
    channels = 512 if name in ("resnet18", "resnet34") else 2048
    pixels = (px // 32) ** 2
    return [*backbone(name, px), move(channels * pixels, channels), linear(channels, 1000)]


def vgg(name: str, px: int = 224) -> List[Layer]:
    """The layers of a VGG with its three fully connected layers (120 million weights)."""
    found, channels, size = [], 3, (px, px)
    for stage, convs in enumerate(VGGS[name]):
        width = min(512, 64 << stage)
        for _ in range(convs):
            found.append(conv(size, channels, width, 3))
            channels = width
        found.append(pool(size, channels))
        size = half(size)
    return [*found, linear(25088, 4096), linear(4096, 4096), linear(4096, 1000)]


def _eight(channels: float) -> int:
    """The nearest multiple of 8 that is at most a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def inverted(rows: Tuple[Tuple[int, ...], ...], factor: float, last: int) -> List[Layer]:
    """The layers of MobileNetV2 or MnasNet: 1x1 expansion, depthwise, 1x1 projection."""
    channels, size = _eight(32 * factor), (112, 112)
    found = [conv((224, 224), 3, channels, 3, 2)]
    for expansion, width, repeats, stride, window in rows:
        width = _eight(width * factor)
        for block in range(repeats):
            inner, step = channels * expansion, stride if block == 0 else 1
            if expansion > 1:
                found.append(conv(size, channels, inner))
            found.append(conv(size, inner, inner, window, step, groups=inner))
            size = half(size) if step == 2 else size
            found.append(conv(size, inner, width, added=block > 0))
            channels = width
    return [*found, conv(size, channels, last), move(last * 49, last), linear(last, 1000)]


def yolov3(px: int) -> List[Layer]:
    """The layers of Darknet-53 with the three heads."""
    size, channels = (px, px), 32
    found, kept = [conv(size, 3, 32, 3)], []
    for blocks in (1, 2, 8, 8, 4):
        found.append(conv(size, channels, 2 * channels, 3, 2))
        size, channels = half(size), 2 * channels
        for _ in range(blocks):
            inner = conv(size, channels, channels // 2)
            found += [inner, conv(size, channels // 2, channels, 3, added=True)]
        kept.append((size, channels))
    for level, (size, channels) in enumerate(reversed(kept[2:])):
        width = channels // 2
        inputs = channels + (width // 1 if level else 0)
        for repeat in range(3):
            found += [
                conv(size, inputs if not repeat else channels, width),
                conv(size, width, channels, 3),
            ]
        found.append(conv(size, channels, 255))
        if level < 2:
            found += [
                conv(size, width, width // 2),
                move(size[0] * size[1] * width // 2, size[0] * size[1] * width * 2),
            ]
    return found


def trt_pose_resnet18(px: int = 224) -> List[Layer]:
    """ResNet-18, then two branches of three transposed convolutions, attention and a 1x1."""
    found = backbone("resnet18", px)
    for outputs in (18, 42):
        size, inputs = (px // 32, px // 32), 512
        for _ in range(3):
            found.append(conv(size, inputs, 256, 4, 2, upward=True))
            size, inputs = (size[0] * 2, size[1] * 2), 256
        found += [conv(size, 256, 256, 3, added=True), conv(size, 256, outputs)]
    return found


def layers_of(name: str) -> List[Layer]:
    """The layers of a network of this file by name, such as `resnet50` or `resnet18@256`."""
    base, _, size = name.partition("@")
    if base in RESNETS:
        return resnet(base, int(size or 224))
    if base in VGGS:
        return vgg(base)
    if base == "mobilenet_v2":
        return inverted(MOBILENET_V2, 1.0, 1280)
    if base.startswith("mnasnet"):
        return inverted(MNASNET_B1, float(size), 1280)
    return trt_pose_resnet18() if base == "trt_pose_resnet18" else yolov3(int(size))
