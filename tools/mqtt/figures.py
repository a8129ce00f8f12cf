"""Live figures of received messages, and the line of a terminal that shows them."""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from typing import Any, Deque, Dict, List, Set, TextIO

from edge.errors import DataError
from tools.mqtt.subscriber import Received

WINDOW_NS = 2 * 10**9  # frame rates are measured over this time
LIVE_EVERY_S = 0.25  # on a terminal
LINE_EVERY_S = 5.0  # in a log
TIMES = ("p50", "p95")


class Figures:
    """Figures of the received messages."""

    def __init__(self) -> None:
        self.frames = self.events = self.gaps = self.unreadable = self.most_people = 0
        self.offline: Set[str] = set()  # devices whose status is offline
        self._arrivals: Deque[int] = deque()
        self._first_ns = self._last_ns = 0
        self._people: Dict[str, int] = {}
        self._next_seq: Dict[str, Any] = {}
        self._metrics: Dict[str, Dict[str, Any]] = {}
        self._states: Dict[str, str] = {}

    def take(self, message: Received) -> List[str]:
        """Count a message, even if it breaks the contract; returns lines to print."""
        tell = getattr(self, f"_take_{message.kind}", None)
        try:
            lines: List[str] = tell(message, message.record()) if tell else []
        except (DataError, KeyError, TypeError, AttributeError, ValueError):
            self.unreadable += 1
            return []
        return lines

    def _take_frame(self, message: Received, record: Dict[str, Any]) -> List[str]:
        self.frames += 1
        self._arrivals.append(message.arrival_ns)
        self._first_ns = self._first_ns or message.arrival_ns
        self._last_ns = message.arrival_ns
        self._people[message.topic] = len(record["people"])
        self.most_people = max(self.most_people, sum(self._people.values()))
        due = (record["boot_id"], record["seq"])
        before = self._next_seq.get(message.topic, due)
        if before[0] == due[0]:
            self.gaps += max(0, due[1] - before[1])
        self._next_seq[message.topic] = (due[0], due[1] + 1)
        return []

    def _take_event(self, message: Received, record: Dict[str, Any]) -> List[str]:
        self.events += 1
        data = " ".join(f"{k}={json.dumps(v)}" for k, v in record["data"].items())
        person = f"person {record['person']}" if record["person"] >= 0 else ""
        urgent = record.get("level", "info")
        level = "" if urgent == "info" else urgent.upper()
        why = record.get("why", "")
        words = (when(record), record["camera"], level, record["kind"], person, data, why)
        return ["  ".join(word for word in words if word)]

    def _take_state(self, message: Received, record: Dict[str, Any]) -> List[str]:
        before = self._states.get(message.topic, "starting")
        self._states[message.topic] = record["state"]
        if before == record["state"]:
            return []
        detail = f": {record['detail']}" if record["detail"] else ""
        return [f"{when(record)}  {record['camera']} is {record['state']}{detail}"]

    def _take_status(self, message: Received, record: Dict[str, Any]) -> List[str]:
        gone = record["state"] == "offline"
        (self.offline.add if gone else self.offline.discard)(record["device"])
        more = record.get("reason") or f"version {record.get('version')}"
        return [f"{record['device']} is {record['state']} ({more})"]

    def _take_metrics(self, message: Received, record: Dict[str, Any]) -> List[str]:
        sum(record["dropped"].values(), sum(record["latency_ms"].values()))  # numbers, or TypeError
        self._metrics[message.topic] = record
        return []

    def report(self, now_ns: int) -> Dict[str, Any]:
        """The current figures.

        fps counts the received frames of all cameras. Latency is the largest that a device reports.
        `dropped` counts frames that the loops did not see, `gaps` messages lost on the way.
        """
        while self._arrivals and self._arrivals[0] < now_ns - WINDOW_NS:
            self._arrivals.popleft()
        latency_ms = {p: max(self._all("latency_ms", p), default=None) for p in TIMES}
        return {
            "fps": round(len(self._arrivals) / (WINDOW_NS * 1e-9), 1),
            "cameras": len(self._people),
            "people": sum(self._people.values()),
            "latency_ms": latency_ms,
            "dropped": sum(self._all("dropped")),
            "gaps": self.gaps,
            "frames": self.frames,
            "events": self.events,
        }

    def _all(self, table: str, *keys: str) -> List[float]:
        """The values in a table of the last metrics of all devices."""
        tables = [m[table] for m in self._metrics.values()]
        return [v for t in tables for k, v in t.items() if not keys or k in keys]

    def mean_fps(self) -> float:
        """Frames per second of all cameras together, from the first frame to the last."""
        return max(self.frames - 1, 0) * 1e9 / max(self._last_ns - self._first_ns, 1)

    def line(self, now_ns: int) -> str:
        """The current figures as one line."""
        now = self.report(now_ns)
        times = " ".join(
            f"{p} {now['latency_ms'][p]:.0f} ms" if now["latency_ms"][p] is not None else f"{p} -"
            for p in TIMES
        )
        lost = f"dropped {now['dropped']}, gaps {now['gaps']}"
        return (
            f"{now['fps']:.1f} fps of {now['cameras']} cameras | people {now['people']} | "
            f"latency {times} | {lost} | events {now['events']}"
        )


class Screen:
    """Prints lines; on a terminal, a live line below them is rewritten in place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._next_s = time.monotonic() + (0 if self._terminal else LINE_EVERY_S)

    def tell(self, lines: List[str]) -> None:
        """Print lines that stay."""
        clear = "\r\x1b[K" if self._terminal and lines else ""
        for line in lines:
            print(f"{clear}{line}", file=self._stream, flush=True)

    def live(self, figures: Figures, before: str = "") -> None:
        """Show the figures if it is time, with a text before them."""
        if time.monotonic() < self._next_s:
            return
        line = before + figures.line(time.monotonic_ns())
        if self._terminal:
            width = shutil.get_terminal_size().columns  # a line that wraps cannot be rewritten
            print(f"\r\x1b[K{line[: width - 1]}", end="", file=self._stream, flush=True)
        else:
            print(line, file=self._stream, flush=True)
        self._next_s = time.monotonic() + (LIVE_EVERY_S if self._terminal else LINE_EVERY_S)

    def end(self) -> None:
        """Keep the live line and begin a new one."""
        if self._terminal:
            print(file=self._stream, flush=True)


def when(record: Dict[str, Any]) -> str:
    """Local time of day of a message, to the millisecond."""
    seconds, rest_ns = divmod(record["t_utc_ns"], 10**9)
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{rest_ns // 10**6:03d}"
