"""TensorFlow.js graph model -> ONNX: the convolutions one by one, the decoding by a head of ours.

A published decoding works on one image. Here only the convolutional trunk is translated, NCHW and
with a dynamic batch; a head that computes the same as the published decoding for any batch follows.
"""

from __future__ import annotations

from types import ModuleType
from typing import Dict, List, Set, Tuple

import onnx

from edge.errors import ConfigError, DataError
from tools.convert import _movenet
from tools.convert._tfjs_file import DAMAGED, GraphModel
from tools.convert._tfjs_operators import TRANSLATORS, Tensor, Trunk
from tools.convert.graph import BATCH, GraphBuilder

HEADS = {"movenet-multipose": _movenet}


def convert(
    model: bytes, shards: bytes, label: str, size: Tuple[int, int], head: str
) -> onnx.ModelProto:
    """Translate a model.

    Args:
        model: content of the `.json` file.
        shards: content of the `.bin` files, joined.
        label: what to call the network in an error.
        size: (width, height) px of the input; multiples of the head's `STRIDE`.
        head: what decodes the trunk's outputs; a key of `HEADS`.

    Raises:
        DataError: damaged files, or an operator that is not known here.
        ConfigError: unknown head, or a size that it cannot take.
    """
    if head not in HEADS:
        raise ConfigError(f"{label}: no head called {head}; there are: {', '.join(HEADS)}")
    decoder = HEADS[head]
    if any(side % decoder.STRIDE for side in size):
        raise ConfigError(f"{label}: width and height must be multiples of {decoder.STRIDE}")
    source = GraphModel(model, shards, label)
    try:
        return _converted(source, size, decoder)
    except DAMAGED:
        raise DataError(f"{label}: damaged TensorFlow.js model") from None


def _converted(source: GraphModel, size: Tuple[int, int], decoder: ModuleType) -> onnx.ModelProto:
    graph = GraphBuilder(source.label)
    trunk = Trunk(source, graph)
    image = graph.input("input", [BATCH, 3, size[1], size[0]])
    trunk.tensors[decoder.TRUNK_INPUT] = Tensor(image, 3, size[1], size[0])
    for name in _order(source, list(decoder.TRUNK_OUTPUTS.values()), set(trunk.tensors)):
        _translate(source, trunk, name)
    heads = {new: trunk.tensors[old] for new, old in decoder.TRUNK_OUTPUTS.items()}
    return graph.finish(decoder.append(graph, heads))


def _order(source: GraphModel, wanted: List[str], known: Set[str]) -> List[str]:
    """The nodes that `wanted` depends on, each after its inputs."""
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
    """A resize's second input is a size computed from shapes: we know the sizes."""
    if name not in source.nodes:
        raise DataError(f"{source.label}: no node {name}: another network than the head's")
    node = source.nodes[name]
    return node.inputs[:1] if node.op == "ResizeBilinear" else node.inputs


def _translate(source: GraphModel, trunk: Trunk, name: str) -> None:
    node = source.nodes[name]
    what = f"{source.label}: operator {node.op}"
    if node.op not in TRANSLATORS:
        known = ", ".join(sorted(TRANSLATORS))
        raise DataError(f"{what} is not known here; known: {known}")
    try:
        trunk.tensors[name] = TRANSLATORS[node.op](trunk, node)
    except DAMAGED:
        raise DataError(f"{what} cannot be read; the file is damaged") from None
