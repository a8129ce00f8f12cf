"""Convert a TensorFlow.js graph model to ONNX.

The published decoding works on one image. So only the convolutions are translated, to NCHW with a
dynamic batch; nodes of our own compute the same decoding for any batch.
"""

from __future__ import annotations

from types import ModuleType
from typing import Dict, List, Set, Tuple

import onnx

from edge.errors import ConfigError, DataError
from tools.convert import _movenet
from tools.convert._tfjs_file import DAMAGED, GraphModel
from tools.convert._tfjs_operators import TRANSLATORS, Tensor, Translation
from tools.convert.graph import BATCH, GraphBuilder

HEADS = {"movenet-multipose": _movenet}


def convert(
    model: bytes, shards: bytes, label: str, size: Tuple[int, int], head: str
) -> onnx.ModelProto:
    """Convert a model.

    Args:
        model: content of the `.json` file.
        shards: content of the `.bin` files, joined.
        label: name of the network, for errors.
        size: (width, height) px of the input; multiples of the head's `STRIDE`.
        head: the decoding to append; a key of `HEADS`.

    Raises:
        DataError: a file is damaged, or an operator is not supported.
        ConfigError: the head is unknown, or cannot take the size.
    """
    if head not in HEADS:
        raise ConfigError(f"{label}: no head called {head}; known heads: {', '.join(HEADS)}")
    decoder = HEADS[head]
    if any(side % decoder.STRIDE for side in size):
        raise ConfigError(f"{label}: width and height must be multiples of {decoder.STRIDE}")
    source = GraphModel(model, shards, label)
    try:
        return _converted(source, size, decoder)
    except DAMAGED:
        raise DataError(f"{label}: the TensorFlow.js model is damaged") from None


def _converted(source: GraphModel, size: Tuple[int, int], decoder: ModuleType) -> onnx.ModelProto:
    graph = GraphBuilder(source.label)
    translation = Translation(source, graph)
    image = graph.input("input", [BATCH, 3, size[1], size[0]])
    translation.tensors[decoder.BACKBONE_INPUT] = Tensor(image, 3, size[1], size[0])
    for name in _order(source, list(decoder.BACKBONE_OUTPUTS.values()), set(translation.tensors)):
        _translate(source, translation, name)
    heads = {new: translation.tensors[old] for new, old in decoder.BACKBONE_OUTPUTS.items()}
    return graph.finish(decoder.append(graph, heads))


def _order(source: GraphModel, wanted: List[str], known: Set[str]) -> List[str]:
    """Nodes that `wanted` needs, each after its inputs."""
    done: Dict[str, None] = {}
    opened: Set[str] = set()
    stack = list(reversed(wanted))
    while stack:
        name = stack[-1]
        if name in opened or name in known or name in done or name in source.weights:
            if name in opened and name not in done:
                done[name] = None
            stack.pop()
            continue
        opened.add(name)
        stack.extend(reversed(_image_inputs(source, name)))
    return list(done)


def _image_inputs(source: GraphModel, name: str) -> List[str]:
    """Inputs of a node; without the second input of a resize, a size computed from shapes."""
    if name not in source.nodes:
        raise DataError(f"{source.label}: has no node {name}, which its head needs")
    node = source.nodes[name]
    return node.inputs[:1] if node.op == "ResizeBilinear" else node.inputs


def _translate(source: GraphModel, translation: Translation, name: str) -> None:
    node = source.nodes[name]
    what = f"{source.label}: operator {node.op}"
    if node.op not in TRANSLATORS:
        known = ", ".join(sorted(TRANSLATORS))
        raise DataError(f"{what} is not supported; supported: {known}")
    try:
        translation.tensors[name] = TRANSLATORS[node.op](translation, node)
    except DAMAGED:
        raise DataError(f"{what} cannot be read: the file is damaged") from None
