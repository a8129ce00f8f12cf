"""The table of minutes, as examples/fleet/job_spark.py makes it with Spark."""

from __future__ import annotations

from typing import Any, Dict, List

import duckdb

from tools.landing.rows import HEARTBEAT, HEAT

SQL = f"""
SELECT date_trunc('minute', utc_at) AS minute, device, camera, count(*) AS events,
  count(DISTINCT boot_id || '/' || person) FILTER (person >= 0) AS tracks,
  count(*) FILTER (kind = 'fall' AND action = 'fall') AS falls,
  sum(dwell_s) FILTER (kind = 'presence' AND action = 'leave') AS dwell_s
FROM events WHERE kind NOT IN ('{HEARTBEAT}', '{HEAT}')
GROUP BY ALL ORDER BY minute, device, camera
"""


def table(database: duckdb.DuckDBPyConnection) -> List[Dict[str, Any]]:
    """Rows of the table; `minute` is UTC.

    Args:
        database: of `tables.open_events`.
    """
    found = database.execute(SQL)
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row)) for row in found.fetchall()]
