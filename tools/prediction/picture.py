"""Plot predicted frames per second: one bar for each board and mode, with the error band."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from tools.prediction.fitted import BAND
from tools.prediction.loop_step import MARGIN_FPS, Step


def write(path: Path, steps: Sequence[Step]) -> None:
    """Draw steps of one pose model and precision."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    crowds = sorted({s.case.people for s in steps})
    modes = list(dict.fromkeys(s.case.mode for s in steps))
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.22 * len(steps)))
    high = 0.8 / len(crowds)
    for k, people in enumerate(crowds):
        shown = [s for s in steps if s.case.people == people]
        rows = [modes.index(s.case.mode) - 0.4 + (k + 0.5) * high for s in shown]
        fps = [s.fps for s in shown]
        band = [[f - f / BAND for f in fps], [f * BAND - f for f in fps]]
        name = "1 person" if people == 1 else f"{people} people"
        axes.barh(rows, fps, high * 0.9, xerr=band, label=name, ecolor="grey")
    for target in sorted(set(MARGIN_FPS.values())):
        axes.axvline(target, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(modes)), [f"{m.board} {m.name}" for m in modes])
    axes.set_xscale("log")
    axes.set_xlabel(f"frames per second, PREDICTED; whisker: a factor {BAND:g}; dashed: 30 and 100")
    case = steps[0].case
    detector = f", {case.detector.name} every {case.every}" if case.detector else ""
    axes.set_title(f"{case.pose.name} {case.precision}{detector}: a prediction, not a measurement")
    axes.set_ylim(len(modes) - 0.5, -0.5)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
