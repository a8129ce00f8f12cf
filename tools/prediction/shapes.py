"""Layers of networks, counted in their graphs and stored, for predictions without the graph.

Equal layers are merged and sorted, so a list tells the work but not the connections. graph.py
counted them in yolov4-tiny and blazepose, in exports of tools/arch with random weights (a test
repeats two of these), and in YOLO11 and YOLOv8 graphs with random weights that their own program
wrote. YOLO11 and YOLOv8 serve the published measurements only and are no part of this project.

`shapes.txt` has one network a line: its name, then its layers. A layer is an index of KINDS, then
the numbers of `Layer`, then `*` and the number of repeats if it is above 1.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, List

from tools.prediction.layers import KINDS, Layer

FILE = Path(__file__).with_name("shapes.txt")


@lru_cache(maxsize=None)
def shapes() -> Dict[str, List[Layer]]:
    """The layers of all counted networks by name."""
    lines = (line.split() for line in FILE.read_text(encoding="utf-8").splitlines())
    return {line[0]: [_layer(text) for text in line[1:]] for line in lines}


def _layer(text: str) -> Layer:
    sizes, _, repeats = text.partition("*")
    row = [int(n) for n in sizes.split(",")]
    kind, ends = KINDS[row[0]], bool(row[8])
    return Layer._make([kind, *row[1:8], ends, int(repeats or 1)])


def written(name: str, layers: List[Layer]) -> str:
    """The line of `shapes.txt` for a network."""
    texts = [name]
    for layer in layers:
        numbers = [KINDS.index(layer.kind), *map(int, layer[1:-1])]
        repeats = f"*{layer.repeats}" if layer.repeats > 1 else ""
        texts.append(",".join(map(str, numbers)) + repeats)
    return " ".join(texts)
