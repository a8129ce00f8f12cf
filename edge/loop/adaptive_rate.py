"""Fewer steps a second while everybody moves slowly.

Pure apart from the limit that it sets: times are those of the frames.
"""

from __future__ import annotations

import collections
from typing import Any, Deque, Dict, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.geometry import as_complex
from edge.loop.rate_limit import RateLimit
from edge.people.stature import heights
from edge.settings.sections import AdaptiveRate
from edge.structures import VISIBLE, Frame, Poses

# Speeds are taken over this time at least: over one frame at 30 Hz, noise looks like motion.
_SPAN_NS = 90_000_000
_INTERVAL_GAIN = 0.05


class Pace:
    """Whether the people of one camera move slowly.

    Args:
        options: the speeds and the time.
    """

    def __init__(self, options: AdaptiveRate) -> None:
        self._options = options
        self._past: Deque[Tuple[int, Poses]] = collections.deque()
        self._fast_ns = -1
        self.slow = False
        self.seen_ns = 0

    def note(self, poses: Poses, t_ns: int) -> bool:
        """Take the people of a frame in; true = all have moved slowly for long enough.

        Args:
            poses: smoothed people; their arrays are copied.
            t_ns: time of the frame.
        """
        speed_h_s, self.seen_ns = self._fastest(poses, t_ns), t_ns
        limit = self._options.above_h_s if self.slow else self._options.below_h_s
        if speed_h_s > limit or self._fast_ns < 0:
            self._fast_ns = t_ns
        self.slow = (t_ns - self._fast_ns) * 1e-9 >= self._options.after_s
        self._past.append((t_ns, poses.take(np.arange(len(poses)))))
        return self.slow

    def _fastest(self, poses: Poses, t_ns: int) -> float:
        """Speed of the fastest joint, H/s; somebody who was not there before is fast."""
        while len(self._past) > 1 and t_ns - self._past[1][0] >= _SPAN_NS:
            self._past.popleft()
        if not len(poses):
            return 0.0
        if not self._past or t_ns <= self._past[0][0]:
            return np.inf
        before_ns, before = self._past[0]
        order = np.argsort(before.ids)
        at = np.minimum(np.searchsorted(before.ids, poses.ids, sorter=order), len(before) - 1)
        if not len(before) or (before.ids[order[at]] != poses.ids).any():
            return np.inf
        then, body = before.take(order[at]), skeletons.body17(poses.skeleton)
        points, scores = as_complex(poses.keypoints[:, body]), poses.scores[:, body]
        step = np.abs(points - as_complex(then.keypoints[:, body]))
        step = np.where(np.minimum(scores, then.scores[:, body]) > VISIBLE, step, 0)
        tall = heights(points, scores, poses.boxes)
        return float((step.max(1) / tall).max() / ((t_ns - before_ns) * 1e-9))


class Adapter:
    """Sets the loop's rate by the people of all cameras; a watcher of the loop.

    Args:
        options: of [adaptive_rate].
        rate_limit: is set to `slow_hz` and back.
    """

    def __init__(self, options: AdaptiveRate, rate_limit: RateLimit) -> None:
        self._options, self._limit = options, rate_limit
        self._paces: Dict[str, Pace] = {}
        self._last_ns = -1
        self._interval_s = 0.0  # between two steps at the full rate
        self._slow_s = self._steps = self._slow_steps = 0.0

    def __call__(self, frames: Sequence[Frame], people: Sequence[Poses]) -> None:
        """Look at a step; the limit holds from the next one on."""
        if not frames:
            return
        for frame, poses in zip(frames, people):
            pace = self._paces.setdefault(frame.camera, Pace(self._options))
            pace.note(poses, frame.t_ns)
        now_ns = max(frame.t_ns for frame in frames)
        self._count(now_ns)
        recent = [p for p in self._paces.values() if now_ns - p.seen_ns < 2e9]
        slow = all(pace.slow for pace in recent)
        self._limit.set_slow_hz(self._options.slow_hz if slow else 0)

    def report(self) -> Dict[str, Any]:
        """What was saved, for the metrics."""
        full_steps = self._slow_s / self._interval_s if self._interval_s else 0.0
        saved = max(full_steps - self._slow_steps, 0.0)
        share = saved / max(saved + self._steps, 1.0)
        return {
            "slow": int(self._limit.slow_hz > 0),
            "slow_s": round(self._slow_s, 1),
            "saved_steps": round(saved),
            "saved_share": round(share, 3),
        }

    def _count(self, now_ns: int) -> None:
        passed_s = (now_ns - self._last_ns) * 1e-9
        if self._last_ns >= 0 and 0 < passed_s < 1:
            self._steps += 1
            if self._limit.slow_hz:
                self._slow_s += passed_s
                self._slow_steps += 1
            else:
                before_s = self._interval_s or passed_s
                self._interval_s = before_s + _INTERVAL_GAIN * (passed_s - before_s)
        self._last_ns = now_ns
