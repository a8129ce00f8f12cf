"""A runner takes the place of another while the loop runs."""

from __future__ import annotations

import threading
from typing import Any, Dict, Set

import numpy as np
import pytest

from edge.runtime import Runner, TensorSpec
from edge.runtime._swappable import SwappableRunner, mismatch
from tests.waiting import GIVE_UP_S

FLOAT = np.dtype(np.float32)


class Adder(Runner):
    """Adds its number to what it is fed; says when it is used wrongly."""

    runs = 0
    concurrent = False

    def __init__(self, add: float, **specs: Any) -> None:
        self.inputs = {"x": TensorSpec((-1, 2), FLOAT)}
        self.outputs = {"y": TensorSpec((-1, 2), FLOAT)}
        for name, spec in specs.items():
            setattr(self, name, spec)
        self.sha256 = str(add)
        self.closed = 0
        self.wanted: Set[str] = set()
        self._add = add
        self._x = np.zeros((0, 2), np.float32)

    def feed(self, batch: int) -> Dict[str, np.ndarray]:
        assert not self.closed
        self._x = np.zeros((batch, 2), np.float32)
        return {"x": self._x}

    def run(self) -> Dict[str, np.ndarray]:
        assert not self.closed
        self.runs += 1
        return {"y": self._x + self._add}

    def close(self) -> None:
        self.closed += 1

    def want(self, output: str) -> None:
        self.wanted.add(output)


def step(runner: Any, value: float) -> float:
    runner.feed(1)["x"][:] = value
    return float(runner.run()["y"][0, 0])


def test_the_next_takes_over_at_the_next_frame() -> None:
    one, two = Adder(1), Adder(2)
    both = SwappableRunner(one)
    assert step(both, 10) == 11
    feed = both.feed(1)["x"]
    feed[:] = 20
    assert both.offer(two) == ""
    assert float(both.run()["y"][0, 0]) == 21, "a frame that was begun is ended by the same one"
    assert not both.taken.is_set()
    assert step(both, 30) == 32
    assert both.taken.is_set()
    assert (both.runs, both.sha256) == (3, "2")
    assert (one.closed, two.closed) == (0, 0)
    both.retire()
    both.retire()
    assert (one.closed, two.closed) == (1, 0)
    both.close()
    both.close()
    assert two.closed


def test_whether_others_may_run_meanwhile_is_told_by_the_one_that_serves() -> None:
    both = SwappableRunner(Adder(1))
    assert not both.concurrent
    assert both.offer(Adder(2, concurrent=True)) == ""
    assert not both.concurrent, "it does not serve yet"
    step(both, 1)
    assert both.concurrent


def test_it_takes_over_when_its_kernel_is_asked_for() -> None:
    """An engine's input is filled by its kernel, which is asked for before each batch."""
    one, two = Adder(1), Adder(2)
    two.crops = object()  # type: ignore[assignment]
    both = SwappableRunner(one)
    assert both.crops is None
    both.offer(two)
    assert both.crops is two.crops
    both.close()


def test_no_frame_is_lost_or_wrong_while_runners_change() -> None:
    both, offered = SwappableRunner(Adder(0)), []
    done = threading.Event()

    def change() -> None:
        for add in range(1, 30):
            offered.append(Adder(add))
            assert both.offer(offered[-1]) == ""
            assert both.taken.wait(GIVE_UP_S)
            both.retire()
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    steps = 0
    while not done.is_set():
        got = step(both, 1000)
        assert got == 1000 + float(both.sha256)
        steps += 1
    thread.join()
    assert both.runs == steps
    both.close()
    assert all(runner.closed for runner in offered)


def test_the_next_knows_which_outputs_are_read() -> None:
    one, two = Adder(1), Adder(2)
    both = SwappableRunner(one)
    both.want("y")
    both.offer(two)
    assert one.wanted == two.wanted == {"y"}
    both.close()


def test_who_comes_too_late_is_closed() -> None:
    both, late = SwappableRunner(Adder(1)), Adder(2)
    both.close()
    assert "ending" in both.offer(late)
    assert late.closed


def test_an_offer_nobody_took_is_closed() -> None:
    one, two = Adder(1), Adder(2)
    both = SwappableRunner(one)
    both.offer(two)
    both.close()
    assert one.closed
    assert two.closed


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        ({"inputs": {"z": TensorSpec((-1, 2), FLOAT)}}, "its inputs are z, not x"),
        ({"inputs": {"x": TensorSpec((-1, 3), FLOAT)}}, r"'x' is \[-1, 3\], not \[-1, 2\]"),
        (
            {"inputs": {"x": TensorSpec((-1, 2), np.dtype(np.float16))}},
            "'x' is float16, not float32",
        ),
        ({"outputs": {}}, "it has no output 'y'"),
        ({"outputs": {"y": TensorSpec((-1, 2, 1), FLOAT)}}, r"'y' is \[-1, 2, 1\]"),
    ],
)
def test_another_network_is_refused_and_closed(specs: Any, why: str) -> None:
    both, other = SwappableRunner(Adder(1)), Adder(2, **specs)
    with pytest.raises(AssertionError, match=why):
        assert both.offer(other) == "", both.offer(other)
    assert other.closed
    assert step(both, 1) == 2
    both.close()


def test_open_sizes_and_wider_integers_fit() -> None:
    one = Adder(1, outputs={"y": TensorSpec((-1, -2), np.dtype(np.int64))})
    two = Adder(2, outputs={"y": TensorSpec((8, 2), np.dtype(np.int32)), "more": one.inputs["x"]})
    assert mismatch(one, two) == ""
