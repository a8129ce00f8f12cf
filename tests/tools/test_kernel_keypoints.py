"""Keypoints of real networks on real video: inputs filled by the kernel, and by OpenCV."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
import pytest

from edge import geometry, skeletons
from edge.loop.assemble import Models
from edge.models._preprocess import crops as preprocess
from edge.people.tracker import Tracker
from edge.recipe import Network
from edge.runtime import Runner
from edge.runtime.kernels.decode import Chosen, Rows
from edge.settings import config
from edge.structures import Detections, Frame, Poses, Veils
from tests.fakes import kernel_cpu
from tools.fetch.by_name import ensure_model, ensure_set

# OpenCV 5 on x86-64 with FMA samples crops as the kernel does; before it, places are of 1/32 px.
SAMPLES_ALIKE = int(cv2.__version__.split(".")[0]) >= 5 and cv2.checkHardwareSupport(12)
FRAMES = 6


class Kernels:
    """Fills a network's input and chooses candidates as a GPU would; compares to OpenCV."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.apart: List[np.ndarray] = []  # grey values, of every number of every input

    def sample(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        matrices: np.ndarray,
        network: Network,
        border: int = 0,
        veils: Optional[Veils] = None,
    ) -> None:
        room = self.runner.feed(len(which))[network.input]
        preprocess.sample(frames, which, matrices, network, room, border, veils)
        ours = kernel_cpu.sampled(frames, which, matrices, network, border=border, veils=veils)
        self._take(room, ours, network)

    def letterbox(self, frames: Sequence[Frame], network: Network, border: int) -> np.ndarray:
        room = self.runner.feed(len(frames))[network.input]
        matrices = preprocess.letterbox(frames, network, room, border)
        self._take(room, kernel_cpu.letterboxed(frames, network, border=border), network)
        return matrices

    def choose(self, wanted: Dict[str, Rows], floor: float) -> Dict[str, Chosen]:
        raw = self.runner.run()
        return {name: kernel_cpu.chosen(raw, rows, floor) for name, rows in wanted.items()}

    def _take(self, room: np.ndarray, ours: np.ndarray, network: Network) -> None:
        self.apart.append(np.abs(room - ours).ravel() * network.std[0])
        room[:] = ours


@pytest.fixture(scope="module")
def models() -> Any:
    folder = ensure_model("blazepose", quiet=True).parent
    ensure_model("yolov4-tiny", quiet=True)
    table: Dict[str, Any] = {
        "detect": {"model": "yolov4-tiny"},
        "models": {"dir": str(folder)},
        "runtime": {"threads": 1},
    }
    opened = Models(config.complete(config.build(config.Config, table)))
    yield opened
    opened.close()


def frames_of(camera: int, name: str = "") -> List[Frame]:
    video = ensure_set("multiperson", quiet=True) / f"cam0{camera}.mp4"
    capture = cv2.VideoCapture(str(video))
    images = [capture.read()[1] for _ in range(FRAMES)]
    capture.release()
    return [Frame(image, i, i * 33_000_000, f"{name}{camera}") for i, image in enumerate(images)]


def followed(models: Models, name: str) -> List[Tuple[Detections, Poses]]:
    """Who is found and followed: a frame's keypoints say where the next frame is looked at."""
    told = []
    for camera in (1, 2):
        tracker = Tracker(config.Track(), skeletons.get(models.pose.skeleton))
        for frame in frames_of(camera, name):
            found = models.detect([frame])[0]
            poses = models.pose([frame], [tracker.candidates(found, frame.t_ns)])[0]
            told.append((found, tracker.update(poses, frame.t_ns)))
    return told


def test_the_whole_way_agrees(models: Any) -> None:
    """Detector, body, hands, faces, tracks: with OpenCV 5 every number is the same.

    Nothing less would do: crops follow the keypoints of the frame before, and inputs that were
    apart by the last bit of a float moved keypoints nobody is sure of by hundreds of px.
    """
    opencv = followed(models, "opencv")
    kernels = {name: Kernels(runner) for name, runner in models.runners.items()}
    for name, crops in kernels.items():
        models.runners[name].crops = crops
    gpu = followed(models, "gpu")
    for runner in models.runners.values():
        runner.crops = None
    assert {name.split("/")[1] for name in kernels} == {"main", "body", "hand", "face"}
    for name, crops in kernels.items():
        apart = np.concatenate(crops.apart)
        assert len(apart) > 1e6
        assert apart.max() == 0 if SAMPLES_ALIKE or name.endswith("main") else apart.mean() < 0.5
    assert sum(len(poses) for _, poses in opencv) > 20
    for (found, poses), (found_gpu, poses_gpu) in zip(opencv, gpu):
        np.testing.assert_array_equal(found.boxes, found_gpu.boxes)
        np.testing.assert_allclose(found.scores, found_gpu.scores, atol=1e-6)
        if SAMPLES_ALIKE:
            np.testing.assert_array_equal(poses.ids, poses_gpu.ids)
            np.testing.assert_array_equal(poses.keypoints, poses_gpu.keypoints)


def nv12_of(image: np.ndarray) -> np.ndarray:
    """Luma, then chroma in pairs, of an even BGR picture."""
    planes = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    high, wide = image.shape[:2]
    out = planes.copy()
    chroma = planes[high:].reshape(2, high // 2 * (wide // 2))
    out[high:] = chroma.T.reshape(high // 2, wide)
    return out


@pytest.mark.parametrize("layout", ["bgr", "nv12"])
@pytest.mark.parametrize("whole", [False, True])
def test_pixels_agree(layout: str, whole: bool) -> None:
    """Real frames: the same numbers; before OpenCV 5 crops are a few grey values apart."""
    frames = [frames_of(camera)[0] for camera in (1, 2)]
    if layout == "nv12":
        frames = [Frame(nv12_of(f.image), 0, 0, f.camera, layout="nv12") for f in frames]
    net = Network(file="x", width=256, height=256)
    boxes = np.array([[200, 300, 700, 1100], [-100, 500, 400, 1400]], np.float32)
    matrices = geometry.crop_affine(boxes, (256, 256), rotations_rad=np.array([0.4, -2.0]))
    out = np.zeros((2, *net.sample_shape), np.float32)
    if whole:
        preprocess.letterbox(frames, net, out)
        ours = kernel_cpu.letterboxed(frames, net)
    else:
        preprocess.sample(frames, np.arange(2), matrices, net, out)
        ours = kernel_cpu.sampled(frames, [0, 1], matrices, net)
    if whole or SAMPLES_ALIKE:
        np.testing.assert_array_equal(ours, out)
    assert np.abs(ours - out).max() < 9.6
