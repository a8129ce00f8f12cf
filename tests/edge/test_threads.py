"""A thread that dies takes the program with it, in an orderly way."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, Iterator, List
from unittest import mock

import pytest

from edge.errors import InternalError
from edge.threads import NonCriticalThread, ThreadFailures
from tests.waiting import GIVE_UP_S


def die(kind: type = ZeroDivisionError) -> Callable[[], None]:
    def work() -> None:
        raise kind("a bug")

    return work


@contextlib.contextmanager
def heard() -> Iterator[List[Any]]:
    """What the hook before ours is told; set inside the test, since pytest sets one of its own."""
    found: List[Any] = []
    with mock.patch.object(threading, "excepthook", lambda told: found.append(told.exc_type)):
        yield found


def run(thread: threading.Thread) -> None:
    thread.start()
    thread.join(GIVE_UP_S)


def test_a_death_is_told_and_ends_the_program() -> None:
    told: List[str] = []
    with heard() as shown:
        with ThreadFailures(told.append) as failures:
            failures.check()
            run(threading.Thread(target=die(), name="outbox"))
            with pytest.raises(InternalError, match="the thread 'outbox' died"):
                failures.check()
        assert told == ["the thread 'outbox' died"]
        assert shown == [ZeroDivisionError], "the traceback is not swallowed"
        run(threading.Thread(target=die(), name="later"))
        assert len(told) == 1, "whoever listens stopped"
        assert len(shown) == 2


def test_those_that_others_look_after_do_not() -> None:
    told: List[str] = []
    with heard() as shown, ThreadFailures(told.append) as failures:
        run(NonCriticalThread(target=die(), name="telemetry"))
        run(threading.Thread(target=die(SystemExit), name="leaves"))
        failures.check()
        assert shown == [ZeroDivisionError, SystemExit]
    assert not told
