"""The TensorRT runner on six versions of a fake that computes and watches order and lifetime."""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.errors import ConfigError, DataError, InternalError, TempError, UnavailableError
from edge.runtime import RunnerOptions
from tests.fakes.cuda_fake import FakeCuda
from tests.fakes.gpu import Gpu
from tests.fakes.tensorrt_runtime import plan

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SHAPES = {"input": (3, 8, 8)}
DYNAMIC = {"input": [(1, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8)]}


def engine(gpu: Gpu, tmp_path: Path, onnx: str = "conv_dynamic", profile: Any = DYNAMIC) -> Path:
    path = tmp_path / "x.engine"
    path.write_bytes(plan((GOLDEN / f"{onnx}.onnx").read_bytes(), gpu.version, profile))
    return path


def opened(gpu: Gpu, tmp_path: Path, onnx: str = "conv_dynamic", **options: Any) -> Any:
    profile = options.pop("profile", DYNAMIC)
    path = engine(gpu, tmp_path, onnx, profile)
    return gpu.trt.open_runner(path, SHAPES, RunnerOptions(**options))


def reference(x: np.ndarray) -> np.ndarray:
    """The networks of the golden folder are one 3 x 3 convolution of known weights."""
    w = (np.arange(108).reshape(4, 3, 3, 3) % 7 - 3) / 7
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def check(runner: Any, batch: int, seed: int = 0) -> None:
    x = np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)
    runner.feed(batch)["input"][:] = x
    y = runner.run()["y"]
    assert y.shape == (batch, 4, 8, 8)
    np.testing.assert_allclose(y, reference(x), atol=1e-5)


def test_any_batch_gives_the_same_numbers(any_gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(any_gpu, tmp_path, max_batch=4)
    for seed, batch in enumerate((1, 3, 0, 9, 4, 2, 3, 3, 3, 3, 17, 3, 9, 9, 9, 9)):
        check(runner, batch, seed)
    assert runner.runs == 29
    runner.close()


def test_a_fixed_batch_is_filled_up(any_gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(any_gpu, tmp_path, "conv_batch2", profile={})
    assert (runner.fixed_batch, runner.max_batch) == (2, 2)
    assert runner.outputs["y"].shape == (-1, 4, 8, 8)
    for batch in (1, 2, 0, 5, 5, 5, 5):
        check(runner, batch, batch)
    runner.close()


def test_a_smallest_batch_is_filled_up(any_gpu: Gpu, tmp_path: Path) -> None:
    profile = {"input": [(3, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8)]}
    runner = opened(any_gpu, tmp_path, profile=profile, max_batch=2)
    assert runner.max_batch == 3, "less than the engine can is not asked of it"
    for batch in (1, 2, 4, 7):
        check(runner, batch, batch)
    runner.close()


def test_only_names_of_every_version_are_called(any_gpu: Gpu, tmp_path: Path) -> None:
    """The fake has no other names; here it is that the new ones are used where they are."""
    opened(any_gpu, tmp_path).close()
    shared = any_gpu.tensorrt.called("IExecutionContext.set_device_memory")
    assert bool(shared) == (any_gpu.version >= "10" and any_gpu.version[0] == "1")


def test_graphs_follow_the_batch(any_gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(any_gpu, tmp_path)
    check(runner, 8)  # memory that stays: larger memory would void every graph
    for _ in range(6):
        check(runner, 3, 1)
    first = runner.graphs
    for batch in (5, 5, 5, 5, 3, 3, 3, 3):
        check(runner, batch, batch)
    shares = any_gpu.version.startswith("1")
    assert first == 1
    assert runner.graphs == (2 if shares else 3), "8.x has one context, whose graph is lost"
    assert any_gpu.cuda.calls["cuGraphLaunch"] >= 8
    runner.close()


def test_no_graph_where_none_is_wanted(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path, cuda_graphs=False)
    for _ in range(6):
        check(runner, 3)
    assert runner.graphs == 0
    assert "cuStreamBeginCapture" not in gpu.cuda.calls
    runner.close()


@pytest.mark.parametrize("reason", ["capture", "instantiate", "driver", "version"])
def test_what_cannot_be_captured_is_executed(
    gpu: Gpu, tmp_path: Path, reason: str, caplog: Any, monkeypatch: Any
) -> None:
    runner = opened(gpu, tmp_path)
    if reason == "capture":
        gpu.tensorrt._capturable = False
    if reason == "instantiate":
        gpu.cuda.fail["cuGraphInstantiate"] = 2  # type: ignore[assignment]
    if reason == "driver":
        gpu.cuda.fail["cuStreamBeginCapture"] = 900  # type: ignore[assignment]
    if reason == "version":
        from edge.runtime._cuda import graph

        monkeypatch.setattr(graph, "_library", object)
    with caplog.at_level(logging.INFO):
        for seed in range(6):
            check(runner, 3, seed)
    assert runner.graphs == 0
    assert len([r for r in caplog.records if "without CUDA graphs" in r.message]) == 1
    runner.close()


def test_many_batch_sizes_take_turns(any_gpu: Gpu, tmp_path: Path) -> None:
    profile = {"input": [(1, 3, 8, 8), (4, 3, 8, 8), (32, 3, 8, 8)]}
    runner = opened(any_gpu, tmp_path, profile=profile)
    rng = np.random.default_rng(3)
    for seed in range(60):
        check(runner, int(rng.integers(1, 40)), seed)
    contexts = any_gpu.tensorrt.called("ICudaEngine.create_execution_context")
    assert len(contexts) == (8 if any_gpu.version.startswith("1") else 1)
    runner.close()


def test_no_room_for_more_contexts_is_no_end(any_gpu: Gpu, tmp_path: Path, caplog: Any) -> None:
    any_gpu.tensorrt._contexts = 3
    runner = opened(any_gpu, tmp_path)
    with caplog.at_level(logging.INFO):
        for seed in range(40):
            check(runner, seed % 8 + 1, seed)
    shares = any_gpu.version.startswith("1")
    assert caplog.text.count("uses only 3 contexts") == shares
    runner.close()


def test_nothing_is_copied_where_memory_is_shared(gpu: Gpu, tmp_path: Path) -> None:
    """Pointer identity: what is fed is what the engine reads, what it writes is what is decoded."""
    runner = opened(gpu, tmp_path)
    feed, results = runner.feed(2)["input"], runner.run()["y"]
    addresses = gpu.cuda.executed[-1]
    integrated = gpu.cuda.integrated
    assert runner.zero_copy == integrated
    assert (addresses["input"] == feed.ctypes.data) == integrated
    assert (addresses["y"] == results.ctypes.data) == integrated
    before = runner.device.host_copies
    check(runner, 2)
    assert runner.device.host_copies - before == (0 if integrated else 2)
    if integrated:
        assert runner.device.host_copies == 0
        assert not [c for c in gpu.cuda.calls if c.startswith("cuMemcpy")]
    runner.close()


def test_only_outputs_that_are_read_come_to_the_host(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path, "conv_scores")
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    for wanted in (set(), {"score"}):
        for name in wanted:
            runner.want(name)
        runner.feed(2)["input"][:] = x
        before = runner.device.host_copies
        results = runner.run()
        assert set(results) == (wanted or {"y", "score"})
        np.testing.assert_allclose(results["score"][:, 0], reference(x).mean((1, 2, 3)), atol=1e-5)
        copies = 0 if gpu.cuda.integrated else 1 + len(results)
        assert runner.device.host_copies - before == copies
    runner.close()


def test_a_kernel_writes_the_input_in_place(gpu: Gpu, tmp_path: Path) -> None:
    """The order of the two is that of the stream; the host's copy is not sent on top of it."""
    runner = opened(gpu, tmp_path)
    x = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)

    def write(grid: Any, block: Any, args: List[Any]) -> None:
        gpu.cuda.memory(int(args[0]), x.nbytes)[:] = x.view(np.uint8).ravel()

    gpu.cuda.kernels["write"] = write
    module = gpu.module(b"\x7fELF")
    for _ in range(5):  # with a graph and without
        target = runner.feed_on_device(3)["input"]
        assert (target.shape, target.dtype) == ((3, 3, 8, 8), np.float32)
        module.function("write").launch((1,), (1,), [np.uint64(target.pointer)], runner.stream)
        np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)
        assert gpu.cuda.executed[-1]["input"] == target.pointer
    assert runner.device.host_copies == (0 if gpu.cuda.integrated else 7)  # warm-up 2, outputs 5
    module.close()
    runner.close()


def test_work_may_follow_on_the_stream(gpu: Gpu, tmp_path: Path) -> None:
    """A decoding kernel reads the outputs where the engine wrote them, before anybody waits."""
    runner = opened(gpu, tmp_path)
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    seen: Dict[str, Any] = {}

    def read(grid: Any, block: Any, args: List[Any]) -> None:
        seen["y"] = gpu.cuda.memory(int(args[0]), 2 * 4 * 64 * 4).view(np.float32).copy()

    gpu.cuda.kernels["read"] = read
    module = gpu.module(b"\x7fELF")
    runner.feed(2)["input"][:] = x
    output = runner.queue()["y"]
    module.function("read").launch((1,), (1,), [np.uint64(output.pointer)], runner.stream)
    assert not seen
    runner.wait()
    np.testing.assert_allclose(seen["y"].reshape(output.shape), reference(x), atol=1e-5)
    module.close()
    runner.close()


def test_outputs_that_do_not_end_on_an_address_take_a_detour(gpu: Gpu, tmp_path: Path) -> None:
    """`y` has 1024 bytes a sample, `hits` of conv_scores 4: TensorRT wants multiples of 256."""
    runner = opened(gpu, tmp_path, "conv_scores", max_batch=3)
    for batch in (1, 3, 7, 7, 7, 7, 2):
        x = np.random.default_rng(batch).standard_normal((batch, 3, 8, 8)).astype(np.float32)
        runner.feed(batch)["input"][:] = x
        results = runner.run()
        np.testing.assert_allclose(results["score"][:, 0], reference(x).mean((1, 2, 3)), atol=1e-5)
    assert gpu.cuda.calls["cuMemcpyDtoDAsync"] == 4 * 2  # the first chunk needs none
    runner.close()


def test_memory_grows_by_powers_of_two_and_is_then_kept(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path)
    check(runner, 5)
    before = dict(gpu.cuda.calls)
    for batch in (5, 8, 1, 6, 2, 8):
        check(runner, batch)
    assert gpu.cuda.calls["cuMemHostAlloc"] == before["cuMemHostAlloc"]
    first = runner.feed(8)["input"].ctypes.data
    assert runner.feed(2)["input"].ctypes.data == first
    runner.close()


def test_memory_that_queued_work_uses_is_not_taken_away(gpu: Gpu, tmp_path: Path) -> None:
    """Who asks for a larger batch before the last one was waited for."""
    runner = opened(gpu, tmp_path)
    runner.feed(2)
    runner.queue()
    check(runner, 8)
    runner.feed(8)
    runner.queue()
    runner.close()


def test_two_engines_wait_for_themselves_alone(gpu: Gpu, tmp_path: Path) -> None:
    one, two = opened(gpu, tmp_path), opened(gpu, tmp_path)
    assert one.device is two.device
    assert one.stream.number != two.stream.number
    x = np.ones((2, 3, 8, 8), np.float32)
    one.feed(2)["input"][:] = x
    two.feed(2)["input"][:] = x * 2
    one.queue()
    done = len(gpu.cuda.executed)
    np.testing.assert_allclose(two.run()["y"], reference(x * 2), atol=1e-5)
    assert len(gpu.cuda.executed) == done + 1, "the other's work was not waited for"
    np.testing.assert_allclose(one.run()["y"], reference(x), atol=1e-5)
    one.close()
    check(two, 3)
    two.close()


def test_one_wait_for_one_run(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path, max_batch=4)
    check(runner, 9)
    before = gpu.cuda.calls["cuStreamSynchronize"]
    check(runner, 9)
    assert gpu.cuda.calls["cuStreamSynchronize"] == before + 1
    runner.close()


def test_loaded_in_one_thread_run_and_closed_in_others(gpu: Gpu, tmp_path: Path) -> None:
    made: List[Any] = []
    before = threading.active_count()
    steps = [
        lambda: made.append(opened(gpu, tmp_path)),
        lambda: check(made[0], 3),
        lambda: made[0].close(),
    ]
    for step in steps:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert not any(gpu.cuda.stacks.values())
    assert threading.active_count() == before


def test_close_may_be_called_twice_and_ends_use(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path)
    runner.close()
    runner.close()
    assert gpu.cuda.live_bytes() == 0
    with pytest.raises(InternalError, match="was closed"):
        runner.feed(1)
    with pytest.raises(InternalError, match="was closed"):
        runner.run()


def test_a_hundred_times_opened_leaves_nothing(gpu: Gpu, tmp_path: Path) -> None:
    path = engine(gpu, tmp_path)
    for _ in range(100):
        runner = gpu.trt.open_runner(path, SHAPES, RunnerOptions())
        check(runner, 2)
        runner.close()
    assert gpu.cuda.live_bytes() == 0
    assert gpu.cuda.retained == 1


def test_only_verified_bytes_are_loaded(any_gpu: Gpu, tmp_path: Path) -> None:
    path = engine(any_gpu, tmp_path)
    data, reads = path.read_bytes(), []

    def read(wanted: Path) -> bytes:
        reads.append(wanted)
        path.write_bytes(b"plan changed after it was verified")
        return data

    any_gpu.tensorrt._verified = {hashlib.sha256(data).hexdigest()}
    runner = any_gpu.trt.open_runner(path, SHAPES, RunnerOptions(), read)
    assert reads == [path], "read once, and nothing reads the file again"
    assert runner.sha256 == hashlib.sha256(data).hexdigest()
    check(runner, 2)
    runner.close()


@pytest.mark.parametrize("data", [b"", b"garbage", b"plan"])
def test_what_is_no_engine_is_refused(any_gpu: Gpu, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.engine"
    path.write_bytes(data if data != b"plan" else plan(b"", "9.0.0"))
    with pytest.raises(DataError, match=r"x\.engine: .*`edge-tools build`") as caught:
        any_gpu.trt.open_runner(path, SHAPES, RunnerOptions())
    assert "\n" not in str(caught.value)


def test_the_driver_comes_first(tmp_path: Path) -> None:
    """Some versions end the process when their runtime is touched without a driver."""
    gpu = Gpu("8.6.1", driver=False)
    with gpu.cuda.installed(tensorrt=gpu.tensorrt):
        with pytest.raises(UnavailableError, match="gives no GPU"):
            opened(gpu, tmp_path)
        assert not gpu.tensorrt.called("Runtime")


def test_without_tensorrt() -> None:
    with FakeCuda().installed(tensorrt=None), pytest.raises(
        UnavailableError, match="TensorRT cannot be imported"
    ):
        from edge.runtime import trt  # noqa: F401


def test_another_version_of_the_recipe_is_refused(gpu: Gpu, tmp_path: Path) -> None:
    path = engine(gpu, tmp_path)
    with pytest.raises(ConfigError, match=r"\[-1, 3, 8, 8\], but model.toml says \['batch', 3, 9"):
        gpu.trt.open_runner(path, {"input": (3, 9, 8)}, RunnerOptions())
    with pytest.raises(DataError, match="no input 'image'; there are: input"):
        gpu.trt.open_runner(path, {"image": (3, 8, 8)}, RunnerOptions())


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("_kinds", {"y": "FP8"}, "'y' has the type FP8"),
        ("_formats", {"input": "CHW32"}, "'input' is not linear"),
        ("_locations", {"input": "HOST"}, "'input' holds a shape"),
        ("_contexts", 0, "no execution context: 2: .* out of memory"),
    ],
)
def test_engines_of_others_are_refused(
    gpu: Gpu, tmp_path: Path, setting: str, value: Any, said: str
) -> None:
    setattr(gpu.tensorrt, setting, value)
    with pytest.raises((DataError, TempError), match=said):
        opened(gpu, tmp_path)


def test_sizes_that_depend_on_the_picture_are_refused(gpu: Gpu, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="depends on the picture; export without NMS"):
        opened(gpu, tmp_path, "conv_varied")


def test_an_output_without_batch_cannot_be_chunked(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path, "conv_side", max_batch=2)
    check(runner, 2)
    assert runner.run()["side"].shape == (4, 3)
    runner.feed(3)
    with pytest.raises(DataError, match=r"raise runtime\.max_batch above 2"):
        runner.run()
    check(runner, 1)
    runner.want("y")
    check(runner, 3)
    runner.close()


def test_a_failed_execution_is_one_line(gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(gpu, tmp_path, cuda_graphs=False)
    gpu.tensorrt._fails = "1: [runner.cpp::executeMyelinGraph] Error Code 1: myelin"
    runner.feed(2)
    with pytest.raises(TempError, match=r"x\.engine: TensorRT failed: 1: .*myelin"):
        runner.run()
    gpu.tensorrt._fails = ""
    check(runner, 2)
    gpu.cuda.fail["cuStreamSynchronize"] = "an illegal memory access was encountered"
    runner.feed(2)
    with pytest.raises(TempError, match="illegal memory access"):
        runner.run()
    runner.close()


def test_no_memory_is_one_line_and_leaks_nothing(tmp_path: Path) -> None:
    gpu = Gpu("10.3.0", memory_bytes=16_000)
    with gpu.cuda.installed(tensorrt=gpu.tensorrt):
        runner = opened(gpu, tmp_path)
        with pytest.raises(TempError, match=r"out of GPU memory .*runtime\.max_batch"):
            runner.feed(8)
        check(runner, 1)
        runner.close()
        runner.device.close()
        gpu.cuda.check()


def test_a_core_of_the_dla(any_gpu: Gpu, tmp_path: Path) -> None:
    runner = opened(any_gpu, tmp_path, dla_core=1)
    assert any_gpu.tensorrt.called("Runtime.DLA_core") == [(1,)]
    runner.close()
    with pytest.raises(UnavailableError, match="DLA core 2; this machine has 2"):
        opened(any_gpu, tmp_path, dla_core=2)


def test_the_machine(any_gpu: Gpu) -> None:
    machine = any_gpu.trt.machine()
    assert machine == {"gpu": "Orin", "compute_capability": "8.7", "tensorrt": any_gpu.version}
