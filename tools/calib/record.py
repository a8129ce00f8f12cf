"""Record network inputs exactly as the daemon makes them, as bytes.

The daemon normalises pixels 0..255 with a table. So an input is saved as these pixels, which is a
quarter of its size, and normalised again with the same table when it is used.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Sequence

import numpy as np

from edge import skeletons
from edge.errors import DataError, InternalError
from edge.loop.assemble import Models, models_dir
from edge.models import PoseModel
from edge.people.tracker import Tracker
from edge.recipe import Network, load_recipe
from edge.runtime import Runner
from edge.settings import config
from edge.structures import Detections, Frame, Poses
from tools.calib.sample_file import open_sample_file

LOOKS = 2  # the second time, crops are placed by the keypoints of the first, as in a live camera
PERIOD_NS = 33_000_000
PER_FRAME = 4  # inputs kept of each network and frame; a crowd must not outweigh other frames
Keep = Callable[[np.ndarray], None]


class Recorder(Runner):
    """A runner that also passes its inputs on.

    Args:
        runner: runs the network.
        keep: called with the image input of each run, [N,...] borrowed.
    """

    def __init__(self, runner: Runner, keep: Keep) -> None:
        self._runner = runner
        self._keep = keep
        self._fed: Dict[str, np.ndarray] = {}
        self.inputs, self.outputs, self.sha256 = runner.inputs, runner.outputs, runner.sha256
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
        """Run the network; pass the image input on if `recording`."""
        if self.recording:
            self._keep(next(iter(self._fed.values())))
        return self._runner.run()

    def close(self) -> None:
        """Close the wrapped runner."""
        self._runner.close()


def to_pixels(samples: np.ndarray, network: Network) -> np.ndarray:
    """Pixels of normalised inputs.

    Args:
        samples: [N,C,H,W] or [N,H,W,C] as fed to the network.
        network: recipe of the network: how pixels are normalised.

    Returns:
        uint8 of the same shape.

    Raises:
        InternalError: the inputs were not made by this normalisation.
    """
    mean, std = (_per_channel(v, network) for v in (network.mean, network.std))
    pixels: np.ndarray = np.clip(np.rint(samples * std + mean), 0, 255).astype(np.uint8)
    if not np.allclose(from_pixels(pixels, network), samples, atol=1e-5, rtol=1e-5):
        raise InternalError("an input does not come from this recipe's mean and std")
    return pixels


def from_pixels(pixels: np.ndarray, network: Network) -> np.ndarray:
    """Network inputs of pixels: (pixel - mean) / std in the type of the input."""
    if network.dtype != "float32":
        return pixels.astype(network.dtype)
    mean, std = (_per_channel(v, network) for v in (network.mean, network.std))
    # In float64 and rounded once, as the daemon makes its table.
    return ((pixels.astype(np.float64) - mean) / std).astype(np.float32)


def _per_channel(values: Sequence[float], network: Network) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return array if network.layout == "nhwc" else array[:, None, None]


def record(
    settings: config.Config,
    pictures: Iterable[np.ndarray],
    folder: Path,
    suffix: str = ".npy",
    per_frame: int = PER_FRAME,
    seed: int = 0,
) -> Dict[str, int]:
    """Run the daemon's models on pictures and save the inputs of all networks.

    Memory holds one picture at a time.

    Args:
        settings: models and folders.
        pictures: [H,W,3] u8 BGR each, borrowed.
        folder: where <model>/<network><suffix> is written, [N,...] u8.
        suffix: of the files.
        per_frame: how many inputs of a network are kept of each picture at most.
        seed: of the random choice among them.

    Returns:
        Number of inputs by model/network.
    """
    models_folder = models_dir(settings)
    networks = _networks(models_folder, settings)
    rng = np.random.default_rng(seed)
    with ExitStack() as stack:
        stores = {
            name: stack.enter_context(
                open_sample_file(folder / f"{name}{suffix}", network.sample_shape)
            )
            for name, network in networks.items()
        }
        recorders: Dict[str, Recorder] = {}

        def wrap(name: str, runner: Runner) -> Runner:
            def keep(fed: np.ndarray) -> None:
                rows = np.sort(rng.permutation(len(fed))[:per_frame])
                stores[name].add(to_pixels(fed[rows], networks[name]))

            recorders[name] = Recorder(runner, keep)
            return recorders[name]

        models = Models(settings, wrap)
        stack.callback(models.close)
        for index, picture in enumerate(pictures):
            detect_and_pose(models, settings, picture, index, list(recorders.values()))
        return {name: store.count for name, store in stores.items()}


def _networks(folder: Path, settings: config.Config) -> Dict[str, Network]:
    """model/network -> recipe of the network."""
    found = {}
    for model in (settings.detect.model, settings.pose.model):
        if model != "none":
            recipe = load_recipe(folder / model)
            found.update({f"{model}/{part}": net for part, net in recipe.networks.items()})
    return found


def detect_and_pose(
    models: Models,
    settings: config.Config,
    picture: np.ndarray,
    index: int,
    recorders: Sequence[Recorder] = (),
) -> Poses:
    """Run detector and pose model on one picture as if it were two frames of a camera.

    Args:
        models: opened models.
        settings: of the tracker.
        picture: [H,W,3] u8 BGR.
        index: number of the picture; each picture counts as a camera of its own.
        recorders: record the detector in the first frame and the pose model in the second.

    Returns:
        The people of the second frame; the arrays are borrowed until the next call.
    """
    _switch(recorders, True)
    people = models.detect([Frame(picture, 0, 0, f"picture{index}")])[0]
    return pose_twice(models.pose, settings, picture, index, people, recorders)


def pose_twice(
    pose: PoseModel,
    settings: config.Config,
    picture: np.ndarray,
    index: int,
    people: Detections,
    recorders: Sequence[Recorder] = (),
) -> Poses:
    """Run the pose model as `detect_and_pose` does, on people whose boxes are known."""
    skeleton = skeletons.get(pose.skeleton)
    tracker: Any = Tracker(settings.track, skeleton)
    poses = Poses.empty(len(skeleton.names), skeleton.name)
    for look in range(LOOKS):
        t_ns = look * PERIOD_NS
        frame = Frame(picture, look, t_ns, f"picture{index}")
        _switch(recorders, look == LOOKS - 1)
        poses = pose([frame], [tracker.candidates(people, t_ns)])[0]
        tracker.update(poses, t_ns)
    return poses


def _switch(recorders: Sequence[Recorder], on: bool) -> None:
    for recorder in recorders:
        recorder.recording = on


def load_pixels(path: Path) -> np.ndarray:
    """Recorded inputs of one network, memory-mapped.

    Raises:
        DataError: the file is missing, damaged, or not such a recording.
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
