"""Landed rows as tables: one Parquet file a day and device, read with SQL (DuckDB)."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence

import duckdb

from edge.durable import sync_dir
from edge.errors import DataError, NoInputError, TempError
from tools.landing import EVENTS, LANDED
from tools.landing.folder import make_durable_dir
from tools.progress import Progress

COLUMNS = {
    "device": "VARCHAR",
    "camera": "VARCHAR",
    "kind": "VARCHAR",
    "boot_id": "VARCHAR",
    "seq": "BIGINT",
    "t_utc_ns": "BIGINT",
    "person": "BIGINT",
    "score": "BIGINT",
    "level": "VARCHAR",
    "action": "VARCHAR",
    "place": "VARCHAR",
    "dwell_s": "DOUBLE",
    "why": "VARCHAR",
    "historical": "BOOLEAN",
    "landed_utc_ns": "BIGINT",
    "data": "VARCHAR",
}
PARQUET = "events.parquet"
MEMORY = "1GB"
_KEY = "device, camera, kind, boot_id, seq"
_LEFTOVER_S = 3600.0  # hidden files of a lander that was killed
# The first copy of each event: a repeated one is the same but for the time at which it was landed.
_FIRST = (
    "SELECT * EXCLUDE (copy) FROM (SELECT *, row_number() OVER "
    f"(PARTITION BY {_KEY} ORDER BY landed_utc_ns) AS copy FROM ({{}})) WHERE copy = 1"
)


@dataclass(frozen=True)
class Joined:
    """What a run of `join` did."""

    tables: int
    files: int
    rows: int


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory."""
    database = duckdb.connect()
    database.execute(f"SET memory_limit = '{MEMORY}'; SET TimeZone = 'UTC'")
    return database


def join(folder: Path, older_s: float, quiet: bool = False) -> Joined:
    """Join landed files into the table of their day and device; then they are removed.

    A run that is killed leaves a table as it was, or whole with files that the next run joins once
    more and drops as repeated. Two runs at a time: the second waits for nobody and is refused.

    Args:
        folder: of the lander.
        older_s: files younger than this stay, for a program that streams them.
        quiet: show no progress.

    Raises:
        NoInputError: it is no landing folder. TempError: another run is at work, or the disk
            refuses. DataError: a file cannot be read; names it.
    """
    parts = sorted((_require(folder) / LANDED).glob("day=*/device=*"))
    tables = files = rows = 0
    with _alone(folder), Progress("joining", len(parts), "tables", quiet) as bar:
        database = connect()
        for part in parts:
            some = _older(part, older_s)
            if some:
                rows += _join_part(database, folder, part, some)
                tables, files = tables + 1, files + len(some)
            bar.update()
    return Joined(tables, files, rows)


def _join_part(
    database: duckdb.DuckDBPyConnection, folder: Path, part: Path, files: Sequence[Path]
) -> int:
    """Join the files of one day and device; returns the rows of the table."""
    target = folder / EVENTS / part.parent.name / part.name / PARQUET
    fresh = target.with_name(f".{PARQUET}.new")
    try:
        make_durable_dir(target.parent)
        select = _FIRST.format(_union([target] if target.exists() else [], files))
        database.execute(
            f"COPY ({select} ORDER BY t_utc_ns, {_KEY}) TO {_text(fresh)} "
            "(FORMAT PARQUET, COMPRESSION ZSTD)"
        )
        count = database.execute(f"SELECT count(*) FROM read_parquet({_text(fresh)})").fetchone()
        _sync(fresh)
        fresh.replace(target)
        sync_dir(target.parent)
        for file in files:
            file.unlink()
        sync_dir(part)
    except OSError as error:
        raise TempError(f"{error.filename or target}: {error.strerror}; make room") from error
    except duckdb.Error as error:
        line = str(error).splitlines()[0]
        raise DataError(f"{part}: {line}; set the file that is named aside") from error
    return int(count[0]) if count else 0


def open_events(folder: Path, first: str = "", last: str = "") -> duckdb.DuckDBPyConnection:
    """A database with the view `events`: each event once, joined or not.

    Beside the columns of `COLUMNS` it has `utc_at`, the time as a timestamp.

    Args:
        folder: of the lander.
        first: first day, such as 2026-11-30; "" = all.
        last: last day.

    Raises:
        NoInputError: it is no landing folder, or holds no event of these days.
    """
    tables = _of_days((_require(folder) / EVENTS).glob(f"day=*/device=*/{PARQUET}"), first, last)
    files = _of_days((folder / LANDED).glob("day=*/device=*/*.jsonl"), first, last)
    if not tables and not files:
        raise NoInputError(f"{folder}: holds no event of these days; is `edge-tools land` running?")
    database = connect()
    select = _FIRST.format(_union(tables, files))
    database.execute(
        "CREATE TABLE events AS SELECT *, make_timestamp(t_utc_ns // 1000) AS utc_at "
        f"FROM ({select})"
    )
    return database


def _union(tables: Sequence[Path], files: Sequence[Path]) -> str:
    """SQL for the rows of Parquet and JSONL files."""
    names = ", ".join(COLUMNS)
    parts = []
    if tables:
        parts.append(f"SELECT {names} FROM read_parquet({_texts(tables)}, hive_partitioning=false)")
    if files:
        types = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
        parts.append(
            f"SELECT {names} FROM read_json({_texts(files)}, format='newline_delimited', "
            f"columns={{{types}}}, hive_partitioning=false)"
        )
    return " UNION ALL ".join(parts)


def _of_days(paths: Iterator[Path], first: str, last: str) -> List[Path]:
    found = []
    for path in paths:
        day = path.parent.parent.name[4:]
        if not path.name.startswith(".") and (first or day) <= day <= (last or day):
            found.append(path)
    return sorted(found)


def _older(part: Path, older_s: float) -> List[Path]:
    """Landed files of a part that may be joined; leftovers of a kill are removed."""
    now_s = time.time()
    found = []
    for path in part.iterdir():
        age_s = now_s - path.stat().st_mtime
        if path.name.startswith("."):
            if age_s > _LEFTOVER_S:
                path.unlink()
        elif path.suffix == ".jsonl" and age_s >= older_s:
            found.append(path)
    return sorted(found)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder."""
    with (folder / ".join.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise TempError(f"{folder}: another run joins it now; wait for it") from error
        yield


def _require(folder: Path) -> Path:
    if not (folder / LANDED).is_dir() and not (folder / EVENTS).is_dir():
        raise NoInputError(f"{folder}: is no landing folder; `edge-tools land` makes one")
    return folder


def day_problem(text: str) -> Optional[str]:
    """What is wrong with the text of a day; None if nothing is."""
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return "use a day such as 2026-11-30"
    return None


def _sync(path: Path) -> None:
    handle = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(value: Any) -> str:
    """A string literal of SQL."""
    return "'" + str(value).replace("'", "''") + "'"


def _texts(values: Sequence[Path]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"
