"""From the camera's bytes to the decoder, on a board that is not there: who reads which address.

A camera driver in memory, a CUDA driver that checks lifetimes, kernels that really run (compiled by
g++) and a TensorRT that really computes.
"""

from __future__ import annotations

import ctypes
import dataclasses
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple
from unittest import mock

import numpy as np
import pytest

from edge import geometry
from edge.capture._csi.argus import InPlace
from edge.capture._gstreamer_calls import Pipeline
from edge.capture._mask import Mask
from edge.capture._ring import Ring
from edge.capture._source import CaptureOptions, Source
from edge.capture._v4l2.request import V4l2Request
from edge.capture.v4l2 import V4l2
from edge.errors import UnavailableError
from edge.models._outputs import Outputs
from edge.models._preprocess import crops
from edge.recipe import Network, Recipe
from edge.runtime import RunnerOptions, open_runner
from edge.runtime._frames import staged
from edge.structures import Detections, Frame, Poses
from tests.edge.capture.fake_kernel import FakeKernel, frame
from tests.fakes import kernel_cpu, nvmm_fake
from tests.fakes.egl_fake import FakeEgl
from tests.fakes.gpu import Gpu, running
from tests.fakes.tensorrt_runtime import plan

ONNX = Path(__file__).resolve().parent.parent / "golden" / "conv_dynamic.onnx"
PROFILE = {"input": [(1, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8)]}
NET = Network(file="x.engine", width=8, height=8, std=[255.0] * 3)
SIZE = (64, 48)


class Board(NamedTuple):
    gpu: Gpu
    launches: List[Any]
    path: Path
    memory: Any


@pytest.fixture(params=["integrated", "discrete"])
def board(request: Any, tmp_path: Path) -> Iterator[Board]:
    path = tmp_path / "x.engine"
    path.write_bytes(plan(ONNX.read_bytes(), "10.3.0", PROFILE))
    for gpu in running("10.3.0", {"integrated": request.param == "integrated"}):
        gpu.cuda.kernels, launches = kernel_cpu.kernels()
        from edge.runtime._cuda.frames import PageLocked
        from edge.runtime._cuda.memory import open_device
        from edge.runtime.kernels import cubins

        memory = PageLocked(open_device())
        with mock.patch.object(cubins, "fitting", return_value=b"\x7fELF"):
            yield Board(gpu, launches, path, memory)
        memory.close()


def outputs_of(path: Path, **options: Any) -> Outputs:
    runner = open_runner(path, {"input": (3, 8, 8)}, RunnerOptions(max_batch=4, **options))
    found = Outputs(Recipe("simcc", {"main": NET}), {"main": runner}, ["y"])
    found.require("y", (4, 8, 8))
    return found


def pictures(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, SIZE[1], SIZE[0], 3), np.uint8)


def matrices(count: int) -> np.ndarray:
    low = np.random.default_rng(1).uniform(0, 30, (count, 2))
    return geometry.crop_affine(np.concatenate((low, low + 16), -1).astype(np.float32), (8, 8))


def frames_of(ring: Ring, source: Source, count: int) -> Iterator[Frame]:
    """As supervisor and loop hand them on."""
    for index in range(count):
        ring.publish(source.read(ring))
        slot = ring.take()
        assert slot is not None
        yield Frame(slot.image, index, 0, "door", 0, slot.device_ptr, slot.layout, slot)
        ring.release(slot)


def set_address(board: Board, name: str) -> int:
    """What TensorRT was last told of a tensor."""
    calls = board.gpu.tensorrt.called("IExecutionContext.set_tensor_address")
    return int([c for c in calls if name in c][-1][-1])


def test_the_camera_fills_what_the_kernel_reads(board: Board) -> None:
    """One address from driver to kernel, one from kernel to engine, one from engine to decoder."""
    sent, batch = pictures(6), 3
    driver = FakeKernel({"BGR3": {SIZE: [30]}}, [frame(p.tobytes()) for p in sent])
    ring = Ring(6, True, board.memory)
    source = V4l2(V4l2Request("/dev/video0", *SIZE), CaptureOptions(), driver)
    outputs, device = outputs_of(board.path), board.memory.device
    plain = np.zeros((batch, 3, 8, 8), np.float32)
    before, copies = staged["door"], device.host_copies
    for one in frames_of(ring, source, 6):
        outputs.sample([one], np.zeros(batch, int), matrices(batch))
        found = outputs.run()["y"]
        launch = board.launches[-1]
        filled = {int(a) for a in driver.addresses}
        assert set(launch.rows["pixels"].tolist()) == {one.device_ptr} <= filled
        assert launch.data == set_address(board, "input")
        if device.zero_copy:
            assert found.__array_interface__["data"][0] == set_address(board, "y")
        crops.sample([one], np.zeros(batch, int), matrices(batch), NET, plain)
        again = outputs.feed(batch)
        again[:] = plain
        np.testing.assert_allclose(found, outputs.run()["y"], atol=0.06)
    assert len(board.launches) == 6
    assert (ring.transfer, ring.host_copies, staged["door"] - before) == ("userptr", 0, 0)
    if device.zero_copy:
        assert device.host_copies == copies == 0, "nothing was copied at all"
    source.close()
    driver.assert_clean()
    outputs.runner.close()


def test_the_kernel_reads_the_drivers_own_buffers(board: Board) -> None:
    """A driver that takes no memory of ours: the address that EGL and CUDA gave is the one read."""
    sent, egl = pictures(4), FakeEgl()
    driver = FakeKernel({"BGR3": {SIZE: [30]}}, [frame(p.tobytes()) for p in sent], userptr=False)

    def address(fd: int) -> int:
        return int(np.frombuffer(driver.buffers[fd - 50].map, np.uint8).ctypes.data)

    from edge.runtime._cuda import egl as cuda_egl

    egl.where = address
    ring = Ring(6, True, board.memory)
    source = V4l2(V4l2Request("/dev/video0", *SIZE), CaptureOptions(), driver)
    outputs, before = outputs_of(board.path), staged["door"]
    with mock.patch.object(cuda_egl, "_library", egl.libraries().__getitem__):
        for one in frames_of(ring, source, 4):
            outputs.sample([one], np.zeros(2, int), matrices(2))
            found = outputs.run()["y"].copy()
            assert board.launches[-1].rows["pixels"].tolist() == [one.device_ptr] * 2
            assert one.device_ptr in {address(50 + i) for i in range(6)}
            same = Frame(sent[one.index].copy(), 0, 0, "copy")
            outputs.sample([same], np.zeros(2, int), matrices(2))
            np.testing.assert_array_equal(found, outputs.run()["y"])
        del one
        assert (ring.transfer, ring.host_copies, staged["door"] - before) == ("dmabuf", 0, 0)
        source.close()
    driver.assert_clean()
    egl.check()
    outputs.runner.close()


def test_frames_of_elsewhere_are_copied_once_and_counted(board: Board) -> None:
    outputs = outputs_of(board.path)
    before = staged["a"]
    for i, picture in enumerate(pictures(3)):
        one = Frame(picture, i, 0, "a")
        for _ in range(2):  # two networks look at it
            outputs.sample([one], np.zeros(2, int), matrices(2))
            outputs.run()
    assert staged["a"] - before == 3
    outputs.runner.close()


@pytest.mark.parametrize("want", ["opencv", "auto", "kernel"])
def test_who_cuts_is_chosen_and_said(board: Board, want: str, caplog: Any) -> None:
    from edge.runtime.kernels import cubins

    error = UnavailableError("no kernels for this GPU, sm_87")
    with mock.patch.object(cubins, "fitting", side_effect=error):
        if want == "kernel":
            with pytest.raises(UnavailableError, match="no kernels for this GPU"):
                outputs_of(board.path, preprocess=want)
            return
        outputs = outputs_of(board.path, preprocess=want)
    assert outputs.runner.crops is None
    assert ("crops by OpenCV on the CPU: no kernels" in caplog.text) == (want == "auto")
    outputs.sample([Frame(pictures(1)[0], 0, 0, "a")], np.zeros(1, int), matrices(1))
    assert outputs.run()["y"].shape == (1, 4, 8, 8)
    assert not board.launches
    outputs.runner.close()


@pytest.mark.parametrize("batch", [0, 1, 5])
@pytest.mark.parametrize("dark", [False, True])
def test_of_simcc_logits_only_the_maxima_come_back(board: Board, batch: int, dark: bool) -> None:
    """The same keypoints as ONNX Runtime and OpenCV give; of the logits only those near maxima
    cross to the host, and only to refine."""
    from edge.models import ModelOptions, input_shapes, load_model
    from edge.recipe import load_recipe

    folder = ONNX.parent / "models" / "standing"
    plain = load_recipe(folder)
    recipe = dataclasses.replace(plain, options={**plain.options, "dark": dark})
    profile = {"input": [(1, 3, 64, 48), (4, 3, 64, 48), (8, 3, 64, 48)]}
    board.path.write_bytes(plan((folder / "model.onnx").read_bytes(), "10.3.0", profile))
    shapes, options = input_shapes(recipe)["main"], ModelOptions(min_score=0.0)
    found = []
    frames = [Frame(pictures(1)[0], 0, 0, "a")]
    low = np.random.default_rng(2).uniform(0, 20, (batch, 2))
    boxes = np.concatenate((low, low + (20, 27)), -1).astype(np.float32)
    people = [Poses.of_boxes(Detections(boxes, np.ones(batch, np.float32)), 17, "coco17")]
    calls, peaks = board.gpu.cuda.calls, mock.Mock(wraps=board.gpu.cuda.kernels["simcc_peaks"])
    board.gpu.cuda.kernels["simcc_peaks"] = peaks
    for path in (board.path, folder / "model.onnx"):
        runner = open_runner(path, shapes, RunnerOptions(max_batch=4))
        model: Any = load_model(recipe, {"main": runner}, options)
        before = calls.get("cuMemcpyDtoHAsync", 0)
        found.append(model(frames, people)[0])
        if path == board.path:
            copies = 0 if board.memory.device.zero_copy or not batch else 2 + dark
            assert calls.get("cuMemcpyDtoHAsync", 0) - before == copies, "bins, maxima, near"
        runner.close()
    assert peaks.call_count == (batch > 0)
    np.testing.assert_allclose(found[0].keypoints, found[1].keypoints, atol=1e-4)
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=1e-5)
    assert len(found[0]) == batch


def test_logits_of_two_types_are_read_by_numpy(board: Board) -> None:
    """A builder may leave one output in FP32 and the other in FP16: the kernel reads one type."""
    from edge.models import ModelOptions, input_shapes, load_model
    from edge.recipe import load_recipe

    folder = ONNX.parent / "models" / "standing"
    recipe = load_recipe(folder)
    profile = {"input": [(1, 3, 64, 48), (4, 3, 64, 48), (8, 3, 64, 48)]}
    board.path.write_bytes(plan((folder / "model.onnx").read_bytes(), "10.3.0", profile))
    runner = open_runner(board.path, input_shapes(recipe)["main"], RunnerOptions(max_batch=4))
    model: Any = load_model(recipe, {"main": runner}, ModelOptions(min_score=0.0))
    peaks = mock.Mock(wraps=board.gpu.cuda.kernels["simcc_peaks"])
    board.gpu.cuda.kernels["simcc_peaks"] = peaks
    frames = [Frame(pictures(1)[0], 0, 0, "a")]
    boxes = np.array([[5, 5, 30, 40]], np.float32)
    people = [Poses.of_boxes(Detections(boxes, np.ones(1, np.float32)), 17, "coco17")]
    found = [model(frames, people)[0]]
    name = next(iter(runner.outputs))
    runner.outputs[name] = dataclasses.replace(runner.outputs[name], dtype=np.dtype(np.float16))
    found.append(model(frames, people)[0])
    assert peaks.call_count == 1
    np.testing.assert_allclose(found[0].keypoints, found[1].keypoints, atol=1e-4)
    runner.close()


def test_the_kernel_reads_the_boards_surfaces(board: Board) -> None:
    """csi:// through this machine's GStreamer: the address the camera wrote is the one read."""
    from edge.runtime._cuda import egl as cuda_egl

    egl, pipeline = FakeEgl(), Pipeline(nvmm_fake.TEXT)
    library = nvmm_fake.Library(egl)
    camera = nvmm_fake.Camera(library, *SIZE)
    egl.where = lambda fd: library.pixels[ctypes.addressof(camera.surfaces[fd - 100])].ctypes.data
    ring = Ring(4, True, board.memory)
    outputs, before = outputs_of(board.path), staged["door"]
    with mock.patch.object(cuda_egl, "_library", egl.libraries().__getitem__):
        source = InPlace(pipeline, library, SIZE, board.memory, "csi://0", 5.0, "")
        for index in range(10):
            rng = np.random.default_rng(index)
            sent = rng.integers(0, 256, (SIZE[1], SIZE[0], 2), np.uint8)
            written = camera.show(pipeline, sent)
            for one in frames_of(ring, source, 1):
                outputs.sample([one], np.zeros(2, int), matrices(2))
                found = outputs.run()["y"].copy()
            assert board.launches[-1].rows["pixels"].tolist() == [written] * 2
            same = Frame(sent, 0, 0, "copy", layout="yuyv")
            outputs.sample([same], np.zeros(2, int), matrices(2))
            np.testing.assert_array_equal(found, outputs.run()["y"])
        source.close()
    assert (ring.transfer, ring.host_copies, staged["door"] - before) == ("dmabuf", 0, 0)
    assert library.synced_for_device == 0
    camera.check()
    egl.check()
    outputs.runner.close()


def test_the_kernel_sees_grey_where_a_mask_lies_on_the_boards_surfaces(board: Board) -> None:
    """The camera's own surface is painted: no copy, and nothing of the mask in any crop."""
    from edge.runtime._cuda import egl as cuda_egl

    egl, pipeline = FakeEgl(), Pipeline(nvmm_fake.TEXT)
    library = nvmm_fake.Library(egl)
    camera = nvmm_fake.Camera(library, *SIZE)
    egl.where = lambda fd: library.pixels[ctypes.addressof(camera.surfaces[fd - 100])].ctypes.data
    ring, mask = Ring(4, True, board.memory), Mask([[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]])
    outputs = outputs_of(board.path)
    sent = np.random.default_rng(3).integers(0, 256, (SIZE[1], SIZE[0], 2), np.uint8)
    other = sent.copy()
    other[:, : SIZE[0] // 2] = 255 - other[:, : SIZE[0] // 2]  # differs under the mask alone
    found = []
    with mock.patch.object(cuda_egl, "_library", egl.libraries().__getitem__):
        source = InPlace(pipeline, library, SIZE, board.memory, "csi://0", 5.0, "", True)
        for picture in (sent, other):
            camera.show(pipeline, picture)
            slot = None
            while slot is None:
                slot = source.read(ring)
            assert mask.paint(slot.image, slot.layout, slot.view)
            slot.written()
            one = Frame(slot.image, 0, 0, "door", 0, slot.device_ptr, slot.layout)
            outputs.sample([one], np.zeros(2, int), matrices(2))
            found.append(outputs.run()["y"].copy())
            ring.cancel(slot)
        source.close()
    np.testing.assert_array_equal(found[0], found[1])
    assert library.synced_for_device == 2
    assert staged["door"] == 0
    camera.check()
    egl.check()
    outputs.runner.close()
