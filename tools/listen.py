"""`edge-tools listen`: print the events that boxes publish, and live figures."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from typing import Any, Dict, TextIO

from tools.mqtt import login
from tools.mqtt.figures import LINE_EVERY_S, LIVE_EVERY_S, Figures, Screen
from tools.mqtt.subscriber import Received, Subscriber

HELP = "subscribe to a broker and show events and live figures"


class JsonLines:
    """JSON lines: messages except frames as they arrive, and figures every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_s = time.monotonic()

    def message(self, message: Received) -> None:
        """Print a message as {"topic": ..., "payload": ...}."""
        if message.kind not in ("", "frame", "scene"):
            self._print({"topic": message.topic, "payload": message.record()})

    def live(self, figures: Figures) -> None:
        """Print the figures if it is time."""
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + LINE_EVERY_S
            self._print({"figures": figures.report(time.monotonic_ns())})

    def _print(self, record: Dict[str, Any]) -> None:
        print(json.dumps(record), file=self._stream, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "uri",
        nargs="?",
        default="mqtt://127.0.0.1",
        metavar="mqtt[s]://[user@]host[:port]",
        help="the broker, optionally with ?protocol=3.1.1 and ?password_file=F (default: local)",
    )
    parser.add_argument("--device", default="+", metavar="D", help="name of one box (default: all)")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Listen until Ctrl-C or SIGTERM."""
    figures = Figures()
    # A shell starts a background job with SIGINT ignored, so SIGINT is set as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Subscriber(login.broker(arguments.uri, arguments), arguments.device) as subscriber:
            if arguments.json:
                _listen_json(subscriber, figures)
            else:
                _listen(subscriber, figures)
    except KeyboardInterrupt:
        if not arguments.json:
            Screen(sys.stdout).end()
            print(f"{figures.frames} frames, {figures.events} events received" + odd(figures))
    return 0


def odd(figures: Figures) -> str:
    """Text about messages that could not be decoded."""
    return f", {figures.unreadable} unreadable" if figures.unreadable else ""


def _listen(subscriber: Subscriber, figures: Figures) -> None:
    screen = Screen(sys.stdout)
    for message in subscriber.messages(LIVE_EVERY_S):
        if message is not None:
            screen.tell(figures.take(message))
        screen.live(figures)


def _listen_json(subscriber: Subscriber, figures: Figures) -> None:
    lines = JsonLines(sys.stdout)
    for message in subscriber.messages(LIVE_EVERY_S):
        if message is not None:
            unreadable = figures.unreadable
            figures.take(message)
            if figures.unreadable == unreadable:
                lines.message(message)
        lines.live(figures)
