"""Progress: a bar on a terminal, few plain lines in a log, nothing where it is not wanted."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from tools import progress
from tools.progress import Progress, track


class Clock:
    """Seconds that only pass when told so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_a_log_gets_a_line_after_two_seconds_and_then_every_ten(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("reading", total=200, unit="frames", stream=log) as bar:
        for _ in range(200):
            clock.now_s += 0.125
            bar.update()
    assert log.getvalue().splitlines() == [
        "reading: 8 % (16 of 200 frames)",
        "reading: 48 % (96 of 200 frames)",
        "reading: 88 % (176 of 200 frames)",
    ]


def test_bytes_are_megabytes_and_an_unknown_total_is_left_out(clock: Clock) -> None:
    log = io.StringIO()
    for total in (40_000_000, None):
        bar = Progress("downloading", total, "B", stream=log)
        clock.now_s += 3
        bar.update(10_000_000)
    assert log.getvalue() == "downloading: 25 % (10 of 40 MB)\ndownloading: 10 MB\n"


def test_short_jobs_and_quiet_ones_write_nothing(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("short", total=3, stream=log) as bar:
        clock.now_s += 1.9
        bar.update(3)
    with Progress("quiet", total=3, stream=log, quiet=True) as bar:
        clock.now_s += 100
        bar.update(3)
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_AFTER_S", 0.0)
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    with os.fdopen(terminal, "w") as stream:
        with Progress("converting", total=4, unit="steps", stream=stream) as bar:
            bar.update(2)
            bar.update(2)
        os.write(terminal, b"after")
        shown = os.read(controller, 65536).decode()
    os.close(controller)
    assert "converting" in shown
    assert "/4" in shown


def test_track_passes_things_through_and_knows_their_number(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    for item in track("abcd", "letters"):
        clock.now_s += 5
        seen.append(item)
    assert seen == list("abcd")
    assert capsys.readouterr().err.splitlines()[0] == "letters: 25 % (1 of 4)"
    assert list(track(iter([1, 2]), "unknown", quiet=True)) == [1, 2]
