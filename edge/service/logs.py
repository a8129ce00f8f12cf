"""Log lines: plain text for a terminal, priority and fields for journald, or JSON.

One record is one line. Lines that differ only in numbers are one kind; after a few lines of a kind,
further ones are counted instead of written. The next line of that kind, or a line at the end of the
window, gives the count. Line breaks and control characters are escaped, so that texts of cameras
and brokers cannot forge lines.
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
KINDS = 512  # kinds that are counted; older ones share one count
TOTAL = 300  # lines of all kinds in a window: many kinds must not fill the disk either
# Priorities of syslog(3), which sd-daemon(3) reads at the start of a line.
PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_NUMBER = re.compile(r"(?<![\w.:/-])\d+(\.\d+)?(?![\w:/-])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

Kind = Tuple[int, str, str]
OTHERS: Kind = (logging.WARNING, "edge.service.logs", "other messages")
_ERASE = "\r\x1b[K"  # to the start of the line, and clear it (ECMA-48, EL)


def start(level: int, form: str = "auto", stream: Optional[IO[str]] = None) -> Handler:
    """Make all loggers of the process write to a stream.

    Args:
        level: records below it are dropped.
        form: one of FORMS; auto = journal if journald reads the stream, else plain.
        stream: where lines go; by default standard error.
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
        sys.excepthook = _excepthook(logging.getLogger("edge"))
        threading.excepthook = lambda a: logging.getLogger("edge").critical(
            "thread %s died",
            a.thread.name if a.thread else "?",
            exc_info=(a.exc_type, a.exc_value or a.exc_type(), a.exc_traceback),
        )
    return handler


def _excepthook(logger: logging.Logger) -> Callable[..., None]:
    def hook(
        kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]
    ) -> None:
        logger.critical("the program died", exc_info=(kind, error, trace))

    return hook


def form_of(stream: IO[str], environment: Mapping[str, str] = os.environ) -> str:
    """Journal if $JOURNAL_STREAM names this stream (systemd.exec(5)), else plain."""
    try:
        here = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return "plain"
    named = environment.get("JOURNAL_STREAM", "")
    return "journal" if named == f"{here.st_dev}:{here.st_ino}" else "plain"


class Limit:
    """Limits the lines of each kind and of all kinds in a window. Time is an argument.

    Args:
        burst: lines of one kind.
        window_s: length of the window.
        total: lines of all kinds.
    """

    def __init__(self, burst: int = BURST, window_s: float = WINDOW_S, total: int = TOTAL) -> None:
        self._burst, self._window_s, self._total = burst, window_s, total
        self._kinds: collections.OrderedDict[Kind, List[Any]] = collections.OrderedDict()
        self._all_since_s, self._all = 0.0, 0
        self._others = 0  # left out of kinds that are no longer counted

    def admit(self, kind: Kind, now_s: float) -> Tuple[bool, int]:
        """Whether to write a line, and how many of its kind were left out before."""
        entry = self._kinds.setdefault(
            kind, [now_s, 0, 0]
        )  # start of the window, written, left out
        self._kinds.move_to_end(kind)
        if len(self._kinds) > KINDS:
            self._others += self._kinds.popitem(last=False)[1][2]
        if now_s - entry[0] >= self._window_s:
            entry[:2] = [now_s, 0]
        if entry[1] >= self._burst or not self._has_room(now_s):
            entry[2] += 1
            return False, 0
        entry[1] += 1
        left_out, entry[2] = entry[2], 0
        return True, left_out

    def _has_room(self, now_s: float) -> bool:
        if now_s - self._all_since_s >= self._window_s:
            self._all_since_s, self._all = now_s, 0
        self._all += 1
        return self._all <= self._total

    def owed(self, now_s: float) -> List[Tuple[Kind, int]]:
        """Counts of windows that are over and not yet reported; at infinity of all windows."""
        over = [k for k, entry in self._kinds.items() if now_s - entry[0] >= self._window_s]
        counts = [(kind, self._kinds.pop(kind)[2]) for kind in over]
        if self._others and (over or not self._kinds):
            counts.append((OTHERS, self._others))
            self._others = 0
        return [(kind, count) for kind, count in counts if count]


class Handler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes records as lines of one form, limited by a Limit."""

    def __init__(self, stream: IO[str], form: str = "auto", limit: Optional[Limit] = None) -> None:
        super().__init__(stream)
        self.form = form_of(stream) if form == "auto" else form
        self._write = {"plain": plain, "journal": journal, "json": as_json}[self.form]
        self._limit = limit or Limit()
        self._looked_s = time.monotonic()
        self._below = ""  # the live line, below all log lines

    def show(self, line: str) -> None:
        """Keep one line at the bottom of a terminal, below the log; "" removes it.

        Args:
            line: without control characters, and shorter than the terminal is wide.
        """
        self.acquire()
        try:
            if line != self._below:
                self._below = line
                self.stream.write(_ERASE + line)
                self.stream.flush()
        except OSError:  # the terminal was closed; SIGHUP says so
            self._below = ""
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or count it."""
        try:
            kind = (record.levelno, record.name, _NUMBER.sub("#", masked(record.getMessage())))
        except (TypeError, ValueError):  # a message that does not fit its arguments
            self.handleError(record)
            return
        now_s = time.monotonic()
        if now_s - self._looked_s > 1.0:
            self._looked_s = now_s
            self._write_owed(now_s)
        admitted, left_out = self._limit.admit(kind, now_s)
        if admitted:
            record.left_out = left_out
            self._put(record)

    def _put(self, record: logging.LogRecord) -> None:
        """Write a record above the live line."""
        below, self.terminator = self._below, f"\n{self._below}"
        if below:
            self.stream.write(_ERASE)
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        return self._write(record)

    def _write_owed(self, now_s: float) -> None:
        for (level, name, message), count in self._limit.owed(now_s):
            record = logging.LogRecord(name, level, "", 0, message, None, None)
            record.left_out = count
            record.msg = f"{message} (again)"
            self._put(record)

    def close(self) -> None:
        """Write the counts of all lines that were left out."""
        self._write_owed(float("inf"))
        super().close()


def plain(record: logging.LogRecord) -> str:
    """LEVEL message; a traceback keeps its own lines."""
    left_out = getattr(record, "left_out", 0)
    line = f"{record.levelname} {_CONTROL.sub(_escaped, masked(record.getMessage()))}"
    line += f" ({left_out} similar lines left out)" if left_out else ""
    return line + (f"\n{_trace(record)}" if record.exc_info else "")


def journal(record: logging.LogRecord) -> str:
    """<priority>at=... msg="..." as logfmt has it; journald adds time, unit and process."""
    priority = next((p for level, p in PRIORITIES if record.levelno >= level), 7)
    parts = [
        f"{key}={json.dumps(value, ensure_ascii=False) if key != 'at' else value}"
        for key, value in fields(record).items()
    ]
    return f"<{priority}>" + _CONTROL.sub(_escaped, " ".join(parts))


def as_json(record: logging.LogRecord) -> str:
    """One JSON object."""
    table = {"level": record.levelname.lower(), "t_utc_ns": int(record.created * 1e9)}
    return json.dumps({**table, **fields(record)})


def fields(record: logging.LogRecord) -> Dict[str, Any]:
    """The fields of a line: logger, message, count of lines left out, traceback."""
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
