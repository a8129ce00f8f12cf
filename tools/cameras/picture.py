"""A calibration as a picture: corners in each camera, their errors, the cameras from above."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import cv2
import numpy as np

from edge.scene.rig import Rig
from tools.cameras.boards import Seen
from tools.cameras.from_board import Calibrated


def draw(path: Path, done: Calibrated, seen: Sequence[Seen]) -> None:
    """Write the picture of a calibration from a board."""
    figure, axes = _canvas(len(seen))
    for c, one in enumerate(seen):
        _camera(axes[0][c], one, done, c)
        _errors(axes[1][c], done.errors[c], one.name)
    _from_above(axes[2], done.rig)
    figure.savefig(path, dpi=110)
    _close(figure)


def _canvas(cameras: int) -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(3.4 * cameras, 11), layout="constrained")
    grid = figure.add_gridspec(3, 2 * cameras)
    rows = [
        [figure.add_subplot(grid[row, 2 * c : 2 * c + 2]) for c in range(cameras)] for row in (0, 1)
    ]
    last = [
        figure.add_subplot(grid[2, :cameras]),
        figure.add_subplot(grid[2, cameras:]),
    ]
    return figure, [*rows, last]


def _close(figure: Any) -> None:
    from matplotlib import pyplot

    pyplot.close(figure)


def _camera(axes: Any, one: Seen, done: Calibrated, c: int) -> None:
    axes.set_title(
        f"{one.name}: {done.views[c]} views, {done.shared[c]} shared, {done.rms_px[c]:.2f} px",
        fontsize=9,
    )
    axes.axis("off")
    if one.example is None:
        return
    axes.imshow(cv2.cvtColor(one.example, cv2.COLOR_BGR2RGB))
    measured, projected = one.found[one.example_at][1], done.examples[c]
    axes.plot(*measured.T, "o", color="lime", markersize=4, fillstyle="none", label="found")
    axes.plot(*projected.T, "+", color="red", markersize=4, label="projected")
    axes.set_xlim(0, one.size[0])
    axes.set_ylim(one.size[1], 0)
    axes.legend(fontsize=7, loc="upper right")


def _errors(axes: Any, errors: np.ndarray, name: str) -> None:
    axes.plot(*errors.T, ".", markersize=2)
    reach = max(1.0, float(np.percentile(np.abs(errors), 99)) * 1.3) if len(errors) else 1.0
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.grid(visible=True, alpha=0.3)
    axes.set_title(f"{name}: errors, px", fontsize=9)


def _from_above(axes: Any, rig: Rig) -> None:
    """Cameras in the plane of x and y, and of x and z."""
    ahead = rig.turns[:, 2]
    for place, (a, b), names in ((axes[0], (0, 1), "xy"), (axes[1], (0, 2), "xz")):
        place.plot(rig.centres[:, a], rig.centres[:, b], "s", color="tab:blue")
        place.quiver(rig.centres[:, a], rig.centres[:, b], ahead[:, a], ahead[:, b])
        for name, centre in zip(rig.names, rig.centres):
            place.annotate(name, (centre[a], centre[b]), fontsize=8)
        place.plot(0, 0, "k+", markersize=10)
        place.set_xlabel(f"{names[0]}, m")
        place.set_ylabel(f"{names[1]}, m")
        place.set_aspect("equal", adjustable="datalim")
        place.margins(0.2)
        place.grid(visible=True, alpha=0.3)
