"""What truly happened in a recording, and when.

Two kinds of file: the truth of a clip of `edge-tools synth` (edge-truth/1), of which falls and
lying are read, and a file of your own (edge-labels/1):

    {"schema": "edge-labels/1", "events": [{"kind": "fall", "start_s": 3.1, "end_s": 3.9}]}

Times are seconds since the first recorded frame of the camera. `camera` is needed only if there are
several. `kind` is the name of an event as `named` gives it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from edge.errors import DataError, NoInputError
from edge.structures import PoseEvent

OWN, TRUTH = "edge-labels/1", "edge-truth/1"
_ALIKE_S = 0.01


class Label(NamedTuple):
    """Something that happened; `camera` is empty if it may be any."""

    kind: str
    start_s: float
    end_s: float
    camera: str


def named(event: PoseEvent) -> str:
    """Name of an event in labels: the action of a fall rule, else kind and action, `zone enter`."""
    action = str(event.data.get("action", ""))
    if event.kind == "fall":
        return action
    return f"{event.kind} {action}".strip()


def load(path: Path) -> List[Label]:
    """The labels of a file.

    Raises:
        NoInputError: it cannot be read. DataError: it has no labels of a known schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text in UTF-8") from error
    try:
        table = json.loads(text)
    except ValueError:
        table = _first_line(text)
    schema = table.get("schema") if isinstance(table, dict) else None
    try:
        if schema == OWN:
            return [_label(row) for row in table["events"]]
        if schema == TRUTH:
            return [label for person in table["people"] for label in _of_person(person["events"])]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a label lacks or has a wrong value: {error}") from error
    raise DataError(f'{path}: no labels; expected "schema": "{OWN}" or the truth of a clip')


def _first_line(text: str) -> Any:
    try:
        return json.loads(text.split("\n", 1)[0])
    except ValueError:
        return None


def _label(row: Dict[str, Any]) -> Label:
    start_s = float(row["start_s"])
    end_s = float(row.get("end_s", start_s))
    if not 0 <= start_s <= end_s < float("inf"):
        raise ValueError(f"start_s {start_s} and end_s {end_s} are no span of time")
    return Label(str(row["kind"]), start_s, end_s, str(row.get("camera", "")))


def _of_person(events: List[Dict[str, Any]]) -> List[Label]:
    """Falls, and lying that no fall led to."""
    falls = [e for e in map(_label, events) if e.kind == "fall"]
    lies = [e for e in map(_label, events) if e.kind == "lying"]
    return falls + [a for a in lies if all(abs(a.start_s - f.end_s) > _ALIKE_S for f in falls)]
