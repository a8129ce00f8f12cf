"""What a user asks to have built, and what is known about the network before TensorRT sees it."""

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

# A detector sees one picture per camera, a pose network one crop per person.
CROPS = ("simcc", "heatmap", "blazepose")
FRAMES_BATCH: Batch = (1, 1, 8)
CROPS_BATCH: Batch = (1, 8, 32)
WORKSPACE_MB = 1024


@dataclass(frozen=True)
class Request:
    """One engine."""

    model: str
    network: str
    folder: Path
    stem: str
    precision: str  # fp32 | fp16 | int8
    batch: Batch  # min, opt, max
    batch_chosen: bool = False  # by the user
    workspace_mb: int = WORKSPACE_MB
    dla: Optional[int] = None  # core; None = GPU
    sparse: bool = False
    timing_cache: Optional[Path] = None
    calibration: str = ""

    def file(self, ending: str) -> Path:
        """`<folder>/<stem>.<ending>`."""
        return self.folder / f"{self.stem}.{ending}"

    @property
    def engine(self) -> Path:
        """Where the engine goes."""
        return self.file(f"{self.precision}.engine")


@dataclass(frozen=True)
class Source:
    """The plain ONNX file: what a plan needs of it."""

    path: Path
    data: bytes
    inputs: Dict[str, Tuple[Optional[int], ...]]  # None = left open
    opset: int
    fragile: Tuple[str, ...]  # nodes that overflow or lose too much in FP16

    @property
    def sha256(self) -> str:
        """Of the very bytes that are parsed."""
        return hashlib.sha256(self.data).hexdigest()


def read_source(path: Path) -> Source:
    """Read an ONNX file once.

    Raises:
        NoInputError: it is not there. DataError: not ONNX, or with weights in another file.
    """
    data, model = read_onnx(path)
    weights = {t.name for t in model.graph.initializer}
    inputs = {v.name: _dims(v) for v in model.graph.input if v.name not in weights}
    name_nodes(model)
    return Source(path, data, inputs, opset(model), tuple(sorted(fragile_nodes(model))))


def read_onnx(path: Path) -> Tuple[bytes, onnx.ModelProto]:
    """A file's bytes and what they say.

    Raises:
        NoInputError: it is not there. DataError: not ONNX, or with weights in another file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}") from error
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise DataError(f"{path}: is no ONNX file, or not all of one; make it again") from error
    if not model.graph.node:
        raise DataError(f"{path}: holds no network; is it an ONNX file?")
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise DataError(f"{path}: keeps weights in another file; save it as one file")
    return data, model


def opset(model: onnx.ModelProto) -> int:
    """Version of the standard operators."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def _dims(value: onnx.ValueInfoProto) -> Tuple[Optional[int], ...]:
    return tuple(d.dim_value or None for d in value.type.tensor_type.shape.dim)


def select(models: Path, model: str, network: str) -> List[Tuple[str, Network, Recipe]]:
    """The networks of a model, or the one that was named.

    Raises:
        NoInputError: no such model. ConfigError: no such network; lists those there are.
    """
    recipe = load_recipe(models / model)
    if network and network not in recipe.networks:
        names = ", ".join(recipe.networks)
        raise ConfigError(f"--network: {model} has no network {network!r}; it has: {names}")
    wanted = [network] if network else list(recipe.networks)
    return [(name, recipe.networks[name], recipe) for name in wanted]


def default_batch(family: str) -> Batch:
    """Of a network whose family is known."""
    return CROPS_BATCH if family in CROPS else FRAMES_BATCH


def parse_batch(text: str) -> Batch:
    """`1,8,32` -> (1, 8, 32); one number is all three.

    Raises:
        ConfigError: not three rising numbers of at least 1.
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


def shapes(source: Source, batch: Batch, network: Network) -> Dict[str, Tuple[Shape, ...]]:
    """Smallest, usual and largest shape of each input that was left open.

    Raises:
        ConfigError: a batch that the file does not allow.
        NoInputError: an open size that the recipe does not tell.
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
                f"{source.path}: input {name!r} leaves more than its batch open; "
                "export it with fixed sizes"
            )
        sizes = [size for size in rest if size is not None]
        found[name] = tuple((dims[0] or b, *sizes) for b in batch)
    return found
