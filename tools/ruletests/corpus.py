"""Rules over sets of recorded clips: what they told, how right it is, and pictures of misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from edge.loop.assemble import build_rules
from edge.recording.record import RecordedFrame
from edge.rules import Rule
from edge.settings import config
from tools.playback.player import Player, find
from tools.ruletests import pictures
from tools.ruletests.labels import Label, load, named, of_rules
from tools.ruletests.matching import Judged, Score, Told, judge
from tools.ruletests.recorded import Clip

TOLERANCE_S = 2.0


class Outcome(NamedTuple):
    """What rules made of a set of clips."""

    judged: Judged
    hours: float


def outcome(clips: Sequence[Clip], tables: Sequence[Dict[str, Any]], clean: bool) -> Outcome:
    """Judge rules on all clips together; the camera of a label or event is its clip.

    Args:
        clips: with recordings.
        tables: `[[rules]]` tables.
        clean: take the recordings of the truth, else those of the networks.
    """
    labels: List[Label] = []
    told: List[Told] = []
    seconds = 0.0
    for clip in clips:
        own = of_rules(load(clip.truth), {str(t["kind"]) for t in tables})
        labels += [label._replace(camera=clip.name) for label in own]
        heard, long_s = _told(clip, tables, clean)
        told += heard
        seconds += long_s
    kinds = {label.kind for label in labels}
    known = [event for event in told if event.kind in kinds]
    return Outcome(judge(labels, known, TOLERANCE_S), seconds / 3600)


def frames_of(clip: Clip, clean: bool) -> List[RecordedFrame]:
    """The recorded frames of a clip."""
    player = Player()
    segments = find(clip.clean if clean else clip.poses)
    return [frame for path in segments for frame, _ in player.judged(path)]


def _told(clip: Clip, tables: Sequence[Dict[str, Any]], clean: bool) -> Tuple[List[Told], float]:
    """The events, and the length s of the clip."""
    frames = frames_of(clip, clean)
    if not frames:
        return [], 0.0
    rules = rules_of(tables, frames[0].camera)
    begin_ns = frames[0].t_ns
    told: List[Told] = []
    for frame in frames:
        for rule in rules:
            for event in rule(frame.poses, frame.camera, frame.t_ns):
                at_s = (event.t_ns - begin_ns) * 1e-9
                told.append(Told(named(event), at_s, clip.name, event.why))
    return told, (frames[-1].t_ns - begin_ns) * 1e-9


def rules_of(tables: Sequence[Dict[str, Any]], camera: str) -> List[Rule]:
    """The rules of `[[rules]]` tables for a camera, as the daemon makes them."""
    source = {"source": "synthetic://walk", "name": camera}
    table = {"cameras": [source], "rules": list(tables)}
    return build_rules(config.complete(config.build(config.Config, table)), camera)


def false_an_hour(score: Score, hours: float) -> float:
    """False events of a kind in an hour of the clips."""
    return (score.told - score.right) / hours if hours else 0.0


def draw_worst(
    clips: Sequence[Clip], found: Judged, clean: bool, folder: Path, most: int
) -> List[Path]:
    """Skeletons around misses and false events, at most so many of each kind.

    Raises:
        TempError: a picture cannot be written.
    """
    cases = [(f"missed {a.kind}", a.camera, a.start_s, a.end_s) for a in found.missed]
    cases += [(f"false {e.kind}: {e.why}", e.camera, e.t_s, e.t_s) for e in found.false]
    by_name = {clip.name: clip for clip in clips}
    drawn: Dict[str, int] = {}
    files: List[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for title, name, start_s, end_s in cases:
        what = title.split(":")[0]
        drawn[what] = drawn.get(what, 0) + 1
        if drawn[what] > most:
            continue
        frames = frames_of(by_name[name], clean)
        near = [f for f in frames if _near(f, frames[0].t_ns, start_s, end_s)]
        if near:
            path = folder / f"{what.replace(' ', '-')}-{drawn[what]:02d}.png"
            pictures.write(path, near, f"{title}, {name} at {start_s:.1f} s")
            files.append(path)
    return files


def _near(frame: RecordedFrame, begin_ns: int, start_s: float, end_s: float) -> bool:
    t_s = (frame.t_ns - begin_ns) * 1e-9
    return start_s - pictures.BEFORE_S <= t_s <= end_s + pictures.AFTER_S
