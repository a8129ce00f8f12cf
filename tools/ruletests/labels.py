"""What truly happened in a recording, and when.

Two kinds of file: the truth of a clip of `edge-tools synth` (edge-truth/1), of which the events of
INCIDENTS are read, and a file of your own (edge-labels/1):

    {"schema": "edge-labels/1", "events": [{"kind": "fall", "start_s": 3.1, "end_s": 3.9}]}

Times are seconds since the first recorded frame of the camera. `camera` is needed only if there are
several. `kind` is the name of an event as `named` gives it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Collection, Dict, List, NamedTuple, Sequence

from edge.errors import DataError, NoInputError
from edge.structures import PoseEvent

OWN, TRUTH = "edge-labels/1", "edge-truth/1"
# Kinds of the truth that a rule tells -> the rule. Their events have the label's name.
INCIDENTS = {
    "fall": "fall",
    "lying": "fall",
    "fight": "fight",
    "strike": "strike",
    "hands_up": "hands_up",
    "climb": "climb",
    "run": "run",
}
_SAME = {"mocap_run": "run", "jog": "run"}
_BEGINS = (
    "",
    "start",
    "begin",
    "enter",
    "punch",
    "kick",
)  # actions of the event that tells an incident
_ALIKE_S = 0.01


class Label(NamedTuple):
    """Something that happened; `camera` is empty if it may be any."""

    kind: str
    start_s: float
    end_s: float
    camera: str


def named(event: PoseEvent) -> str:
    """Name of an event in labels.

    The action of a fall rule; the kind of an event that tells an incident, such as `fight`; else
    kind and action, `zone enter`.
    """
    action = str(event.data.get("action", ""))
    if event.kind == "fall":
        return action
    if event.kind in INCIDENTS and action in (*_BEGINS, event.kind):
        return event.kind
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
            found = [label for person in table["people"] for label in _of_person(person["events"])]
            return _once(found)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a label lacks or has a wrong value: {error}") from error
    raise DataError(f'{path}: no labels; expected "schema": "{OWN}" or the truth of a clip')


def of_rules(labels: Sequence[Label], rules: Collection[str]) -> List[Label]:
    """The labels without those of the truth's incidents that none of these rules tells."""
    return [a for a in labels if INCIDENTS.get(a.kind, "") in ("", *rules)]


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
    """Incidents; of lying only that to which no fall led."""
    found = [e._replace(kind=_SAME.get(e.kind, e.kind)) for e in map(_label, events)]
    falls = [e for e in found if e.kind == "fall"]
    lies = [e for e in found if e.kind == "lying"]
    alone = [a for a in lies if all(abs(a.start_s - f.end_s) > _ALIKE_S for f in falls)]
    others = [e for e in found if e.kind in INCIDENTS and e.kind not in ("fall", "lying")]
    return falls + alone + others


def _once(labels: List[Label]) -> List[Label]:
    """A fight is told of both people; it is one."""
    fights = {label for label in labels if label.kind == "fight"}
    return [a for a in labels if a.kind != "fight"] + sorted(fights)
