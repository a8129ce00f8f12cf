"""`edge-tools recordings`: list recordings of poses, and erase frames by time and by camera.

Erasing is complete or absent after a kill or a power cut, and the service may go on recording. A
replay of what is left says how many frames are missing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge.errors import ConfigError
from edge.recording import erase
from edge.recording.erase import Choice, Summary

HELP = "list recordings of poses, and erase frames by time and camera"
FOLDER = Path("/var/lib/edge/state/recordings")  # of the service on a box
_AGO = re.compile(r"(\d+(?:\.\d+)?)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME = (
    "2026-11-30, 2026-11-30T12:00, 2026-11-30T12:00+08:00 (else local time), or 7d, 12h, 30m ago"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "folder", type=Path, nargs="?", default=FOLDER, help=f"of recordings (default: {FOLDER})"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list segments (the default)")
    what.add_argument("--erase", action="store_true", help="erase the chosen frames")
    parser.add_argument("--camera", action="append", default=[], metavar="NAME", help="only these")
    parser.add_argument("--after", metavar="TIME", help=f"not before: {_TIME}")
    parser.add_argument("--before", metavar="TIME", help="only earlier frames")
    parser.add_argument("--all", action="store_true", help="erase everything")
    parser.add_argument("--dry-run", action="store_true", help="only count what would be erased")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """List or erase."""
    choice = Choice(
        frozenset(arguments.camera),
        utc_ns(arguments.after, "--after"),
        utc_ns(arguments.before, "--before"),
    )
    if arguments.erase:
        return _erase(arguments, choice)
    if arguments.all or arguments.dry_run or choice != Choice():
        raise ConfigError("--camera, --after, --before, --all and --dry-run choose for --erase")
    return _list(arguments)


def utc_ns(text: Optional[str], option: str) -> Optional[int]:
    """UTC ns of a time on the command line; None = it was not given.

    Raises:
        ConfigError: it is no time.
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago:
        return time.time_ns() - int(float(ago[1]) * _SECONDS[ago[2]] * 1e9)
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return round(moment.timestamp() * 1000) * 10**6
    except (ValueError, OverflowError, OSError):
        raise ConfigError(f"{option}: {text!r} is no time; use {_TIME}") from None


def _erase(arguments: argparse.Namespace, choice: Choice) -> int:
    if not arguments.all and choice == Choice():
        raise ConfigError("--erase: choose frames: --camera, --after, --before, or --all")
    if arguments.all and choice != Choice():
        raise ConfigError("--all and --camera, --after or --before exclude each other")
    gone = {p.name: erase.erase(p, choice, arguments.dry_run) for p in _segments(arguments)}
    gone = {name: frames for name, frames in gone.items() if frames}
    verb = "would be erased" if arguments.dry_run else "erased"
    if arguments.json:
        print(json.dumps({"erased": gone, "dry_run": arguments.dry_run}))
    else:
        print(f"{sum(gone.values())} frames of {len(gone)} segments {verb}")
    return 0


def _segments(arguments: argparse.Namespace) -> List[Path]:
    return erase.segments(arguments.folder)


def _list(arguments: argparse.Namespace) -> int:
    found = [erase.summary(p) for p in _segments(arguments)]
    if arguments.json:
        print(json.dumps([_record(s) for s in found]))
        return 0
    for one in found:
        cameras = " ".join(f"{name}:{count}" for name, count in sorted(one.frames.items()))
        gap = f"  ({one.missing} frames missing)" if one.missing else ""
        print(f"{one.path.name}  {_span(one)}  {one.size_bytes / 2**20:.1f} MB  {cameras}{gap}")
    total_mb = sum(s.size_bytes for s in found) / 2**20
    print(f"{len(found)} segments, {total_mb:.1f} MB, times in UTC")
    return 0


def _span(one: Summary) -> str:
    if not one.frames:
        return "without frames"
    return f"{_shown(one.first_ns)} to {_shown(one.last_ns)}"


def _shown(t_ns: int) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(t_ns / 1e9, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError):  # a damaged or impossible clock
        return f"{t_ns} ns"
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _record(one: Summary) -> Dict[str, Any]:
    return {
        "segment": one.path.name,
        "bytes": one.size_bytes,
        "first_utc_ns": one.first_ns,
        "last_utc_ns": one.last_ns,
        "frames": one.frames,
        "missing": one.missing,
    }
