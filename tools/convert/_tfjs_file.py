"""Read a TensorFlow.js graph model: nodes, and weights as FP32 or integer arrays.

`modelTopology` is a TensorFlow GraphDef as JSON. `weightsManifest` lists the arrays, which lie one
after the other in the `.bin` shards; they may be stored as fp16, or as integers of 8 or 16 bits
with a scale.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Dict, List

import numpy as np

from edge.errors import DataError
from tools.convert.graph import Array

DAMAGED = (AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
DTYPES = {
    "bool": "?",
    "float16": "<f2",
    "float32": "<f4",
    "int32": "<i4",
    "uint8": "u1",
    "uint16": "<u2",
}


@dataclass(frozen=True)
class Node:
    """One node of the graph."""

    name: str
    op: str
    inputs: List[str]
    attributes: Dict[str, Any]

    def text(self, name: str) -> str:
        """A string attribute; empty if absent. The JSON holds strings as base64."""
        return _text(self.attributes.get(name, {}).get("s", ""))

    def texts(self, name: str) -> List[str]:
        """A list of strings; empty if absent."""
        return [_text(s) for s in self.attributes.get(name, {}).get("list", {}).get("s", [])]

    def numbers(self, name: str) -> List[int]:
        """A list of whole numbers; empty if absent. The JSON holds numbers as strings."""
        return [int(i) for i in self.attributes.get(name, {}).get("list", {}).get("i", [])]

    def flag(self, name: str) -> bool:
        """A boolean attribute; False if absent."""
        return bool(self.attributes.get(name, {}).get("b", False))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")


class GraphModel:
    """Nodes and weights by name.

    Args:
        model: content of `model.json`.
        shards: content of the `.bin` files, joined in the order of the manifest.
        label: name of the network, for errors.

    Raises:
        DataError: the file is not a graph model or is damaged, or the weights do not fit it.
    """

    def __init__(self, model: bytes, shards: bytes, label: str) -> None:
        self.label = label
        try:
            content = json.loads(model)
            self.nodes = {n.name: n for n in map(_node, content["modelTopology"]["node"])}
            entries = [w for group in content["weightsManifest"] for w in group["weights"]]
            self.weights = _weights(entries, shards)
        except DAMAGED:
            raise DataError(f"{label}: is not a TensorFlow.js graph model, or damaged") from None

    def constant(self, name: str) -> Array:
        """Values of a weight.

        Raises:
            DataError: there is no weight of this name.
        """
        if name not in self.weights:
            raise DataError(f"{self.label}: {name} is not a constant")
        return self.weights[name]


def _node(raw: Dict[str, Any]) -> Node:
    # An input with a leading ^ only orders the execution.
    inputs = [i for i in raw.get("input", []) if not i.startswith("^")]
    return Node(str(raw["name"]), str(raw["op"]), inputs, dict(raw.get("attr", {})))


def _weights(entries: List[Dict[str, Any]], shards: bytes) -> Dict[str, Array]:
    found, place = {}, 0
    for entry in entries:
        stored = entry.get("quantization", {"dtype": entry["dtype"]})
        shape = [int(n) for n in entry["shape"]]
        count = int(np.prod(shape, dtype=np.int64))
        raw: Array = np.frombuffer(shards, DTYPES[stored["dtype"]], count, place)
        place += raw.nbytes
        if "scale" in stored:
            raw = raw.astype(np.float64) * stored["scale"] + stored["min"]
        found[str(entry["name"])] = raw.astype(DTYPES[entry["dtype"]]).reshape(shape)
    if place != len(shards):
        raise ValueError("shards are longer than the manifest says")
    return found
