from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.health import WINDOW, Health, Rate, Window, temperatures_c

S = 10**9


def test_rate_is_over_the_last_seconds_however_often_it_is_read() -> None:
    rate = Rate(0)
    for second in range(1, 21):
        rate.count += 2 if second % 2 else 0  # in bursts
        hz = rate.read_hz(second * S)
    assert hz == pytest.approx(1.0, abs=0.25)
    assert Rate(0).read_hz(0) == 0


def test_percentiles_are_those_of_the_window() -> None:
    window = Window()
    assert window.percentiles() == {}
    for i in range(3 * WINDOW):
        window.add_ns(i * 1_000_000)
    last = np.arange(2 * WINDOW, 3 * WINDOW)
    assert window.percentiles()["p50"] == pytest.approx(np.percentile(last, 50))


def test_timed_counts_failures_too_and_gives_results() -> None:
    health = Health()
    assert health.timed("add", lambda a, b: a + b)(1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        health.timed("add", lambda: 1 / 0)()
    assert health.stages["add"].count == 2


def test_temperatures_of_zones_that_are_on(tmp_path: Path) -> None:
    for name, kind, temp in [("thermal_zone0", "CPU-therm", "43500"), ("thermal_zone1", "GPU", "")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind + "\n")
        (tmp_path / name / "temp").write_text(temp)
    assert temperatures_c(tmp_path) == {"CPU-therm": 43.5}
    assert temperatures_c(tmp_path / "none") == {}
