"""Promises P1 to P14: each test's docstring begins with the id it holds the program to.

EDGE_SOAK=1 runs the full length. Figures are printed at the end, and appended to the file that
EDGE_FIGURES names, one JSON object a line.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from tests.waiting import SOAK

FIGURES: List[Dict[str, Any]] = []


@pytest.fixture
def soak() -> bool:
    """Whether the full length is wanted."""
    return SOAK


@pytest.fixture
def figures(request: pytest.FixtureRequest, soak: bool) -> Callable[..., None]:
    """Keeps what was measured: figures("P1", kills=5, lost=0)."""

    def keep(promise: str, **measured: Any) -> None:
        head = {"promise": promise, "length": "full" if soak else "short"}
        FIGURES.append({**head, "test": request.node.name, **measured})

    return keep


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not FIGURES:
        return
    terminalreporter.section("figures")
    for one in FIGURES:
        terminalreporter.write_line(json.dumps(one))
    path = os.environ.get("EDGE_FIGURES")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in FIGURES)
    FIGURES.clear()


@pytest.fixture
def broker() -> Iterator[Any]:
    """A real mosquitto that keeps nothing on disk, and drops nothing for a consumer that is slow.

    By default it takes an event (PUBACK) and drops it when 1000 wait for the consumer: what the
    broker does with what it has taken is what ack = consumer is for.
    """
    from tools.mqtt.broker import Broker, install_mosquitto

    assert install_mosquitto(), "these tests need mosquitto: apt install mosquitto"
    with Broker("mosquitto", extra=["max_queued_messages 0"]) as started:
        yield started


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts boxes (processes with a real publisher) and ends them with the test."""
    from tests.promises.box_process import BoxProcess

    started: List[BoxProcess] = []

    def start(**order: Any) -> BoxProcess:
        started.append(BoxProcess(tmp_path, **order))
        return started[-1]

    yield start
    for one in started:
        one.kill()
