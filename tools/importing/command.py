"""The steps of `edge-tools import`: nothing is written before everything has been tried."""

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
from tools.importing import trial
from tools.importing.graph import Graph, any_batch, read
from tools.importing.outputs import Shape, names_of
from tools.importing.recipe import describe, to_toml
from tools.importing.request import FILE, Request, family_of, network_of, skeleton_of
from tools.progress import Progress

_NEWEST_OPSET = 17  # that TensorRT 8.5 (JetPack 5) reads


@dataclass(frozen=True)
class Result:
    """What became of it."""

    folder: Path
    recipe: Recipe
    facts: Dict[str, Any]  # JSON values


def import_network(request: Request, quiet: bool = False) -> Result:
    """Make `<models>/<name>/` from an ONNX file.

    Args:
        request: what and how.
        quiet: no progress on stderr.

    Raises:
        NoInputError: no such file. DataError: a file that cannot be used; says what to do.
        ConfigError: a wish that cannot be met, or a model of that name that is there already.
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
                told = str(error).replace(str(place / FILE), str(request.file))
                raise type(error)(told.replace(f"{place}/", f"{folder}/")) from error
            _put(place, folder)
    return result


def _free_folder(request: Request) -> Path:
    """Where the model goes; shipped recipes are never replaced."""
    problem = name_problem(request.name)
    if problem:
        raise ConfigError(f"--name: {request.name!r}: {problem}")
    folder = request.models / request.name
    if not folder.exists():
        return folder
    if not request.force:
        raise ConfigError(f"{folder}: is there already; choose another --name, or --force")
    try:
        shipped = any(n.weights for n in load_recipe(folder).networks.values())
    except EdgeError:
        shipped = True
    if shipped:
        raise ConfigError(f"{folder}: is not a model that was imported; choose another --name")
    return folder


def _make(
    place: Path, folder: Path, request: Request, graph: Graph, network: Network, bar: Progress
) -> Result:
    """The whole model in a place of its own."""
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
    people, ms = trial.run_family(place, load_recipe(place))
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
    return Result(folder, recipe, facts)


def _settle_batch(
    path: Path, graph: Graph, network: Network, notes: List[str]
) -> Tuple[str, float]:
    """Write the network, its batch open if that can be; `any` or the fixed batch, and the check.

    Raises:
        DataError: the graph has an open batch that it does not honour.
    """
    if graph.image.batch is None:
        path.write_bytes(graph.data)
        return "any", _checked(path, network)
    path.write_bytes(any_batch(graph))
    try:
        difference = _checked(path, network)
    except DataError:
        path.write_bytes(graph.data)
        notes.append(
            f"the batch is fixed at {graph.image.batch}, which costs one execution for each "
            "person or frame; export it with a dynamic batch"
        )
        return str(graph.image.batch), 0.0
    notes.append(f"the batch was fixed at {graph.image.batch}; opened, it gives the same numbers")
    return "any", difference


def _checked(path: Path, network: Network) -> float:
    runner = trial.opened(path, network)
    try:
        return trial.check_batches(runner, network)
    finally:
        runner.close()


def _shapes(path: Path, network: Network) -> Dict[str, Shape]:
    """What the network really gives for one sample."""
    runner = trial.opened(path, network)
    try:
        outputs = trial.outputs_of(runner, network, trial.samples(network)[:1])
        return {name: array.shape[1:] for name, array in outputs.items()}
    finally:
        runner.close()


def _put(place: Path, folder: Path) -> None:
    """The finished folder in its place; what was made from an older network goes with it."""
    old = place.with_name(place.name + ".old")
    if folder.exists():
        folder.rename(old)
    place.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
