"""`edge-tools rules-test`: how right rules are on a recording with labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Dict, List, Tuple

from edge.errors import ConfigError
from edge.recording.record import RecordedFrame
from edge.settings import config
from tools.playback.player import Player, find
from tools.ruletests import pictures
from tools.ruletests.labels import Label, load, named, of_rules
from tools.ruletests.matching import Judged, Told, judge

HELP = "precision and recall of rules on a recording with labels"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("recording", type=Path, help="a segment (.poses), or a folder of them")
    parser.add_argument("labels", type=Path, help="labels (JSON), or the truth of a drawn clip")
    parser.add_argument(
        "--config", type=Path, metavar="F", help="use the rules of this configuration file"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=2.0,
        metavar="S",
        help="an event may be this far from its label (default: %(default)g)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for pictures of misses")
    parser.add_argument(
        "--worst", type=int, default=8, metavar="N", help="most pictures (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Judge the rules."""
    if not 0 <= arguments.tolerance <= 3600:
        raise ConfigError("--tolerance: must be 0 to 3600 s")
    if arguments.worst < 0:
        raise ConfigError("--worst: must be at least 0")
    labels, segments = load(arguments.labels), find(arguments.recording)
    rules_of = config.load(arguments.config) if arguments.config else None
    player = Player(rules_of)
    told, begin_ns = _told(segments, player)
    for label in labels:
        if label.camera and label.camera not in begin_ns:
            raise ConfigError(f"{arguments.labels}: no camera {label.camera} in the recording")
    labels = of_rules(labels, {str(t["kind"]) for t in player.rules})
    kinds = {label.kind for label in labels}
    found = judge(labels, [t for t in told if t.kind in kinds], arguments.tolerance)
    files = _draw(segments, begin_ns, found, arguments) if arguments.out else []
    _print(found, files, arguments.json)
    return 0


def _told(segments: List[Path], player: Player) -> Tuple[List[Told], Dict[str, int]]:
    """The events, and the time of the first frame of each camera."""
    begin_ns: Dict[str, int] = {}
    told: List[Told] = []
    for path in segments:
        for frame, events in player.judged(path):
            begin = begin_ns.setdefault(frame.camera, frame.t_ns)
            told += [Told(named(e), (e.t_ns - begin) * 1e-9, e.camera, e.why) for e in events]
    return told, begin_ns


def _draw(
    segments: List[Path], begin_ns: Dict[str, int], found: Judged, arguments: argparse.Namespace
) -> List[str]:
    """Pictures of missed labels, then of false events."""
    cases = [_missed(a) for a in found.missed]
    cases += [(f"false {e.kind}, {e.camera}: {e.why}", e.camera, e.t_s, e.t_s) for e in found.false]
    cases = cases[: arguments.worst]
    frames: List[List[RecordedFrame]] = [[] for _ in cases]
    player = Player()
    for path in segments:
        for frame, _ in player.judged(path):
            t_s = (frame.t_ns - begin_ns[frame.camera]) * 1e-9
            for kept, (_, camera, start_s, end_s) in zip(frames, cases):
                near = start_s - pictures.BEFORE_S <= t_s <= end_s + pictures.AFTER_S
                if near and camera in ("", frame.camera):
                    kept.append(frame)
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = []
    for i, (kept, case) in enumerate(zip(frames, cases)):
        if kept:
            path = arguments.out / f"{i:02d}-{case[0].split(',')[0].replace(' ', '-')}.png"
            pictures.write(path, kept, f"{case[0]}, at {case[2]:.1f} s")
            files.append(str(path))
    return files


def _missed(label: Label) -> Tuple[str, str, float, float]:
    return f"missed {label.kind}, {label.camera}", label.camera, label.start_s, label.end_s


def _print(found: Judged, files: List[str], as_json: bool) -> None:
    if as_json:
        scores = {kind: score._asdict() for kind, score in found.scores.items()}
        missed = [label._asdict() for label in found.missed]
        false = [event._asdict() for event in found.false]
        print(json.dumps({"kinds": scores, "missed": missed, "false": false, "pictures": files}))
        return
    print("kind                labels  told  right  precision  recall  delay s")
    for kind, s in found.scores.items():
        shares = ["-" if v is None else f"{v:.2f}" for v in (s.precision, s.recall, s.delay_s)]
        row = f"{kind:<20}{s.labels:>6}{s.told:>6}{s.right:>7}"
        print(f"{row}{shares[0]:>11}{shares[1]:>8}{shares[2]:>9}")
    for file in files:
        print(file)
