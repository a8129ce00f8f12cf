"""The family `heatmap`: top-down networks such as HRNet, ViTPose, SimpleBaseline and AlphaPose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, Mapping, Tuple

import numpy as np

from edge.errors import ConfigError, DataError
from edge.models import Gives, ModelOptions, _heatmap, _softargmax
from edge.models._outputs import Outputs, skeleton_of
from edge.models._topdown import Decode, TopDown
from edge.recipe import Network, Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key

GIVES = Gives.POSES
DECODES = ("quarter", "dark", "udp", "udp_combined", "integral", "argmax", "sikr")
_UDP = ("udp", "udp_combined")
Refined = Callable[[np.ndarray], Tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class HeatmapSettings:
    """The table [options] of model.toml."""

    decode: str = key("dark", "decoder from maps to points", choices=DECODES)
    padding: float = key(1.25, "size of the crop over that of the box", 1, 4)
    kernel: int = key(11, "blur of dark and udp, px: 11 for sigma 2, 17 for sigma 3", 3, 63)
    radius_factor: float = key(
        0.0546875, "radius of udp_combined's offsets over the longer side of the map", 0.001, 1
    )
    beta: float = key(1.0, "sharpness of integral", 0.01, 1000)
    debias: bool = key(False, "remove the bias of integral towards the centre")
    reach: int = key(
        5, "reach of sikr's window around the maximum, px of the map; 0 = the whole map", 0, 64
    )


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> TopDown:
    """Make a model of a network with the output `heatmap`.

    `heatmap` is [B,K,h,w], or [B,3K,h,w] for `udp_combined`. It holds logits for `integral` and
    `sikr`; for the other decoders it holds responses, whose maxima are the scores.

    Raises:
        ConfigError: a setting or the skeleton is wrong.
        DataError: the network has no such output.
    """
    settings = build(HeatmapSettings, recipe.options, "options")
    if settings.kernel % 2 == 0:
        raise ConfigError(f"options.kernel: {settings.kernel} is even; give an odd number")
    outputs = Outputs(recipe, runners, ("heatmap",))
    maps = outputs.require("heatmap", (None, None, None))[0]
    skeleton = skeleton_of(recipe, maps and _keypoints(maps, settings.decode))
    decode = _decoder(settings, outputs.network)
    udp = settings.decode in _UDP
    return TopDown(outputs, decode, options, skeleton, settings.padding, udp)


def _keypoints(maps: int, decode: str) -> int:
    if decode != "udp_combined":
        return maps
    if maps % 3:
        raise DataError(
            f"udp_combined needs three maps for each keypoint; the network gives {maps}"
        )
    return maps // 3


def _refine(settings: HeatmapSettings) -> Refined:
    ways: Dict[str, Refined] = {
        "argmax": _heatmap.argmax,
        "quarter": _heatmap.quarter,
        "dark": lambda m: _heatmap.dark(m, settings.kernel),
        "udp": lambda m: _heatmap.udp(m, settings.kernel),
        "udp_combined": lambda m: _combined(m, settings),
        "integral": lambda m: _softargmax.integral(m, settings.beta, settings.debias),
        "sikr": lambda m: _softargmax.sikr(m, settings.reach),
    }
    return ways[settings.decode]


def _combined(maps: np.ndarray, settings: HeatmapSettings) -> Tuple[np.ndarray, np.ndarray]:
    """Decode; scores are relative to a perfect map's, so that they compare with other decoders."""
    points, scores = _heatmap.udp_combined(maps, settings.kernel, settings.radius_factor)
    radius = settings.radius_factor * max(maps.shape[-2:])
    return points, scores / np.float32(_heatmap.disc_response(settings.kernel, radius))


def _decoder(settings: HeatmapSettings, network: Network) -> Decode:
    """Decode, and scale map px to input px by input / map; by input / (map - 1) for UDP."""
    refine = _refine(settings)
    inset = 1 if settings.decode in _UDP else 0

    def decode(results: Dict[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        maps = results["heatmap"].astype(np.float32, copy=False)
        points, scores = refine(maps)
        size = np.array([maps.shape[-1], maps.shape[-2]]) - inset
        scale = np.array([network.width, network.height]) / size
        return (points * scale).astype(np.float32), scores

    return decode
