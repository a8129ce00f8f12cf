"""Predictions as text for a terminal."""

from __future__ import annotations

from typing import Dict, List, Sequence

from tools.prediction.fit import Compared, typical
from tools.prediction.fitted import BAND, MEDIAN
from tools.prediction.loop_step import LOOP_SHARE, Step

LABEL = (
    "PREDICTION, not a measurement: a roofline fitted to published times. 90 % of the published "
    f"times lie within a factor {BAND:g} of it, half of them within {MEDIAN:g}."
)
LOOP = (
    f"{LOOP_SHARE:.0%} of each step are reserved for the loop itself; capture runs in parallel.\n"
    "The published times are of fast power modes and, except for two, of batch 1.\n"
    "Slower modes are scaled by their clocks. INT8 on AGX Xavier rests on two measurements."
)


def steps(found: Sequence[Step]) -> str:
    """A table with one line for each board, mode and number of people."""
    lines = [LABEL, LOOP, ""]
    lines.append(
        f"{'board and mode':<26}{'people':>7}{'step ms':>9}{'pose':>8}{'detector':>10}"
        f"{'FPS':>8}   90 % within"
    )
    for step in found:
        case = step.case
        detector = f"{step.detector_ms:.1f}/{case.every}" if case.detector else "-"
        lines.append(
            f"{case.mode.board + ' ' + case.mode.name:<26}{case.people:>7}{step.ms:>9.1f}"
            f"{step.pose_ms:>8.1f}{detector:>10}{step.fps:>8.0f}   "
            f"{step.fps / BAND:.0f} to {step.fps * BAND:.0f}"
        )
    return "\n".join(lines)


def goals(found: Dict[str, List[List[Step]]], target: Dict[str, float]) -> str:
    """A table of the configurations that reach each board's target."""
    lines = [
        LABEL,
        LOOP,
        "A cell: the detector interval that reaches the target, and FPS. `?` = as predicted, "
        "but not at the slow end of the error band; `no` = not reached even with an interval of 5.",
    ]
    for board, rows in found.items():
        first = rows[0][0].case
        lines += ["", f"{target[board]:g} FPS on {board} {first.mode.name}"]
        head = "".join(f"{str(s.case.people) + ' people':>14}" for s in rows[0])
        lines.append(f"  {'pose':<26}{'detector':<20}{'precision':<10}{head}")
        for row in rows:
            case = row[0].case
            cells = "".join(f"{_cell(s, target[board]):>14}" for s in row)
            detector = case.detector.name if case.detector else "-"
            lines.append(f"  {case.pose.name:<26}{detector:<20}{case.precision:<10}{cells}")
    return "\n".join(lines)


def _cell(step: Step, target_fps: float) -> str:
    verdict, fps = step.verdict(target_fps), f"{step.fps:.0f}"
    if verdict == "no":
        return f"no {fps}"
    mark = "" if verdict == "yes" else "?"
    return f"n={step.case.every} {fps}{mark}" if step.case.detector else f"{fps}{mark}"


def check(compared: Dict[str, List[Compared]]) -> str:
    """A table of every published time beside its prediction by a fit without that network."""
    rows = compared["network"]
    lines = [LABEL, "Each row is predicted by a fit without the measurements of its network.", ""]
    lines.append(
        f"{'source':<12}{'network':<20}{'board and mode':<25}{'':<6}{'batch':<7}"
        f"{'published':>10}{'predicted':>10}{'error':>8}"
    )
    for one in rows:
        m = one.measurement
        note = "" if m.fitted else "  only checked"
        lines.append(
            f"{m.source:<12}{m.network:<20}{m.mode.replace(':', ' '):<25}{m.precision:<6}"
            f"{m.batch:<7}{m.ms:>7.2f} ms{one.predicted_ms:>7.2f} ms{one.error:>+8.0%}{note}"
        )
    lines += ["", f"{'left out of the fit':<30}{'half within':>13}{'90 % within':>19}"]
    for part, found in compared.items():
        lines.append(_summary(f"each {part or 'measurement'}", found))
        if part == "network":
            lines.append(_summary("  fitted only", [c for c in found if c.measurement.fitted]))
            rest = [c for c in found if not c.measurement.fitted]
            lines.append(_summary("  only checked", rest))
    return "\n".join(lines)


def _summary(name: str, found: Sequence[Compared]) -> str:
    size = typical(found)
    return f"{name:<30}{'x':>8}{size['median']:5.2f}{'x':>14}{size['p90']:5.2f}"
