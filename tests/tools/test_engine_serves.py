"""Real networks on real video: built by the tools, executed on a fake GPU, same keypoints."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import cv2
import numpy as np
import pytest

from edge.loop import cpu_runtime
from edge.loop.assemble import Models
from edge.loop.engines import Engines
from edge.settings import config
from edge.structures import Detections, Frame, Poses
from tests.fakes import kernel_cpu
from tests.fakes.gpu import Gpu, running
from tests.waiting import until
from tools import build as command
from tools.__main__ import main
from tools.engines import trt
from tools.engines.machine import Gpu as Found
from tools.engines.machine import Machine
from tools.fetch.by_name import ensure_model, ensure_set

BOARD = Machine(Found("Orin", "8.7", "12.6", True), "", "36.4.3", "6.2", "Jetson AGX Orin")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    for machine in running("10.3.0"):
        monkeypatch.setattr(trt, "load", lambda found=machine.tensorrt: found)
        monkeypatch.setattr(command, "read_machine", lambda: BOARD)
        yield machine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("blazepose", "yolov4-tiny"):
        shutil.copytree(ensure_model(name, quiet=True), tmp_path / name)
    return tmp_path


def settings(folder: Path, **runtime: Any) -> config.Config:
    table: Dict[str, Any] = {
        "detect": {"model": "yolov4-tiny"},
        "models": {"dir": str(folder)},
        "runtime": {"threads": 1, **runtime},
    }
    return config.complete(config.build(config.Config, table))


def frames() -> List[Frame]:
    video = ensure_set("multiperson", quiet=True) / "cam01.mp4"
    capture = cv2.VideoCapture(str(video))
    images = [capture.read()[1] for _ in range(3)]
    capture.release()
    return [Frame(image, i, i * 40_000_000, "cam") for i, image in enumerate(images)]


def look(models: Models, pictures: List[Frame], boxes: Sequence[Detections]) -> List[Poses]:
    people = [Poses.of_boxes(d, 133, "wholebody133") for d in boxes]
    return [models.pose([f], [p])[0] for f, p in zip(pictures, people)]


def built(folder: Path) -> None:
    for name in ("blazepose", "yolov4-tiny"):
        line = ["build", name, "--precision", "fp32", "--models", str(folder), "--json"]
        assert main(line) == 0


def test_engines_give_the_keypoints_of_onnx_runtime(
    gpu: Gpu, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """With crops by OpenCV the same; by the kernel within what three networks in a row make of it.

    Measured: 0.06 to 0.25 px at most where boxes are the same; boxes of 300 px move by up to 1 px.
    """
    pictures = frames()
    plain = Models(settings(folder, prefer="onnx"))
    boxes = [plain.detect([f])[0] for f in pictures]
    wanted = look(plain, pictures, boxes)
    plain.close()
    assert min(len(poses) for poses in wanted) >= 2
    built(folder)
    from edge.runtime.kernels import cubins

    gpu.cuda.kernels, launches = kernel_cpu.kernels()
    monkeypatch.setattr(cubins, "fitting", lambda capability: b"\x7fELF")
    for preprocess, most_px, box_px in (("opencv", 1e-3, 1e-3), ("kernel", 0.5, 2)):
        models = Models(settings(folder, prefer="engine", preprocess=preprocess))
        assert {c.runtime for c in models.engines.choices.values()} == {"trt"}
        found = look(models, pictures, boxes)
        for frame, there in zip(pictures, boxes):
            np.testing.assert_allclose(models.detect([frame])[0].boxes, there.boxes, atol=box_px)
        models.close()
        for mine, theirs in zip(found, wanted):
            sure = theirs.scores > 0
            assert (mine.scores > 0).sum() == sure.sum()
            apart = np.hypot(*np.moveaxis(mine.keypoints - theirs.keypoints, -1, 0))[sure]
            assert apart.max() < most_px, preprocess
        assert bool(launches) == (preprocess == "kernel")


def test_what_the_tools_build_is_what_the_daemon_takes(
    gpu: Gpu, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started without an engine, the networks are built by the real command beside the loop."""

    def build(model: Path, network: str, precision: str, stop: threading.Event) -> None:
        line = ["build", model.name, "--network", network, "--precision", precision]
        assert main([*line, "--models", str(model.parent), "--json"]) == 0

    picture = frames()[0]
    monkeypatch.setattr(cpu_runtime, "installed", lambda: False)  # equal numbers are asked for
    models = Models(settings(folder))
    choosing: Engines = models.engines
    choosing._build = build
    assert {c.runtime for c in choosing.choices.values()} == {"ort"}
    boxes = models.detect([picture])
    before = look(models, [picture], boxes)[0]
    choosing.start()

    def all_built() -> bool:
        models.detect([picture])
        after = look(models, [picture], boxes)[0]
        np.testing.assert_allclose(after.keypoints, before.keypoints, atol=1e-3)
        return {c.runtime for c in choosing.choices.values()} == {"trt"}

    until(all_built, "engines for all networks")
    models.close()
    again = Models(settings(folder))
    whys = {c.why for c in again.engines.choices.values()}
    assert whys == {"its build record fits this machine"}
    again.close()
