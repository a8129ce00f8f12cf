"""The family `simcc`: top-down networks RTMPose, RTMW and DWPose (17, 26, 133, 136 keypoints)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from edge.errors import ConfigError, DataError
from edge.models import Gives, ModelOptions
from edge.models._outputs import Outputs, skeleton_of
from edge.models._simcc import (
    dark_kernel,
    joined,
    maxima,
    reach_of,
    refine_dark,
    refine_near,
)
from edge.models._topdown import Decode, TopDown
from edge.recipe import Network, Recipe
from edge.runtime import Runner
from edge.settings.schema import build, key

GIVES = Gives.POSES
Points = Tuple[np.ndarray, np.ndarray]  # positions [B,K,2] and scores [B,K]


@dataclass(frozen=True)
class SimccSettings:
    """The table [options] of model.toml."""

    padding: float = key(1.25, "size of the crop over that of the box", 1, 4)
    score: str = key(
        "min", "score of a point from the maxima of both axes", choices=("min", "mean")
    )
    dark: bool = key(False, "refine between bins by DARK")
    sigma: List[float] = key(
        [4.9, 5.66], "sigmas of the training labels in x and y, bins; for DARK"
    )


def load(recipe: Recipe, runners: Mapping[str, Runner], options: ModelOptions) -> TopDown:
    """Make a model of a network with one of these sets of outputs, tried in this order.

    - `keypoints` [B,K,2] px of the input and `keypoint_scores` [B,K]: the graph finds the maxima.
    - `simcc_x` [B,K,Wx] and `simcc_y` [B,K,Wy]: logits.

    Raises:
        ConfigError: a setting or the skeleton is wrong.
        DataError: the network has neither set, or other shapes.
    """
    settings = build(SimccSettings, recipe.options, "options")
    known = ("simcc_x", "simcc_y", "keypoints", "keypoint_scores")
    outputs = Outputs(recipe, runners, known)
    if outputs.has("keypoints", "keypoint_scores"):
        count = outputs.require("keypoints", (None, 2))[0]
        outputs.require("keypoint_scores", (count,))
        skeleton = skeleton_of(recipe, count)
        return TopDown(outputs, _finished, options, skeleton, settings.padding)
    count, *axes = _require_logits(outputs)
    kernels = _kernels(settings)
    decode = _decoder(settings, outputs.network, axes, kernels)
    if all(axes):
        reach = reach_of(max(kernels)) if settings.dark else 0
        outputs.want_peaks("simcc_x", "simcc_y", reach)
    return TopDown(outputs, decode, options, skeleton_of(recipe, count), settings.padding)


def _require_logits(outputs: Outputs) -> Tuple[Optional[int], Optional[int], Optional[int]]:
    """Numbers of keypoints, of bins in x and in y; both axes must have the same bins per px."""
    network = outputs.network
    count, across = outputs.require("simcc_x", (None, None))
    _, down = outputs.require("simcc_y", (count, None))
    if across and down and across * network.height != down * network.width:
        raise DataError(
            f"{network.file}: {across} x {down} bins do not fit an input of "
            f"{network.width} x {network.height}; correct width and height in model.toml"
        )
    return count, across, down


def _finished(results: Dict[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    return results["keypoints"], results["keypoint_scores"]


def _kernels(settings: SimccSettings) -> Tuple[int, int]:
    if len(settings.sigma) != 2 or min(settings.sigma) < 1:
        raise ConfigError("options.sigma: expected two numbers of at least 1, for x and y")
    return dark_kernel(settings.sigma)


def _decoder(
    settings: SimccSettings, network: Network, widths: List[Optional[int]], kernels: Tuple[int, int]
) -> Decode:
    """Make the decoder.

    Args:
        settings: of the family.
        network: gives the width of the input.
        widths: number of bins of x and y; None = known at run time only.
        kernels: widths of DARK's blurs in x and y, bins.
    """

    def refined(bins: np.ndarray, scores: np.ndarray, fine: Callable[[int], np.ndarray]) -> Points:
        if settings.dark:
            better = np.stack([fine(0), fine(1)], -1)
            bins = np.where(scores[..., None] > 0, better, bins)
        return bins, scores

    def whole(results: Dict[str, np.ndarray]) -> Points:
        axes = (results["simcc_x"], results["simcc_y"])
        bins, scores = maxima(axes[0], axes[1], settings.score)
        return refined(bins, scores, lambda i: refine_dark(axes[i], bins[..., i], kernels[i]))

    def found(results: Dict[str, np.ndarray]) -> Points:
        best, near = results["maxima"], results["near"]
        bins, scores = joined(results["bins"], best[..., 0], best[..., 1], settings.score)
        return refined(
            bins,
            scores,
            lambda i: refine_near(near[:, :, i], bins[..., i], widths[i] or 0, kernels[i]),
        )

    def decode(results: Dict[str, np.ndarray]) -> Points:
        bins, scores = found(results) if "maxima" in results else whole(results)
        across = widths[0] or results["simcc_x"].shape[-1]
        return bins * np.float32(network.width / across), scores

    return decode
