"""Transformer parts of RTMO: attention over cells, and the encoding of their positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 256
HEADS = 8
FEED_FORWARD = 1024
NORM_EPS = 1e-5


class SelfAttention(nn.Module):
    """Multi-head attention in plain operations, with the parameter keys of torch's own module."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * HIDDEN, HIDDEN))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * HIDDEN))
        self.out_proj = nn.Linear(HIDDEN, HIDDEN)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, tokens: Tensor, position: Tensor, count: int) -> Tensor:
        """Tokens [B,count,256], position [1,count,256] of queries and keys -> [B,count,256]."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        placed = tokens + position
        query, key, value = (
            functional.linear(x, w, b).reshape(-1, count, HEADS, HIDDEN // HEADS).transpose(1, 2)
            for x, w, b in zip((placed, placed, tokens), weights, biases)
        )
        scores = (query * (HIDDEN // HEADS) ** -0.5) @ key.transpose(2, 3)
        heard = scores.softmax(-1) @ value
        return self.out_proj(heard.transpose(1, 2).reshape(-1, count, HIDDEN))


class LayerNorm(nn.Module):
    """torch's LayerNorm in plain operations: TensorRT 8.5 cannot read the one of opset 17."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, tokens: Tensor) -> Tensor:
        """[...,features] -> the same shape."""
        away = tokens - tokens.mean(-1, keepdim=True)
        variance = (away * away).mean(-1, keepdim=True)
        return away / (variance + NORM_EPS).sqrt() * self.weight + self.bias


class EncoderLayer(nn.Module):
    """Attention and a feed-forward network; each is added to its input and normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.ModuleDict({"attn": SelfAttention()})
        expand = nn.Sequential(nn.Linear(HIDDEN, FEED_FORWARD), nn.GELU())
        self.ffn = nn.ModuleDict(
            {"layers": nn.ModuleList([expand, nn.Linear(FEED_FORWARD, HIDDEN)])}
        )
        self.norms = nn.ModuleList(LayerNorm(HIDDEN) for _ in range(2))

    def forward(self, tokens: Tensor, position: Tensor, count: int) -> Tensor:
        """[B,count,256] -> the same shape."""
        tokens = self.norms[0](tokens + self.self_attn["attn"](tokens, position, count))
        expand, shrink = self.ffn["layers"]
        return self.norms[1](tokens + shrink(expand(tokens)))


class Waves(nn.Module):
    """Sine and cosine encoding of a position. `dim_t` holds the wavelengths divided by 2 pi."""

    def __init__(self, features: int, temperature: float) -> None:
        super().__init__()
        powers = torch.arange(features // 2, dtype=torch.float32) / (features // 2)
        self.register_buffer("dim_t", temperature**powers)

    def forward(self, position: Tensor) -> Tensor:
        """Positions [...,n] -> [...,features,n]: first all cosines, then all sines."""
        phase = position.unsqueeze(-2) / self.dim_t.unsqueeze(-1)
        return torch.cat((phase.cos(), phase.sin()), -2)

    def over_grid(self, height: int, width: int) -> Tensor:
        """[1,height*width,2*features]: for each cell the encoding of its row, then its column."""
        steps = torch.arange(max(height, width), device=self.dim_t.device, dtype=self.dim_t.dtype)
        waves = self.forward(steps).transpose(0, 1)
        rows = waves[:height].repeat_interleave(width, 0)
        return torch.cat((rows, waves[:width].repeat(height, 1)), 1).unsqueeze(0)
