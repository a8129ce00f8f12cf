"""Convert the published files of a recipe's network to ONNX, by the recipe's `convert` key."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Callable, Dict, Mapping

import onnx

from edge.errors import ConfigError, DataError
from edge.recipe import Network, Weights
from tools.convert import darknet, tfjs, tflite

VERSION = 2  # increase it if a converter gives another graph; networks are then made again
Files = Mapping[str, bytes]  # member of the archive -> content


def convert(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    """Convert the files of a network; returns the content of an ONNX file.

    Args:
        network: recipe of the network; gives the input size if the format has none.
        weights: its `weights` table; `extra` holds options of the converter.
        files: all members that `members_of` names.
        label: model and network, for errors.

    Raises:
        DataError: the files cannot be converted. ConfigError: the recipe is wrong.
    """
    converter = CONVERTERS[weights.convert]
    return converter(network, weights, files, label)


def members_of(weights: Weights) -> Dict[str, str]:
    """Member -> sha256 of all files that a network is converted from."""
    members = dict(_table(weights, "members"))
    members[weights.member] = weights.member_sha256
    return members


def _table(weights: Weights, name: str) -> Dict[str, Any]:
    table = weights.extra.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"weights.extra.{name}: expected a table")
    return table


def _other(weights: Weights, files: Files, suffix: str, label: str) -> bytes:
    """Content of the member with this suffix, beside the main one."""
    for name, content in files.items():
        if name != weights.member and PurePosixPath(name).suffix == suffix:
            return content
    raise ConfigError(f"{label}: weights.extra.members has no {suffix} file")


def _tflite(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    model = tflite.convert(files[weights.member], _table(weights, "outputs"), label)
    return bytes(model.SerializeToString())


def _darknet(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    cfg = _other(weights, files, ".cfg", label).decode("utf-8", "replace")
    size = (network.width, network.height)
    outputs = _table(weights, "outputs")
    model = darknet.convert(cfg, files[weights.member], label, size, outputs)
    return bytes(model.SerializeToString())


def _tfjs(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    shards = _other(weights, files, ".bin", label)
    size = (network.width, network.height)
    head = str(weights.extra.get("head", ""))
    model = tfjs.convert(files[weights.member], shards, label, size, head)
    return bytes(model.SerializeToString())


def _copy(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    try:
        onnx.checker.check_model(onnx.load_from_string(files[weights.member]))
    except (onnx.checker.ValidationError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise DataError(f"{label}: is not a valid ONNX file: {line}") from None
    return files[weights.member]


Converter = Callable[[Network, Weights, Files, str], bytes]
CONVERTERS: Dict[str, Converter] = {
    "tflite": _tflite,
    "darknet": _darknet,
    "tfjs": _tfjs,
    "copy": _copy,
}
