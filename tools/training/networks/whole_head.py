"""The head of the whole-body student: 133 points and their visibility from the maps of a trunk.

A small network guesses each point from the trunk's own landmarks. The maps of 64 x 64 cells then
say where in the surroundings of the guess the point lies: the place is the mean of the softmax over
the map plus a bell around the guess. So a point has a place between the cells.
"""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge.models._blazepose.points import BODY_FEET_SOURCE, RAW_POINTS
from tools.arch.blocks import ConvBn

CELLS = 64
_UNIT_PX = 32.0  # the head computes places in this unit, from the middle of the input
_MOMENTUM = 0.01  # of the batch norms: batches are small and of several sources

# BlazePose's landmark from which the guess of each of the 133 points begins.
_NOSE, _LEFT_EYE, _RIGHT_EYE, _MOUTH = 0, 2, 5, 9
_FACE = [_NOSE] * 17 + [_RIGHT_EYE] * 5 + [_LEFT_EYE] * 5 + [_NOSE] * 9
_FACE += [_RIGHT_EYE] * 6 + [_LEFT_EYE] * 6 + [_MOUTH] * 20
_LEFT_HAND = [15] + [21] * 4 + [19] * 8 + [17] * 8
_RIGHT_HAND = [16] + [22] * 4 + [20] * 8 + [18] * 8
SOURCE = (*BODY_FEET_SOURCE.tolist(), *_FACE, *_LEFT_HAND, *_RIGHT_HAND)


class Found(NamedTuple):
    """What the head gives for B images and K points."""

    places: Tensor  # [B,K,2] px of the input
    guesses: Tensor  # [B,K,2] px, before the maps were looked at
    visible: Tensor  # [B,K] logits
    across: Tensor  # [B,K,64] share of each column
    down: Tensor  # [B,K,64] share of each row


class _Block(nn.Module):
    """A depthwise 5 x 5 and a pointwise convolution, added to what was there."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deep = ConvBn(channels, channels, 5, groups=channels, activation=None)
        self.wide = ConvBn(channels, channels, 1, activation=functional.relu)
        for norm in (self.deep.bn, self.wide.bn):
            norm.momentum = _MOMENTUM

    def forward(self, maps: Tensor) -> Tensor:
        """[B,C,H,W] of the same."""
        return maps + self.wide(self.deep(maps))


class WholeHead(nn.Module):
    """Maps and landmarks of BlazePose's trunk to 133 points.

    Args:
        fine: channels of the maps of 64 x 64 cells, of each source.
        deep: channels of the map of 8 x 8 cells.
        side_px: of the input.
        channels: of the head's own maps.
        blocks: their number.
    """

    def __init__(
        self,
        fine: Sequence[int],
        deep: int,
        side_px: int,
        channels: int = 48,
        blocks: int = 3,
    ) -> None:
        super().__init__()
        count, wide = len(SOURCE), 256
        self.middle_px = side_px / 2
        self.first = nn.Conv2d(sum(fine), channels, 1)
        self.blocks = nn.Sequential(*(_Block(channels) for _ in range(blocks)))
        self.maps = nn.Conv2d(channels, count, 1)
        self.mix = nn.Sequential(
            nn.Linear(RAW_POINTS * 3 + deep, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU()
        )
        self.shift = nn.Linear(wide, 2 * count)
        self.seen = nn.Linear(wide, count)
        self.evidence = nn.Parameter(torch.zeros(count))
        self.narrow = nn.Parameter(torch.full((count,), -1.0))
        nn.init.normal_(self.shift.weight, std=0.01)
        nn.init.zeros_(self.shift.bias)
        self.register_buffer("source", torch.tensor(SOURCE), persistent=False)
        cells = (torch.arange(CELLS) + 0.5) * (side_px / CELLS) - 0.5 - self.middle_px
        self.register_buffer("grid", cells / _UNIT_PX, persistent=False)

    def forward(self, fine: Sequence[Tensor], deep: Tensor, landmarks: Tensor) -> Found:
        """Points of images.

        Args:
            fine: maps [B,C,64,64].
            deep: map [B,C,8,8].
            landmarks: [B,39,5] x, y, z px, visibility and presence.
        """
        known = (landmarks[..., :2] - self.middle_px) / _UNIT_PX
        told = torch.sigmoid(landmarks[..., 3])
        mixed = self.mix(torch.cat((known.flatten(1), told, deep.mean((2, 3))), 1))
        guess = known[:, self.source] + self.shift(mixed).reshape(-1, len(SOURCE), 2)
        maps = self.maps(self.blocks(functional.relu(self.first(torch.cat(list(fine), 1)))))
        visible = self.seen(mixed) + self.evidence * maps.amax((2, 3))
        across, down, place = self._read(maps, guess)
        return Found(self._px(place), self._px(guess), visible, across, down)

    def _read(self, maps: Tensor, guess: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Shares of columns and rows, and the mean place, of maps with a bell around a guess."""
        narrow = functional.softplus(self.narrow)[None, :, None]
        bell_x = narrow * (self.grid - guess[..., :1]).square()
        bell_y = narrow * (self.grid - guess[..., 1:]).square()
        logits = maps - bell_x[:, :, None, :] - bell_y[:, :, :, None]
        shares = logits.reshape(-1, len(SOURCE), CELLS * CELLS).softmax(2)
        shares = shares.reshape(-1, len(SOURCE), CELLS, CELLS)
        across, down = shares.sum(2), shares.sum(3)
        place = torch.stack(((across * self.grid).sum(2), (down * self.grid).sum(2)), 2)
        return across, down, place

    def _px(self, places: Tensor) -> Tensor:
        return places * _UNIT_PX + self.middle_px
