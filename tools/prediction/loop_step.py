"""Predict one step of the loop: the detector at an interval, and pose networks in batches."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from tools.prediction.boards import Mode
from tools.prediction.fitted import BAND, EFFICIENCIES
from tools.prediction.networks import Model, Part
from tools.prediction.roofline import layer_seconds, limits, load, seconds

MAX_BATCH = 32  # as [runtime] max_batch: larger batches run in chunks
# Share of a step beside the networks: the loop's goal. 8 % were measured on x86; not measured on a
# Jetson yet.
LOOP_SHARE = 0.10
MARGIN_FPS = {"agx-xavier": 30.0, "agx-orin-64": 100.0}  # targets of the project


class Case(NamedTuple):
    """A configuration; `people` counts per camera."""

    mode: Mode
    pose: Model
    detector: Optional[Model]  # None: the pose model needs no detector
    every: int  # the detector runs on each n-th frame
    precision: str
    people: int
    cameras: int = 1


class Step(NamedTuple):
    """Predicted times of a mean step in ms, networks and loop."""

    case: Case
    pose_ms: float
    detector_ms: float  # of one run, not divided by `every`

    @property
    def ms(self) -> float:
        """Time of a mean step."""
        networks = self.pose_ms + self.detector_ms / self.case.every
        return networks / (1 - LOOP_SHARE)

    @property
    def fps(self) -> float:
        """Steps per second; each takes one frame of every camera."""
        return 1e3 / self.ms

    def verdict(self, target_fps: float) -> str:
        """yes: even at the slow end of the error band; perhaps: only as predicted; no: missed."""
        if self.fps >= target_fps * BAND:
            return "yes"
        return "perhaps" if self.fps >= target_fps else "no"

    def row(self) -> Dict[str, Any]:
        """Values for --json and pictures."""
        case, fps = self.case, self.fps
        return {
            "board": case.mode.board,
            "mode": case.mode.name,
            "pose": case.pose.name,
            "detector": case.detector.name if case.detector else None,
            "every": case.every,
            "precision": case.precision,
            "people": case.people,
            "cameras": case.cameras,
            "step_ms": round(self.ms, 3),
            "pose_ms": round(self.pose_ms, 3),
            "detector_ms": round(self.detector_ms, 3),
            "fps": round(fps, 2),
            "fps_low": round(fps / BAND, 2),
            "fps_high": round(fps * BAND, 2),
        }


def predict(case: Case) -> Step:
    """Predict a step."""
    people = case.people * case.cameras
    samples = case.cameras if case.pose.role != "pose" else people
    pose_s = sum(_part_s(p, case, samples * p.runs) for p in case.pose.parts)
    found_s = 0.0
    if case.detector:
        found_s = sum(_part_s(p, case, case.cameras * p.runs) for p in case.detector.parts)
    return Step(case, pose_s * 1e3, found_s * 1e3)


def _part_s(part: Part, case: Case, samples: int) -> float:
    full, rest = divmod(samples, MAX_BATCH)
    one = engine_s(part, case.mode, case.precision, MAX_BATCH) if full else 0.0
    return full * one + (engine_s(part, case.mode, case.precision, rest) if rest else 0.0)


def engine_s(part: Part, mode: Mode, precision: str, batch: int) -> float:
    """Time of one execution of an engine in seconds."""
    return seconds(load(part.layers, mode, precision, batch), EFFICIENCIES)


def bound_by(part: Part, mode: Mode, precision: str, batch: int) -> Dict[str, float]:
    """Shares of the time of one execution: arithmetic, memory, launches."""
    return limits(load(part.layers, mode, precision, batch), EFFICIENCIES)


def slowest(part: Part, mode: Mode, precision: str, batch: int, most: int) -> List[str]:
    """The `most` slowest layers as text."""
    work = load(part.layers, mode, precision, batch)
    each = layer_seconds(work, EFFICIENCIES) * work.launches
    total = float(each.sum())
    order = each.argsort()[::-1][:most].tolist()
    return [f"{each[i] / total:.1%} {_words(part, i)}" for i in order]


def _words(part: Part, index: int) -> str:
    layer = part.layers[index]
    times = f" ({layer.repeats} times)" if layer.repeats > 1 else ""
    return f"{layer.kind} {layer.macs / 1e6:.1f} M products{times}"


def sparsest(
    mode: Mode,
    pose: Model,
    detector: Optional[Model],
    everys: Sequence[int],
    precision: str,
    people: int,
    cameras: int,
    target_fps: float,
) -> Step:
    """The step with the smallest detector interval among those with the best verdict."""
    steps = [
        predict(Case(mode, pose, detector, n, precision, people, cameras))
        for n in (everys if detector else everys[:1])
    ]
    rank = {"yes": 0, "perhaps": 1, "no": 2}
    return min(steps, key=lambda s: (rank[s.verdict(target_fps)], s.case.every))
