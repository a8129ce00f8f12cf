"""Rules on rendered incidents and daily movements: through the networks, and on clean motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from edge import plug
from edge.rules import on_ground
from tools.evaluation.page.tables import number
from tools.render.motion.acts import REPORT
from tools.render.sets import ensure_rendered
from tools.ruletests import corpus, recorded
from tools.ruletests.labels import INCIDENTS
from tools.ruletests.matching import Score
from tools.scoreboard.labelled import SETUPS, settings_of
from tools.scoreboard.table import Table

SETS = (
    "rendered-rules-falls",
    "rendered-rules-fights",
    "rendered-rules-daily",
    "rendered-rules-places",
)
WORST = 4  # pictures of each kind of mistake
HEAD = ("", "labelled", "told", "recall", "precision", "false an hour", "delay s")


def table(
    models: Optional[Path], sets: Path, out: Path, split: str = REPORT, quiet: bool = False
) -> Table:
    """A row for each kind of incident that a rule of this version tells.

    Sets are drawn and recorded if they are not there; pictures of misses go to `out`.
    """
    clips = recordings(models, sets, SETS, split, quiet)
    tables = _tables()
    found = {clean: corpus.outcome(clips, tables, clean) for clean in (False, True)}
    for clean, folder in ((False, "networks"), (True, "clean")):
        corpus.draw_worst(clips, found[clean].judged, clean, out / "rules" / folder, WORST)
    kinds = [k for k in INCIDENTS if k in found[True].judged.scores]
    rows = [_row(kind, found[False], found[True]) for kind in kinds]
    minutes = found[False].hours * 60
    note = (
        f"{len(clips)} rendered clips of the {split} split, {minutes:.0f} minutes, 10 to 30 frames "
        f"a second, cameras that look down by 0 to 60 degrees. The first figure is through the "
        "networks, the second on the true keypoints. An event is right if it comes up to "
        f"{corpus.TOLERANCE_S:g} s before the incident begins until as long after it has ended; "
        "delay: after its end, median. Rules have their defaults."
    )
    return Table("Rules on rendered people", note, HEAD, list(rows))


def recordings(
    models: Optional[Path],
    sets: Path,
    names: Sequence[str],
    split: str,
    quiet: bool,
    world: bool = False,
) -> List[recorded.Clip]:
    """The clips of sets, drawn and recorded if they are not there yet; with joints in metres?"""
    settings = settings_of(SETUPS[0], models)
    if world:
        settings = replace(settings, pose=replace(settings.pose, world=True))
    key = recorded.key_of(settings)
    clips = [
        clip
        for name in names
        for clip in recorded.clips_of(ensure_rendered(name, split, sets, quiet=quiet), key)
    ]
    recorded.record(clips, settings, quiet)
    recorded.record_truth(clips, settings)
    return clips


def _tables() -> List[Dict[str, Any]]:
    """One `[[rules]]` table of each kind that tells an incident and needs no ground."""
    there = {kind for kind in plug.names("rules") if not on_ground(kind)}
    return [{"kind": kind} for kind in dict.fromkeys(INCIDENTS.values()) if kind in there]


def _row(kind: str, networks: corpus.Outcome, clean: corpus.Outcome) -> Tuple[str, ...]:
    both = [(o.judged.scores[kind], o.hours) for o in (networks, clean)]
    first = both[0][0]

    def pair(values: Sequence[Any], digits: int) -> str:
        return " / ".join(number(value, digits) for value in values)

    return (
        kind,
        str(first.labels),
        " / ".join(str(score.told) for score, _ in both),
        pair([score.recall for score, _ in both], 2),
        pair([score.precision for score, _ in both], 2),
        pair([corpus.false_an_hour(score, hours) for score, hours in both], 1),
        pair([_delay(score) for score, _ in both], 2),
    )


def _delay(score: Score) -> Optional[float]:
    return score.delay_s
