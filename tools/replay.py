"""`edge-tools replay`: run rules on recorded poses; the same rules give the same events.

Rules are pure functions of poses and their times, so a recording that begins with the run gives
exactly the events of the run. If the ring has dropped the beginning, or frames are missing, events
may differ; a note says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import List

from edge.errors import UnavailableError
from edge.publish import Sink, SinkOptions, open_sink
from edge.settings import config
from tools.mqtt import login
from tools.playback.player import Player, find
from tools.progress import Progress

HELP = "run rules on recorded poses: the rules of the recording, or other rules"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("file", type=Path, help="a segment (.poses), or the folder of recordings")
    parser.add_argument(
        "--config", type=Path, metavar="F", help="use the rules of this configuration file"
    )
    parser.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="URI",
        help="sink for the events (default: jsonl:-, standard output)",
    )
    parser.add_argument("--frames", action="store_true", help="also publish the frames")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON at the end")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay all segments in order."""
    segments = find(arguments.file)
    rules_of = config.load(arguments.config) if arguments.config else None
    player = Player(rules_of, arguments.frames)
    mqtt = login.settings(arguments, rules_of.mqtt if rules_of else None)
    options = SinkOptions(lossless=True, mqtt=mqtt)
    uris = [login.address(uri, arguments) for uri in arguments.sink or ["jsonl:-"]]
    sinks = [open_sink(uri, options) for uri in uris]
    try:
        _play(player, segments, sinks)
    finally:
        for sink in sinks:
            sink.close(30.0)
    lost = {s.name: s.counters.dropped + s.counters.refused + s.waiting for s in sinks}
    for note in player.notes:
        print(f"edge-tools: {note}", file=sys.stderr)
    figures = {
        "frames": player.frames,
        "events": player.events,
        "runs": player.runs,
        "missing_frames": player.missing,
    }
    text = (
        json.dumps(figures)
        if arguments.json
        else (f"{player.frames} frames of {player.runs} runs, {player.events} events")
    )
    print(text, file=sys.stdout if arguments.json else sys.stderr)
    for name, count in lost.items():
        if count:
            raise UnavailableError(f"{name}: {count} messages were not delivered")
    return 0


def _play(player: Player, segments: List[Path], sinks: List[Sink]) -> None:
    with Progress("replay", len(segments), "segments") as progress:
        for segment in segments:
            for message in player.segment(segment):
                for sink in sinks:
                    sink(message)
            progress.update()
