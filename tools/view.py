"""`edge-tools view`: live skeletons, events and health of all cameras in a browser.

The page is served on 127.0.0.1 only. It loads nothing from elsewhere, and there are no pixels in
it: it draws what boxes publish.
"""

from __future__ import annotations

import argparse
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Optional

from edge import __version__
from edge.errors import ConfigError
from tools.mqtt import login
from tools.viewer.board import Board
from tools.viewer.live import Live
from tools.viewer.opening import next_link, show
from tools.viewer.replay import Replay
from tools.viewer.server import Viewer

HELP = "show live skeletons, events and health of all cameras in a browser, or a recording"
EXAMPLES = """\
examples:
  edge-tools view --open                                     a broker on this machine
  edge-tools view mqtts://me@broker.local --password-file F  a broker that asks for a login
  edge-tools view --replay /var/lib/edge/recordings          what a box recorded
  edge-tools view --replay out/demo/messages.jsonl           what a jsonl: sink wrote

The page is for browsers of this machine. From another one: ssh -L 8080:127.0.0.1:8080 HOST,
--port 8080 there, and the printed link here.
"""
LOCAL = "mqtt://127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        "uri",
        nargs="?",
        metavar="mqtt[s]://[user@]host[:port]",
        help=f"the broker, with the options of `edge-tools listen` (default: {LOCAL})",
    )
    parser.add_argument("--device", default="+", metavar="D", help="name of one box (default: all)")
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="PATH",
        help="show a recording instead: a folder of .poses, one of them, or a .jsonl of messages",
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="of the page (default: any free one)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    login.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C or SIGTERM."""
    _check(arguments)
    # A shell starts a background job with SIGINT ignored, so SIGINT is set as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            viewer = _open(arguments, stack)
            show(viewer.guard.link, arguments.open)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("the viewer has ended")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.replay is not None and arguments.uri is not None:
        raise ConfigError("--replay: shows a recording, so give no broker")
    if not 0 <= arguments.port < 65536:
        raise ConfigError(f"--port {arguments.port}: a port is 0 to 65535; 0 = any free one")


def _open(arguments: argparse.Namespace, stack: ExitStack) -> Viewer:
    """Start the source of messages and the server of the page."""
    replay: Optional[Replay] = None
    if arguments.replay is not None:
        replay = Replay(arguments.replay)
        board = replay.board
        said = {"mode": "replay", "source": str(arguments.replay)}
    else:
        board = Board()
        broker = login.broker(arguments.uri or LOCAL, arguments)
        said = {"mode": "live", "source": broker.name}
        stack.enter_context(Live(broker, arguments.device, board))
    board.put("hello", {**said, "version": __version__})
    viewer = Viewer(board, arguments.port, replay.chunk if replay else None, next_link)
    stack.enter_context(viewer)
    if replay is not None:
        stack.enter_context(replay)
    return viewer
