"""The live line of `edge run`: on a terminal, and only where it does not disturb."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import sys
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from edge.service.live_line import LiveLine, live_line
from edge.service.logs import Handler

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "tests" / "edge" / "golden" / "models"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError(25, "not a real one")


def screen(text: str) -> List[str]:
    """The lines that a terminal shows."""
    shown = [re.split(r"\r\x1b\[K", line.rstrip("\r"))[-1] for line in text.split("\n")]
    return [line for line in shown if line]


def test_log_lines_stand_above_the_live_line() -> None:
    out = Terminal()
    handler = Handler(out, "plain")
    log = logging.getLogger("edge.test.live")
    log.propagate = False
    log.addHandler(handler)
    handler.show("1 camera | 24.9 fps")
    log.warning("door: stalled")
    handler.show("1 camera | 12.0 fps")
    log.warning("door: failed")
    assert screen(out.getvalue()) == [
        "WARNING door: stalled",
        "WARNING door: failed",
        "1 camera | 12.0 fps",
    ]
    handler.show("")
    assert screen(out.getvalue()) == ["WARNING door: stalled", "WARNING door: failed"]
    log.warning("door: later")
    log.removeHandler(handler)
    assert out.getvalue().endswith("WARNING door: later\n")


@pytest.mark.parametrize(
    ("form", "term", "stream", "sinks", "stdout_too", "shown"),
    [
        ("plain", "xterm", Terminal(), ["mqtt://h"], True, True),
        ("plain", "xterm", Terminal(), [], True, True),
        ("plain", "xterm", Terminal(), ["jsonl:-"], False, True),
        ("plain", "xterm", Terminal(), ["jsonl:/dev/null"], True, True),
        ("plain", "xterm", Terminal(), ["mqtt://h", "jsonl:-"], True, False),
        ("plain", "xterm", io.StringIO(), ["mqtt://h"], True, False),
        ("plain", "dumb", Terminal(), ["mqtt://h"], True, False),
        ("json", "xterm", Terminal(), ["mqtt://h"], True, False),
    ],
)
def test_where_a_live_line_would_disturb_there_is_none(
    monkeypatch: Any, form: str, term: str, stream: Any, sinks: Any, stdout_too: bool, shown: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", Terminal() if stdout_too else io.StringIO())
    made = live_line(Handler(stream, form), sinks)
    assert isinstance(made, LiveLine) == shown


def test_a_terminal_that_was_closed_ends_the_line_and_not_the_run() -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    Handler(Gone(), "plain").show("1 camera")


def on_terminal(*arguments: str) -> Tuple[str, int]:
    """Runs `edge` on a terminal of its own; what it wrote there, and its exit code."""
    child, handle = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm", PYTHONPATH=str(ROOT))
        os.execv(sys.executable, [sys.executable, "-m", "edge", *arguments])
    written = b""
    while True:
        try:
            data = os.read(handle, 1 << 16)
        except OSError:  # the other end was closed
            break
        if not data:
            break
        written += data
    os.close(handle)
    return written.decode(), os.waitpid(child, 0)[1] >> 8


@pytest.mark.one_python
def test_edge_run_on_a_terminal_shows_cameras_people_rate_latency_and_drops(
    tmp_path: Path,
) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        f'[[cameras]]\nsource = "synthetic://walk?frames=30&rate=max&width=160&height=120"\n'
        f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        f'[publish]\nsinks = ["jsonl:{tmp_path}/out.jsonl"]\n',
        encoding="utf-8",
    )
    written, code = on_terminal("run", "--config", str(config))
    assert code == 0, written
    shown = re.findall(
        r"1 camera \| \d+ people \| [\d.]+ fps \| latency \d+ ms \| \d+ dropped", written
    )
    assert shown, written
    assert not [line for line in screen(written) if "fps" in line], "it is removed at the end"
