"""People found by real and small detectors, their candidates chosen on a GPU and by NumPy.

The GPU is not there: its kernels are compiled by g++, its TensorRT computes on ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List
from unittest import mock

import cv2
import numpy as np
import pytest

from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame
from tests.fakes import kernel_cpu
from tests.fakes.gpu import running
from tests.fakes.tensorrt_runtime import plan
from tools.get import ensure_model, ensure_set

GOLDEN = Path(__file__).resolve().parents[1] / "edge" / "golden" / "models"


def frames() -> List[Frame]:
    found = []
    for camera in (1, 2, 3):
        capture = cv2.VideoCapture(str(ensure_set("multiperson", quiet=True) / f"cam0{camera}.mp4"))
        found.append(Frame(capture.read()[1], 0, 0, f"cam{camera}"))
        capture.release()
    return found


@pytest.mark.parametrize("model", ["yolov4-tiny", "twobox"])
@pytest.mark.parametrize("integrated", [True, False])
def test_the_same_people_are_found(model: str, integrated: bool, tmp_path: Path) -> None:
    folder = GOLDEN / model if model == "twobox" else ensure_model(model, quiet=True)
    recipe = load_recipe(folder)
    net, shapes = recipe.networks["main"], input_shapes(recipe)["main"]
    sizes = [(n, *net.sample_shape) for n in (1, 4, 8)]
    engine = tmp_path / "x.engine"
    engine.write_bytes(plan((folder / net.file).read_bytes(), "10.3.0", {net.input: sizes}))
    found: List[Any] = []
    given = frames()
    for gpu in running("10.3.0", {"integrated": integrated}):
        gpu.cuda.kernels, _ = kernel_cpu.kernels()
        choose = mock.Mock(wraps=gpu.cuda.kernels["choose"])
        gpu.cuda.kernels["choose"] = choose
        from edge.runtime.kernels import cubins

        with mock.patch.object(cubins, "fitting", return_value=b"\x7fELF"):
            for path in (engine, folder / net.file):
                runner = open_runner(path, shapes, RunnerOptions(threads=1))
                detect: Any = load_model(recipe, {"main": runner}, ModelOptions(min_score=0.35))
                assert detect([]) == []
                found.append(detect(given))
                if path == engine:
                    launches = 0 if model == "twobox" else len(runner.outputs)
                    assert choose.call_count == launches, "unless the graph itself chooses"
                runner.close()
    assert sum(map(len, found[0])) >= 5
    for ours, theirs in zip(*found):
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=0.03)
        size = np.maximum(theirs.boxes[:, 2:] - theirs.boxes[:, :2], 1).max(-1, keepdims=True)
        assert (np.abs(ours.boxes - theirs.boxes) / size).max(initial=0) < 0.02
