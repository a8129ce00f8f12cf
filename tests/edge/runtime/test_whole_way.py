"""Pointer identity: camera's memory -> kernel -> engine's input -> its output -> decode."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest

from edge.capture._ring import Ring
from edge.models._outputs import Outputs
from edge.models._preprocess import crops
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame
from tests.fakes import builder, kernel_cpu
from tests.fakes.gpu import Gpu, running

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "models"


class Way:
    """A ring, a kernel and an engine on a fake GPU; notes where each reads and writes."""

    def __init__(self, gpu: Gpu, folder: Path, name: str, options: RunnerOptions) -> None:
        from edge.runtime._cuda.frames import PageLocked
        from edge.runtime._cuda.memory import open_device
        from edge.runtime.kernels.layouts import CROP

        self.gpu, self.device = gpu, open_device()
        self.memory = PageLocked(self.device)
        self.ring = Ring(5, True, self.memory)
        self.read: List[List[int]] = []  # by each launch of the crop kernel: frames
        self.wrote: List[int] = []
        gpu.cuda.kernels, self.launches = kernel_cpu.kernels()
        crop = gpu.cuda.kernels["crop"]

        def noted(grid: Any, block: Any, arguments: Any) -> None:
            crop(grid, block, arguments)
            to = self.launches[-1]
            rows = gpu.cuda.memory(to.crops, to.count * CROP.itemsize).view(CROP)
            self.read.append([int(p) for p in rows["pixels"]])
            self.wrote.append(int(to.data))

        gpu.cuda.kernels["crop"] = noted
        recipe = load_recipe(folder)
        shapes = {"input": recipe.networks["main"].sample_shape}
        engine = builder.engine(folder, shapes["input"])
        self.runner: Any = open_runner(engine, shapes, options)
        self.outputs = Outputs(recipe, {"main": self.runner}, ["boxes", "scores"])
        for output in ("boxes", "scores"):
            self.outputs.require(output, (2, None))

    def frame(self, seed: int) -> Frame:
        """As a camera's driver leaves it: in the ring's own memory."""
        slot = self.ring.acquire(0)
        assert slot is not None
        image = slot.shape_to((48, 80, 3), self.ring.memory)
        image[:] = np.random.default_rng(seed).integers(0, 255, image.shape)
        self.ring.publish(slot)
        taken = self.ring.take()
        assert taken is slot
        return Frame(image, seed, seed, "cam", device_ptr=slot.device_ptr, slot=slot)

    def close(self) -> None:
        self.runner.close()
        self.memory.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(GOLDEN / "twobox", tmp_path / "twobox")
    return tmp_path / "twobox"


@pytest.fixture(params=["integrated", "discrete"])
def gpu(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    for machine in running("10.3.0", {"integrated": request.param == "integrated"}):
        from edge.runtime.kernels import cubins

        monkeypatch.setattr(cubins, "fitting", lambda capability: b"\x7fELF")
        yield machine


def test_every_address_is_the_next_ones(gpu: Gpu, folder: Path) -> None:
    way = Way(gpu, folder, "twobox", RunnerOptions(max_batch=4))
    integrated = gpu.cuda.integrated
    for seed in range(8):  # the first ones without a CUDA graph, the last ones with
        frame = way.frame(seed)
        way.outputs.letterbox([frame])
        results = way.outputs.run()
        executed = gpu.cuda.executed[-1]
        assert way.read[-1] == [frame.device_ptr] == [frame.image.ctypes.data]
        assert way.wrote[-1] == executed["input"]
        assert (results["boxes"].ctypes.data == executed["boxes"]) == integrated
        assert (results["scores"].ctypes.data == executed["scores"]) == integrated
        fed = gpu.cuda.memory(executed["input"], 3 * 64 * 64 * 4).view(np.float32)
        wanted = np.zeros((1, 3, 64, 64), np.float32)
        crops.letterbox([frame], way.outputs.network, wanted)
        np.testing.assert_allclose(fed.reshape(wanted.shape), wanted, atol=1.01)
        way.ring.release(frame.slot)
    assert way.runner.graphs == 1
    assert way.runner.crops._staging.copies == 0
    if integrated:
        assert way.device.host_copies == 0
        assert not [name for name in gpu.cuda.calls if name.startswith("cuMemcpy")]
    way.close()


def test_frames_of_four_cameras_are_one_launch(gpu: Gpu, folder: Path) -> None:
    way = Way(gpu, folder, "twobox", RunnerOptions(max_batch=8))
    for start in (0, 4, 8):
        frames = [way.frame(start + i) for i in range(4)]
        before, launched = way.runner.runs, len(way.launches)
        way.outputs.letterbox(frames)
        assert len(way.outputs.run()["boxes"]) == 4
        assert (way.runner.runs - before, len(way.launches) - launched) == (1, 1)
        assert way.read[-1] == [f.device_ptr for f in frames]
        for frame in frames:
            way.ring.release(frame.slot)
    way.close()


def test_a_frame_the_gpu_cannot_see_is_copied_once_and_counted(gpu: Gpu, folder: Path) -> None:
    way = Way(gpu, folder, "twobox", RunnerOptions())
    image = np.random.default_rng(0).integers(0, 255, (48, 80, 3), np.uint8)
    frame = Frame(image, 0, 0, "file")
    for _ in range(2):  # a second network looks at the same frame
        way.outputs.letterbox([frame])
        way.outputs.run()
    assert way.runner.crops._staging.copies == 1
    way.close()
