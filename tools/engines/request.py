"""What the user asks to build, and facts of the ONNX file that a plan needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

from edge.errors import ConfigError, DataError, NoInputError
from edge.recipe import Network, Recipe, load_recipe
from tools.engines.fp16 import fragile_nodes, name_nodes

Batch = Tuple[int, int, int]
Shape = Tuple[int, ...]

# A detector gets one frame of each camera, a top-down pose network one crop of each person.
CROPS = ("simcc", "heatmap", "blazepose")
FRAMES_BATCH: Batch = (1, 1, 8)
CROPS_BATCH: Batch = (1, 8, 32)
WORKSPACE_MB = 1024


@dataclass(frozen=True)
class BuildRequest:
    """One engine to build.

    Attributes:
        model: name of the model.
        network: name of the network.
        folder: folder of the model.
        stem: name of the network's file without its suffix.
        precision: fp32 | fp16 | int8.
        batch: smallest, usual and largest batch.
        batch_chosen: whether the user gave the batch.
        workspace_mb: memory for kernels.
        dla: DLA core; None = GPU.
        sparse: whether 2:4 sparse weights are used.
        timing_cache: file of kernel timings; None = the default one.
        calibration: name of the calibration set.
    """

    model: str
    network: str
    folder: Path
    stem: str
    precision: str
    batch: Batch
    batch_chosen: bool = False
    workspace_mb: int = WORKSPACE_MB
    dla: Optional[int] = None
    sparse: bool = False
    timing_cache: Optional[Path] = None
    calibration: str = ""

    def file(self, ending: str) -> Path:
        """`<folder>/<stem>.<ending>`."""
        return self.folder / f"{self.stem}.{ending}"

    @property
    def engine(self) -> Path:
        """File of the engine."""
        return self.file(f"{self.precision}.engine")


@dataclass(frozen=True)
class OnnxFile:
    """Facts of an ONNX file.

    Attributes:
        path: the file.
        data: its content.
        inputs: input -> shape; None = a dynamic size.
        opset: version of the operators.
        fragile: nodes that overflow or lose too much in FP16.
    """

    path: Path
    data: bytes
    inputs: Dict[str, Tuple[Optional[int], ...]]
    opset: int
    fragile: Tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of `data`, the bytes that TensorRT parses."""
        return hashlib.sha256(self.data).hexdigest()


def read_onnx_file(path: Path) -> OnnxFile:
    """Read an ONNX file once.

    Raises:
        NoInputError: the file cannot be read.
        DataError: the file is not ONNX, or has weights in another file.
    """
    data, model = read_onnx(path)
    weights = {t.name for t in model.graph.initializer}
    inputs = {v.name: _dims(v) for v in model.graph.input if v.name not in weights}
    name_nodes(model)
    return OnnxFile(path, data, inputs, opset(model), tuple(sorted(fragile_nodes(model))))


def read_onnx(path: Path) -> Tuple[bytes, onnx.ModelProto]:
    """The content of a file, and the model in it.

    Raises:
        NoInputError: the file cannot be read.
        DataError: the file is not ONNX, or has weights in another file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise DataError(
            f"{path}: is not an ONNX file, or is only part of one; make it again"
        ) from error
    if not model.graph.node:
        raise DataError(f"{path}: has no nodes; is it an ONNX file?")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise DataError(f"{path}: keeps weights in another file; save it as one file")
    return data, model


def opset(model: onnx.ModelProto) -> int:
    """Version of the standard operators; 0 if the model has none."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def _dims(value: onnx.ValueInfoProto) -> Tuple[Optional[int], ...]:
    return tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)


def select(models: Path, model: str, network: str) -> List[Tuple[str, Network, Recipe]]:
    """All networks of a model, or the named one.

    Raises:
        NoInputError: no such model. ConfigError: the model has no network of that name.
    """
    recipe = load_recipe(models / model)
    if network and network not in recipe.networks:
        names = ", ".join(recipe.networks)
        raise ConfigError(f"--network: {model} has no network {network!r}; it has: {names}")
    wanted = [network] if network else list(recipe.networks)
    return [(name, recipe.networks[name], recipe) for name in wanted]


def default_batch(family: str) -> Batch:
    """The usual batch of a family."""
    return CROPS_BATCH if family in CROPS else FRAMES_BATCH


def parse_batch(text: str) -> Batch:
    """`1,8,32` -> (1, 8, 32); a single number stands for all three.

    Raises:
        ConfigError: the text is not three numbers >= 1 in ascending order.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or numbers[0] < 1 or list(numbers) != sorted(numbers):
        raise ConfigError(f"--batch: {text!r} is not MIN,OPT,MAX, such as 1,8,32")
    return numbers[0], numbers[1], numbers[2]


def shapes(source: OnnxFile, batch: Batch, network: Network) -> Dict[str, Tuple[Shape, ...]]:
    """Smallest, usual and largest shape of each input with a dynamic size.

    Raises:
        NoInputError: the recipe does not give a size that the file leaves open.
    """
    found = {}
    for name, dims in source.inputs.items():
        if None not in dims:
            continue
        known = network.sample_shape if name == network.input else ()
        rest = [
            size if size is not None else (known[i] if i < len(known) else None)
            for i, size in enumerate(dims[1:])
        ]
        if None in rest:
            raise NoInputError(
                f"{source.path}: input {name!r} has more dynamic sizes than its batch; "
                "export it with fixed sizes"
            )
        sizes = [size for size in rest if size is not None]
        found[name] = tuple((dims[0] or b, *sizes) for b in batch)
    return found
