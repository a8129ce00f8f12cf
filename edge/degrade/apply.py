"""Applies what `edge.degrade.levels` decides to the running loop, and tells it."""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, Optional, Tuple

from edge.degrade.levels import Level, LevelSwitch, Signs, ladder
from edge.health import Durations
from edge.loop.parts import Running
from edge.loop.rate_limit import Pace
from edge.telemetry.reader import Telemetry

log = logging.getLogger(__name__)

CHECK_NS = 10**9


class Relief:
    """Looks at the loop every second, in the thread that publishes.

    Args:
        running: the loop.
        pace: what it takes its frames from.
        telemetry: how the machine is.
    """

    def __init__(self, running: Running, pace: Pace, telemetry: Telemetry) -> None:
        self._running, self._pace, self._telemetry = running, pace, telemetry
        self._degrade: Optional[LevelSwitch] = None
        self._checked_ns = 0
        self._frames: Dict[str, int] = {}
        self._camera_hz = 0.0
        self._counts: Dict[str, Tuple[int, float]] = {}

    def tick(self) -> None:
        """After each step."""
        now_ns = time.monotonic_ns()
        if now_ns - self._checked_ns >= CHECK_NS:
            self.check(now_ns)

    def check(self, now_ns: int) -> None:
        """Look, decide, apply, and tell it if something changed."""
        degrade = self._current(now_ns)
        signs = self._signs(now_ns)
        if degrade.update(signs, now_ns):
            what, why = str(degrade.level), degrade.why or "the machine keeps up again"
            log.warning("level %d of %d: %s (%s)", degrade.at, len(degrade.levels) - 1, what, why)
            self._running.relief = f"{what} ({why})" if degrade.at else ""
            self._running.publisher.relief(self.report())
        self._apply(degrade.level)
        self._checked_ns = now_ns

    def report(self) -> Dict[str, Any]:
        """What holds, for messages."""
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
        """Anew where other networks have other levels."""
        config = self._running.config
        pose = self._running.models.pose
        levels = ladder(config.degrade, config.detect.model != "none", pose.part_limit is not None)
        before = self._degrade
        if before is not None and before.levels == levels:
            return before
        self._degrade = LevelSwitch(config.degrade, levels, now_ns)
        if before is not None and before.at:
            self._running.relief = ""
            self._running.publisher.relief(self.report())
        return self._degrade

    def _signs(self, now_ns: int) -> Signs:
        """Recordings are never late, and lose nothing: what is wanted of them is every frame."""
        self._measure_cameras(now_ns)
        look_ms, parts_ms, tell_ms = (self._mean_ms(n) for n in ("look", "parts", "tell"))
        both_ms = max(look_ms, parts_ms)
        if not self._running.pipeline.at_once():
            both_ms = look_ms + parts_ms
        step_ms = max(both_ms, tell_ms)
        if self._running.cameras.lossless:
            return Signs()
        throttled = ", ".join(self._telemetry.reading.throttled)
        return Signs(throttled, step_ms * 1e-3 * self._wanted_hz())

    def _wanted_hz(self) -> float:
        """Steps a second that are asked for when nothing is done without."""
        asked = self._pace.max_hz
        return min(self._camera_hz, asked) if asked else self._camera_hz

    def _measure_cameras(self, now_ns: int) -> None:
        """Frames a second that the fastest camera gives."""
        frames = {s.camera: s.frames for s in self._running.cameras.states()}
        gone_s = (now_ns - self._checked_ns) * 1e-9
        given = [
            count - self._frames[name] for name, count in frames.items() if name in self._frames
        ]
        self._camera_hz = max([0, *given]) / gone_s if self._checked_ns else 0.0
        self._frames = frames

    def _mean_ms(self, stage: str) -> float:
        """Of the times since the last look; 0 where there were none."""
        window = self._running.health.stages.get(stage, Durations())
        count, total_ms = self._counts.get(stage, (0, 0.0))
        self._counts[stage] = (window.count, window.total_ms)
        return (window.total_ms - total_ms) / max(window.count - count, 1)

    def _apply(self, level: Level) -> None:
        """Plain attributes, read by the loop at its next step."""
        running, detect = self._running, self._running.config.detect
        running.pipeline.detect_every = detect.every * level.detect_times
        running.pipeline.calm_ns = int(detect.calm_s * 1e9) * level.detect_times
        running.pipeline.still_ns = int(detect.still_s * 1e9) * level.detect_times
        if running.models.pose.part_limit is not None:
            running.models.pose.part_limit = level.part_limit
        if level.rate_share == 1:
            self._pace.relief_hz = 0.0
        elif self._camera_hz:
            self._pace.relief_hz = self._wanted_hz() * level.rate_share
