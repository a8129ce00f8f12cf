"""Read an ONNX file of unknown origin: its image input, opset, size and metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

from edge.errors import DataError, NoInputError

_LARGEST_BYTES = 2**31 - 1  # protobuf cannot hold more in one file
_DTYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True)
class ImageInput:
    """The image input of a network. None = the graph leaves the value open."""

    name: str
    dtype: str
    layout: str  # nchw | nhwc
    batch: Optional[int]
    width: Optional[int]
    height: Optional[int]


@dataclass(frozen=True)
class ImportedGraph:
    """One ONNX file and the facts read from it."""

    data: bytes
    model: onnx.ModelProto
    image: ImageInput
    opset: int
    parameters: int
    notes: Dict[str, str]  # the file's metadata_props


def read(path: Path) -> ImportedGraph:
    """Read a network; every property is checked, because the file is not trusted.

    Raises:
        NoInputError: the file does not exist or cannot be read.
        DataError: the file is not ONNX or is cut off, keeps weights in another file, or has
            any input other than one image.
    """
    data = _bytes(path)
    model = _parsed(data, path)
    _refuse_other_files(model, path)
    _check(model, path)
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    notes = {p.key: p.value for p in model.metadata_props}
    parameters = sum(int(np.prod(w.dims)) for w in model.graph.initializer)
    return ImportedGraph(data, model, _image(model, path), opset, parameters, notes)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise DataError(f"{path}: is larger than 2 GiB; an ONNX file cannot be so large")
        data = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    if not data:
        raise DataError(f"{path}: is empty; export it again")
    return data


def _parsed(data: bytes, path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise DataError(f"{path}: is not an ONNX file, or is cut off; export it again") from error
    if not model.graph.node or not model.graph.output:
        raise DataError(f"{path}: contains no network; check that it is an ONNX file")
    return model


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _refuse_other_files(model: onnx.ModelProto, path: Path) -> None:
    elsewhere = [t.name for t in _tensors(model.graph) if t.external_data]
    if elsewhere:
        raise DataError(
            f"{path}: keeps weights in another file ({elsewhere[0]!r}); save it as one file with "
            "onnx.save(onnx.load(path), path, save_as_external_data=False)"
        )


def _check(model: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        line = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: is not valid ONNX: {line}") from error


def _dims(value: onnx.ValueInfoProto) -> List[Optional[int]]:
    return [d.dim_value or None for d in value.type.tensor_type.shape.dim]


def _image(model: onnx.ModelProto, path: Path) -> ImageInput:
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    if len(inputs) != 1:
        listed = ", ".join(i.name for i in inputs) or "none"
        raise DataError(f"{path}: expected one input, the image; it has: {listed}")
    value = inputs[0]
    dims, kind = _dims(value), value.type.tensor_type.elem_type
    if kind not in _DTYPES:
        name = onnx.TensorProto.DataType.Name(kind).lower()
        wanted = ", ".join(_DTYPES.values())
        raise DataError(f"{path}: input {value.name!r} is {name}; export it with one of {wanted}")
    if len(dims) != 4 or (dims[1] != 3) == (dims[3] != 3):
        shape = [d or "?" for d in dims]
        raise DataError(
            f"{path}: input {value.name!r} is {shape}; expected images with three channels, "
            "[batch, 3, height, width] or [batch, height, width, 3]"
        )
    layout = "nchw" if dims[1] == 3 else "nhwc"
    height, width = dims[2:] if layout == "nchw" else dims[1:3]
    return ImageInput(value.name, _DTYPES[kind], layout, dims[0], width, height)


def any_batch(graph: ImportedGraph) -> bytes:
    """The same network with an open batch.

    The caller must check that it still computes the same: nodes may contain the fixed batch.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.value_info[:]
    values: List[Any] = [v for v in model.graph.input if v.name == graph.image.name]
    for value in [*values, *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims):
            dims[0].dim_param = "batch"
    return bytes(model.SerializeToString())
