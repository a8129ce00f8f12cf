"""Compare this project with rtmlib: same SimCC network, same frames, same four boxes."""

from __future__ import annotations

import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, List, Optional

import numpy as np
import onnx
import torch

from edge import plug
from edge.models import ModelOptions, PoseModel, load_model
from edge.recipe import Network, Recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Detections, Frame, Poses
from tools.arch import describe, random_weights, samples
from tools.arch.to_onnx import to_onnx
from tools.benches import Row, Spent, duel_of_both, row, spent
from tools.benches.memory import read_video
from tools.benches.peer import Peer
from tools.fetch.by_name import ensure_set
from tools.quant.graph import load_model as load_graph
from tools.quant.inputs import open_crops
from tools.quant.network import QuantizeOptions, quantize_network

ARCH = "rtmpose-m-wholebody"
GOAL_PX = 0.01
GOALS = {"onnxruntime": 0.6, "openvino": 0.9}  # by rtmlib's backend
FRAMES, PEOPLE = 12, 4
CROPS = 4  # drawn images that set the statistics of the random weights
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Time per frame of both sides in turn, and the largest difference of keypoints."""
    frames = read_video(ensure_set("walker", sets) / "demo.mp4", FRAMES)
    boxes = _boxes(frames[0].shape[1], frames[0].shape[0])
    with tempfile.TemporaryDirectory() as folder:
        files = {n: str(Path(folder) / f"{n}.npy") for n in ("frames", "boxes", "out")}
        network = Path(folder) / "model.onnx"
        onnx.save(_random_network(), str(network))
        np.save(files["frames"], np.stack(frames))
        np.save(files["boxes"], np.broadcast_to(boxes, (len(frames), *boxes.shape)))
        size = ("192", "256")
        plain = _Ours(network, frames, boxes, RunnerOptions())
        fast = _Ours(network, frames, boxes, _fastest())
        coarse = _Ours(_in_int8(network, plain.crops(), Path(folder)), frames, boxes, _fastest())
        arguments = [str(network), *size, *files.values()]
        rows: List[Row] = []
        for backend, goal in GOALS.items():
            with Peer("rtmlib", _packages(), backend, *arguments) as peer:
                name = f"rtmlib with {backend}"
                rows += _against(name, fast, peer, rounds, goal)
                rows += _against(f"{name}, ours in INT8", coarse, peer, rounds)
                rows += _against(f"{name}, ours in ONNX Runtime", plain, peer, rounds)
                if backend == "onnxruntime":
                    theirs = np.load(files["out"])
    apart = np.abs(plain.keypoints - theirs).max()
    bf16_px = np.abs(fast.keypoints - theirs).mean()
    return [
        *rows,
        row("simcc: keypoints apart", [float(apart)], "px", GOAL_PX),
        row("simcc: keypoints apart by OpenVINO, mean", [float(bf16_px)], "px"),
    ]


def _against(
    name: str, ours: _Ours, peer: Peer, rounds: int, goal: Optional[float] = None
) -> List[Row]:
    times = duel_of_both(ours.spent, peer.spent, rounds)
    return [
        row(f"simcc: ours / {name}", times["ratio"], "x", goal, people=PEOPLE),
        row(f"simcc: ours / {name}, CPU time", times["cpu_ratio"], "x"),
        row(f"simcc: ours, beside {name}", times["ours"], "ms"),
        row(f"simcc: {name}", times["theirs"], "ms"),
    ]


def _fastest() -> RunnerOptions:
    """OpenVINO, float layers in BF16 where the CPU has it: as rtmlib's backend does, too."""
    library = plug.load("runtime", "openvino")
    return RunnerOptions(onnx="openvino", bf16=library.computes_bf16())


def _random_network() -> onnx.ModelProto:
    """The architecture with random weights, as `edge-tools export --random-seed 0` writes it."""
    architecture = describe(ARCH)
    network = architecture.build()
    images = samples.inputs(architecture, samples.drawn_images(CROPS))
    random_weights.randomise(network, 0, torch.from_numpy(images))
    return to_onnx(network, "decoded", {})


def _in_int8(network: Path, crops: np.ndarray, folder: Path) -> Path:
    """The network with as many INT8 layers as `quantize` can choose.

    Ranges do not change the speed, so the fastest calibration method is used.
    """
    np.save(folder / "crops.npy", crops)
    told = _recipe(network).networks["main"]
    options = QuantizeOptions(method="minmax", max_float=0, quiet=True)
    made = quantize_network(
        load_graph(network), open_crops(folder / "crops.npy", told), options, ARCH
    )
    onnx.save(made.model, str(folder / "int8.onnx"))
    return folder / "int8.onnx"


def _recipe(network: Path) -> Recipe:
    # The peer feeds BGR without regard to the training, so this side does the same.
    told = Network(network.name, 192, 256, channels="bgr", mean=MEAN, std=STD)
    return Recipe(family="simcc", skeleton="wholebody133", networks={"main": told})


def _packages() -> List[str]:
    """The peer, with the versions of its libraries pinned to ours: equal pixels and runtime."""
    ours = ("numpy", "onnxruntime", "openvino", "opencv-python-headless", "tqdm")
    return ["--no-deps", "rtmlib==0.0.16", *(f"{n}=={metadata.version(n)}" for n in ours)]


def _boxes(width: int, height: int) -> np.ndarray:
    """Four people-shaped boxes, one partly outside."""
    share = np.array(
        [[0.05, 0.2, 0.2, 0.9], [0.3, 0.1, 0.5, 0.95], [0.55, 0.3, 0.7, 0.8], [0.8, 0.2, 1.05, 1.0]]
    )
    return (share * (width, height, width, height)).astype(np.float32)


class _Ours:
    """Our simcc family on the same arrays."""

    def __init__(
        self,
        network: Path,
        pictures: List[np.ndarray],
        boxes: np.ndarray,
        options: RunnerOptions,
    ) -> None:
        self._frames = [Frame(p, i, i, "cam0") for i, p in enumerate(pictures)]
        runner = open_runner(network, {"input": (3, 256, 192)}, options)
        model: Any = load_model(_recipe(network), {"main": runner}, ModelOptions())
        self._model: PoseModel = model
        self._runner = runner
        found = Detections(boxes, np.ones(len(boxes), np.float32))
        self._people = [Poses.of_boxes(found, 133, "wholebody133")]
        self.keypoints = np.zeros((len(pictures), len(boxes), 133, 2), np.float32)

    def spent(self) -> Spent:
        """Process all frames once; gives what a frame took."""
        return spent(self._all, len(self._frames))

    def _all(self) -> None:
        for i, frame in enumerate(self._frames):
            self.keypoints[i] = self._model([frame], self._people)[0].keypoints

    def crops(self) -> np.ndarray:
        """[N,3,H,W] u8: the network's input in all frames."""
        fed: List[np.ndarray] = []
        scale, shift = (np.array(values)[:, None, None] for values in (STD, MEAN))
        for frame in self._frames:
            self._model([frame], self._people)
            fed.append(np.rint(self._runner.feed(PEOPLE)["input"] * scale + shift))
        return np.concatenate(fed).astype(np.uint8)
