"""A model of several sites: the base's folder with another network, and what it is worth."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import List, Sequence

from edge.durable import READABLE, write_whole
from edge.errors import NoInputError
from edge.recipe import load_recipe
from tools.evaluation.truth import Truth
from tools.importing.recipe import to_toml


def write(source: Path, target: Path, name: str, content: bytes) -> None:
    """Copy a model's folder, with another network in place of its own.

    Args:
        source: folder of the base.
        target: folder of the new model.
        name: of the network.
        content: of its ONNX file.

    Raises:
        NoInputError: a file cannot be read or written.
    """
    recipe = load_recipe(source)
    networks = {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        for other, network in recipe.networks.items():
            data = content if other == name else (source / network.file).read_bytes()
            write_whole(target / network.file, data, READABLE)
            sha256 = hashlib.sha256(data).hexdigest()
            networks[other] = dataclasses.replace(network, weights=None, sha256=sha256)
        new = dataclasses.replace(recipe, networks=networks, description="of several sites")
        write_whole(target / "model.toml", to_toml(new).encode(), READABLE)
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}") from error


def oks_of(folder: Path, truths: Sequence[Truth], label: str, quiet: bool) -> List[float]:
    """Mean OKS of body and feet on each data set, through the daemon's own code.

    Args:
        folder: of a pose model that takes boxes.
        truths: labelled people.
        label: of the progress.
        quiet: show no progress.
    """
    from tools.training.judging import looks
    from tools.training.judging.figures import figures

    found = []
    for truth in truths:
        seen = looks.run(folder, truth, truth.pictures, label, quiet=quiet)
        found.append(float(figures([(truth, seen)])["oks"] or 0.0))
    return found
