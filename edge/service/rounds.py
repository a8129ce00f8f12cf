"""`edge run`: one run of the cameras in a configuration, or one for each few files of a command."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from edge.loop.parts import Extra
from edge.service import daemon
from edge.service.beside import Beside
from edge.service.live_line import live_line
from edge.service.logs import Handler
from edge.service.paths import Plan
from edge.settings.config import Config

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What the command line asks for beside the configuration."""

    max_frames: int = 0
    annotate: Optional[Path] = None  # one video of all cameras
    read_again: Optional[Callable[[], Config]] = None


def run(config: Config, order: Order, handler: Handler, plan: Optional[Plan] = None) -> int:
    """Run until the sources end or the process is told to stop.

    Args:
        config: complete and checked; `plan` replaces its cameras.
        order: the rest of the command line.
        handler: writes the log.
        plan: the files of the command line; None = there are none.

    Returns:
        The exit code: of the first run, picture or output that failed.

    Raises:
        EdgeError: the loop could not be started, or a thread died.
    """
    if plan is None:
        return _run(config, order, handler, [])
    for error in plan.left_out:
        log.error("%s; left out", error)
    codes = [error.exit_code for error in plan.left_out]
    for part in plan.rounds:
        here = dataclasses.replace(config, cameras=part.cameras)
        beside = Beside({} if order.annotate else part.outputs)
        codes.append(_run(here, order, handler, [beside]))
        codes += [beside.error.exit_code] if beside.error else []
        if not beside.finished:
            break  # the process was told to stop
    return next((code for code in codes if code), 0)


def _run(config: Config, order: Order, handler: Handler, more: Sequence[Extra]) -> int:
    shown = live_line(handler, config.publish.sinks)
    try:
        extras: List[Extra] = [*more, *([shown] if shown else [])]
        return daemon.run(config, order.max_frames, order.annotate, order.read_again, extras)
    finally:
        handler.show("")
