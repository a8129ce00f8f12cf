"""`edge-tools land`: store the events of all boxes in a folder, then acknowledge them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from edge.errors import ConfigError, NoInputError
from tools.landing.folder import make_durable_dir, write
from tools.landing.heat import Heat
from tools.landing.lander import Batch, Lander
from tools.mqtt import login

HELP = "store the events of all boxes durably in a folder, for `fleet report` and Spark"
MOST = 500  # messages of a batch; the broker sends up to lander.IN_FLIGHT
RETRY_S = 2.0
TELL_S = 60.0
_stop = threading.Event()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("uri", metavar="mqtt[s]://[user@]host[:port]", help="the broker")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="made if it is missing")
    parser.add_argument(
        "--every",
        type=float,
        default=1.0,
        metavar="S",
        help="write a batch so often (default: %(default)g)",
    )
    parser.add_argument(
        "--client-id",
        default=f"land-{socket.gethostname()[:32]}",
        metavar="NAME",
        help="name of this lander at the broker; each lander needs its own (default: %(default)s)",
    )
    parser.add_argument(
        "--heat",
        action="store_true",
        help="subscribe to frames, too, and land where people stood, each minute; no poses",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Land until SIGTERM or Ctrl-C. What is not on the disk then stays at the broker."""
    if not 0.05 <= arguments.every <= 60:
        raise ConfigError("--every: must be 0.05 to 60 s")
    broker = login.broker(arguments.uri, arguments)
    try:
        make_durable_dir(arguments.folder.resolve())
    except OSError as error:
        raise NoInputError(f"{error.filename}: {error.strerror}; name a folder to write") from error
    _stop.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *ignored: _stop.set())
    told = _Told(arguments.json)
    heat = Heat() if arguments.heat else None
    with Lander(broker, arguments.client_id, heat) as lander:
        told.line(f"landing in {arguments.folder}; stop with Ctrl-C", state="landing")
        while not _stop.is_set():
            batch = lander.batch(arguments.every, MOST)
            if (batch.arrived or batch.rows) and _stored(arguments.folder, batch, told):
                lander.acknowledge(batch)
                told.count(batch)
    if heat is not None:
        rows = heat.rows(time.time_ns(), all_of_them=True)
        _stored(arguments.folder, Batch([], rows, [], 0), told)
    told.line(told.summary(), state="stopped", **told.figures())
    return 0


def _stored(folder: Path, batch: Batch, told: _Told) -> bool:
    """Write a batch, again and again if the disk refuses; false if we are told to stop first."""
    name = f"{time.time_ns()}-{os.getpid()}"
    failed = False
    while True:
        try:
            write(folder, batch.rows, batch.refused, name)
        except OSError as error:
            if not failed:
                told.line(
                    f"{error.filename}: {error.strerror}; nothing is acknowledged until it works",
                    state="waiting",
                )
            failed = True
            if _stop.wait(RETRY_S):
                return False
            continue
        if failed:
            told.line("the disk works again", state="landing")
        return True


class _Told:
    """What the program says: states at once, figures once a minute."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._rows = self._repeated = self._refused = 0
        self._next_s = time.monotonic() + TELL_S

    def count(self, batch: Batch) -> None:
        """Count a batch that is on the disk."""
        self._rows += len(batch.rows)
        self._repeated += batch.repeated
        self._refused += len(batch.refused)
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + TELL_S
            self.line(self.summary(), state="landing", **self.figures())

    def figures(self) -> Any:
        """Counts since the start."""
        return {"rows": self._rows, "repeated": self._repeated, "refused": self._refused}

    def summary(self) -> str:
        """The counts as a line."""
        return f"{self._rows} rows, {self._repeated} repeated, {self._refused} refused"

    def line(self, text: str, **more: Any) -> None:
        """Print a line."""
        if self._json:
            print(json.dumps({"text": text, **more}), flush=True)
        else:
            print(text, flush=True)
