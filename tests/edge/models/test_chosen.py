"""Detectors find the same people in rows that a GPU selected as in whole outputs."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

import numpy as np
import pytest

from edge.models._preprocess import crops
from edge.recipe import Network
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Frame
from tests.edge.models.model_fakes import RecordedRunner, frame, model
from tests.fakes import kernel_cpu


class Crops:
    """What a runner on a GPU has: the kernel that chooses, compiled by g++."""

    def __init__(self, runner: RecordedRunner) -> None:
        self.runner, self.chosen = runner, 0

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        room = self.runner.feed(len(frames))["input"]
        return crops.letterbox(frames, network, room, border)

    def choose(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        self.chosen += 1
        raw = self.runner.run()
        return {name: kernel_cpu.chosen(raw, rows, floor) for name, rows in wanted.items()}


def both(family: str, outputs: Dict[str, np.ndarray], **more: Any) -> None:
    """Whole outputs, then chosen rows."""
    detector, runner = model(family, outputs, (64, 64), min_score=0.4, **more)
    count = len(next(iter(outputs.values())))
    frames = [frame(128, 96, str(i)) for i in range(count)]
    whole = detector(frames)
    runner.crops = Crops(runner)  # type: ignore[attr-defined, assignment]
    chosen = detector(frames)
    assert runner.crops.chosen == (count > 0)  # type: ignore[attr-defined]
    assert sum(map(len, whole)) > 3 * count
    for one, other in zip(whole, chosen):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("decoded", [False, True])
def test_yolox(frames: int, decoded: bool) -> None:
    rng = np.random.default_rng(frames)
    table = rng.random((frames, 84, 7)).astype(np.float32)
    if decoded:
        table[..., :4] = table[..., :4] * 20 + 10
    table[0, 3] = np.nan
    both("yolox", {"output": table}, options={"decoded": decoded, "person": 1})


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("family", ["yolox", "rtmdet"])
def test_maps(family: str, frames: int) -> None:
    """Raw heads: scores, boxes and objectness in maps of their own, for each stride."""
    rng = np.random.default_rng(frames)
    channels = {"cls": 3, "bbox": 4, **({"obj": 1} if family == "yolox" else {})}
    maps = {
        f"{kind}_{i}": rng.normal(1, 1, (frames, count, side, side)).astype(np.float32)
        for i, side in enumerate((8, 4, 2))
        for kind, count in channels.items()
    }
    for i in range(3 if family == "rtmdet" else 0):
        maps[f"bbox_{i}"] = np.abs(maps[f"bbox_{i}"]) * 9
    maps["cls_1"][0, 2, 1, 3] = np.nan
    maps["bbox_0"][0, 1, 2, 2] = np.inf
    both(family, maps, options={"person": 2})


@pytest.mark.parametrize("frames", [1, 2])
def test_yolov4(frames: int) -> None:
    rng = np.random.default_rng(frames)
    heads = {
        name: rng.normal(0, 1.5, (frames, 3 * 9, side, side + 1)).astype(np.float32)
        for name, side in (("stride32", 3), ("stride16", 5))
    }
    heads["stride16"][0, 4, 1, 1] = np.inf
    both("yolov4", heads, options={"classes": 4, "person": 2})
