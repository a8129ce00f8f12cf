"""The landing folder: each batch becomes files that are complete or absent."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from edge.durable import READABLE, sync_dir, write_whole
from tools.landing import LANDED, REFUSED
from tools.landing.rows import day_of


def write(
    folder: Path, rows: Sequence[Mapping[str, Any]], refused: Sequence[Mapping[str, Any]], name: str
) -> int:
    """Write a batch; returns the number of files. All of it is on the disk when this returns.

    Args:
        folder: of the lander.
        rows: of events and heartbeats.
        refused: rows of what is no event.
        name: of the files, without ending; a batch that is written again has the same.

    Raises:
        OSError: the disk refuses. Some files of the batch may be there; write it again.
    """
    parts: Dict[Path, List[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        day, device = f"day={day_of(row)}", f"device={row['device']}"
        parts[folder / LANDED / day / device].append(row)
    if refused:
        parts[folder / REFUSED] = list(refused)
    for place, some in parts.items():
        make_durable_dir(place)
        lines = b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in some)
        write_whole(place / f"{name}.jsonl", lines, READABLE)
    return len(parts)


def make_durable_dir(path: Path) -> None:
    """Make a folder whose name survives a power cut; raises OSError."""
    if path.is_dir():
        return
    make_durable_dir(path.parent)
    path.mkdir(exist_ok=True)
    sync_dir(path.parent)
