"""What is decided, applied to a loop: its attributes, its messages, and a whole slow program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List

import pytest

from edge.degrade.apply import Degrader
from edge.health import Health
from edge.loop.rate_limit import RateLimit
from edge.people.look_schedule import Pacing
from edge.settings.config import Config, Detect
from edge.structures import CameraState
from tests.waiting import GIVE_UP_S

S = 10**9
ROOT = Path(__file__).resolve().parents[3]
MODELS = Path(__file__).parents[1] / "golden" / "models"
Check = Callable[[str, Dict[str, Any]], None]


class Loop:
    """A running loop of one camera of 30 Hz, second by second; steps take what they are told."""

    def __init__(self, **changes: Any) -> None:
        self.config = Config(detect=Detect(every=5, calm_s=0.5), **changes)
        self.models = SimpleNamespace(pose=SimpleNamespace(part_limit=0))
        self.pipeline = SimpleNamespace(pacing=Pacing(5), concurrent=lambda: False)
        self.health = Health()
        self.told: List[Dict[str, Any]] = []
        self.degraded = ""
        self.publisher = SimpleNamespace(degraded=self.told.append)
        self.cameras = self
        self.lossless, self.frames, self.second = False, 0, 0
        self.rate_limit = RateLimit(self)  # type: ignore[arg-type]
        self.telemetry: Any = SimpleNamespace(reading=SimpleNamespace(throttled=[]))
        self.degrader = Degrader(self, self.telemetry)  # type: ignore[arg-type]
        self.step = self.health.timed("look", lambda: None)

    def states(self) -> List[CameraState]:
        return [CameraState("a", "ok", "", 0, self.frames), CameraState("b", "stalled", "", 0, 7)]

    def go(self, seconds: int, step_ms: float) -> None:
        for _ in range(seconds):
            self.second += 1
            self.frames += 30
            for _ in range(10):
                self.health.stages["look"].add_ns(int(step_ms * 1e6))
            self.degrader.check(self.second * S)

    @property
    def state(self) -> Any:
        pose = self.models.pose
        return (
            self.pipeline.pacing.every,
            self.pipeline.pacing.calm_ns // 10**6,
            pose.part_limit,
            round(self.rate_limit.degraded_hz, 2),
        )


def test_a_loop_that_is_late_does_less_in_order_and_comes_back() -> None:
    loop = Loop()
    loop.go(10, 20.0)
    assert loop.state == (5, 500, 0, 0)
    assert loop.told == []
    loop.go(100, 120.0)
    assert loop.state == (20, 2000, 1, 7.5)
    assert [t["level"] for t in loop.told] == list(range(1, 9))
    assert loop.told[0]["why"] == "behind: a step takes 3.6 times the time between two frames"
    loop.go(300, 10.0)
    assert loop.state == (5, 500, 0, 0)
    assert loop.told[-1]["level"] == 0
    assert loop.told[-1]["why"] == ""


def test_a_hot_machine_is_relieved_before_it_is_late() -> None:
    loop = Loop()
    loop.telemetry.reading.throttled = ["cpu-throttle-alert", "over-current oc2"]
    loop.go(8, 1.0)
    assert loop.state == (10, 1000, 0, 0)
    assert loop.told[0]["why"] == "throttled: cpu-throttle-alert, over-current oc2"
    assert loop.degraded.startswith("detector 2 times less often (throttled: cpu-throttle-alert")
    loop.telemetry.reading.throttled = []
    loop.go(40, 1.0)
    assert loop.degraded == ""


def test_a_recording_is_never_late() -> None:
    loop = Loop()
    loop.lossless = True
    loop.telemetry.reading.throttled = ["cpu-throttle-alert"]
    loop.go(60, 500.0)
    assert loop.told == []
    assert loop.state == (5, 500, 0, 0)


def test_a_rate_asked_for_is_what_it_is_late_against() -> None:
    loop = Loop()
    loop.rate_limit.max_hz = 5
    loop.go(60, 100.0)
    assert loop.told == [], "half of the time between two frames that are wanted"
    loop.go(100, 500.0)
    assert loop.state[3] == 1.65, "a third of 5 Hz takes 83 % of the time"


@pytest.mark.parametrize(("concurrent", "told"), [(False, 1), (True, 0)])
def test_halves_that_run_at_once_take_as_long_as_the_longer(concurrent: bool, told: int) -> None:
    """20 ms each, a frame every 33 ms."""
    loop = Loop()
    loop.pipeline.concurrent = lambda: concurrent
    loop.health.timed("parts", lambda: None)
    for _ in range(6):
        loop.health.stages["parts"].add_ns(20 * 10**6)
        loop.go(1, 20.0)
    assert len(loop.told) == told


def test_a_reload_and_other_networks_are_followed() -> None:
    loop = Loop()
    loop.go(30, 100.0)
    assert loop.state[:2] == (20, 2000)
    loop.config = Config(detect=Detect(every=3, calm_s=0.1))
    loop.pipeline.pacing = Pacing(3)
    loop.go(1, 100.0)
    assert loop.state[:2] == (12, 400), "the new values, as much rarer as before"
    assert loop.pipeline.pacing.still_ns == 8 * S
    loop.models.pose = SimpleNamespace(part_limit=None)
    loop.go(1, 100.0)
    assert loop.told[-1]["level"] == 0, "other levels begin from the first, and that is told"
    assert loop.told[-1]["levels"] == 6
    assert loop.state == (3, 100, None, 0)


def test_the_lower_of_two_rate_limits_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    now, taken = [S], []

    def wait(seconds: float) -> bool:
        now[0] += int(seconds * 1e9)
        return False

    clock = SimpleNamespace(monotonic_ns=lambda: now[0])
    monkeypatch.setattr("edge.loop.rate_limit.time", clock)

    class Always:
        def take(self, timeout_s: float) -> List[Any]:
            taken.append(now[0])
            now[0] += 10**6
            return [object()]

    limit = RateLimit(Always())  # type: ignore[arg-type]
    monkeypatch.setattr(limit, "_faster", SimpleNamespace(wait=wait, clear=lambda: None))
    monkeypatch.setattr(limit, "_faster", SimpleNamespace(wait=wait, clear=lambda: None))
    for asked, degraded, period_ms in [(0, 0.0, 1), (0, 7.5, 133), (5, 7.5, 200), (20, 7.5, 133)]:
        limit.max_hz, limit.degraded_hz = asked, degraded
        taken.clear()
        while len(taken) < 10:
            limit.take(1.0)
        gaps = [(b - a) / 1e6 for a, b in zip(taken[2:], taken[3:])]
        assert max(gaps) - min(gaps) < 1.5
        assert int(sum(gaps) / len(gaps)) == period_ms


# The whole program, its pose model made slow

SLOW = """
import os, sys, time
from edge.degrade import apply
from edge.loop import assemble
from edge.models import Gives, PoseModel
from edge.__main__ import main

apply.CHECK_NS = 3 * 10**8
load = assemble.load_model

class Slow(PoseModel):
    part_limit = 0
    def __init__(self, model):
        self.model, self.skeleton = model, model.skeleton
    def __call__(self, frames, people):
        if os.path.exists("slow"):
            time.sleep(0.25)
        return self.model(frames, people)

def slowed(*given):
    model = load(*given)
    return model if model.gives is Gives.BOXES else Slow(model)

assemble.load_model = slowed
sys.exit(main(sys.argv[1:]))
"""


class Program:
    """`edge run` on a camera of 20 Hz, slow while a file is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "slow").touch()
        (folder / "edge.toml").write_text(
            '[[cameras]]\nname = "a"\nsource = "synthetic://walk?width=64&height=48&fps=20"\n'
            f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
            "[publish]\nmetrics_s = 0.5\n[degrade]\nafter_s = 0.5\nhold_s = 0.5\nrecover_s = 0.7\n"
            "recover_max_s = 2\nrate_shares = [0.5, 0.25]\n",
            encoding="utf-8",
        )
        with (folder / "out").open("w", encoding="utf-8") as out, (folder / "log").open(
            "w", encoding="utf-8"
        ) as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SLOW, "run", "--config", "edge.toml"],
                cwd=folder,
                stdout=out,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def messages(self) -> List[Dict[str, Any]]:
        whole = (self.folder / "out").read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, end: str) -> List[Dict[str, Any]]:
        return [m["payload"] for m in self.messages() if m["topic"].endswith(end)]

    def levels(self) -> List[int]:
        """As the retained status told them."""
        return [s["degrade"]["level"] for s in self.of("/status") if "degrade" in s]

    def until(self, true: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + GIVE_UP_S
        while not true():
            log = (self.folder / "log").read_text(encoding="utf-8")
            assert time.monotonic() < end, f"{what} never happened: {self.levels()}\n{log}"
            assert self.process.poll() is None, log
            time.sleep(0.1)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.wait()


@pytest.mark.one_python
def test_a_slow_program_says_what_it_does_without_and_recovers(
    program: Program, contract: Check
) -> None:
    program.until(lambda: 5 in program.levels(), "a lower rate")
    program.until(
        lambda: any(m["degrade"]["level"] >= 5 for m in program.of("/metrics")), "metrics of it"
    )
    (program.folder / "slow").unlink()
    program.until(lambda: program.levels()[-1] == 0, "recovery")
    program.until(lambda: program.of("/metrics")[-1]["degrade"]["level"] == 0, "metrics of that")
    program.process.terminate()
    assert program.process.wait(GIVE_UP_S) == 0
    for message in program.messages():
        contract(message["topic"], message["payload"])

    levels = [0, *program.levels()]
    assert {abs(b - a) for a, b in zip(levels, levels[1:])} == {1}, "one step at a time"
    assert levels[:6] == [0, 1, 2, 3, 4, 5], "straight down"
    told = [s["degrade"] for s in program.of("/status") if "degrade" in s]
    worst = next(degrade for degrade in told if degrade["level"] == 5)
    assert (worst["detect_times"], worst["part_limit"], worst["rate_share"]) == (4, 1, 0.5)
    assert worst["why"].startswith("behind: a step takes ")
    log = (program.folder / "log").read_text(encoding="utf-8")
    lines = [line for line in log.splitlines() if " of 6: " in line]
    assert [f"level {n} of 6" in line for n, line in enumerate(lines[:5], 1)] == [True] * 5
    assert "detector 2 times less often (behind: a step takes" in lines[0]
    # A busy machine may fall behind again before the program is ended.
    assert any(line.endswith("full quality (the machine keeps up again)") for line in lines)
    assert {m["telemetry"] for m in program.of("/metrics")} <= {"sysfs", "jtop"}
