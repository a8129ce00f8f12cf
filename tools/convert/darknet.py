"""Darknet `.cfg` + `.weights` -> ONNX: the networks of the YOLOv2 to YOLOv4 family.

Each `[yolo]` layer ends a branch: what it would decode becomes an output of the network, raw as the
convolution before it made it, [batch, anchors x (5 + classes), h, w]. The formats are those of the
darknet program: a text of sections, and a header plus FP32 numbers in the order of the layers.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Tuple

import numpy as np
import onnx

from edge.errors import DataError
from tools.convert._darknet_layers import LAYERS, Network, Section
from tools.convert.graph import BATCH, Array, GraphBuilder, Outputs

HEADER_BYTES = {False: 16, True: 20}  # three int32, then images seen: int32, or int64 from 0.2 on


def convert(
    cfg: str,
    weights: bytes,
    label: str = "network",
    size: Optional[Tuple[int, int]] = None,
    names: Optional[Mapping[str, str]] = None,
) -> onnx.ModelProto:
    """Translate a network.

    Args:
        cfg: the text of the `.cfg` file.
        weights: the whole `.weights` file.
        label: what to call the network in an error.
        size: (width, height) px instead of those in the cfg; multiples of its layers' strides.
        names: new name -> `yolo0`, `yolo1`, ... (order of the cfg); empty: those names.

    Returns:
        A model with the input `input` [batch, 3, H, W] (RGB 0..1) and one raw output per head.

    Raises:
        DataError: damaged or foreign text, weights too short or too long, a layer not known here.
        ConfigError: a size that the layers' strides do not divide.
    """
    sections = parse(cfg, label)
    net = sections[0]
    width, height = size or (net.count("width"), net.count("height"))
    graph = GraphBuilder(label)
    network = Network(graph, numbers(weights, label), label)
    channels = net.count("channels", 3)
    network.start(graph.input("input", [BATCH, channels, height, width]), channels, height, width)
    for section in sections[1:]:
        _append(network, section)
    network.require_all_read()
    return graph.finish(_outputs(network, names or {}))


def parse(cfg: str, label: str) -> List[Section]:
    """The sections of a cfg, `[net]` first."""
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
        raise DataError(f"{label}: not a darknet cfg: no [net] section first")
    return sections


def numbers(weights: bytes, label: str) -> Array:
    """The FP32 numbers after the header."""
    if len(weights) < HEADER_BYTES[True]:
        raise DataError(f"{label}: the weights file is too short for a header")
    major, minor = (int(v) for v in np.frombuffer(weights, "<i4", 2))
    wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
    body = weights[HEADER_BYTES[wide] :]
    if len(body) % 4:
        raise DataError(f"{label}: the weights file is cut off or damaged")
    values: Array = np.frombuffer(body, "<f4")
    return values


def _append(network: Network, section: Section) -> None:
    layer = LAYERS.get(section.kind)
    if layer is None:
        known = ", ".join(sorted(LAYERS))
        what = f"layer [{section.kind}] (line {section.line})"
        raise DataError(f"{network.label}: {what} is not known here; known: {known}")
    layer(network, section)


def _outputs(network: Network, names: Mapping[str, str]) -> Outputs:
    heads = {f"yolo{i}": head for i, head in enumerate(network.heads)}
    chosen = dict(names) or {name: name for name in heads}
    for wanted in chosen.values():
        if wanted not in heads:
            there = ", ".join(heads) or "none"
            raise DataError(f"{network.label}: no output {wanted}; it has {there}")
    return {
        new: (heads[old].name, [BATCH, heads[old].channels, heads[old].height, heads[old].width])
        for new, old in chosen.items()
    }
