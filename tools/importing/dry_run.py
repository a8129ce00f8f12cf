"""Run an imported network on noise: alone at batches of 1 and 2, then through its family."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Dict, List, Sequence, Tuple, Union

import numpy as np

from edge.errors import DataError
from edge.models import Gives, Model, ModelOptions, input_shapes, load_model
from edge.recipe import Network, Recipe
from edge.runtime import Runner, RunnerOptions, open_runner
from edge.structures import Detections, Frame, Poses

_TOLERANCE = 1e-3  # share of the output's largest value; kernels vary slightly with the batch
_FRAME_PX = (640, 480)
_FIX = (
    "export it with a dynamic batch: torch.onnx.export(..., dynamic_axes={'input': {0: 'batch'}})"
)


def open_network(path: Path, network: Network) -> Runner:
    """A runner for the network without its family."""
    shapes = {network.input: network.sample_shape}
    return open_runner(path, shapes, RunnerOptions(max_batch=2))


def samples(network: Network) -> np.ndarray:
    """Two images of noise in the network's type and layout: [2, ...]."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (2, *network.sample_shape))
    if network.dtype != "float32":
        return grey.astype(network.dtype)
    return ((grey - 127.5) / 64).astype(np.float32)


def outputs_of(runner: Runner, network: Network, batch: np.ndarray) -> Dict[str, np.ndarray]:
    """Copies of the raw outputs for a batch."""
    runner.feed(len(batch))[network.input][:] = batch
    return {name: array.copy() for name, array in runner.run().items()}


def check_batches(runner: Runner, network: Network) -> float:
    """Check that two images together give the same outputs as each image alone.

    Returns:
        The largest difference as a share of the output's largest value.

    Raises:
        DataError: they differ. The message says how to export the network.
    """
    pair = samples(network)
    alone = [outputs_of(runner, network, pair[i : i + 1]) for i in range(2)]
    try:
        both = outputs_of(runner, network, pair)
    except DataError as error:
        raise DataError(f"a batch of 2 fails; {_FIX} ({error})") from error
    worst = 0.0
    for name, array in both.items():
        if array.ndim == 0 or len(array) != 2:
            raise DataError(f"output {name!r} is {list(array.shape)} for a batch of 2; {_FIX}")
        worst = max(worst, _difference(array, [a[name] for a in alone]))
    if worst > _TOLERANCE:
        raise DataError(f"a batch of 2 changes the results by {worst:.1%}; {_FIX}")
    return worst


def _difference(both: np.ndarray, alone: List[np.ndarray]) -> float:
    """The largest difference; 0 if the shapes differ.

    A network that suppresses boxes itself gives as many rows as it finds boxes.
    """
    if any(a.shape[1:] != both.shape[1:] for a in alone):
        return 0.0
    single = np.concatenate(alone).astype(np.float64)
    scale = max(1e-6, float(np.abs(single[np.isfinite(single)]).max(initial=0)))
    return float(np.nan_to_num(np.abs(both - single)).max(initial=0)) / scale


def run_family(folder: Path, recipe: Recipe) -> Tuple[int, float]:
    """Run one frame, then two frames of noise through the model, like the daemon does.

    Returns:
        The people found in the two frames, and the time for both in ms.

    Raises:
        EdgeError: the family refuses the network.
    """
    network = recipe.networks["main"]
    runner = open_runner(
        folder / network.file, input_shapes(recipe)["main"], RunnerOptions(max_batch=32)
    )
    try:
        model = load_model(recipe, {"main": runner}, ModelOptions(min_score=0.0))
        frames = _frames()
        _call(model, frames[:1])
        began_s = time.perf_counter()
        found = _call(model, frames)
        return sum(len(f) for f in found), (time.perf_counter() - began_s) * 1e3
    finally:
        runner.close()


def _call(model: Model, frames: List[Frame]) -> Sequence[Union[Detections, Poses]]:
    if model.gives is Gives.BOXES:
        return model(frames)
    boxes = Detections(np.array([[200, 60, 400, 440]], np.float32), np.ones(1, np.float32))
    return model(frames, [Poses.of_boxes(boxes, 0, model.skeleton) for _ in frames])


def _frames() -> List[Frame]:
    rng = np.random.default_rng(1)
    width, height = _FRAME_PX
    return [Frame(rng.integers(0, 256, (height, width, 3), np.uint8), 0, 0, name) for name in "ab"]
