"""Convert a TFLite file to ONNX: NCHW, dynamic batch, FP32, only layers that the outputs need.

TensorFlow is not used. A TFLite image network is NHWC with batch 1. Here all tensors of four
dimensions are NCHW, so the result has no transposes, which quantizes and runs well everywhere.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Tuple

import onnx

from edge.errors import DataError
from tools.convert._tflite_file import DAMAGED, Operator, TfliteFile
from tools.convert._tflite_operators import TRANSLATORS, Translation
from tools.convert.graph import BATCH, GraphBuilder, Shape


def convert(data: bytes, outputs: Mapping[str, str], label: str = "network") -> onnx.ModelProto:
    """Convert a TFLite file.

    Args:
        data: content of the file.
        outputs: new name -> name in the file; other outputs and their layers are left out.
            Empty = all outputs, with their own names.
        label: name of the network, for errors.

    Returns:
        A model with one input `input` [batch, C, H, W]; outputs of one pixel become [batch, C].

    Raises:
        DataError: the file is damaged, an output does not exist, or an operator is not supported.
    """
    source = TfliteFile(data, label)
    try:
        return _converted(source, _wanted(source, outputs))
    except DAMAGED:
        raise DataError(f"{label}: the TFLite file is damaged; fetch it again") from None


def _converted(source: TfliteFile, wanted: Dict[str, int]) -> onnx.ModelProto:
    graph = GraphBuilder(source.label)
    translation = Translation(source, graph)
    _declare_input(source, translation)
    for operator in _needed(source, list(wanted.values())):
        _translate(operator, translation)
    return graph.finish({name: _output(translation, index) for name, index in wanted.items()})


def _wanted(source: TfliteFile, outputs: Mapping[str, str]) -> Dict[str, int]:
    """New name -> tensor of the file."""
    chosen = outputs or {name: name for name in source.outputs}
    unknown = sorted(set(chosen.values()) - set(source.outputs))
    if unknown:
        there = ", ".join(sorted(source.outputs))
        raise DataError(f"{source.label}: no output {unknown[0]}; it has {there}")
    return {new: source.outputs[old] for new, old in chosen.items()}


def _needed(source: TfliteFile, wanted: List[int]) -> List[Operator]:
    """Operators that `wanted` needs, in the order of the file, without those of constants."""
    stack, seen = list(wanted), set()
    while stack:
        index = stack.pop()
        maker = source.makers.get(index)
        if index not in seen and maker is not None and source.constant(index) is None:
            stack.extend(i for i in maker.inputs if i >= 0)
        seen.add(index)
    return [
        operator
        for operator in source.operators
        if seen.intersection(operator.outputs) and source.constant(operator.outputs[0]) is None
    ]


def _declare_input(source: TfliteFile, translation: Translation) -> None:
    if len(source.inputs) != 1 or len(source.shape(source.inputs[0])) != 4:
        raise DataError(f"{source.label}: expected one image input")
    _, height, width, channels = source.shape(source.inputs[0])
    name = translation.graph.input("input", [BATCH, channels, height, width])
    translation.names[source.inputs[0]] = name


def _translate(operator: Operator, translation: Translation) -> None:
    translator = TRANSLATORS.get(operator.name)
    what = f"{translation.source.label}: operator {operator.name}"
    if translator is None:
        known = ", ".join(sorted(TRANSLATORS))
        raise DataError(f"{what} is not supported; supported: {known}")
    try:
        name = translator(translation, operator)
    except DAMAGED:
        raise DataError(f"{what} cannot be read: the file is damaged") from None
    if name:
        translation.names[operator.outputs[0]] = name


def _output(translation: Translation, index: int) -> Tuple[str, Shape]:
    """An output tensor and its shape; [1,1,1,C] becomes [batch, C]."""
    shape = translation.source.shape(index)
    name = translation.name(index)
    if len(shape) == 4 and shape[1:3] == (1, 1):
        return translation.graph.node("Flatten", [name]), [BATCH, shape[3]]
    if len(shape) == 4:
        return name, [BATCH, shape[3], shape[1], shape[2]]
    return name, [BATCH, *shape[1:]]
