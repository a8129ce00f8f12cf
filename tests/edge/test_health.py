from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.health import WINDOW, Durations, Health, RateMeter, memory_mb

S = 10**9


def test_rate_is_over_the_last_seconds_however_often_it_is_read() -> None:
    rate = RateMeter(0)
    for second in range(1, 21):
        rate.count += 2 if second % 2 else 0  # in bursts
        hz = rate.read_hz(second * S)
    assert hz == pytest.approx(1.0, abs=0.25)
    assert RateMeter(0).read_hz(0) == 0


def test_percentiles_are_those_of_the_window() -> None:
    window = Durations()
    assert window.percentiles() == {}
    for i in range(3 * WINDOW):
        window.add_ns(i * 1_000_000)
    last = np.arange(2 * WINDOW, 3 * WINDOW)
    assert window.percentiles() == {
        f"p{p}": pytest.approx(np.percentile(last, p)) for p in (50, 95, 99)
    }


def test_timed_counts_failures_too_and_gives_results() -> None:
    health = Health()
    assert health.timed("add", lambda a, b: a + b)(1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        health.timed("add", lambda: 1 / 0)()
    assert health.stages["add"].count == 2


def test_a_camera_that_is_gone_is_not_reported() -> None:
    health = Health()
    for camera in ("door", "hall"):
        health.published(camera, 2, 0)
    health.forget("door")
    report = health.report()
    assert report["people"] == {"hall": 2}
    assert report["frames"] == {"hall": 1}
    assert list(report["fps"]) == ["hall"]


@pytest.mark.parametrize("page_bytes", [4 << 10, 16 << 10, 64 << 10])
def test_memory_is_mib_whatever_the_size_of_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page_bytes: int
) -> None:
    pages = {"SC_PAGE_SIZE": page_bytes}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    (tmp_path / "statm").write_text("99999 512 300 1 0 40000 0\n", encoding="utf-8")
    assert memory_mb(tmp_path / "statm") == 512 * page_bytes / 2**20


def test_memory_is_that_of_this_process_and_of_pages_in_memory() -> None:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    resident_kib = next(int(li.split()[1]) for li in status.splitlines() if "VmRSS" in li)
    assert memory_mb() == pytest.approx(resident_kib / 1024, rel=0.2)
    assert Health().report()["memory_mb"] == pytest.approx(memory_mb(), rel=0.2)


@pytest.mark.parametrize("text", ["", "1", "1 x"])
def test_memory_is_zero_where_the_kernel_does_not_tell(tmp_path: Path, text: str) -> None:
    (tmp_path / "statm").write_text(text, encoding="utf-8")
    assert memory_mb(tmp_path / "statm") == memory_mb(tmp_path / "none") == 0
