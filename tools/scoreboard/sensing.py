"""Joint angles from inertial sensors and a camera, on motion capture."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence

import numpy as np

from tools.benches import fusion, lifting
from tools.evaluation.page.tables import number
from tools.scoreboard.table import Table

PICTURES, SEED = 60, 7
HEAD = ("", "median mm", "90 % mm")
SEEDS = range(10, 11)  # others than those that were tuned on


def fused_angles(sets: Path) -> Table:
    """Errors with one and with two sensors, on the report split."""
    rows: List[Sequence[str]] = []
    for name, both in (("two sensors", True), ("one, the limb before it at rest", False)):
        found = list(fusion.judged(sets, fusion.REPORT_ACTS, SEEDS, both).values())
        columns = (
            [j.rmse_deg for j in found],
            [j.occluded_deg for j in found],
            [j.bias_dps for j in found],
            [1e3 * j.delay_s for j in found if j.moves_dps > fusion.MOVING_DPS],
        )
        for share, percent in (("median", 50), ("90 %", 90)):
            figures = [number(float(np.percentile(c, percent)), 2) for c in columns]
            rows.append((f"{name}, {share}", *figures))
    head = ("", "RMSE deg", "RMSE unseen deg", "bias deg/s", "delay ms")
    note = (
        f"{len(found)} knees and elbows of the report split, {fusion.SECONDS:g} s each, from "
        f"{fusion.WARM_S:g} s on; {fusion.STATED}. Goals: 1.5 deg, 1.5 deg, .2 deg/s, 15 ms. The "
        "delay is judged where the joint moves; elbows of BVH clips whose limbs do not turn as a "
        "hinge are left out."
    )
    return Table("Joint angles with inertial sensors (motion capture)", note, head, rows)


def lifted() -> Table:
    """Errors in mm of keypoints that depth images lift, on rendered people of the report split."""
    rows: List[Sequence[str]] = []
    for name, noise_h in (("exact keypoints", 0.0), ("keypoints off by .006 H", 0.006)):
        found = lifting.judged("report", PICTURES, SEED, noise_h)
        for part in ("all", *lifting.PARTS):
            errors = found.mm if part == "all" else found.mm[found.part == part]
            figures = [number(float(np.percentile(errors, p)), 0) for p in (50, 90)]
            rows.append((f"{name}, {part}", *figures))
        rows.append((f"{name}, without depth", f"{100 * found.missing:.1f} %", "-"))
    note = f"{PICTURES} pictures; {lifting.STATED}."
    return Table("Keypoints in metres from depth images (rendered people)", note, HEAD, rows)
