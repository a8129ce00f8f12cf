"""People found by real and small detectors, their candidates chosen on a GPU and by NumPy.

The GPU is not there: its kernels are compiled by g++, its TensorRT computes on ONNX Runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List
from unittest import mock

import cv2
import numpy as np
import onnx
import pytest

from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame
from tests.fakes import kernel_cpu
from tests.fakes.gpu import running
from tests.fakes.tensorrt_runtime import plan
from tools.fetch.by_name import ensure_model, ensure_set

GOLDEN = Path(__file__).resolve().parents[1] / "edge" / "golden" / "models"


def frames() -> List[Frame]:
    found = []
    for camera in (1, 2, 3):
        capture = cv2.VideoCapture(str(ensure_set("multiperson", quiet=True) / f"cam0{camera}.mp4"))
        found.append(Frame(capture.read()[1], 0, 0, f"cam{camera}"))
        capture.release()
    return found


def raw_heads(family: str, folder: Path) -> Path:
    """A detector with maps of its own for scores, boxes and objectness: random convolutions."""
    rng = np.random.default_rng(3)
    channels = {"cls": 2, "bbox": 4, **({"obj": 1} if family == "yolox" else {})}
    nodes, weights, outputs = [], [], []
    for i, stride in enumerate((8, 16, 32)):
        for kind, count in channels.items():
            name = f"{kind}_{i}"
            kernel = rng.normal(0, 0.02, (count, 3, stride, stride)) * 8 / stride
            bias = np.full(count, {"rtmdet bbox": 16, "yolox bbox": 0}.get(f"{family} {kind}", 0.5))
            values = {f"{name}.w": kernel, f"{name}.b": bias}
            weights += [onnx.numpy_helper.from_array(v.astype("f4"), n) for n, v in values.items()]
            nodes.append(
                onnx.helper.make_node(
                    "Conv", ["input", *values], [name], name, strides=[stride] * 2
                )
            )
            shape: List[Any] = ["batch", count, 128 // stride, 128 // stride]
            outputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    image = onnx.helper.make_tensor_value_info(
        "input", onnx.TensorProto.FLOAT, ["batch", 3, 128, 128]
    )
    graph = onnx.helper.make_graph(nodes, family, [image], outputs, weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(folder / "model.onnx"))
    (folder / "model.toml").write_text(
        f'family = "{family}"\n[networks.main]\nfile = "model.onnx"\nwidth = 128\nheight = 128\n'
        "std = [64.0, 64.0, 64.0]\nmean = [128.0, 128.0, 128.0]\n",
        encoding="utf-8",
    )
    return folder


def folder_of(model: str, made: Path) -> Path:
    """A model's files, fetched or made."""
    if model in ("rtmdet", "yolox"):
        return raw_heads(model, made)
    return GOLDEN / model if model == "twobox" else ensure_model(model, quiet=True)


@pytest.mark.parametrize("model", ["yolov4-tiny", "twobox", "rtmdet", "yolox"])
@pytest.mark.parametrize("integrated", [True, False])
def test_the_same_people_are_found(model: str, integrated: bool, tmp_path: Path) -> None:
    folder = folder_of(model, tmp_path)
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
                    # One for each head or stride; none where the graph itself chooses.
                    launches = {"yolov4-tiny": 2, "twobox": 0}.get(model, 3)
                    assert choose.call_count == launches
                runner.close()
    assert sum(map(len, found[0])) >= 5
    for ours, theirs in zip(*found):
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=0.03)
        size = np.maximum(theirs.boxes[:, 2:] - theirs.boxes[:, :2], 1).max(-1, keepdims=True)
        assert (np.abs(ours.boxes - theirs.boxes) / size).max(initial=0) < 0.02
