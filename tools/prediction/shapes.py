"""Layer sizes of networks, counted in their graphs: what a prediction needs when no graph is here.

Equal layers are merged and sorted, so this is a count of work and holds no wiring. Counted with
graph.py in our own recipes of yolov4-tiny and blazepose, in the exports of tools/arch with random
weights (a test counts two of them anew), and for the published measurements of YOLO11 and YOLOv8,
which are no part of this project, in graphs with random weights that their own program wrote.

`shapes.txt` has one network a line: its name, then its layers. A layer is its kind as an index of
KINDS, then Layer's numbers, `*` how often it repeats if above one.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, List

from tools.prediction.layers import KINDS, Layer

FILE = Path(__file__).with_name("shapes.txt")


@lru_cache(maxsize=None)
def shapes() -> Dict[str, List[Layer]]:
    """Every counted network by name."""
    lines = (line.split() for line in FILE.read_text(encoding="utf-8").splitlines())
    return {line[0]: [_layer(text) for text in line[1:]] for line in lines}


def _layer(text: str) -> Layer:
    sizes, _, repeats = text.partition("*")
    row = [int(n) for n in sizes.split(",")]
    kind, ends = KINDS[row[0]], bool(row[8])
    return Layer._make([kind, *row[1:8], ends, int(repeats or 1)])


def written(name: str, layers: List[Layer]) -> str:
    """A network as its line of the file."""
    texts = [name]
    for layer in layers:
        numbers = [KINDS.index(layer.kind), *map(int, layer[1:-1])]
        repeats = f"*{layer.repeats}" if layer.repeats > 1 else ""
        texts.append(",".join(map(str, numbers)) + repeats)
    return " ".join(texts)
