"""Signal handlers may interrupt each other, and themselves, at any line."""

from __future__ import annotations

import signal
import sys
import threading
from types import SimpleNamespace
from typing import Any, Callable, List

import pytest

from edge.errors import ConfigError
from edge.service.reload import Reload
from edge.service.signals import Shutdown

GIVE_UP_S = 60.0


def reload() -> Reload:
    def read() -> Any:
        raise ConfigError("nothing to read")

    running: Any = SimpleNamespace(changing=threading.Lock())
    return Reload(running, read, SimpleNamespace(reloading=lambda: None, ready=lambda why: None))  # type: ignore[arg-type]


def interrupted(handler: Callable[[], None]) -> None:
    """Run a handler that runs once more before each of its own lines and of what it calls."""
    inside: List[Any] = []

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if event == "line" and not inside:
            inside.append(True)
            handler()
            inside.clear()
        return trace

    def work() -> None:
        sys.settrace(trace)
        handler()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(GIVE_UP_S)
    assert not thread.is_alive(), "it waits for itself"


def test_a_hangup_may_come_within_another() -> None:
    waiting = reload()
    interrupted(waiting.request)
    waiting.start()
    waiting.request()
    waiting.close()
    waiting._thread.join(GIVE_UP_S)
    assert not waiting._thread.is_alive()


def test_a_request_after_a_refused_one_is_heard() -> None:
    waiting, enough = reload(), threading.Event()
    waiting._notify.ready = lambda why: waiting.refused == 2 and enough.set()  # type: ignore[assignment,func-returns-value,method-assign,misc]
    waiting.start()
    waiting.request()
    while waiting.refused < 1 and waiting._thread.is_alive():
        threading.Event().wait(0.01)
    waiting.request()
    assert enough.wait(GIVE_UP_S)
    waiting.close()
    waiting._thread.join(GIVE_UP_S)


@pytest.mark.parametrize("number", sorted(signal.Signals(n) for n in (2, 15)))
def test_to_be_told_to_stop_may_come_within_itself(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutdown = Shutdown(SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setattr(signal, "signal", lambda *given: None)  # not the main thread
    interrupted(lambda: shutdown._handle(number, None))
    assert shutdown.requested()
    shutdown._receiver.close()
    shutdown._sender.close()
