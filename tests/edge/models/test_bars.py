"""An input that is much larger than the pictures need is logged once."""

from __future__ import annotations

import logging
from typing import List, Tuple

import numpy as np
import pytest

from edge.models._bars import LOOKS, Bars
from edge.recipe import Network
from edge.structures import Frame


def logged(
    caplog: pytest.LogCaptureFixture, input_px: Tuple[int, int], looks: List[List[Tuple[int, int]]]
) -> List[str]:
    bars = Bars(Network(file="x.onnx", width=input_px[0], height=input_px[1]))
    shown = {
        s: Frame(np.broadcast_to(np.uint8(0), (s[1], s[0], 3)), 0, 0, "cam")
        for look in looks
        for s in look
    }
    with caplog.at_level(logging.INFO):
        for look in looks:
            bars.note([shown[size] for size in look])
    return [r.getMessage() for r in caplog.records]


@pytest.mark.parametrize(
    ("size", "fits"), [((1920, 1080), "416 x 256"), ((1080, 1920), "256 x 416")]
)
def test_the_size_that_would_do_is_named_once(
    caplog: pytest.LogCaptureFixture, size: Tuple[int, int], fits: str
) -> None:
    (line,) = logged(caplog, (416, 416), [[size]] * (3 * LOOKS))
    assert f"these cameras' pictures fill {fits} px of an input of 416 x 416" in line
    assert "in 0.62 of the work" in line


@pytest.mark.parametrize(
    ("input_px", "looks"),
    [
        ((416, 256), [[(1920, 1080)]] * LOOKS),
        ((416, 416), [[(640, 480)]] * LOOKS),
        ((640, 640), [[(640, 480)]] * LOOKS),  # three quarters, to the pixel
        ((416, 416), [[(1920, 1080)], [(1080, 1920)]] * LOOKS),
        ((416, 416), [[(1920, 1080)]] * (LOOKS - 1)),
        ((416, 416), [[]] * LOOKS),
    ],
)
def test_nothing_is_said_where_nothing_would_be_won(
    caplog: pytest.LogCaptureFixture, input_px: Tuple[int, int], looks: List[List[Tuple[int, int]]]
) -> None:
    assert logged(caplog, input_px, looks) == []
