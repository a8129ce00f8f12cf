"""One network of a recipe: published files in, a verified ONNX model out."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Callable, Dict, Mapping

import onnx

from edge.errors import ConfigError, DataError
from edge.recipe import Network, Weights
from tools.convert import darknet, tfjs, tflite

VERSION = 2  # raise when a converter gives another graph: what was made before is made again
Files = Mapping[str, bytes]  # member of the archive -> content


def convert(network: Network, weights: Weights, files: Files, label: str) -> bytes:
    """Turn the files into ONNX.

    Args:
        network: the recipe's entry; gives the input size where the format leaves it open.
        weights: its `weights` table; `extra` holds the converter's options.
        files: all members that `members_of` names.
        label: model and network, for messages.

    Raises:
        DataError: files that cannot be converted. ConfigError: the recipe asks for the impossible.
    """
    converter = CONVERTERS[weights.convert]
    return converter(network, weights, files, label)


def members_of(weights: Weights) -> Dict[str, str]:
    """Every member that a network needs, with its sha256."""
    members = dict(_table(weights, "members"))
    members[weights.member] = weights.member_sha256
    return members


def _table(weights: Weights, name: str) -> Dict[str, Any]:
    table = weights.extra.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"weights.extra.{name}: expected a table")
    return table


def _other(weights: Weights, files: Files, suffix: str, label: str) -> bytes:
    """The member beside the main one that ends in `suffix`."""
    for name, content in files.items():
        if name != weights.member and PurePosixPath(name).suffix == suffix:
            return content
    raise ConfigError(f"{label}: weights.extra.members names no {suffix} file")


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
        raise DataError(f"{label}: not a valid ONNX file: {str(error).splitlines()[0]}") from None
    return files[weights.member]


Converter = Callable[[Network, Weights, Files, str], bytes]
CONVERTERS: Dict[str, Converter] = {
    "tflite": _tflite,
    "darknet": _darknet,
    "tfjs": _tfjs,
    "copy": _copy,
}
