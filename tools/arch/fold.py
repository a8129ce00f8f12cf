"""Rewrite a network into fewer, larger convolutions that compute the same.

Each batch normalisation is folded into the layer before it, so that a quantizer sees the effective
weights. The two branches of RepVGG become one convolution. YOLOX's stem becomes one convolution of
stride 2.
"""

from __future__ import annotations

import copy
from typing import Tuple, Union

import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.arch.blocks import ConvBn, Focus
from tools.arch.hybrid import HybridEncoder, RepBlock
from tools.arch.network import Network

Layer = Union[nn.Conv2d, nn.Linear]


def folded(network: Network) -> Network:
    """A copy of a network in evaluation mode, without batch normalisations; same outputs."""
    network = copy.deepcopy(network)
    with torch.no_grad():
        _fold_children(network)
    return network


def _fold_children(parent: nn.Module) -> None:
    if isinstance(parent, nn.Sequential) and len(parent) == 2:
        _fold_pair(parent)
    for name, child in list(parent.named_children()):
        _fold_children(child)
        if isinstance(child, ConvBn):
            _fold_block(child)
        elif isinstance(child, RepBlock):
            setattr(parent, name, nn.Sequential(_one_branch(child), nn.SiLU()))
        elif isinstance(child, Focus):
            setattr(parent, name, nn.Sequential(_one_stem(child), nn.SiLU()))
        elif isinstance(child, HybridEncoder):
            child.position = child.places()


def _fold_block(block: ConvBn) -> None:
    if isinstance(block.bn, nn.BatchNorm2d):
        # Several blocks may share a convolution but not a normalisation, so each gets a copy.
        block.conv = _with(block.conv, *_folded_weights(block.conv, block.bn))
        block.bn = nn.Identity()


def _folded_weights(layer: Layer, norm: nn.Module) -> Tuple[Tensor, Tensor]:
    """Weights and bias in float64: (W x + b - mean) / sqrt(variance + eps) * gamma + beta."""
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight = layer.weight.double()
    bias = 0 if layer.bias is None else layer.bias.double()
    shape = (-1, *[1] * (weight.dim() - 1))
    return weight * factor.reshape(shape), norm.bias + (bias - norm.running_mean) * factor


def _with(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    """A copy of the layer with other weights, in the layer's own precision."""
    layer, kind = copy.deepcopy(layer), layer.weight.dtype
    layer.weight = nn.Parameter(weight.detach().to(kind), requires_grad=False)
    layer.bias = nn.Parameter(bias.detach().to(kind), requires_grad=False)
    return layer


def _one_branch(block: RepBlock) -> nn.Conv2d:
    """One 3x3 convolution for both branches; a 1x1 window is a 3x3 one with zeros around."""
    large, small = block.branch_3x3.conv, block.branch_1x1.conv
    weight = large.weight.double() + functional.pad(small.weight.double(), [1, 1, 1, 1])
    return _with(large, weight, large.bias.double() + small.bias.double())


def _one_stem(stem: Focus) -> nn.Conv2d:
    """One convolution for the stem: 3x3 over cells of 2x2 px is 6x6 over px with stride 2."""
    conv = stem.conv.conv
    outputs = conv.weight.shape[0]
    # In the order of Focus: [out, column in a cell, row in it, colour, cell row, cell column].
    parts = conv.weight.double().reshape(outputs, 2, 2, 3, 3, 3)
    weight = parts.permute(0, 3, 4, 2, 5, 1).reshape(outputs, 3, 6, 6)
    wide = nn.Conv2d(3, outputs, 6, stride=2, padding=2).to(conv.weight)
    return _with(wide, weight, conv.bias.double())


def _fold_pair(pair: nn.Sequential) -> None:
    layer, norm = pair
    if isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
        pair[0] = _with(layer, *_folded_weights(layer, norm))
        pair[1] = nn.Identity()
