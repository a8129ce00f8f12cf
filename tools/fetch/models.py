"""Fetch and convert the networks that the recipe of a model names."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List

import onnx

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, EdgeError
from edge.recipe import Network, Weights, load_recipe
from tools.convert import network as converter
from tools.convert.verify import verify
from tools.fetch.archives import read_members
from tools.fetch.cache import cached_archive
from tools.fetch.files import has_sha256, locked
from tools.fetch.media import require_sha256
from tools.fetch.sources import archive_of_weights
from tools.progress import Progress


def install_model(folder: Path, force: bool = False, quiet: bool = False) -> List[str]:
    """Make the networks of a model that are missing or out of date.

    Args:
        folder: of the model.
        force: make networks again that are up to date.
        quiet: show no progress.

    Returns:
        Names of the files written.

    Raises:
        EdgeError: as `cache.cached_archive`, `archives.read_members`, `convert` and `verify`.
    """
    written = []
    with locked(folder / ".lock"):
        recipe = load_recipe(folder)
        for name, network in recipe.networks.items():
            if network.weights is None:
                _require_own(folder, name, network)
            elif force or not up_to_date(folder, network, network.weights):
                _make(folder, f"{folder.name}/{name}", network, network.weights, quiet)
                written.append(network.file)
    return written


def _require_own(folder: Path, name: str, network: Network) -> None:
    if not (folder / network.file).is_file():
        raise ConfigError(
            f"{folder / 'model.toml'}: networks.{name} has no `weights` table to fetch it with, "
            f"and {network.file} does not exist"
        )


def up_to_date(folder: Path, network: Network, weights: Weights) -> bool:
    """Whether the file was made as the recipe says and was not changed, by its record."""
    try:
        record = json.loads(record_path(folder, network).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    if not isinstance(record, dict) or record.get("made_from") != origin(network, weights):
        return False
    return has_sha256(folder / network.file, str(record.get("onnx_sha256")))


def record_path(folder: Path, network: Network) -> Path:
    """File of the record that is written beside a network."""
    return folder / f"{network.file}.json"


def origin(network: Network, weights: Weights) -> Dict[str, Any]:
    """Everything that the content of the network's file depends on, as JSON values."""
    extra = {k: v for k, v in weights.extra.items() if k != "archive_bytes"}
    return {
        **{k: v for k, v in asdict(weights).items() if k != "extra"},
        "extra": extra,
        "input": [network.input, network.width, network.height, network.layout, network.dtype],
        "converter_version": converter.VERSION,
    }


def _make(folder: Path, label: str, network: Network, weights: Weights, quiet: bool) -> None:
    archive = archive_of_weights(weights)
    members = converter.members_of(weights)
    files = read_members(cached_archive(archive, quiet=quiet), members)
    for member, sha256 in members.items():
        require_sha256(files[member], sha256, f"{archive}: {member}")
    with Progress(f"converting {label}", 2, "steps", quiet) as bar:
        model = converter.convert(network, weights, files, label)
        bar.update()
        difference = verify(model, network, weights.extra.get("golden", {}), label)
        bar.update()
    write_whole(folder / network.file, model, READABLE)
    _write_record(folder, network, weights, model, difference)


def _write_record(
    folder: Path, network: Network, weights: Weights, model: bytes, difference: float
) -> None:
    record = {
        "file": network.file,
        "onnx_sha256": hashlib.sha256(model).hexdigest(),
        "made_from": origin(network, weights),
        "largest_difference": difference,
        "golden": "golden" in weights.extra,
        "python": sys.version.split()[0],
        "onnx": onnx.__version__,
    }
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    write_whole(record_path(folder, network), text.encode(), READABLE)


def copy_recipe(source: Path, folder: Path) -> None:
    """Put a recipe or set description into a folder of the user's, unless there is one already."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / source.name
    if source != place and not place.exists():
        write_whole(place, source.read_bytes(), READABLE)


def is_ready(folder: Path) -> bool:
    """Whether all networks of a model exist and are up to date."""
    try:
        recipe = load_recipe(folder)
    except EdgeError:
        return False
    return all(
        up_to_date(folder, n, n.weights) if n.weights else (folder / n.file).is_file()
        for n in recipe.networks.values()
    )
