"""The CPU's cores shared by networks that run at once."""

from __future__ import annotations

import threading
import time
import weakref
from queue import SimpleQueue
from typing import Any, Iterator, List, Set

import numpy as np
import pytest

from edge.errors import DataError
from edge.models._outputs import Outputs
from edge.recipe import Network, Recipe
from edge.runtime import Fill, Runner, RunnerOptions, open_runner
from edge.runtime._core_pool import CorePool, finish
from edge.runtime._swappable import SwappableRunner
from edge.structures import Frame
from tests.edge.runtime.test_cpu_runners import GOLDEN, SHAPES, reference
from tests.waiting import GIVE_UP_S

RECIPE = Recipe(family="simcc", networks={"main": Network("model.onnx", 8, 8)})


@pytest.fixture
def pool() -> Iterator[CorePool]:
    made = CorePool(2)
    yield made
    made.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("network")]


class WatchedQueue:
    """A queue that tells when a thread asks for more."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self.asked = threading.Semaphore(0)
        self.put = self._queue.put

    def get(self) -> Any:
        self.asked.release()
        return self._queue.get()


def test_an_idle_thread_holds_nothing_of_its_last_work() -> None:
    pool = CorePool(1)
    pool._waiting = queue = WatchedQueue()  # type: ignore[assignment]
    frame = np.zeros(3)
    gone = weakref.ref(frame)
    begun = pool.begin(lambda start, count, held=frame: start + count, [(1, 2)])  # type: ignore[misc]
    assert finish(begun) == [3]
    del begun, frame
    for _ in ("its work", "the next"):
        assert queue.asked.acquire(timeout=GIVE_UP_S)
    assert gone() is None
    pool.close()


def opened(
    pool: CorePool, onnx: str, file: str = "conv_dynamic.onnx", max_batch: int = 16
) -> Runner:
    options = RunnerOptions(max_batch=max_batch, pool=pool, onnx=onnx)
    return open_runner(GOLDEN / file, SHAPES, options)


def pictures(batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, 3, 8, 8)).astype(np.float32)


def writer(runner: Runner, x: np.ndarray) -> Fill:
    """Feeds as many samples and gives what writes them."""
    out = runner.feed(len(x))["input"]

    def fill(start: int, count: int) -> None:
        out[start : start + count] = x[start : start + count]

    return fill


@pytest.mark.parametrize("file", ["conv_dynamic.onnx", "conv_batch2.onnx", "conv_open.onnx"])
def test_any_batch_gives_the_same_numbers(pool: CorePool, onnx: str, file: str) -> None:
    runner = opened(pool, onnx, file)
    for batch in (1, 3, 0, 9, 4, 2):
        x = pictures(batch)
        runner.feed(batch)["input"][:] = x
        y = runner.run()["y"]
        assert y.shape == (batch, 4, 8, 8)
        np.testing.assert_allclose(y, reference(x), atol=1e-5)


def test_a_batch_that_is_shared_out_counts_once(pool: CorePool, onnx: str) -> None:
    runner, runs = opened(pool, onnx, max_batch=4), []
    for batch in (0, 1, 4, 5, 9):
        runner.feed(batch)
        runner.run()
        runs.append(runner.runs)
    assert runs == [0, 1, 2, 4, 7]


def test_what_was_begun_runs_while_the_caller_goes_on(pool: CorePool, onnx: str) -> None:
    """Begun through what stands for it, too; that others may run meanwhile is told."""
    inner: Any = opened(pool, onnx)
    runner, going, whole = SwappableRunner(inner), threading.Event(), inner._run_chunk

    def run_chunk(start: int, count: int) -> Any:
        going.set()
        return whole(start, count)

    inner._run_chunk = run_chunk
    assert runner.concurrent
    x = pictures(3)
    assert runner.begin(writer(runner, x))
    assert going.wait(GIVE_UP_S)
    np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)
    assert runner.runs == 1


def test_a_runner_without_a_pool_leaves_filling_to_its_caller(onnx: str) -> None:
    alone = open_runner(GOLDEN / "conv_dynamic.onnx", SHAPES, RunnerOptions(onnx=onnx))
    assert not alone.concurrent
    x = pictures(3)
    fill = writer(alone, x)
    assert not alone.begin(fill)
    fill(0, 3)
    np.testing.assert_allclose(alone.run()["y"], reference(x), atol=1e-5)


@pytest.mark.parametrize("file", ["conv_dynamic.onnx", "conv_batch2.onnx", "conv_open.onnx"])
def test_the_thread_that_executes_a_sample_fills_it(pool: CorePool, onnx: str, file: str) -> None:
    """So the caller waits for no crop; a network of a fixed batch asks for more than was fed."""
    runner: Any = opened(pool, onnx, file)
    for batch in (3, 0, 1, 8):
        x = pictures(batch)
        where: Set[Any] = set()
        fill = writer(runner, x)

        def noted(start: int, count: int, fill: Any = fill, where: Any = where) -> None:
            where.add(threading.current_thread().name.split()[0])
            fill(start, count)

        assert runner.begin(noted)
        np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)
        assert where == ({"network"} if batch else set())


@pytest.mark.parametrize("file", ["conv_dynamic.onnx", "conv_batch2.onnx", "conv_open.onnx"])
def test_crops_cut_by_the_pool_are_those_cut_by_the_caller(
    pool: CorePool, onnx: str, file: str
) -> None:
    """Of frames of two cameras, one of them YUV, which is converted once for both its crops."""
    rng = np.random.default_rng(1)
    frames = [
        Frame(rng.integers(0, 255, (40, 60, 3)).astype(np.uint8), 0, 0, "a"),
        Frame(rng.integers(0, 255, (60, 60)).astype(np.uint8), 0, 0, "b", layout="nv12"),
    ]
    matrices = np.array([[[0.3, 0.1, -2], [-0.1, 0.3, 1]]]) + rng.normal(0, 0.05, (5, 2, 3))
    which = np.array([0, 1, 1, 0, 1])
    results = []
    for runner in (
        opened(pool, onnx, file),
        open_runner(GOLDEN / file, SHAPES, RunnerOptions(onnx=onnx)),
    ):
        outputs = Outputs(RECIPE, {"main": runner}, ["y"])
        outputs.require("y", (4, None, None))
        outputs.sample(frames, which, matrices)
        results.append(outputs.run()["y"].copy())
    assert len(results[0]) == 5
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-4)


def test_a_crop_that_cannot_be_cut_is_told_by_run(pool: CorePool, onnx: str) -> None:
    runner = opened(pool, onnx)
    runner.feed(2)

    def fill(start: int, count: int) -> None:
        raise ValueError("no such picture")

    assert runner.begin(fill)
    with pytest.raises(ValueError, match="no such picture"):
        runner.run()


def test_work_is_done_in_the_order_in_which_it_was_begun() -> None:
    pool, order, go = CorePool(1), [], threading.Event()
    pieces = [(0, 1), (1, 1)]
    begun = pool.begin(lambda start, count: go.wait(GIVE_UP_S), [(0, 1)])
    begun += pool.begin(lambda start, count: order.append(("hands", start)), pieces)
    begun += pool.begin(lambda start, count: order.append(("bodies", start)), pieces)
    go.set()
    finish(begun)
    pool.close()
    assert order == [("hands", 0), ("hands", 1), ("bodies", 0), ("bodies", 1)]


def test_two_networks_are_executed_at_the_same_time(pool: CorePool, onnx: str) -> None:
    """Each waits for the other in the middle of its execution."""
    meeting = threading.Barrier(2, timeout=GIVE_UP_S)
    runners: List[Any] = [opened(pool, onnx), opened(pool, onnx)]
    for runner in runners:
        whole = runner._run_chunk
        runner._run_chunk = lambda *piece, whole=whole: (meeting.wait(), whole(*piece))[1]
        assert runner.begin(writer(runner, pictures(1)))
    for runner in runners:
        runner.run()


def test_many_threads_share_one_pool(pool: CorePool, onnx: str) -> None:
    apart: List[float] = []

    def work(seed: int) -> None:
        runner = opened(pool, onnx)
        for turn in range(50):
            x = pictures(turn % 5, seed)
            runner.feed(len(x))["input"][:] = x
            y = runner.run()["y"]
            apart.append(float(np.abs(y - reference(x)).max()) if len(x) else 0.0)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(apart) == 200
    assert max(apart) < 1e-5


@pytest.mark.parametrize("ends", ["feed", "close"])
def test_buffers_in_use_are_left_alone(pool: CorePool, onnx: str, ends: str) -> None:
    """Whoever begins and then fails never runs; the next frame must not write into its input."""
    runner: Any = opened(pool, onnx)
    going, done = threading.Event(), []

    def slow(start: int, count: int) -> None:
        going.set()
        time.sleep(0.05)
        done.append(start)

    runner._run_chunk = slow
    assert runner.begin(writer(runner, pictures(2)))
    assert going.wait(GIVE_UP_S)
    runner.close() if ends == "close" else runner.feed(1)
    assert sorted(done) == [0, 1]


def test_a_network_that_fails_says_so_when_all_of_it_is_done(pool: CorePool, onnx: str) -> None:
    runner: Any = opened(pool, onnx)
    done = []

    def some(start: int, count: int) -> None:
        if start == 0:
            raise DataError("broken")
        time.sleep(0.02)
        done.append(start)

    whole, runner._run_chunk = runner._run_chunk, some
    runner.feed(4)
    with pytest.raises(DataError, match="broken"):
        runner.run()
    assert sorted(done) == [1, 2, 3]
    runner._run_chunk = whole
    x = pictures(2)
    runner.feed(2)["input"][:] = x
    np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)


def test_results_keep_their_order() -> None:
    pool = CorePool(4)
    pieces = [(n, 4 - n) for n in range(4)]

    def slow(start: int, count: int) -> int:
        time.sleep(0.01 * count)
        return start

    assert finish(pool.begin(slow, pieces)) == [0, 1, 2, 3]
    pool.close()
    pool.close()
