"""Dynamic coordinate classification of RTMO (arXiv 2312.07526): bins spread over a person's box."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.arch.attention import Waves
from tools.arch.gau import FEATURES, GatedAttention

BINS_X, BINS_Y = 192, 256
TEMPERATURE = 300
PADDING = 1.25  # width of a person's bins, as a factor on the box


class SigmaScale(nn.Module):
    """One learnt number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))


class CoordinateClassifier(nn.Module):
    """Computes keypoints from pose vectors and boxes.

    Args:
        inputs: features of a pose vector.
        keypoints: number of keypoints.
    """

    def __init__(self, inputs: int, keypoints: int) -> None:
        super().__init__()
        self.keypoints = keypoints
        self.register_buffer("x_bins", torch.linspace(-0.5, 0.5, BINS_X))
        self.register_buffer("y_bins", torch.linspace(-0.5, 0.5, BINS_Y))
        self.pos_enc = nn.Parameter(torch.randn(keypoints, FEATURES))
        self.spe = Waves(FEATURES, TEMPERATURE)
        self.gau = GatedAttention(FEATURES)
        wide = FEATURES * keypoints
        self.pose_to_kpts = nn.Sequential(nn.Linear(inputs, wide), nn.BatchNorm1d(wide))
        self.x_fc = nn.Linear(FEATURES, FEATURES)
        self.y_fc = nn.Linear(FEATURES, FEATURES)
        # Standard deviations, which training learns beside the coordinates; they are not used here.
        self.sigma_fc = nn.Sequential(nn.Linear(inputs, keypoints), nn.Sigmoid(), SigmaScale())

    def forward(self, vectors: Tensor, boxes: Tensor, points: Tensor) -> Tensor:
        """The keypoints of each person.

        Args:
            vectors: [R,inputs], each of one cell.
            boxes: [R,4] x1 y1 x2 y2 px, predicted by the same cells.
            points: [R,2] px places of these cells.

        Returns:
            [R,K,2] px.
        """
        tokens = self.pose_to_kpts(vectors).reshape(-1, self.keypoints, FEATURES)
        tokens = self.gau(tokens, self.pos_enc)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        span = (boxes[:, 2:] - boxes[:, :2]) * PADDING
        away = centre - points
        x = self._expected(tokens, self.x_fc, self.x_bins, span[:, :1], away[:, :1])
        y = self._expected(tokens, self.y_fc, self.y_bins, span[:, 1:], away[:, 1:])
        return torch.stack((x * span[:, :1] + centre[:, :1], y * span[:, 1:] + centre[:, 1:]), 2)

    def _expected(
        self, tokens: Tensor, encode: nn.Linear, bins: Tensor, span: Tensor, away: Tensor
    ) -> Tensor:
        """The mean bin [R,K] of each keypoint's distribution, -0.5..0.5 of the span.

        The published method encodes all bins with `encode` and multiplies them with the token.
        This code encodes the token with the transposed matrix: the same product, with 17 tokens
        to encode instead of 448 bins. The bias shifts all bins of a keypoint equally; softmax
        ignores that.
        """
        waves = self.spe(bins * span + away)  # [R,128,bins]
        return ((tokens @ encode.weight) @ waves).softmax(2) @ bins
