"""Writes the model folder of a trainee with one network."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edge.recipe import Network, Recipe
from tools.importing.recipe import to_toml
from tools.training.networks.trainee import Trainee

FILE = "network.onnx"


def write(
    folder: Path, trainee: Trainee, data: bytes, family: str, description: str, skeleton: str = ""
) -> None:
    """Write the network and its recipe.

    Args:
        folder: exists and is empty.
        trainee: says the size and the normalisation of the input.
        data: of the ONNX file.
        family: of the model.
        description: one line for the recipe.
        skeleton: keypoint set of a pose model.
    """
    (folder / FILE).write_bytes(data)
    network = Network(
        file=FILE,
        width=trainee.size[0],
        height=trainee.size[1],
        channels=trainee.channels,
        mean=list(trainee.mean),
        std=list(trainee.std),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    recipe = Recipe(
        family=family, networks={"main": network}, skeleton=skeleton, description=description
    )
    (folder / "model.toml").write_text(to_toml(recipe), "utf-8")
