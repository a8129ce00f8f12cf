"""Detectors on rows that a GPU chose find who they find in whole outputs."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

import numpy as np
import pytest
from model_fakes import RecordedRunner, frame, model

from edge.models import _preprocess
from edge.recipe import Network
from edge.runtime.kernels.decode import Chosen, Rows, choice_of
from edge.structures import Frame
from tests.fakes import kernel_cpu

MOST = 1024


class Crops:
    """What a runner on a GPU has: the kernel that chooses, compiled by g++."""

    def __init__(self, runner: RecordedRunner) -> None:
        self.runner, self.chosen = runner, 0

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        room = self.runner.feed(len(frames))["input"]
        return _preprocess.letterbox(frames, network, room, border)

    def choose(self, wanted: Mapping[str, Rows], floor: float) -> Dict[str, Chosen]:
        self.chosen += 1
        results = self.runner.run()
        return {name: self._one(results[name], rows, floor) for name, rows in wanted.items()}

    def _one(self, output: np.ndarray, rows: Rows, floor: float) -> Chosen:
        output, frames = np.ascontiguousarray(output), len(output)
        found, at = np.zeros((frames, 2), np.int32), np.zeros((frames, MOST), np.int32)
        scores = np.zeros((frames, MOST), np.float32)
        boxes = np.zeros((frames, MOST, 4), np.float32)
        task = choice_of(rows, output.ctypes.data, frames, output.dtype, floor)
        task.most = MOST
        task.found, task.rows_at = found.ctypes.data, at.ctypes.data
        task.scores, task.boxes = scores.ctypes.data, boxes.ctypes.data
        kernel_cpu.launch("choose", task)
        which, slot = np.nonzero(np.arange(MOST) < found[:, :1])
        row = at[which, slot].astype(np.int64)
        return Chosen(which, row, scores[which, slot], boxes[which, slot], int(found[:, 1].sum()))


def both(family: str, outputs: Dict[str, np.ndarray], **more: Any) -> None:
    """Whole outputs, then chosen rows."""
    detector, runner = model(family, outputs, (64, 64), min_score=0.4, **more)
    count = len(next(iter(outputs.values())))
    frames = [frame(128, 96, str(i)) for i in range(count)]
    whole = detector(frames)
    runner.crops = Crops(runner)  # type: ignore[attr-defined]
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


@pytest.mark.parametrize("frames", [1, 2])
def test_yolov4(frames: int) -> None:
    rng = np.random.default_rng(frames)
    heads = {
        name: rng.normal(0, 1.5, (frames, 3 * 9, side, side + 1)).astype(np.float32)
        for name, side in (("stride32", 3), ("stride16", 5))
    }
    heads["stride16"][0, 4, 1, 1] = np.inf
    both("yolov4", heads, options={"classes": 4, "person": 2})
