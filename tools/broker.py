"""`edge-tools broker`: run a temporary MQTT broker on loopback."""

from __future__ import annotations

import argparse
import signal

from tools.mqtt.broker import KINDS, Broker

HELP = "run a temporary MQTT broker on loopback until Ctrl-C"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--kind",
        choices=("auto", *KINDS),
        default="auto",
        help="the program to run (default: %(default)s)",
    )
    parser.add_argument(
        "--user", help="require a login by this user; prints the file with the password"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run a broker until Ctrl-C or SIGTERM."""
    # A shell starts a background job with SIGINT ignored, so SIGINT is set as well.
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
