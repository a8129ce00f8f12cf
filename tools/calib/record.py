"""Network inputs exactly as the daemon makes them, kept as bytes.

The daemon's preprocessing looks pixels 0..255 up in a table of normalised values. So an input is
kept as those pixels, a quarter of its size, and looked up again in the same table when it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import numpy as np

from edge import config, skeletons
from edge.assemble import Models
from edge.errors import DataError, InternalError
from edge.recipe import Network, load_recipe
from edge.runtime import Runner
from edge.structures import Frame, Poses
from edge.track import Tracker

LOOKS = 2  # the second look at a frame crops around the first one's points, as in a running camera


class Recorder:
    """A runner that remembers what it was fed."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._fed: Dict[str, np.ndarray] = {}
        self.inputs, self.outputs, self.sha256 = runner.inputs, runner.outputs, runner.sha256
        self.seen: List[np.ndarray] = []
        self.recording = True

    @property
    def runs(self) -> int:
        """Executions so far."""
        return self._runner.runs

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        """The wrapped runner's buffers."""
        self._fed = self._runner.feed(batch)
        return self._fed

    def run(self) -> Dict[str, np.ndarray]:
        """Execute; keep a copy of the image input."""
        if self.recording:
            self.seen += [sample.copy() for sample in next(iter(self._fed.values()))]
        return self._runner.run()

    def close(self) -> None:
        """Close the wrapped runner."""
        self._runner.close()


def to_pixels(samples: np.ndarray, network: Network) -> np.ndarray:
    """Normalised inputs back to the pixels they were made of.

    Args:
        samples: [N,C,H,W] or [N,H,W,C] as fed.
        network: how they were normalised.

    Returns:
        uint8 of the same shape.

    Raises:
        InternalError: they were not made by this normalisation.
    """
    mean, std = (_per_channel(v, network) for v in (network.mean, network.std))
    pixels: np.ndarray = np.clip(np.rint(samples * std + mean), 0, 255).astype(np.uint8)
    if not np.allclose(from_pixels(pixels, network), samples, atol=1e-5, rtol=1e-5):
        raise InternalError("an input does not come from this recipe's mean and std")
    return pixels


def from_pixels(pixels: np.ndarray, network: Network) -> np.ndarray:
    """Pixels to what the network is fed: (pixel - mean) / std in its type."""
    if network.dtype != "float32":
        return pixels.astype(network.dtype)
    mean, std = (_per_channel(v, network) for v in (network.mean, network.std))
    # In double and rounded once, as the daemon's table is made.
    return ((pixels.astype(np.float64) - mean) / std).astype(np.float32)


def _per_channel(values: Sequence[float], network: Network) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return array if network.layout == "nhwc" else array[:, None, None]


def record(
    settings: config.Config, pictures: Iterator[np.ndarray], only: Sequence[str] = ()
) -> Dict[str, np.ndarray]:
    """Run the daemon's models over pictures and keep every network's inputs.

    Args:
        settings: models and folders.
        pictures: [H,W,3] u8 BGR each.
        only: models whose inputs are kept; empty = all.

    Returns:
        model/network -> [N,...] u8 pixels of its inputs.
    """
    recorders: Dict[str, Recorder] = {}

    def wrap(name: str, runner: Runner) -> Runner:
        recorders[name] = Recorder(runner)
        return recorders[name]

    models = Models(settings, wrap)
    try:
        for index, picture in enumerate(pictures):
            look_at(models, settings, picture, index, recorders)
    finally:
        models.close()
    folder = Path(settings.models.dir)
    kept = {n: r for n, r in recorders.items() if not only or n.split("/")[0] in only}
    return {name: _stack(folder, name, recorder.seen) for name, recorder in kept.items()}


def look_at(
    models: Models,
    settings: config.Config,
    picture: np.ndarray,
    index: int,
    recorders: Dict[str, Recorder],
) -> Poses:
    """Detect and pose one picture as a camera's first and second frame; the second counts."""
    skeleton = skeletons.get(models.pose.skeleton)
    tracker: Any = Tracker(settings.track, skeleton)
    poses = Poses.empty(len(skeleton.names), skeleton.name)
    for look in range(LOOKS):
        t_ns = look * 33_000_000
        frame = Frame(picture, look, t_ns, f"picture{index}")
        for recorder in recorders.values():
            recorder.recording = look == LOOKS - 1
        candidates = tracker.candidates(models.detect([frame])[0], t_ns)
        poses = models.pose([frame], [candidates])[0]
        tracker.update(poses, t_ns)
    return poses


def _stack(folder: Path, name: str, samples: List[np.ndarray]) -> np.ndarray:
    model, _, part = name.partition("/")
    network = load_recipe(folder / model).networks[part]
    if not samples:
        return np.zeros((0, *network.sample_shape), np.uint8)
    return to_pixels(np.stack(samples), network)


def load_pixels(path: Path) -> np.ndarray:
    """Recorded inputs of one network, mapped, not read.

    Raises:
        DataError: missing, damaged or of a wrong kind.
    """
    try:
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: no recorded inputs ({error}); `edge-tools calibrate` makes them"
        ) from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        raise DataError(f"{path}: expected uint8 pictures, got {pixels.dtype} {pixels.shape}")
    return pixels
