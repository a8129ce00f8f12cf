"""Fewer steps while everybody moves slowly: no repetition is lost, and speed comes back at once."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Tuple

import numpy as np
import pytest

from edge.loop.adaptive_rate import Adapter
from edge.loop.rate_limit import RateLimit
from edge.rules import build_rule
from edge.settings.sections import AdaptiveRate
from edge.structures import Frame, Poses
from tests.edge.rules.walking import STANDING
from tests.waiting import GIVE_UP_S

FULL_HZ, TALL = 30, 400.0
OPTIONS = AdaptiveRate(slow_hz=10)
PICTURE = np.zeros((2, 2, 3), np.uint8)


def person(knee_deg: float, who: int = 1) -> Poses:
    """Somebody seen from the side who bends the left knee."""
    body = STANDING.copy()
    body[:, 0] = 0
    body[0, 0] = -0.06
    swing = np.radians(knee_deg)
    body[15] = body[13] + 0.28 * np.array([np.sin(swing), np.cos(swing)])
    points = (body * TALL + [400.0, 600.0]).astype(np.float32)[None]
    box = np.concatenate([points.min(1), points.max(1)], 1)
    scores = np.full((1, 17), 0.9, np.float32)
    return Poses(points, scores, box, np.array([who]), scores[:, 0], "coco17")


class Played(Adapter):
    """An adapter beside a camera of which the loop takes as many frames as it may."""

    def __init__(self) -> None:
        unused: Any = None
        self.limit = RateLimit(unused)
        super().__init__(OPTIONS, self.limit)
        self.repetitions: List[int] = []
        self.rule: Any = build_rule({"kind": "rom", "angle": "left_knee"}, "rules[0]")

    def play(self, knee: Callable[[float], float], seconds: float) -> List[Tuple[float, float]]:
        """(time, limit) of each step that was taken."""
        steps: List[Tuple[float, float]] = []
        for i in range(round(seconds * FULL_HZ)):
            t_s = i / FULL_HZ
            if steps and self.limit.slow_hz and t_s - steps[-1][0] < 1 / self.limit.slow_hz - 1e-6:
                continue
            t_ns = 10**9 + round(t_s * 1e9)
            poses = person(knee(t_s))
            self([Frame(PICTURE, i, t_ns, "cam0")], [poses])
            told = self.rule(poses, "cam0", t_ns)
            self.repetitions += [e.data["number"] for e in told if e.data["action"] == "repetition"]
            steps.append((t_s, self.limit.slow_hz))
        return steps


def exercise(t_s: float) -> float:
    """Repetitions with rests and slow ones: 20 a minute at most."""
    period_s, shape = (12.0, 1) if t_s < 60 else (6.0, 4)
    phase = (t_s % period_s) / period_s
    return float(80 * np.sin(np.pi * phase) ** (2 * shape))


def test_slow_exercise_saves_steps_and_loses_no_repetition() -> None:
    adapter = Played()
    steps = adapter.play(exercise, 120)
    assert adapter.repetitions == list(range(1, 16))
    report = adapter.report()
    assert report["saved_steps"] == pytest.approx(120 * FULL_HZ - len(steps), rel=0.1)
    assert report["saved_share"] > 0.1
    assert {hz for _, hz in steps} == {0, 10}


def test_a_fast_joint_brings_the_full_rate_back_within_a_frame() -> None:
    def knee(t_s: float) -> float:
        return 0.0 if t_s < 5 else 200 * (t_s - 5)

    steps = Played().play(knee, 5.4)
    slow_from = next(t_s for t_s, hz in steps if hz)
    assert slow_from == pytest.approx(2.0, abs=0.2)
    back = next(t_s for t_s, hz in steps if t_s > slow_from and not hz)
    assert 5 < back <= 5.1 + 1 / FULL_HZ


def test_somebody_new_is_looked_at_with_the_full_rate() -> None:
    adapter = Played()
    adapter.play(lambda t_s: 0.0, 4)
    assert adapter.limit.slow_hz == 10
    adapter([Frame(PICTURE, 0, 10**9 + 4 * 10**9, "cam0")], [person(0.0, who=2)])
    assert adapter.limit.slow_hz == 0


def test_one_fast_camera_keeps_the_rate_of_all() -> None:
    adapter = Played()
    for i in range(150):
        t_ns = 10**9 + round(i / FULL_HZ * 1e9)
        frames = [Frame(PICTURE, i, t_ns, name) for name in ("still", "busy")]
        adapter(frames, [person(0.0), person(60 * np.sin(i / 3))])
    assert adapter.limit.slow_hz == 0
    assert adapter.report()["saved_steps"] == 0


def test_the_end_of_slowness_ends_a_wait_for_the_next_step() -> None:
    taken = threading.Event()

    class Given:
        def take(self, timeout_s: float) -> List[Frame]:
            return [Frame(PICTURE, 0, 0, "cam0")]

    given: Any = Given()
    limit = RateLimit(given)
    limit.set_slow_hz(0.001)
    assert limit.take(1.0)

    def wait() -> None:
        while not limit.take(0.9 * GIVE_UP_S):
            pass
        taken.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    limit.set_slow_hz(0)
    assert taken.wait(GIVE_UP_S)
    thread.join(GIVE_UP_S)
