"""Weights from a seed for benches and tests, with signals of a size as in a trained network.

Each parameter is drawn from its name, so that a seed gives the same numbers in all versions of
torch. Normalisations get the statistics of real crops, because the signals of a deep random network
vanish or overflow without them.
"""

from __future__ import annotations

import math
import re
import zlib
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn

from tools.arch.network import Network

LEAST_VARIANCE = 0.2  # of a channel, as a share of the mean over all channels
# Name of a parameter -> factor and offset of its random numbers.
SPECIAL = (
    # Ends of residual branches start small: else each layer amplifies the rounding of the last.
    (re.compile(r"(gau\.o|out_proj|ffn\.layers\.1)\.weight$"), 0.1, 0.0),
    # Detectors find few people, as in real images, and boxes of a few cells.
    (re.compile(r"(rtm_cls|conv_cls|out_cls)\.\d+\.bias$"), 0.1, -4.0),
    (re.compile(r"(rtm_reg|conv_reg|out_bbox)\.\d+\.weight$"), 0.2, 0.0),
    (re.compile(r"rtm_reg\.\d+\.bias$"), 0.1, 2.0),
    # Small activations stay in the linear range, which amplifies rounding less.
    (re.compile(r"bn\.weight$"), 0.05, 0.5),
    (re.compile(r"(bias|beta)$"), 0.1, 0.0),
)


def randomise(network: Network, seed: int, images: Tensor) -> None:
    """Fill a network with weights, in place.

    Args:
        network: the network, in evaluation mode; it stays in it.
        seed: the same seed gives the same numbers.
        images: [B,3,H,W] normalised, B > 1, for the statistics.
    """
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(draw(name, tuple(parameter.shape), seed)))
    _calibrate(network, images)


def draw(name: str, shape: Tuple[int, ...], seed: int) -> np.ndarray:
    """Normal numbers that keep the signal's size: He for convolutions, 1/n for other layers."""
    source = np.random.default_rng([seed, zlib.crc32(name.encode())])
    noise = np.asarray(source.standard_normal(shape))
    factor, offset = 0.1, 1.0  # norms and scales
    if len(shape) >= 2 and name.endswith("weight"):
        noise *= math.sqrt((2 if len(shape) > 2 else 1) / math.prod(shape[1:]))
        factor, offset = 1.0, 0.0
        if len(shape) > 2 and shape[1] > 1:
            # The weights sum to zero: activations have large means, which would hide the signal.
            noise -= noise.mean(tuple(range(1, len(shape))), keepdims=True)
    for pattern, special_factor, special_offset in SPECIAL:
        if pattern.search(name):
            factor, offset = special_factor, special_offset
            break
    return np.asarray(noise * factor + offset)


def _calibrate(network: Network, images: Tensor) -> None:
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    hooks = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()


def _take_statistics(norm: nn.Module, inputs: Tuple[Tensor]) -> None:
    """Set the statistics from a norm's inputs. A channel that hardly varies is not amplified."""
    axes = [axis for axis in range(inputs[0].dim()) if axis != 1]
    variance, mean = torch.var_mean(inputs[0], axes)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance.clamp(min=LEAST_VARIANCE * float(variance.mean())))
