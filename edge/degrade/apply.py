"""Applies the level that `edge.degrade.levels` decides to the running loop, and publishes it."""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, Optional, Tuple

from edge.degrade.levels import Level, LevelSwitch, Signs, ladder
from edge.health import Durations
from edge.loop.parts import Running
from edge.people.look_schedule import Pacing
from edge.telemetry.reader import Telemetry

log = logging.getLogger(__name__)

CHECK_NS = 10**9


class Degrader:
    """Checks a running loop every second, in the thread that publishes.

    Args:
        running: the loop.
        telemetry: the state of the machine.
    """

    def __init__(self, running: Running, telemetry: Telemetry) -> None:
        self._running, self._telemetry = running, telemetry
        self._degrade: Optional[LevelSwitch] = None
        self._checked_ns = 0
        self._frames: Dict[str, int] = {}
        self._camera_hz = 0.0
        self._counts: Dict[str, Tuple[int, float]] = {}

    def tick(self) -> None:
        """Called after each step; checks the loop if the last check is a second ago."""
        now_ns = time.monotonic_ns()
        if now_ns - self._checked_ns >= CHECK_NS:
            self.check(now_ns)

    def check(self, now_ns: int) -> None:
        """Measure, decide and apply; log and publish the level if it changed."""
        degrade = self._current(now_ns)
        signs = self._signs(now_ns)
        if degrade.update(signs, now_ns):
            what, why = str(degrade.level), degrade.why or "the machine keeps up again"
            log.warning("level %d of %d: %s (%s)", degrade.at, len(degrade.levels) - 1, what, why)
            self._running.degraded = f"{what} ({why})" if degrade.at else ""
            self._running.publisher.degraded(self.report())
        self._apply(degrade.level)
        self._checked_ns = now_ns

    def report(self) -> Dict[str, Any]:
        """The level in force, for messages."""
        degrade = self._degrade
        level = degrade.level if degrade else Level()
        return {
            "level": degrade.at if degrade else 0,
            "levels": len(degrade.levels) - 1 if degrade else 0,
            "changes": degrade.changes if degrade else 0,
            "detect_times": level.detect_times,
            "part_limit": level.part_limit,
            "rate_share": level.rate_share,
            "why": degrade.why if degrade else "",
        }

    def _current(self, now_ns: int) -> LevelSwitch:
        """The state of degrading; a new one where other networks have other levels."""
        config = self._running.config
        pose = self._running.models.pose
        levels = ladder(config.degrade, config.detect.model != "none", pose.part_limit is not None)
        before = self._degrade
        if before is not None and before.levels == levels:
            return before
        self._degrade = LevelSwitch(config.degrade, levels, now_ns)
        if before is not None and before.at:
            self._running.degraded = ""
            self._running.publisher.degraded(self.report())
        return self._degrade

    def _signs(self, now_ns: int) -> Signs:
        """Recordings are never late: every frame of them is wanted, however long it takes."""
        self._measure_cameras(now_ns)
        look_ms, parts_ms, tell_ms = (self._mean_ms(n) for n in ("look", "parts", "tell"))
        both_ms = max(look_ms, parts_ms)
        if not self._running.pipeline.concurrent():
            both_ms = look_ms + parts_ms
        step_ms = max(both_ms, tell_ms)
        if self._running.cameras.lossless:
            return Signs()
        throttled = ", ".join(self._telemetry.reading.throttled)
        return Signs(throttled, step_ms * 1e-3 * self._wanted_hz())

    def _wanted_hz(self) -> float:
        """Steps per second that are asked for at the first level."""
        asked = self._running.rate_limit.max_hz
        return min(self._camera_hz, asked) if asked else self._camera_hz

    def _measure_cameras(self, now_ns: int) -> None:
        """Measure the frames per second that the fastest camera gives."""
        frames = {s.camera: s.frames for s in self._running.cameras.states()}
        passed_s = (now_ns - self._checked_ns) * 1e-9
        given = [
            count - self._frames[name] for name, count in frames.items() if name in self._frames
        ]
        self._camera_hz = max([0, *given]) / passed_s if self._checked_ns else 0.0
        self._frames = frames

    def _mean_ms(self, stage: str) -> float:
        """Mean time of a stage since the last check; 0 = it did not run."""
        durations = self._running.health.stages.get(stage, Durations())
        count, total_ms = self._counts.get(stage, (0, 0.0))
        self._counts[stage] = (durations.count, durations.total_ms)
        return (durations.total_ms - total_ms) / max(durations.count - count, 1)

    def _apply(self, level: Level) -> None:
        """Set plain attributes, which the loop reads at its next step."""
        running = self._running
        running.pipeline.pacing = Pacing.of(running.config.detect, level.detect_times)
        if running.models.pose.part_limit is not None:
            running.models.pose.part_limit = level.part_limit
        if level.rate_share == 1:
            running.rate_limit.degraded_hz = 0.0
        elif self._camera_hz:
            running.rate_limit.degraded_hz = self._wanted_hz() * level.rate_share
