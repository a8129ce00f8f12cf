"""What systemd hears, read from real sockets; and from a daemon that really hangs."""

from __future__ import annotations

import os
import secrets
import socket
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from edge.service.systemd import Notifier


class Manager:
    """The service manager's end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.socket.settimeout(0.2)

    def heard(self) -> List[Dict[str, str]]:
        told: List[Dict[str, str]] = []
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except socket.timeout:
                return told
            told.append(dict(line.split("=", 1) for line in text.split("\n")))

    def notifier(self, **more: Any) -> Notifier:
        return Notifier({"NOTIFY_SOCKET": self.address, **{k: str(v) for k, v in more.items()}})


@pytest.fixture(params=["path", "abstract"])
def manager(request: Any, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@edge-{secrets.token_hex(8)}"
    made = Manager(name)
    yield made
    made.socket.close()


def test_the_life_of_a_service(manager: Manager) -> None:
    notify = manager.notifier()
    before_us = time.monotonic_ns() // 1000
    notify.ready("2 of 2 cameras ok")
    notify.reloading()
    notify.ready("reloaded\nREADY=0")
    notify.more_time(90)
    notify.stopping("told to")
    notify.close()
    ready, reloading, again, more, stopping = manager.heard()
    assert ready == {"READY": "1", "STATUS": "2 of 2 cameras ok"}
    assert reloading.pop("RELOADING") == "1"
    assert before_us <= int(reloading.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert not reloading
    assert again == {"READY": "1", "STATUS": "reloaded READY=0"}, "a line break forges nothing"
    assert more == {"EXTEND_TIMEOUT_USEC": "90000000"}
    assert stopping == {"STOPPING": "1", "STATUS": "told to"}


def test_a_file_name_that_is_no_utf_8_can_be_told(manager: Manager) -> None:
    notify = manager.notifier()
    notify.stopping(os.fsdecode(b"caf\xe9.mp4"))
    notify.close()
    assert manager.heard() == [{"STOPPING": "1", "STATUS": "caf\\udce9.mp4"}]


def test_status_is_sent_when_it_changed(manager: Manager) -> None:
    notify = manager.notifier()
    assert notify.status_due()
    for text in ("a", "a", "b"):
        notify.status(text)
    assert not notify.status_due(), "and not looked at more often than every two seconds"
    assert [t["STATUS"] for t in manager.heard()] == ["a", "b"]
    notify.close()


def test_progress_feeds_the_watchdog_and_nothing_else_does(manager: Manager) -> None:
    notify = manager.notifier(WATCHDOG_USEC=400_000)
    notify.ready()
    assert [set(t) for t in manager.heard()] == [{"READY"}], "time alone feeds nothing"
    for _ in range(1000):
        notify.progress()
    assert manager.heard() == [{"WATCHDOG": "1"}], "a thousand steps in a moment are one feed"
    time.sleep(0.11)
    notify.progress()
    assert manager.heard() == [{"WATCHDOG": "1"}], "four feeds in each period"
    notify.close()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
    ],
)
def test_a_watchdog_that_is_off_or_of_another_process(manager: Manager, more: Any) -> None:
    notify = manager.notifier(**more)
    notify.progress()
    assert manager.heard() == []
    notify.close()


def test_our_own_watchdog_by_number(manager: Manager) -> None:
    notify = manager.notifier(WATCHDOG_USEC=1000, WATCHDOG_PID=os.getpid())
    notify.progress()
    assert manager.heard() == [{"WATCHDOG": "1"}]
    notify.close()


def test_without_a_manager_nothing_is_sent() -> None:
    notify = Notifier({"WATCHDOG_USEC": "1000"})
    assert not notify.listened_to
    assert not notify.status_due()
    notify.ready()
    notify.progress()
    assert notify._socket is None
    notify.close()


def test_a_manager_that_went_away_is_one_line(tmp_path: Path, caplog: Any) -> None:
    notify = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notify.ready()
    notify.ready()
    notify.close()
    assert [r.getMessage() for r in caplog.records] == [
        f"NOTIFY_SOCKET {tmp_path / 'gone'}: No such file or directory"
    ]


def test_a_full_queue_does_not_hold_the_loop(tmp_path: Path) -> None:
    full = Manager(str(tmp_path / "notify"))
    notify = full.notifier(WATCHDOG_USEC=1)
    for i in range(5000):  # far more than net.unix.max_dgram_qlen
        notify.progress()
        notify.status(str(i))
    assert len(full.heard()) < 5000
    notify.close()
    full.socket.close()
