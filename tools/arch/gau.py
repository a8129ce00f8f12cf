"""Gated attention over keypoint tokens (GAU, arXiv 2202.10447), as in RTMPose and RTMO.

It is written in plain operations, so that the quantizer and TensorRT see each operation.
"""

from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 128  # features of a query and of a key
EXPANSION = 2  # hidden features per feature of a token
EPS = 1e-5


class ScaleNorm(nn.Module):
    """Divides a token by its root mean square and multiplies it with one learnt number."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))
        self.scale = features**-0.5

    def forward(self, tokens: Tensor) -> Tensor:
        """[...,features] -> the same shape."""
        # Scaled before the norm: squares of large activations would overflow in half precision.
        length = torch.norm(tokens * self.scale, dim=-1, keepdim=True)
        return tokens / length.clamp(min=EPS) * self.g


class Scale(nn.Module):
    """A learnt factor for each feature."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(features))

    def forward(self, tokens: Tensor) -> Tensor:
        """[...,features] -> the same shape."""
        return tokens * self.scale


class GatedAttention(nn.Module):
    """One layer of gated attention with squared-ReLU weights and a scaled shortcut."""

    def __init__(self, features: int) -> None:
        super().__init__()
        hidden = EXPANSION * features
        self.parts = [hidden, hidden, FEATURES]
        self.ln = ScaleNorm(features)
        self.uv = nn.Linear(features, sum(self.parts), bias=False)
        self.gamma = nn.Parameter(torch.rand(2, FEATURES))
        self.beta = nn.Parameter(torch.rand(2, FEATURES))
        self.o = nn.Linear(hidden, features, bias=False)
        self.res_scale = Scale(features)

    def forward(self, tokens: Tensor, position: Optional[Tensor] = None) -> Tensor:
        """Update each keypoint's token with the others.

        Args:
            tokens: [B,K,features].
            position: [K,128], added to queries and keys.

        Returns:
            [B,K,features].
        """
        gate, value, shared = functional.silu(self.uv(self.ln(tokens))).split(self.parts, -1)
        offset = self.beta[:, None] if position is None else self.beta[:, None] + position
        query = shared * self.gamma[0] + offset[0]
        key = shared * self.gamma[1] + offset[1]
        weights = functional.relu(query @ key.transpose(1, 2) / math.sqrt(FEATURES))
        heard: Tensor = self.o(gate * ((weights * weights) @ value))
        return self.res_scale(tokens) + heard
