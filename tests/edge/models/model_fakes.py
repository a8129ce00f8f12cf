"""A runner that gives recorded outputs, and models around it."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from edge.models import ModelOptions, load_model
from edge.recipe import Network, Recipe
from edge.runtime import Runner, TensorSpec
from edge.structures import Detections, Frame, Poses


class RecordedRunner(Runner):
    """Gives the first rows of its arrays, whatever it is fed; keeps what it was fed."""

    runs = 0
    sha256 = ""

    def __init__(self, sample_shape: Tuple[int, ...], outputs: Dict[str, np.ndarray]) -> None:
        self.inputs = {"input": TensorSpec((-1, *sample_shape), np.dtype(np.float32))}
        self.outputs = {n: TensorSpec((-1, *a.shape[1:]), a.dtype) for n, a in outputs.items()}
        self.arrays = outputs
        self.runs = 0
        self.fed = np.zeros((0, *sample_shape), np.float32)

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        self.fed = np.full((batch, *self.fed.shape[1:]), np.nan, np.float32)
        return {"input": self.fed}

    def run(self) -> Dict[str, np.ndarray]:
        self.runs += 1
        assert np.isfinite(self.fed).all(), "the whole input must be filled"
        return {n: a[: len(self.fed)] for n, a in self.arrays.items()}

    def close(self) -> None:
        pass


def model(
    family: str,
    outputs: Dict[str, np.ndarray],
    size: Tuple[int, int],
    skeleton: str = "",
    options: Optional[Dict[str, Any]] = None,
    names: Optional[Dict[str, str]] = None,
    **tuned: Any,
) -> Tuple[Any, RecordedRunner]:
    network = Network(file="model.onnx", width=size[0], height=size[1], outputs=names or {})
    runner = RecordedRunner(network.sample_shape, outputs)
    recipe = Recipe(
        family=family, networks={"main": network}, skeleton=skeleton, options=options or {}
    )
    return load_model(recipe, {"main": runner}, ModelOptions(**tuned)), runner


def frame(width: int, height: int, camera: str = "a", grey: int = 0) -> Frame:
    return Frame(np.full((height, width, 3), grey, np.uint8), 0, 0, camera)


def people(boxes: Any, keypoints: int, skeleton: str) -> Poses:
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Poses.of_boxes(Detections(boxes, np.ones(len(boxes), np.float32)), keypoints, skeleton)
