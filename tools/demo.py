"""`edge-tools demo`: run the daemon on clips of a field, with a broker and a subscriber."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

from edge import __version__
from edge.publish._address import parse
from edge.settings.publishing import Mqtt
from tools.demos import DEVICE, Plan
from tools.demos.child import Daemon
from tools.demos.ending import count_frames, print_report, verdict, write_sheet
from tools.demos.files import Files
from tools.demos.settings import config_text
from tools.mqtt.broker import Broker, choose, install_mosquitto
from tools.mqtt.figures import LIVE_EVERY_S, Figures, Screen
from tools.mqtt.subscriber import Subscriber
from tools.viewer import opening
from tools.viewer.board import Board
from tools.viewer.live import Live
from tools.viewer.opening import next_link
from tools.viewer.replay import Replay
from tools.viewer.server import Viewer

HELP = "run the daemon on clips of a field, with a broker and a subscriber"
FIELDS = ("cameras", "rehab", "safety", "sports")  # files of tools/demos with `plan`
QUIET_S = 2.0  # time to wait for the last messages after the daemon has ended


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "field",
        nargs="?",
        choices=FIELDS,
        default="cameras",
        help="what is shown (default: %(default)s, four cameras of real video)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of models")
    parser.add_argument("--sets", type=Path, metavar="DIR", help="folder of media sets")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument(
        "--max-frames",
        type=int,
        default=0,
        metavar="N",
        help="frames of each camera; 0 = the whole clip",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        help="stop after this time; 0 = at the end of the clip",
    )
    parser.add_argument("--broker", choices=("auto", "mosquitto", "amqtt"), default="auto")
    parser.add_argument(
        "--view",
        action="store_true",
        help="show it live in the browser, then the recording until Ctrl-C",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo. The exit code is the daemon's, unless another part failed."""
    # A shell starts a background job with SIGINT ignored, so SIGINT is set as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    files = Files(arguments.out)
    files.clear()
    plan = plan_of(arguments.field, arguments.models, arguments.sets)
    if arguments.broker == "auto":
        install_mosquitto()
    for line in plan.said:
        print(line)
    with ExitStack() as viewing:
        viewer = open_view(viewing) if arguments.view else None
        code = show(arguments, plan, files, viewer)
        if viewer is not None and code == 0:
            show_again(viewer, files)
    return code


def show(arguments: argparse.Namespace, plan: Plan, files: Files, viewer: Optional[Viewer]) -> int:
    """Run the daemon on the clips and report; returns the exit code."""
    start_s = time.monotonic()
    with ExitStack() as stack:
        broker = stack.enter_context(open_broker(arguments.broker))
        print(f"broker: {broker.kind}, MQTT {broker.protocol}, {broker.uri}", flush=True)
        files.config.write_text(
            config_text(broker, plan, files, arguments.precision), encoding="utf-8"
        )
        login = f"&password_file={broker.password_file}" if broker.user else ""
        uri = f"{broker.uri}?protocol={broker.protocol}{login}"
        listener = stack.enter_context(Subscriber(parse(uri, Mqtt()), DEVICE))
        if viewer is not None:
            stack.enter_context(Live(parse(uri, Mqtt()), DEVICE, viewer.board))
        daemon = stack.enter_context(Daemon(files, arguments.max_frames or plan.most_frames))
        most = arguments.max_frames or plan.most_frames
        counts = [count_frames(clip) for _, clip in plan.clips]
        total = sum(min(count, most or count) for count in counts)
        figures = watch(listener, daemon, total, arguments.seconds)
    made = write_sheet(files) if files.video.exists() else False
    pages = plan.pages(files)
    print_report(files, pages, figures, time.monotonic() - start_s, made)
    return verdict(daemon, figures, files, made)


def open_view(stack: ExitStack) -> Viewer:
    """Start the server of the page and open it."""
    board = Board()
    board.put("hello", {"mode": "live", "source": DEVICE, "version": __version__})
    viewer = stack.enter_context(Viewer(board, used=next_link))
    opening.show(viewer.guard.link, in_browser=True)
    return viewer


def show_again(viewer: Viewer, files: Files) -> None:
    """Show the recording of the demo in the open page until Ctrl-C."""
    with Replay(files.messages) as replay:
        said = {"mode": "replay", "source": str(files.messages), "version": __version__}
        replay.board.put("hello", said)
        viewer.switch(replay.board, replay.chunk)
        print("the page shows the recording now; Ctrl-C ends the viewer", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def plan_of(field: str, models: Optional[Path], sets: Optional[Path]) -> Plan:
    """The plan of a field. Only its file is imported: drawing people needs more packages."""
    module: Any = importlib.import_module(f"tools.demos.{field}")
    found: Plan = module.plan(models, sets)
    return found


def open_broker(kind: str) -> Broker:
    """A broker, with a login if this kind of broker supports logins."""
    chosen = choose() if kind == "auto" else kind
    return Broker(chosen, user=None if chosen == "amqtt" else DEVICE)


def watch(listener: Subscriber, daemon: Daemon, total: int, seconds: float) -> Figures:
    """Show messages until the daemon says it is offline, or has ended and sends nothing more."""
    figures, screen = Figures(), Screen(sys.stdout)
    end_s = time.monotonic() + seconds if seconds else float("inf")
    gone_s = float("inf")
    for message in listener.messages(LIVE_EVERY_S):
        if message is not None:
            screen.tell(figures.take(message))
        screen.live(figures, f"{min(100, 100 * figures.frames // max(total, 1)):3d} % | ")
        now_s = time.monotonic()
        if now_s > end_s:
            daemon.stop()
        if not daemon.running():
            gone_s = min(gone_s, now_s)
        if DEVICE in figures.offline or now_s > gone_s + QUIET_S:
            break
    screen.end()
    return figures
