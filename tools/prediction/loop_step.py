"""A step of the loop: detector now and then, pose networks in batches, on one board."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from tools.prediction.boards import Mode
from tools.prediction.fitted import BAND, EFFICIENCIES
from tools.prediction.networks import Model, Part
from tools.prediction.roofline import layer_seconds, limits, load, seconds

MAX_BATCH = 32  # as [runtime] max_batch: larger batches run in chunks
# Of a step beside the networks: the loop's goal, 8 % measured on x86; nothing measured on a Jetson.
LOOP_SHARE = 0.10
MARGIN_FPS = {"agx-xavier": 30.0, "agx-orin-64": 100.0}  # what is asked of each


class Case(NamedTuple):
    """A configuration; people are counted per camera."""

    mode: Mode
    pose: Model
    detector: Optional[Model]  # None: the pose model needs none
    every: int  # the detector runs on each n-th frame
    precision: str
    people: int
    cameras: int = 1


class Step(NamedTuple):
    """Predicted milliseconds of a mean step, networks and loop."""

    case: Case
    pose_ms: float
    detector_ms: float  # of one run, not divided by `every`

    @property
    def ms(self) -> float:
        """Mean step."""
        networks = self.pose_ms + self.detector_ms / self.case.every
        return networks / (1 - LOOP_SHARE)

    @property
    def fps(self) -> float:
        """Steps per second; each takes one frame of every camera."""
        return 1e3 / self.ms

    def verdict(self, target_fps: float) -> str:
        """yes: even at the long end of the error band; perhaps: only as predicted; no."""
        if self.fps >= target_fps * BAND:
            return "yes"
        return "perhaps" if self.fps >= target_fps else "no"

    def row(self) -> Dict[str, Any]:
        """For --json and pictures."""
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
    """A step's time."""
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
    """One execution."""
    return seconds(load(part.layers, mode, precision, batch), EFFICIENCIES)


def bound_by(part: Part, mode: Mode, precision: str, batch: int) -> Dict[str, float]:
    """What the time of one execution goes to, as shares."""
    return limits(load(part.layers, mode, precision, batch), EFFICIENCIES)


def slowest(part: Part, mode: Mode, precision: str, batch: int, most: int) -> List[str]:
    """The layers that take longest, as text."""
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
    """The smallest detector interval with the best verdict that any of them gets."""
    steps = [
        predict(Case(mode, pose, detector, n, precision, people, cameras))
        for n in (everys if detector else everys[:1])
    ]
    rank = {"yes": 0, "perhaps": 1, "no": 2}
    return min(steps, key=lambda s: (rank[s.verdict(target_fps)], s.case.every))
