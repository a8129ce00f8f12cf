"""One record, one line: readable at a terminal, priority and fields for journald, JSON on request.

A message that repeats is written a few times, then counted; the next line of its kind, or the end
of its window, says how many were left out. Line breaks and control characters never reach the
stream, so what a camera or a broker says cannot forge a line.
"""

from __future__ import annotations

import collections
import json
import logging
import os
import re
import sys
import threading
import time
from types import TracebackType
from typing import IO, Any, Callable, Dict, List, Mapping, Optional, Tuple, Type

from edge.masking import masked

FORMS = ("auto", "plain", "journal", "json")
BURST = 5  # lines of one kind in a window
WINDOW_S = 60.0
KINDS = 512  # remembered; of those forgotten only the sum is told
TOTAL = 300  # lines of all kinds in a window, so that no variety floods the disk
# syslog(3) numbers; sd-daemon(3) reads them at the start of a line.
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_NUMBER = re.compile(r"(?<![\w.:/-])\d+(\.\d+)?(?![\w:/-])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Kind = Tuple[int, str, str]
OTHERS: Kind = (logging.WARNING, "edge.service.logs", "lines of many kinds")


def start(level: int, form: str = "auto", stream: Optional[IO[str]] = None) -> Handler:
    """Have all loggers of the process write to a stream, by default standard error.

    Args:
        level: weaker records are left out.
        form: one of FORMS; auto = journal when journald reads the stream, else plain.
        stream: where to.
    """
    handler = Handler(stream or sys.stderr, form)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, Handler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    if handler.form != "plain":
        logging.captureWarnings(True)
        sys.excepthook = _told_by(logging.getLogger("edge"))
        threading.excepthook = lambda a: logging.getLogger("edge").critical(
            "thread %s died",
            a.thread.name if a.thread else "?",
            exc_info=(a.exc_type, a.exc_value or a.exc_type(), a.exc_traceback),
        )
    return handler


def _told_by(logger: logging.Logger) -> Callable[..., None]:
    def hook(
        kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]
    ) -> None:
        logger.critical("the program died", exc_info=(kind, error, trace))

    return hook


def form_of(stream: IO[str], environment: Mapping[str, str] = os.environ) -> str:
    """Journal when $JOURNAL_STREAM names this very stream (systemd.exec(5)), else plain."""
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return "plain"
    named = environment.get("JOURNAL_STREAM", "")
    return "journal" if named == f"{here.st_dev}:{here.st_ino}" else "plain"


class Limit:
    """How often a kind of message may be written; the clock is an argument."""

    def __init__(self, burst: int = BURST, window_s: float = WINDOW_S, total: int = TOTAL) -> None:
        self._burst, self._window_s, self._total = burst, window_s, total
        self._kinds: collections.OrderedDict[Kind, List[Any]] = collections.OrderedDict()
        self._all_since_s, self._all = 0.0, 0
        self._others = 0  # left out, of kinds that were forgotten

    def admit(self, kind: Kind, now_s: float) -> Tuple[bool, int]:
        """Whether to write, and how many of this kind were left out before."""
        entry = self._kinds.setdefault(kind, [now_s, 0, 0])  # since, written, left out
        self._kinds.move_to_end(kind)
        if len(self._kinds) > KINDS:
            self._others += self._kinds.popitem(last=False)[1][2]
        if now_s - entry[0] >= self._window_s:
            entry[:2] = [now_s, 0]
        if entry[1] >= self._burst or not self._room(now_s):
            entry[2] += 1
            return False, 0
        entry[1] += 1
        left_out, entry[2] = entry[2], 0
        return True, left_out

    def _room(self, now_s: float) -> bool:
        if now_s - self._all_since_s >= self._window_s:
            self._all_since_s, self._all = now_s, 0
        self._all += 1
        return self._all <= self._total

    def owed(self, now_s: float) -> List[Tuple[Kind, int]]:
        """Counts that nobody was told of, of windows that are over (at infinity: all of them)."""
        over = [k for k, entry in self._kinds.items() if now_s - entry[0] >= self._window_s]
        told = [(kind, self._kinds.pop(kind)[2]) for kind in over]
        if self._others and (over or not self._kinds):
            told.append((OTHERS, self._others))
            self._others = 0
        return [(kind, count) for kind, count in told if count]


class Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes records as lines of a form, not too many of one kind."""

    def __init__(self, stream: IO[str], form: str = "auto", limit: Optional[Limit] = None) -> None:
        super().__init__(stream)
        self.form = form_of(stream) if form == "auto" else form
        self._write = {"plain": plain, "journal": journal, "json": as_json}[self.form]
        self._limit = limit or Limit()
        self._looked_s = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Write, or count."""
        try:
            kind = (record.levelno, record.name, _NUMBER.sub("#", masked(record.getMessage())))
        except (TypeError, ValueError):  # a message that does not fit its arguments
            self.handleError(record)
            return
        now_s = time.monotonic()
        if now_s - self._looked_s > 1.0:
            self._looked_s = now_s
            self._tell_owed(now_s)
        admitted, left_out = self._limit.admit(kind, now_s)
        if admitted:
            record.left_out = left_out
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return self._write(record)

    def _tell_owed(self, now_s: float) -> None:
        for (level, name, message), count in self._limit.owed(now_s):
            record = logging.LogRecord(name, level, "", 0, message, None, None)
            record.left_out = count
            record.msg = f"{message} (again)"
            super().emit(record)

    def close(self) -> None:
        """Tell what was left out and not told."""
        self._tell_owed(float("inf"))
        super().close()


def plain(record: logging.LogRecord) -> str:
    """For people: LEVEL message; a traceback keeps its lines."""
    left_out = getattr(record, "left_out", 0)
    line = f"{record.levelname} {_CONTROL.sub(_escaped, masked(record.getMessage()))}"
    line += f" ({left_out} more like this were left out)" if left_out else ""
    return line + (f"\n{_trace(record)}" if record.exc_info else "")


def journal(record: logging.LogRecord) -> str:
    """<priority>at=... msg="..." in the manner of logfmt; journald has time, unit and process."""
    priority = next((p for level, p in PRIORITIES if record.levelno >= level), 7)
    parts = [
        f"{key}={json.dumps(value, ensure_ascii=False) if key != 'at' else value}"
        for key, value in fields(record).items()
    ]
    return f"<{priority}>" + _CONTROL.sub(_escaped, " ".join(parts))


def as_json(record: logging.LogRecord) -> str:
    """One JSON object; its level as a word."""
    table = {"level": record.levelname.lower(), "t_utc_ns": int(record.created * 1e9)}
    return json.dumps({**table, **fields(record)})


def fields(record: logging.LogRecord) -> Dict[str, Any]:
    """What a line tells."""
    table: Dict[str, Any] = {"at": record.name, "msg": masked(record.getMessage())}
    if getattr(record, "left_out", 0):
        table["left_out"] = record.left_out  # type: ignore[attr-defined]
    if record.exc_info:
        table["trace"] = _trace(record)
    return table


def _trace(record: logging.LogRecord) -> str:
    return masked(logging.Formatter().formatException(record.exc_info))  # type: ignore[arg-type]


def _escaped(match: re.Match[str]) -> str:
    return "\\n" if match.group() == "\n" else f"\\x{ord(match.group()):02x}"
