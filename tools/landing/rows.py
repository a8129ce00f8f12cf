"""Events and heartbeats as flat rows, as they are landed."""

from __future__ import annotations

import base64
import datetime
import json
import math
from typing import Any, Dict, Mapping, Tuple

from edge.errors import DataError
from edge.settings.schema import name_problem

Key = Tuple[str, str, int]  # topic, boot_id, seq
HEARTBEAT, HEAT = "heartbeat", "heat"  # kinds of rows that are no events
_LATEST_NS = 253_402_300_799 * 10**9  # the end of the year 9999, the last that a date can have
_LARGEST = 2**53
_LONGEST = 64  # of a kind of event


def event_row(topic: str, record: Mapping[str, Any], landed_utc_ns: int) -> Dict[str, Any]:
    """The row of an event.

    Args:
        topic: `poses/v1/<device>/<camera>/event/<kind>`.
        record: the decoded message.
        landed_utc_ns: when it came here.

    Returns:
        What is asked for most, flat; `data` has the fields of its kind as JSON text.

    Raises:
        DataError: it is not an event of the contract, or of another topic.
    """
    levels = topic.split("/")
    try:
        data = record["data"]
        row = {
            "device": record["device"],
            "camera": record["camera"],
            "kind": record["kind"],
            "boot_id": record["boot_id"],
            "seq": record["seq"],
            "t_utc_ns": record["t_utc_ns"],
            "person": record["person"],
            "score": record["score"],
            "level": record.get("level", "info"),
            "action": str(data.get("action", "")),
            "place": str(data.get("zone") or data.get("name") or ""),
            "dwell_s": data.get("dwell_s"),
            "why": str(record.get("why", "")),
            "historical": bool(record.get("historical", False)),
            "landed_utc_ns": landed_utc_ns,
            "data": json.dumps(data, separators=(",", ":")),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not an event: {type(error).__name__} {error}") from error
    if levels[2:4] != [row["device"], row["camera"]] or levels[5:] != [row["kind"]]:
        raise DataError("the event names another device, camera or kind than its topic")
    _require(row)
    return row


def heartbeat_row(record: Mapping[str, Any], landed_utc_ns: int) -> Dict[str, Any]:
    """The row that says that a box is alive, from its metrics message. Raises DataError."""
    try:
        row = {name: record[name] for name in ("device", "boot_id", "seq", "t_utc_ns")}
    except (KeyError, TypeError) as error:
        raise DataError(f"not a metrics message: {error}") from error
    row.update(camera="", kind=HEARTBEAT, person=-1, score=0, level="info", action="", place="")
    row.update(dwell_s=None, why="", historical=False, landed_utc_ns=landed_utc_ns, data="{}")
    _require(row)
    return row


def _require(row: Mapping[str, Any]) -> None:
    """Check what becomes names of folders and keys; raises DataError."""
    if name_problem(row["device"]):
        raise DataError(f"device {row['device']!r} is no name")
    whole = ("seq", "t_utc_ns", "person", "score")
    wrong = [n for n in whole if isinstance(row[n], bool) or not isinstance(row[n], int)]
    wrong += [n for n in ("camera", "kind", "boot_id", "level") if not isinstance(row[n], str)]
    if not isinstance(row["dwell_s"], (int, float, type(None))):
        wrong.append("dwell_s")
    if wrong:
        raise DataError(f"{wrong[0]} has another type than in the contract")
    if not 0 <= row["t_utc_ns"] <= _LATEST_NS or len(row["kind"]) > _LONGEST:
        raise DataError("t_utc_ns or kind is outside its range")
    # What a table cannot hold would spoil the other rows of its file.
    if max(abs(row[n]) for n in ("seq", "person", "score")) > _LARGEST:
        raise DataError("a number is outside its range")
    if row["dwell_s"] is not None and not math.isfinite(row["dwell_s"]):
        raise DataError("dwell_s is no number")
    try:
        "".join(v for v in row.values() if isinstance(v, str)).encode()
    except UnicodeEncodeError as error:
        raise DataError("a text is no Unicode") from error


def key_of(row: Mapping[str, Any]) -> Key:
    """What names a row; a repeated event has the same."""
    return f"{row['device']}/{row['camera']}/{row['kind']}", row["boot_id"], row["seq"]


def day_of(row: Mapping[str, Any]) -> str:
    """The day of a row, UTC, such as 2026-11-30."""
    seconds = row["t_utc_ns"] // 10**9
    at = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return at.date().isoformat()


def refused_row(topic: str, body: bytes, why: str, landed_utc_ns: int) -> Dict[str, Any]:
    """A message that is no event, whole, so that nothing is lost."""
    text = base64.b64encode(body).decode()
    return {"topic": topic, "why": why, "landed_utc_ns": landed_utc_ns, "body_base64": text}
