"""Check that an ONNX file is complete by itself: no weights in other files, no foreign code.

A runtime follows a path in the file, so a signed network could load unsigned data. The file is
parsed as protobuf, because the same field can be spelt in many ways. Field numbers are those of
onnx.proto (onnx/onnx, opset 1 to 24); a message that is not listed cannot hold a tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Tuple, Union

from edge.errors import DataError

Field = Tuple[int, int, Union[int, memoryview]]  # number, wire type, value or bytes

_MESSAGES: Dict[str, Dict[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_NODE_OPERATOR = 4
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 64  # graphs inside graphs; protobuf itself stops at 100 messages
_ORT_MARK = b"ORTM"  # bytes 4 to 7 of ONNX Runtime's own format, which it takes in place of ONNX


def check_stands_alone(data: bytes, path: Path) -> None:
    """Refuse a network that would read another file.

    Args:
        data: the bytes of the file.
        path: for messages.

    Raises:
        DataError: it is empty, is not ONNX, or refers to another file.
    """
    if not data:
        raise DataError(f"{path}: is empty; download or export it again")
    if data[4:8] == _ORT_MARK:
        raise DataError(f"{path}: is in ONNX Runtime's own format; save it as ONNX")
    try:
        _walk(memoryview(data), path)
    except ValueError as error:
        raise DataError(
            f"{path}: is not an ONNX file ({error}); download or export it again"
        ) from None


def _walk(data: memoryview, path: Path) -> None:
    waiting: List[Tuple[str, memoryview, int]] = [("Model", data, 0)]
    while waiting:
        message, body, depth = waiting.pop()
        if depth > 4 * _DEEPEST:
            raise ValueError("its graphs are nested too deeply")
        inside = _MESSAGES[message]
        for number, wire, value in _fields(body):
            if isinstance(value, memoryview) and number in inside:
                waiting.append((inside[number], value, depth + 1))
            elif message == "Tensor":
                _check_tensor(number, wire, value, path)
            elif message == "Node" and number == _NODE_OPERATOR and _text(value) == b"EPContext":
                raise DataError(
                    f"{path}: holds a compiled part (EPContext); export it as plain ONNX"
                )


def _text(value: Union[int, memoryview]) -> bytes:
    return b"" if isinstance(value, int) else bytes(value)


def _check_tensor(number: int, wire: int, value: Union[int, memoryview], path: Path) -> None:
    elsewhere = number == _TENSOR_DATA_LOCATION and (wire != _VARINT or value != 0)
    if elsewhere or number == _TENSOR_EXTERNAL_DATA:
        raise DataError(
            f"{path}: keeps weights in another file; save it as one file "
            "(onnx.save(..., save_as_external_data=False))"
        )


def _fields(body: memoryview) -> Iterator[Field]:
    """The fields of one message; raises ValueError if it is no protobuf."""
    at, end = 0, len(body)
    while at < end:
        tag, at = _varint(body, at, 5)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(body, at, 10)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(body, at, 10)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:  # groups: protobuf would take them, but no exporter writes them
            raise ValueError(f"field {number} is of wire type {wire}")
        if size > end - at:
            raise ValueError("it is cut off")
        yield number, wire, body[at : at + size]
        at += size


def _varint(body: memoryview, at: int, most_bytes: int) -> Tuple[int, int]:
    """A number of 7 bits a byte, and where the next field begins."""
    value = 0
    for i in range(min(most_bytes, len(body) - at)):
        byte = body[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    cut = len(body) - at < most_bytes
    raise ValueError("it is cut off" if cut else "a number in it is too long")
