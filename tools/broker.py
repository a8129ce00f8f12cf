"""`edge-tools broker`: an MQTT broker on loopback, to try things with."""

from __future__ import annotations

import argparse
import signal

from tools.mqtt.broker import KINDS, Broker

HELP = "run an MQTT broker on loopback until Ctrl-C, to try things with"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--kind", choices=("auto", *KINDS), default="auto", help="which broker")
    parser.add_argument("--user", help="ask for a login; the password is in the file that is told")


def run(arguments: argparse.Namespace) -> int:
    """Run a broker until Ctrl-C."""
    # SIGINT, too: a shell's background job starts with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with Broker(arguments.kind, arguments.user) as broker:
            print(f"{broker.kind}, MQTT {broker.protocol}: {broker.uri}", flush=True)
            if broker.user:
                print(f"password file: {broker.password_file}", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("stopped")
    return 0
