"""Lines as journald, people and machines get them; floods are counted, forgeries impossible."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.service import logs
from edge.service.logs import Handler, Limit

ROOT = str(Path(__file__).resolve().parents[3])


@pytest.fixture
def wired() -> Iterator[Any]:
    """A logger of its own, writing in a form."""
    log = logging.getLogger("edge.test.logs")
    log.propagate, log.level = False, logging.DEBUG
    made: List[Handler] = []

    def wire(form: str, limit: Any = None) -> Tuple[logging.Logger, io.StringIO]:
        out = io.StringIO()
        made.append(Handler(out, form, limit))
        log.addHandler(made[-1])
        return log, out

    yield wire
    for handler in made:
        log.removeHandler(handler)
        handler.close()


def test_plain_is_for_people(wired: Any) -> None:
    log, out = wired("plain")
    log.warning("%s: stalled", "door")
    assert out.getvalue() == "WARNING door: stalled\n"


def test_journal_lines_have_a_priority_and_fields(wired: Any) -> None:
    log, out = wired("journal")
    log.debug("a")
    log.info("b")
    log.warning('%s: said "no"', "door")
    log.error("d")
    log.critical("e")
    assert out.getvalue().splitlines() == [
        '<7>at=edge.test.logs msg="a"',
        '<6>at=edge.test.logs msg="b"',
        '<4>at=edge.test.logs msg="door: said \\"no\\""',
        '<3>at=edge.test.logs msg="d"',
        '<2>at=edge.test.logs msg="e"',
    ]


def test_json_is_one_object_a_line(wired: Any) -> None:
    log, out = wired("json")
    log.warning("größe %d\n", 3)
    line = json.loads(out.getvalue())
    assert line.pop("t_utc_ns") > 1.6e18
    assert line == {"level": "warning", "at": "edge.test.logs", "msg": "größe 3\n"}


def test_a_traceback_is_one_line_for_machines(wired: Any) -> None:
    log, out = wired("journal")
    try:
        raise KeyError("lost")
    except KeyError:
        log.exception("a mistake of ours")
    assert out.getvalue().count("\n") == 1
    assert "Traceback (most recent call last):\\n" in out.getvalue()
    assert out.getvalue().startswith('<3>at=edge.test.logs msg="a mistake of ours" trace="')


@pytest.mark.parametrize("form", ["plain", "journal", "json"])
@given(text=st.text())
def test_no_text_from_outside_makes_a_second_line(form: str, text: str) -> None:
    out = io.StringIO()
    handler = Handler(out, form)
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s", (text,), None)
    handler.emit(record)
    handler.close()
    assert out.getvalue().endswith("\n")
    assert len(out.getvalue().splitlines()) == 1
    assert not [c for c in out.getvalue()[:-1] if ord(c) < 32 or 127 <= ord(c) < 160]
    if form == "json":
        assert json.loads(out.getvalue())["msg"] == text


def test_a_repeated_line_is_counted_and_the_count_is_told(wired: Any) -> None:
    log, out = wired("journal", Limit(burst=2, window_s=1e-9))
    log.info("busy")
    limit = Limit(burst=2)
    log, out = wired("journal", limit)
    for _ in range(10):
        log.info("%s: lost frame %d", "door", _)
        log.info("%s: lost frame %d", "gate", _)
    assert len(out.getvalue().splitlines()) == 4, "each camera has lines of its own"
    log.handlers[-1].close()
    rest = out.getvalue().splitlines()[4:]
    assert rest == [
        f'<6>at=edge.test.logs msg="{c}: lost frame # (again)" left_out=8' for c in ("door", "gate")
    ]


def test_a_window_that_is_over_tells_what_it_left_out() -> None:
    limit = Limit(burst=2, window_s=60)
    kind = (20, "x", "busy")
    assert [limit.admit(kind, t)[0] for t in (0.0, 1.0, 2.0, 59.0)] == [True, True, False, False]
    assert limit.owed(59.5) == []
    assert limit.admit(kind, 61.0) == (True, 2)
    assert [limit.admit(kind, t)[0] for t in (62.0, 63.0)] == [True, False]
    assert limit.owed(130.0) == [(kind, 1)]
    assert limit.owed(130.0) == []


def test_numbers_make_no_new_kind_but_names_do() -> None:
    def kind(text: str) -> str:
        return logs._NUMBER.sub("#", text)

    assert kind("door: stalled for 3.5 s") == kind("door: stalled for 12 s")
    assert kind("cam0: ok") != kind("cam1: ok")
    assert kind("mqtt://10.0.0.5:1883: lost") != kind("mqtt://10.0.0.6:1883: lost")
    assert kind("/dev/video0: busy") != kind("/dev/video1: busy")


def test_variety_is_bounded_too() -> None:
    limit = Limit(burst=5, window_s=60, total=100)
    admitted = sum(limit.admit((20, "x", f"new {i}"), 1.0)[0] for i in range(10_000))
    assert admitted == 100
    assert limit.owed(1.0) == []
    told: Dict[Any, int] = dict(limit.owed(62.0))
    assert sum(told.values()) == 9_900, "every line that was left out is in a count"
    assert len(limit._kinds) <= logs.KINDS


def test_a_message_that_does_not_fit_its_arguments_ends_nothing(capsys: Any) -> None:
    out = io.StringIO()
    handler = Handler(out, "plain")
    for text, values in (("%d people", ("no",)), ("fine", ())):
        handler.handle(logging.LogRecord("x", logging.INFO, "", 0, text, values, None))
    handler.close()
    assert out.getvalue() == "INFO fine\n"
    assert "Logging error" in capsys.readouterr().err


SCRIPT = """
import logging, sys, threading
from edge.service import logs
logs.start(logging.INFO)
logging.getLogger("edge.x").warning("hello")
def die(): raise ValueError("in a thread")
thread = threading.Thread(target=die, name="worker")
thread.start(); thread.join()
raise RuntimeError("at the end")
"""


def test_journald_is_known_by_its_stream(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with path.open("w", encoding="utf-8") as stream:
        here = os.fstat(stream.fileno())
        environment = {
            **os.environ,
            "PYTHONPATH": ROOT,
            "JOURNAL_STREAM": f"{here.st_dev}:{here.st_ino}",
        }
        subprocess.run([sys.executable, "-c", SCRIPT], stderr=stream, env=environment, check=False)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '<4>at=edge.x msg="hello"'
    assert lines[1].startswith('<2>at=edge msg="thread worker died" trace="')
    assert lines[2].startswith('<2>at=edge msg="the program died" trace="')
    assert len(lines) == 3, "no traceback runs over many lines without a priority"


def test_another_stream_than_the_journal_s_is_plain(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w", encoding="utf-8") as stream:
        assert logs.form_of(stream, {"JOURNAL_STREAM": "1:2"}) == "plain"
        assert logs.form_of(stream, {}) == "plain"
    assert logs.form_of(io.StringIO(), {"JOURNAL_STREAM": "1:2"}) == "plain"
