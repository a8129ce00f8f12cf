"""The local time for rules that are active at some hours."""

import time

import pytest

from edge.loop.local_time import LocalTime, minute_of_day
from edge.messages import Clock

HOUR_NS = 3600 * 10**9


@pytest.fixture
def berlin(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_minutes_are_local():
    assert minute_of_day(23 * HOUR_NS + 90 * 10**9) == pytest.approx(1.5)


@pytest.mark.usefixtures("berlin")
def test_an_unsynchronised_clock_gives_no_time():
    answers = iter(["none", "kernel"])
    clock = Clock(lambda: 12 * HOUR_NS, lambda: 0)
    local = LocalTime(clock, lambda: {"source": next(answers)})
    assert local(0) is None
    assert local(5 * 10**9) is None  # the kernel is not asked at every frame
    assert local(11 * 10**9) == pytest.approx(13 * 60 + 11 / 60, abs=0.02)
