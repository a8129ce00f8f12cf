"""What happened in a fleet, from landed rows: counts, dwell, alarms, heat."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import duckdb
import numpy as np

from tools.landing.heat import COLUMNS, ROWS
from tools.landing.rows import HEARTBEAT, HEAT

LATEST_ALARMS = 40
SILENT_MIN = 10.0  # a box without a row for longer was silent
_REAL = f"kind NOT IN ('{HEARTBEAT}', '{HEAT}')"
# A person's number is the camera's own: the same person at two cameras is two tracks.
_TRACK = "boot_id || '/' || person"
_LEFT = "kind = 'presence' AND action = 'leave'"


@dataclass(frozen=True)
class Report:
    """The tables of a report; each row is a dict of plain values."""

    overview: Dict[str, Any]
    kinds: List[Dict[str, Any]]
    places: List[Dict[str, Any]]
    zones: List[Dict[str, Any]]
    days: List[Dict[str, Any]]
    hours: List[Dict[str, Any]]
    silences: List[Dict[str, Any]]
    alarms: List[Dict[str, Any]]
    heat: Dict[str, List[List[float]]]

    def record(self) -> Dict[str, Any]:
        """The report as JSON values."""
        return dict(vars(self))


# The tables, by their names in `Report`.
_TABLES = {
    "overview": f"""SELECT count(*) FILTER ({_REAL}) AS events, count(DISTINCT device) AS devices,
        count(DISTINCT device || '/' || camera) FILTER (camera <> '') AS cameras,
        count(*) FILTER (level = 'alarm') AS alarms,
        count(*) FILTER (level = 'warning') AS warnings,
        count(*) FILTER (kind = 'fall' AND action = 'fall') AS falls,
        count(*) FILTER (historical) AS late,
        strftime(min(local_at), '%Y-%m-%d %H:%M') AS first,
        strftime(max(local_at), '%Y-%m-%d %H:%M') AS last FROM local""",
    "kinds": f"""SELECT kind, action, level, count(*) AS events FROM local WHERE {_REAL}
        GROUP BY ALL ORDER BY events DESC, kind, action, level""",
    "places": f"""SELECT device, camera, count(*) AS events,
        count(DISTINCT {_TRACK}) FILTER (person >= 0) AS tracks,
        count(*) FILTER (level = 'alarm') AS alarms,
        count(*) FILTER (kind = 'fall' AND action = 'fall') AS falls,
        round(median(dwell_s) FILTER ({_LEFT}), 1) AS median_stay_s,
        round(quantile_cont(dwell_s, .9) FILTER ({_LEFT}), 1) AS long_stay_s
        FROM local WHERE {_REAL} GROUP BY ALL ORDER BY device, camera""",
    "zones": """SELECT device, camera, place AS zone,
        count(*) FILTER (action = 'enter') AS entered,
        round(sum(dwell_s) FILTER (action = 'leave') / 60, 1) AS stayed_min,
        round(median(dwell_s) FILTER (action = 'leave'), 1) AS median_stay_s
        FROM local WHERE kind = 'zone' GROUP BY ALL ORDER BY device, camera, zone""",
    "days": f"""SELECT strftime(local_at, '%Y-%m-%d') AS day, count(*) AS events,
        count(*) FILTER (level = 'alarm') AS alarms,
        count(*) FILTER (kind = 'presence' AND action = 'enter') AS entered
        FROM local WHERE {_REAL} GROUP BY ALL ORDER BY day""",
    "hours": f"""SELECT device, hour(local_at) AS hour, count(*) AS events,
        count(*) FILTER (kind = 'presence' AND action = 'enter') AS entered
        FROM local WHERE {_REAL} GROUP BY ALL ORDER BY device, hour""",
    "silences": f"""SELECT device, strftime(since, '%Y-%m-%d %H:%M') AS since,
        round(epoch(local_at - since) / 60, 1) AS minutes FROM (
          SELECT device, local_at, lag(local_at) OVER (PARTITION BY device ORDER BY local_at)
          AS since FROM local WHERE NOT historical)
        WHERE epoch(local_at - since) > {SILENT_MIN * 60}
        ORDER BY minutes DESC LIMIT 100""",
    "alarms": f"""SELECT strftime(local_at, '%Y-%m-%d %H:%M:%S') AS time, device, camera, kind,
        action, why FROM local WHERE level = 'alarm' ORDER BY local_at DESC
        LIMIT {LATEST_ALARMS}""",
}


def make(database: duckdb.DuckDBPyConnection, offset_h: float) -> Report:
    """Make the report of `open_events`.

    Args:
        database: with the table `events`.
        offset_h: of local time against UTC; hours and days are local.
    """
    minutes = round(offset_h * 60)
    database.execute(
        "CREATE OR REPLACE VIEW local AS SELECT *, "
        f"utc_at + INTERVAL ({minutes}) MINUTE AS local_at FROM events"
    )
    rows: Dict[str, Any] = {name: _rows(database, sql) for name, sql in _TABLES.items()}
    return Report(**{**rows, "overview": rows["overview"][0]}, heat=_heat(database))


def _rows(database: duckdb.DuckDBPyConnection, sql: str) -> List[Dict[str, Any]]:
    found = database.execute(sql)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row)) for row in found.fetchall()]


def _heat(database: duckdb.DuckDBPyConnection) -> Dict[str, List[List[float]]]:
    """Seconds in each cell [ROWS][COLUMNS] of each camera that has any."""
    grids: Dict[str, np.ndarray] = {}
    found = database.execute(f"SELECT device, camera, data FROM events WHERE kind = '{HEAT}'")
    for device, camera, text in found.fetchall():
        data = json.loads(text)
        if (data["columns"], data["rows"]) == (COLUMNS, ROWS):
            cells = grids.setdefault(f"{device} / {camera}", np.zeros(ROWS * COLUMNS))
            for index, seconds in data["cells"]:
                cells[index] += seconds
    return {name: grids[name].reshape(ROWS, COLUMNS).round(1).tolist() for name in sorted(grids)}


def table(rows: List[Dict[str, Any]]) -> Tuple[List[str], List[List[Any]]]:
    """Head and body of rows that have the same keys."""
    head = list(rows[0]) if rows else []
    return head, [[row[name] for name in head] for row in rows]
