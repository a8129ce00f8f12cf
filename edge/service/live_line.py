"""One line on a terminal that shows what a run does now."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import IO, List, Optional, Sequence

from edge.loop.parts import Extra, Running
from edge.service.logs import Handler
from edge.service.stdout import is_terminal

PAUSE_S = 0.25  # between two pictures of the line
_COLUMNS = 80  # of a terminal that does not say


def live_line(handler: Handler, sinks: Sequence[str]) -> Optional[LiveLine]:
    """A live line; None where it would disturb.

    It needs a terminal on standard error and a log of the form "plain". A sink that writes to a
    terminal needs the screen for itself.

    Args:
        handler: writes the log.
        sinks: addresses of all sinks.
    """
    clash = any(_writes_to_terminal(uri) for uri in sinks)
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    if handler.form != "plain" or dumb or clash or not is_terminal(handler.stream):
        return None
    return LiveLine(handler)


def _writes_to_terminal(uri: str) -> bool:
    scheme, _, path = uri.partition(":")
    if scheme != "jsonl":
        return False
    if path == "-":
        return is_terminal(sys.stdout)
    if not Path(path).is_char_device():
        return False
    handle = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


class LiveLine(Extra):
    """Shows cameras, people, frame rate, latency and drops at the bottom of the log.

    Args:
        handler: writes the log, and keeps the line below it.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._running: Optional[Running] = None
        self._shown_s = 0.0
        handler.show("loading the networks ...")

    def attach(self, running: Running) -> None:
        """Show this loop from now on."""
        self._running = running

    def tick(self) -> None:
        """Show the line again, if PAUSE_S is over."""
        now_s = time.monotonic()
        if self._running is not None and now_s - self._shown_s >= PAUSE_S:
            self._shown_s = now_s
            self._handler.show(line(self._running)[: _columns(self._handler.stream) - 1])

    def close(self) -> None:
        """Remove the line."""
        self._handler.show("")


def line(running: Running) -> str:
    """What a run does now, in one line of ASCII."""
    health = running.health
    states = running.cameras.states()
    ill = [f"{s.camera} {s.state}" for s in states if s.state not in ("ok", "ended")]
    parts = [f"{len(states)} camera{'s' * (len(states) != 1)}"]
    parts[0] += f" ({', '.join(ill)})" if ill else ""
    parts.append(f"{sum(health.people.values())} people")
    parts += _rate(running)
    latency = health.latency.percentiles()
    parts += [f"latency {latency['p50']:.0f} ms"] if latency else []
    parts.append(f"{sum(s.dropped for s in states)} dropped")
    parts += [f"{health.events} events"] if health.events else []
    parts += [running.degraded] if running.degraded else []
    away = [sink.name for sink in running.publisher.sinks if not sink.ok]
    parts += [f"not connected: {', '.join(away)}"] if away else []
    return " | ".join(parts)


def _rate(running: Running) -> List[str]:
    """Frames per second of a camera, the mean if there are several."""
    now_ns = time.monotonic_ns()
    rates = [rate.read_hz(now_ns) for rate in running.health.frames.values()]
    if not rates:
        return []
    each = " each" if len(rates) > 1 else ""
    return [f"{sum(rates) / len(rates):.1f} fps{each}"]


def _columns(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    except OSError:  # the terminal was closed
        return _COLUMNS
