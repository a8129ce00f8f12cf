"""The fall rule on ballistic falls, on lying down, and on motion that is neither.

From eight sides, by cameras that look down by 0, 15, 30 and 45 degrees, at 10, 15 and 30 frames a
second, with the noise of `_noise` and through the smoother, with the defaults of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import numpy as np

from edge.people.smoother import Smoother
from edge.rules.fall import Options, build
from edge.settings.config import Smooth
from tools.benches import Row, row
from tools.benches._acts import REPORT_CALM, REPORT_STARTS, Act, calm, falls, lying_down
from tools.benches._mocap import BODY, looking, pixels, poses_of
from tools.benches._noise import STATED, measured
from tools.progress import Progress

RATES_HZ, PITCHES_DEG = (10, 15, 30), (0, 15, 30, 45)
HEIGHT_PX, DISTANCE_M = 330.0, 6.0
EACH, CALM_S = 6, 30.0
SOON_S = 2.0  # after the body has come down


class Told(NamedTuple):
    """What the rule told of one person."""

    act: Act
    fall_s: float  # first `fall`; inf = none
    falls: int
    lyings: int


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows for each rate: falls told soon and ever, delay, false ones an hour."""
    rows: List[Row] = []
    with Progress("falls", len(RATES_HZ) * len(PITCHES_DEG), "cameras") as bar:
        for rate_hz in RATES_HZ:
            groups: Dict[str, List[List[Told]]] = {"falls": [], "lying": [], "calm": []}
            for pitch_deg in PITCHES_DEG:
                for name, acts in _acts(sets, rate_hz).items():
                    groups[name].append(told(acts, rate_hz, pitch_deg))
                bar.update()
            rows += _rows(rate_hz, groups)
    return rows


def _acts(sets: Path, rate_hz: int) -> Dict[str, List[Act]]:
    return {
        "falls": falls(sets, REPORT_STARTS, rate_hz, EACH, 5),
        "lying": lying_down(sets, REPORT_STARTS, rate_hz, 2, 5),
        "calm": calm(sets, REPORT_CALM, rate_hz, CALM_S),
    }


def told(
    acts: Sequence[Act],
    rate_hz: int,
    pitch_deg: float,
    options: Options = Options(),  # noqa: B008 - frozen
    smooth: Smooth = Smooth(),  # noqa: B008
) -> List[Told]:
    """What the rule tells of people whom one camera sees; each is a track of its own."""
    camera = looking((1280, 720), HEIGHT_PX * DISTANCE_M / 1.72, DISTANCE_M, pitch_deg)
    truth = np.stack([pixels(camera, act.points) for act in acts], 1)
    rng = np.random.default_rng([rate_hz, int(pitch_deg)])
    seen, scores = measured(truth, np.full(len(acts), HEIGHT_PX), rate_hz, rng)
    filter_, rule = Smoother(smooth, BODY), build(options)
    events: Dict[int, List[Any]] = {i: [] for i in range(len(acts))}
    for t in range(len(truth)):
        t_ns = int((t + 1) * 1e9 / rate_hz)
        poses = filter_(poses_of(seen[t], scores[t], HEIGHT_PX), t_ns)
        for event in rule(poses, "trial", t_ns):
            events[event.person].append((event.data["action"], t / rate_hz))
    return [_told(act, events[i]) for i, act in enumerate(acts)]


def _told(act: Act, events: List[Any]) -> Told:
    fall = [s for action, s in events if action == "fall"]
    lyings = sum(action == "lying" for action, _ in events)
    return Told(act, min(fall, default=np.inf), len(fall), lyings)


def _rows(rate_hz: int, groups: Dict[str, List[List[Told]]]) -> List[Row]:
    name, fallen = f"falls {rate_hz} fps", groups["falls"]
    delays = [t.fall_s - t.act.ground_s for some in fallen for t in some if np.isfinite(t.fall_s)]
    hours = len(groups["calm"][0]) * CALM_S / 3600
    return [
        row(f"{name}: told in {SOON_S:g} s", [_share(s, SOON_S) for s in fallen], "", noise=STATED),
        row(
            f"{name}: told at all",
            [_share(s, np.inf) for s in fallen],
            "",
            pitch_deg=dict(zip(map(str, PITCHES_DEG), (_share(s, np.inf) for s in fallen))),
        ),
        row(f"{name}: delay", delays or [np.inf], "s"),
        row(
            f"{name}: lying down called a fall",
            [float(np.mean([t.falls > 0 for t in s])) for s in groups["lying"]],
            "",
        ),
        row(
            f"{name}: lying down told",
            [float(np.mean([t.falls + t.lyings > 0 for t in s])) for s in groups["lying"]],
            "",
        ),
        row(
            f"{name}: false falls an hour of calm motion",
            [sum(t.falls for t in s) / hours for s in groups["calm"]],
            "/h",
            motions=_by_motion(groups["calm"], "falls"),
        ),
        row(
            f"{name}: false lyings an hour of calm motion",
            [sum(t.lyings for t in s) / hours for s in groups["calm"]],
            "/h",
            motions=_by_motion(groups["calm"], "lyings"),
        ),
    ]


def _share(some: Sequence[Told], within_s: float) -> float:
    return float(np.mean([t.fall_s - t.act.ground_s <= within_s and t.falls > 0 for t in some]))


def _by_motion(cameras: Sequence[Sequence[Told]], kind: str) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for some in cameras:
        for one in some:
            found[one.act.name] = found.get(one.act.name, 0) + int(getattr(one, kind))
    return found
