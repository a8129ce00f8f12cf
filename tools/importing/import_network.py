"""The steps of `edge-tools import`. The model folder appears only after the model has run."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

from edge.errors import ConfigError, DataError, EdgeError
from edge.recipe import Network, Recipe, load_recipe
from edge.settings.schema import name_problem
from tools.importing import dry_run
from tools.importing.graph import ImportedGraph, any_batch, read
from tools.importing.outputs import Shape, names_of
from tools.importing.recipe import describe, to_toml
from tools.importing.request import FILE, ImportRequest, family_of, network_of, skeleton_of
from tools.progress import Progress

_NEWEST_OPSET = 17  # the newest that TensorRT 8.5 (JetPack 5) reads


@dataclass(frozen=True)
class ImportResult:
    """The imported model.

    Attributes:
        folder: the model's folder.
        recipe: the content of its `model.toml`.
        facts: the figures for the report, all JSON values.
    """

    folder: Path
    recipe: Recipe
    facts: Dict[str, Any]


def import_network(request: ImportRequest, quiet: bool = False) -> ImportResult:
    """Make `<models>/<name>/` from an ONNX file.

    Args:
        request: the file and the user's options.
        quiet: no progress on stderr.

    Raises:
        NoInputError: the file does not exist or cannot be read.
        DataError: the file cannot be used. The message says what to do.
        ConfigError: an option contradicts the file, or the model's name is taken.
    """
    folder = _free_folder(request)
    with Progress(f"import {request.file.name}", 4, "steps", quiet=quiet) as bar:
        graph = read(request.file)
        network = network_of(request, graph)
        bar.update()
        request.models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=str(request.models)) as made:
            place = Path(made) / request.name
            place.mkdir()
            try:
                result = _make(place, folder, request, graph, network, bar)
            except EdgeError as error:
                # The user knows neither the temporary folder nor the copy of the file.
                message = str(error).replace(str(place / FILE), str(request.file))
                raise type(error)(message.replace(f"{place}/", f"{folder}/")) from error
            _replace_folder(place, folder)
    return result


def _free_folder(request: ImportRequest) -> Path:
    """The model's folder, which is free or (with --force) holds an imported model."""
    problem = name_problem(request.name)
    if problem:
        raise ConfigError(f"--name: {request.name!r}: {problem}")
    folder = request.models / request.name
    if not folder.exists():
        return folder
    if not request.force:
        raise ConfigError(f"{folder}: exists already; choose another --name, or add --force")
    try:
        shipped = any(n.weights for n in load_recipe(folder).networks.values())
    except EdgeError:
        shipped = True
    if shipped:
        raise ConfigError(f"{folder}: is not an imported model; choose another --name")
    return folder


def _make(
    place: Path,
    folder: Path,
    request: ImportRequest,
    graph: ImportedGraph,
    network: Network,
    bar: Progress,
) -> ImportResult:
    """Make the whole model in the temporary folder `place`."""
    family = family_of(request, graph)
    notes: List[str] = []
    batch, difference = _settle_batch(place / FILE, graph, network, notes)
    bar.update()
    shapes = _shapes(place / FILE, network)
    names = names_of(family, shapes, network, request.outputs)
    digest = hashlib.sha256((place / FILE).read_bytes()).hexdigest()
    network = dataclasses.replace(network, outputs=names, sha256=digest)
    recipe = Recipe(
        family=family,
        networks={"main": network},
        skeleton=skeleton_of(family, request, graph, {**{n: n for n in shapes}, **names}, shapes),
        licence=request.licence,
        description=f"imported from {request.file.name}",
        options=request.options,
    )
    (place / "model.toml").write_text(to_toml(recipe), encoding="utf-8")
    bar.update()
    people, ms = dry_run.run_family(place, load_recipe(place))
    bar.update()
    if graph.opset > _NEWEST_OPSET:
        notes.append(f"opset {graph.opset}: TensorRT 8.5 (JetPack 5) reads up to {_NEWEST_OPSET}")
    facts = {
        "name": folder.name,
        "folder": str(folder),
        "family": family,
        "skeleton": recipe.skeleton,
        "bytes": (place / FILE).stat().st_size,
        "sha256": digest,
        "opset": graph.opset,
        "parameters": graph.parameters,
        "input": describe(network),
        "outputs": {n: list(s) for n, s in shapes.items()},
        "names": names,
        "batch": batch,
        "batch_difference": difference,
        "people_in_noise": people,
        "two_frames_ms": round(ms, 1),
        "notes": notes,
    }
    return ImportResult(folder, recipe, facts)


def _settle_batch(
    path: Path, graph: ImportedGraph, network: Network, notes: List[str]
) -> Tuple[str, float]:
    """Write the network to `path`, with an open batch if the network allows it.

    Returns:
        "any" or the fixed batch, and the difference that `dry_run.check_batches` measured.

    Raises:
        DataError: the graph declares an open batch, but a batch of two fails.
    """
    if graph.image.batch is None:
        path.write_bytes(graph.data)
        return "any", _batch_difference(path, network)
    path.write_bytes(any_batch(graph))
    try:
        difference = _batch_difference(path, network)
    except DataError:
        path.write_bytes(graph.data)
        notes.append(
            f"the batch is fixed at {graph.image.batch}, so each person or frame costs one "
            "execution; export it with a dynamic batch"
        )
        return str(graph.image.batch), 0.0
    notes.append(
        f"the batch was fixed at {graph.image.batch} and is opened now: same results in a check"
    )
    return "any", difference


def _batch_difference(path: Path, network: Network) -> float:
    runner = dry_run.open_network(path, network)
    try:
        return dry_run.check_batches(runner, network)
    finally:
        runner.close()


def _shapes(path: Path, network: Network) -> Dict[str, Shape]:
    """The shapes of the outputs for one sample, measured: the graph may not declare them."""
    runner = dry_run.open_network(path, network)
    try:
        outputs = dry_run.outputs_of(runner, network, dry_run.samples(network)[:1])
        return {name: array.shape[1:] for name, array in outputs.items()}
    finally:
        runner.close()


def _replace_folder(place: Path, folder: Path) -> None:
    """Move the finished folder to its place. Engines of an older network are removed with it."""
    old = place.with_name(place.name + ".old")
    if folder.exists():
        folder.rename(old)
    place.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
