"""Find the networks of a model by name, folder or file, and how often each runs."""

from __future__ import annotations

import contextlib
import difflib
import io
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError, UnavailableError
from edge.recipe import load_recipe
from tools.engines.request import read_onnx
from tools.fetch.cache import cache_folder
from tools.prediction.graph import layers_of
from tools.prediction.layers import Layer
from tools.prediction.shapes import shapes

DETECTORS = ("yolov4", "yolox", "rtmdet")
ONE_STAGE = ("movenet", "rtmo")
# Executions per person of the cascade's networks.
CASCADE = {"body": 1, "hand": 2, "face": 1}


class Part(NamedTuple):
    """One engine and its layers."""

    name: str
    layers: List[Layer]
    runs: int  # samples per person, or per frame


class Model(NamedTuple):
    """Networks that run together. Roles: detector and one-stage (per frame), pose (per person)."""

    name: str
    role: str
    parts: Tuple[Part, ...]


def find(name: str, models: Path) -> Model:
    """A model by folder name, by architecture or by file.

    Raises:
        ConfigError: nothing has this name. NoInputError: the file does not exist. DataError: the
            file is not ONNX, or has open sizes. UnavailableError: an architecture without counted
            layers, and PyTorch is missing.
    """
    if name.endswith(".onnx"):
        return from_file(Path(name))
    if (models / name / "model.toml").is_file():
        return from_folder(models / name)
    counted = _counted(name)
    if counted:
        return Model(name, role(name), counted)
    if name in _architectures():
        part = Part(name, _layers(exported(name)), 1)
        return Model(name, role(name), (part,))
    known = sorted({n.partition("/")[0] for n in shapes()} | set(_architectures()))
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else "`edge-tools export --list` has names"
    raise ConfigError(f"{name}: no model folder in {models}, no architecture and no .onnx; {hint}")


def from_file(path: Path) -> Model:
    """Load a graph: a pose network, run once per person, unless its name says otherwise."""
    if not path.is_file():
        raise NoInputError(f"{path}: no such file")
    return Model(path.name, role(path.stem), (Part(path.stem, _layers(path), 1),))


def from_folder(folder: Path) -> Model:
    """Load a model folder. If a network was not made yet, its counted layers are used."""
    recipe = load_recipe(folder)
    parts = []
    for name, network in recipe.networks.items():
        path, counted = folder / network.file, _counted(folder.name)
        if path.is_file():
            layers = _layers(path)
        elif counted:
            layers = next(p.layers for p in counted if p.name in (name, folder.name))
        else:
            raise NoInputError(f"{path}: not made yet; `edge-tools get {folder.name}` makes it")
        runs = CASCADE.get(name, 1) if recipe.family == "blazepose" else 1
        parts.append(Part(name, layers, runs))
    return Model(folder.name, role(recipe.family), tuple(parts))


def role(family: str) -> str:
    """The role of a family, or of an architecture by its name."""
    if family.startswith(DETECTORS):
        return "detector"
    return "one-stage" if family.startswith(ONE_STAGE) else "pose"


def _counted(name: str) -> Tuple[Part, ...]:
    found: Dict[str, List[Layer]] = shapes()
    if name in found:
        return (Part(name, found[name], 1),)
    return tuple(
        Part(part, found[f"{name}/{part}"], runs)
        for part, runs in CASCADE.items()
        if f"{name}/{part}" in found
    )


def _architectures() -> List[str]:
    try:
        from tools.arch.catalog import CATALOG
    except ImportError:
        return []
    return list(CATALOG)


def exported(name: str) -> Path:
    """Export the graph of an architecture with random weights, once, into the cache folder."""
    place = cache_folder() / "graphs" / f"{name}-{__version__}.onnx"
    if place.is_file():
        return place
    try:
        from tools.arch.catalog import CATALOG
        from tools.arch.to_onnx import to_onnx
    except ImportError as error:
        raise UnavailableError(f"{name}: its graph needs PyTorch: pip install torch") from error
    with contextlib.redirect_stdout(io.StringIO()):
        model = to_onnx(CATALOG[name].build(), "decoded", {})
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, model.SerializeToString(), READABLE)
    return place


def _layers(path: Path) -> List[Layer]:
    return layers_of(read_onnx(path)[1], str(path))
