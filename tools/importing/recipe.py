"""Write the `model.toml` of an imported network."""

from __future__ import annotations

import json
from typing import Any, Dict, List

from edge.recipe import Network, Recipe

# The pixel format of each family's published networks: channels, mean, std. Sources:
# data_preprocessor in the mmpose and mmdetection configurations of RTMPose, RTMDet, YOLOX, RTMO
# and HigherHRNet; the [net] section of darknet; MoveNet takes bytes.
_IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
_PLAIN = ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
PIXELS: Dict[str, Dict[str, Any]] = {
    "yolov4": {"channels": "rgb", "mean": _PLAIN[0], "std": [255.0, 255.0, 255.0]},
    "yolox": {"channels": "bgr", "mean": _PLAIN[0], "std": _PLAIN[1]},
    "rtmdet": {"channels": "bgr", "mean": _IMAGENET[0][::-1], "std": _IMAGENET[1][::-1]},
    "simcc": {"channels": "rgb", "mean": _IMAGENET[0], "std": _IMAGENET[1]},
    "heatmap": {"channels": "rgb", "mean": _IMAGENET[0], "std": _IMAGENET[1]},
    "rtmo": {"channels": "bgr", "mean": _PLAIN[0], "std": _PLAIN[1]},
    "movenet": {"channels": "rgb", "mean": _PLAIN[0], "std": _PLAIN[1]},
    "bottomup": {"channels": "rgb", "mean": _IMAGENET[0], "std": _IMAGENET[1]},
}
_NETWORK_KEYS = ("file", "width", "height", "input", "channels", "mean", "std", "layout", "dtype")


def to_toml(recipe: Recipe) -> str:
    """Text that `edge.recipe.load_recipe` reads back to the same recipe.

    Origins (`weights`) and the gate's limits are left out: such a model is one's own.
    """
    names = ("family", "skeleton", "licence", "description", "calibration", "float_layers")
    head = {k: getattr(recipe, k) for k in names}
    lines = [f"{k} = {_value(v)}" for k, v in head.items() if v]
    lines += _table("options", recipe.options)
    for name, network in recipe.networks.items():
        lines += ["", f"[networks.{_key(name)}]"]
        lines += [f"{k} = {_value(getattr(network, k))}" for k in _NETWORK_KEYS]
        lines += ["bf16 = true"] if network.bf16 else []
        lines += [f"sha256 = {_value(network.sha256)}"]
        lines += _table(f"networks.{_key(name)}.outputs", dict(network.outputs))
    lines += _table("scores", {"person": recipe.scores.person} if recipe.scores.person else {})
    return "\n".join(lines) + "\n"


def _table(name: str, table: Dict[str, Any]) -> List[str]:
    if not table:
        return []
    return ["", f"[{name}]", *(f"{_key(k)} = {_value(v)}" for k, v in table.items())]


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "")
    return name if plain.isalnum() and plain.isascii() else _value(name)


def _value(value: Any) -> str:
    """A JSON value as TOML; both write strings and numbers alike."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items())
        return "{ " + inner + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def describe(network: Network) -> str:
    """The input as one line of text: name, type, shape, channels, mean, std."""
    shape = ", ".join(map(str, network.sample_shape))
    mean, std = (" ".join(f"{v:g}" for v in vs) for vs in (network.mean, network.std))
    kind = f"{network.dtype} [batch, {shape}] {network.channels}"
    return f"{network.input} {kind}, mean {mean}, std {std}"
