"""Draw a template: the reach of each limb over the repetition, with its tolerance and phases."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from edge.rules._action.features import NAMES, degrees_of
from edge.rules._action.template import Template

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

_COLUMNS = 3


def draw(template: Template, path: Path) -> None:
    """Write a picture of one curve for each limb, in degrees from hanging."""
    rows = -(-len(NAMES) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, _COLUMNS, figsize=(11, 7), sharex=True, sharey=True)
    t_s = np.arange(len(template.reaches)) / template.rate_hz
    for limb, axis in enumerate(axes.ravel()[: len(NAMES)]):
        reach, room = template.reaches[:, limb], template.tolerances[limb]
        axis.fill_between(
            t_s, degrees_of(reach + room), degrees_of(reach - room), color="#9ecae1", alpha=0.6
        )
        axis.plot(t_s, degrees_of(reach), color="#08519c")
        axis.set_title(NAMES[limb].replace("_", " "), fontsize=10)
        axis.set_ylim(0, 180)
        axis.set_yticks([0, 45, 90, 135, 180])
        _mark_phases(axis, template)
    axes[-1][0].set_xlabel("s")
    axes[0][0].set_ylabel("deg from hanging")
    figure.suptitle(
        f"{template.name}: {template.examples} repetitions ({template.source})", fontsize=11
    )
    figure.tight_layout()
    figure.savefig(str(path), dpi=110)
    pyplot.close(figure)


def _mark_phases(axis: Axes, template: Template) -> None:
    begin_s = 0.0
    for name, end in template.phases:
        end_s = end / template.rate_hz
        axis.axvline(end_s, color="#bbbbbb", linewidth=0.8)
        axis.text((begin_s + end_s) / 2, 170, name, ha="center", va="top", fontsize=7)
        begin_s = end_s
