"""Convert darknet `.cfg` and `.weights` files to ONNX: networks of YOLOv2 to YOLOv4.

Each `[yolo]` layer ends a branch. The output of the convolution before it becomes an output of the
network, [batch, anchors x (5 + classes), h, w], not decoded. The `.cfg` is a text of sections; the
`.weights` file is a header and FP32 numbers in the order of the layers.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

import numpy as np
import onnx

from edge.errors import DataError
from tools.convert._darknet_layers import LAYERS, Section, Translation
from tools.convert.graph import BATCH, Array, GraphBuilder, Outputs

HEADER_BYTES = {False: 16, True: 20}  # three int32, then images seen as int32; int64 since 0.2


def convert(
    cfg: str,
    weights: bytes,
    label: str = "network",
    size: Optional[Tuple[int, int]] = None,
    names: Optional[Mapping[str, str]] = None,
) -> onnx.ModelProto:
    """Convert a network.

    Args:
        cfg: content of the `.cfg` file.
        weights: content of the `.weights` file.
        label: name of the network, for errors.
        size: (width, height) px in place of the cfg's; multiples of the strides.
        names: new name -> `yolo0`, `yolo1`, ... in the order of the cfg; empty = these names.

    Returns:
        A model with the input `input` [batch, 3, H, W] (RGB 0..1) and one output for each head.

    Raises:
        DataError: a file is damaged, they do not belong together, or a layer is not supported.
        ConfigError: the strides do not divide the size.
    """
    sections = parse(cfg, label)
    net = sections[0]
    width, height = size or (net.count("width"), net.count("height"))
    graph = GraphBuilder(label)
    translation = Translation(graph, numbers(weights, label), label)
    channels = net.count("channels", 3)
    translation.start(
        graph.input("input", [BATCH, channels, height, width]), channels, height, width
    )
    for section in sections[1:]:
        _append(translation, section)
    translation.require_all_read()
    return graph.finish(_outputs(translation, names or {}))


def parse(cfg: str, label: str) -> List[Section]:
    """Sections of a cfg; `[net]` is the first."""
    sections: List[Section] = []
    for number, raw in enumerate(cfg.splitlines(), 1):
        line = raw.split("#")[0].split(";")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            sections.append(Section(line[1:-1].strip().lower(), {}, number, label))
        elif line:
            key, equals, value = line.partition("=")
            if not equals or not sections:
                raise DataError(f"{label}: line {number} of the cfg is not key=value")
            sections[-1].values[key.strip()] = value.strip()
    if not sections or sections[0].kind not in ("net", "network"):
        raise DataError(f"{label}: is not a darknet cfg: its first section is not [net]")
    return sections


def numbers(weights: bytes, label: str) -> Array:
    """FP32 numbers after the header."""
    if len(weights) < HEADER_BYTES[True]:
        raise DataError(f"{label}: the weights file is too short for a header")
    major, minor = (int(v) for v in np.frombuffer(weights, "<i4", 2))
    wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
    body = weights[HEADER_BYTES[wide] :]
    if len(body) % 4:
        raise DataError(f"{label}: the weights file is damaged")
    values: Array = np.frombuffer(body, "<f4")
    return values


def _append(translation: Translation, section: Section) -> None:
    layer = LAYERS.get(section.kind)
    if layer is None:
        known = ", ".join(sorted(LAYERS))
        what = f"layer [{section.kind}] (line {section.line})"
        raise DataError(f"{translation.label}: {what} is not supported; supported: {known}")
    layer(translation, section)


def _outputs(translation: Translation, names: Mapping[str, str]) -> Outputs:
    heads = {f"yolo{i}": head for i, head in enumerate(translation.heads)}
    chosen = dict(names) or {name: name for name in heads}
    for wanted in chosen.values():
        if wanted not in heads:
            there = ", ".join(heads) or "none"
            raise DataError(f"{translation.label}: no output {wanted}; it has {there}")
    return {
        new: (heads[old].name, [BATCH, heads[old].channels, heads[old].height, heads[old].width])
        for new, old in chosen.items()
    }
