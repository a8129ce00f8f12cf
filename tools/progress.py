"""Show progress on stderr for any work that may take longer than two seconds.

On a terminal, a bar appears after a second. Elsewhere (a log, a pipe), a line appears after two
seconds and then every ten. With `quiet` (the --json of a command) nothing is written.

    for frame in track(frames, "reading frames", total=100): ...
    with Progress("mediapipe 0.10.21", total=35622638, unit="B") as bar: bar.update(4096)
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Iterable, Iterator, Optional, TextIO, Type, TypeVar

from tqdm import tqdm

T = TypeVar("T")
BAR_AFTER_S = 1.0
LINE_AFTER_S = 2.0
LINE_EVERY_S = 10.0


class Progress:
    """One piece of work.

    Args:
        label: name of the work.
        total: number of units; None = unknown.
        unit: name of a unit; "B" counts bytes and shows them as kB and MB.
        quiet: write nothing.
        stream: the stream to write to; None = stderr.
    """

    def __init__(
        self,
        label: str,
        total: Optional[int] = None,
        unit: str = "",
        quiet: bool = False,
        stream: Optional[TextIO] = None,
    ) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._unit = unit
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._next_line_s = time.monotonic() + LINE_AFTER_S
        self._bar: Any = None
        if not quiet and self._stream.isatty():
            self._bar = self._terminal_bar()

    def _terminal_bar(self) -> Any:
        return tqdm(
            total=self.total,
            desc=self.label,
            unit=self._unit or "it",
            unit_scale=self._unit == "B",
            file=self._stream,
            delay=BAR_AFTER_S,
            leave=False,
            dynamic_ncols=True,
        )

    def update(self, units: int = 1) -> None:
        """Count further units as done; 0 only refreshes the display."""
        self.done += units
        if self._bar is not None:
            self._bar.update(units)
        elif not self._quiet and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + LINE_EVERY_S
            print(self._line(), file=self._stream, flush=True)

    def _line(self) -> str:
        if self._unit == "B":
            done, total, unit = self.done / 1e6, (self.total or 0) / 1e6, " MB"
        else:
            done, total, unit = float(self.done), float(self.total or 0), " " + self._unit
        if not total:
            return f"{self.label}: {done:.0f}{unit.rstrip()}"
        share = min(100, int(100 * done / total))
        return f"{self.label}: {share} % ({done:.0f} of {total:.0f}{unit.rstrip()})"

    def close(self) -> None:
        """Remove the bar from the terminal."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


def track(
    items: Iterable[T],
    label: str,
    total: Optional[int] = None,
    unit: str = "",
    quiet: bool = False,
) -> Iterator[T]:
    """Iterate over `items` and show progress; `total` is len(items) if that is known."""
    known = total if total is not None else getattr(items, "__len__", lambda: None)()
    with Progress(label, known, unit, quiet) as bar:
        for item in items:
            yield item
            bar.update()
