"""The state row of an outbox: its token, the next id, and the losses.

The row has no checksum, and anybody may have written into the file. So each field is checked for
its type and range.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence

TOKEN = re.compile("[0-9a-f]{16}")
LAST_ID = 10**17  # more than any box reaches; correlation data has at most 18 digits
MOST_COUNTED = 2**53  # of a counter: what every reader of JSON can hold
MOST_REASON = 300  # characters


class DamagedError(sqlite3.DatabaseError):
    """A row, the state or the schema is not what was written."""


@dataclass(frozen=True)
class Losses:
    """Events that are lost for good, and which losses an event has reported."""

    evicted: int = 0  # removed because the outbox was full, ever
    reported: int = 0  # of those
    reset: Optional[Dict[str, Any]] = (
        None  # data of an outbox_reset event; None = no reset to report
    )


@dataclass(frozen=True)
class State:
    """The state row of an outbox."""

    token: str  # random, so that correlation data cannot be guessed
    next_id: int
    losses: Losses


def new_token() -> str:
    """Return a random token."""
    return secrets.token_hex(8)


def is_token(value: object) -> bool:
    """Whether a value can be a token."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def is_next_id(value: object) -> bool:
    """Whether a value can be the next id."""
    return type(value) is int and 1 <= value <= LAST_ID


def read(db: sqlite3.Connection) -> State:
    """Return the state row.

    Raises:
        DamagedError: it is missing, or a field of it is not what was written.
    """
    row = db.execute("SELECT token, next_id, losses FROM state WHERE one = 1").fetchone()
    if row is None or not (is_token(row[0]) and is_next_id(row[1])):
        raise DamagedError("the state row cannot be read")
    losses = _parse_losses(row[2])
    if losses != _whole(row[2]):
        raise DamagedError("the state row cannot be read")
    return State(row[0], row[1], losses)


def salvage(fields: Sequence[Any]) -> State:
    """Return what is readable of a damaged state row; other fields have their first value.

    Args:
        fields: token, next id and losses, of any type.
    """
    token, next_id, losses = fields
    return State(
        token if is_token(token) else new_token(),
        next_id if is_next_id(next_id) else 1,
        _parse_losses(losses),
    )


def write(db: sqlite3.Connection, state: State) -> None:
    """Replace the state row; needs a transaction."""
    losses = state.losses
    # `told` is the name of `reported` in files that are in use.
    table = {"evicted": losses.evicted, "told": losses.reported, "reset": losses.reset}
    db.execute(
        "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?)",
        (state.token, state.next_id, json.dumps(table)),
    )


def _table(text: object) -> Dict[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def _whole(text: object) -> Optional[Losses]:
    """The losses as they are written; None if they have not exactly the three fields."""
    table = _table(text)
    if table.keys() != {"evicted", "told", "reset"}:
        return None
    return Losses(table["evicted"], table["told"], table["reset"])


def _parse_losses(text: object) -> Losses:
    """The readable fields of the losses; the others have their first value."""
    table = _table(text)
    evicted = _count(table.get("evicted"))
    return Losses(evicted, min(_count(table.get("told")), evicted), _reset(table.get("reset")))


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MOST_COUNTED else 0


def _reset(value: object) -> Optional[Dict[str, Any]]:
    """The data of a reset, as `edge.outbox.store` makes it; None if it is anything else."""
    if not isinstance(value, dict) or value.keys() != {"reason", "recovered", "lost"}:
        return None
    reason, recovered, lost = value["reason"], value["recovered"], value["lost"]
    counts = [recovered] if lost is None else [recovered, lost]
    fine = isinstance(reason, str) and len(reason) <= MOST_REASON and reason.isprintable()
    if not fine or any(type(n) is not int or not 0 <= n <= MOST_COUNTED for n in counts):
        return None
    return value
