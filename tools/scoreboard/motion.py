"""Smoother, tracker and fall rule on motion capture, without peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from tools.benches import falls, smoothing, tracking
from tools.benches._acts import SIDES
from tools.benches._mocap import REPORT, TUNE
from tools.benches._noise import STATED as NOISE
from tools.benches._walkers import REPORT_CLIPS, crowd
from tools.benches._walkers import STATED as SCENE
from tools.evaluation.page.tables import number
from tools.scoreboard.table import Table

SEEDS = 2


def smoother(sets: Path) -> Table:
    """Errors at each rate, beside One-Euro and the bare measurements."""
    rows: List[Tuple[str, ...]] = []
    for rate_hz in (*smoothing.RATES_HZ, smoothing.CHANGING):
        tune, report = (smoothing.sight(sets, n, rate_hz, 7) for n in (TUNE, REPORT))
        pair = smoothing.tuned(tune)
        for name, found in (
            ("ours", smoothing.ours(report)),
            ("One-Euro, tuned", smoothing.one_euro(report, *pair)),
            ("nothing", report.seen),
        ):
            quality = smoothing.judged(report, found)
            errors = [number(float(np.median(v)), 4) for v in quality[:3]]
            lag = number(float(np.median(quality.lag)), 2)
            rows.append((f"{smoothing.spoken(rate_hz)}, {name}", *errors, lag))
    head = ("", "RMSE H", "95 % H", "jitter H", "lag, frames")
    note = (
        f"Ten clips from four sides, medians; {NOISE}. Jitter: mean size of the error's second "
        "difference. Changing rate: another of these every .3 to 1.5 s."
    )
    return Table("Smoother (motion capture)", note, head, list(rows))


def tracker(sets: Path) -> Table:
    """HOTA, IDF1 and switches of crowds."""
    rows: List[Tuple[str, ...]] = []
    for people in tracking.PEOPLE:
        found: Dict[str, List[Dict[str, Any]]] = {}
        for seed in range(SEEDS):
            frames = crowd(sets, REPORT_CLIPS, people, tracking.FRAMES, seed)
            for name, answer in tracking.own(frames).items():
                found.setdefault(name, []).append(tracking.judged(frames, answer))
        for name, all_ in found.items():
            means = [float(np.mean([f[k] for f in all_])) for k in ("HOTA", "IDF1", "switches")]
            rows.append(
                (f"{people} people, {name}", number(means[0]), number(means[1]), f"{means[2]:.0f}")
            )
    note = (
        f"Walkers, runners and dancers, {tracking.FRAMES} frames, mean of {SEEDS} crowds; {SCENE}. "
        "`alone`: told no ids; `echoed`: told for whom a pose was made; `loop`: the detector looks "
        f"in each {tracking.EVERY}th frame. `edge-tools bench tracking` adds the peers."
    )
    return Table("Tracker (crowds)", note, ("", "HOTA", "IDF1", "switches"), list(rows))


def fall_rule(sets: Path) -> Table:
    """Falls that were told, and what was told without a fall."""
    found = {row.name: row for row in falls.run(Path(), sets, 1)}
    names = list(dict.fromkeys(name.partition(": ")[0] for name in found))
    kinds = list(dict.fromkeys(name.partition(": ")[2] for name in found))
    rows = [(k, *(_value(found[f"{n}: {k}"].value) for n in names)) for k in kinds]
    head = ("", *(name.replace("falls ", "") for name in names))
    count = falls.EACH * SIDES * len(falls.PITCHES_DEG)
    note = (
        f"{count} ballistic falls in eight directions, cameras that look down by 0, 15, 30 and 45 "
        "degrees, medians of the cameras; delay since the body came down; noise as above."
    )
    return Table("Fall rule (motion capture)", note, head, list(rows))


def _value(value: float) -> str:
    return "-" if not np.isfinite(value) else number(value, 2)
