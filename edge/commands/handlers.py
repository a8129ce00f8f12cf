"""What each command does. Arguments are checked against schemas, like the configuration."""

import base64
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from edge import durable
from edge.commands import snapshot
from edge.commands.frame_tap import CalibrationRecorder, FrameTap
from edge.commands.receiver import CommandResult, Handler
from edge.errors import ConfigError, UnavailableError
from edge.loop.rate_limit import RateLimit
from edge.loop.session_request import Request
from edge.settings.config import Config
from edge.settings.schema import build, key, name_problem

FRAME_S = 5.0


@dataclass(frozen=True)
class NoArguments:
    """No arguments."""


@dataclass(frozen=True)
class RateArguments:
    """Arguments of `rate`."""

    max_hz: int = key(help="steps per second; 0 = as the cameras give frames", low=0, high=240)


@dataclass(frozen=True)
class SnapshotArguments:
    """Arguments of `snapshot`."""

    camera: str = key(
        "",
        "name of the camera; empty = any",
        check=lambda v: name_problem(v) if v else None,
    )
    width_px: int = key(640, "maximum width", 64, 1920)


@dataclass(frozen=True)
class CalibrateArguments:
    """Arguments of `calibrate-record`."""

    seconds: int = key(60, "duration; 0 = stop", 0, 86400)
    every_ms: int = key(1000, "time between two frames of a camera", 40, 3600000)
    max_mb: int = key(64, "limit for all recordings together", 1, 4096)


@dataclass(frozen=True)
class UpdateArguments:
    """Arguments of `update`."""

    file: str = key(
        help="a file name in the state directory's folder `incoming`",
        check=lambda v: (
            None
            if v.isprintable() and Path(v).name == v != "" and v[0] != "."
            else "use a plain file name"
        ),
    )


Install = Callable[[Path], Dict[str, Any]]
Begin = Callable[[Request], Dict[str, Any]]


def make_handlers(
    config: Config,
    cameras: Callable[[], List[str]],
    tap: FrameTap,
    rate_limit: RateLimit,
    install: Optional[Install] = None,
    begin: Optional[Begin] = None,
) -> Dict[str, Handler]:
    """Return the handler of every command.

    Args:
        config: limits and folders.
        cameras: gives the present names of the cameras; a reload may change them.
        tap: gives frames.
        rate_limit: the limit of the loop's rate.
        install: installs a bundle and returns the result; None = bundles are off.
        begin: starts and stops sessions (edge.loop.sessions); None = there are none.
    """

    def restart(args: Mapping[str, Any]) -> CommandResult:
        build(NoArguments, args)
        if not os.environ.get("INVOCATION_ID"):  # systemd.exec(5): set for every service
            raise UnavailableError("no service manager runs this program: nobody would restart it")
        return CommandResult(then=lambda: os.kill(os.getpid(), signal.SIGTERM))

    def reload(args: Mapping[str, Any]) -> CommandResult:
        build(NoArguments, args)
        if not callable(signal.getsignal(signal.SIGHUP)):
            raise UnavailableError("this run was started without a configuration file")
        return CommandResult(then=lambda: os.kill(os.getpid(), signal.SIGHUP))

    def rate(args: Mapping[str, Any]) -> CommandResult:
        before, rate_limit.max_hz = rate_limit.max_hz, build(RateArguments, args).max_hz
        return CommandResult({"max_hz": rate_limit.max_hz, "before_hz": before})

    def picture(args: Mapping[str, Any]) -> CommandResult:
        wanted = build(SnapshotArguments, args)
        _known(wanted.camera, cameras())
        return CommandResult(take_picture(tap, wanted))

    def calibrate(args: Mapping[str, Any]) -> CommandResult:
        return CommandResult(_calibrate(config, tap, build(CalibrateArguments, args)))

    def update(args: Mapping[str, Any]) -> CommandResult:
        wanted = build(UpdateArguments, args)
        if install is None:
            raise UnavailableError("bundle.enabled is off")
        folder = durable.state_dir(config.state.dir, "commands.allow") / "incoming"
        return CommandResult(install(folder / wanted.file))

    return {
        "restart": restart,
        "reload": reload,
        "rate": rate,
        "snapshot": picture,
        "calibrate-record": calibrate,
        "update": update,
        "session": session_handler(cameras, begin),
    }


def session_handler(cameras: Callable[[], List[str]], begin: Optional[Begin]) -> Handler:
    """The handler of `session`; arguments as of `make_handlers`."""

    def session(args: Mapping[str, Any]) -> CommandResult:
        wanted = build(Request, args)
        _known(wanted.camera, cameras())
        if begin is None:
            raise UnavailableError("this run has no rules")
        return CommandResult({"action": wanted.action, **begin(wanted)})

    return session


def _known(camera: str, cameras: List[str]) -> None:
    if camera and camera not in cameras:
        raise ConfigError(f"camera: no {camera!r}; there are: {', '.join(cameras)}")


def take_picture(tap: FrameTap, wanted: SnapshotArguments) -> Dict[str, Any]:
    """Take a picture with everybody painted over, in base64.

    Raises:
        TempError: no frame came, or nobody could look for people in it.
        DataError: it cannot be made small enough.
    """
    frame = tap.wait(wanted.camera, FRAME_S)
    assert frame.image is not None
    assert frame.poses is not None
    assert frame.boxes is not None
    snapshot.hide_people(frame.image, frame.poses, frame.boxes)
    data = snapshot.jpeg(frame.image, wanted.width_px)
    return {
        "camera": frame.name,
        "t_mono_ns": frame.t_ns,
        "people": len(frame.poses),
        "jpeg": base64.b64encode(data).decode("ascii"),
    }


def _calibrate(config: Config, tap: FrameTap, wanted: CalibrateArguments) -> Dict[str, Any]:
    before, tap.recorder = tap.recorder, None
    if before is not None:
        before.close()
    if wanted.seconds == 0:
        return {"kept": before.kept if before else 0}
    folder = durable.make_dir(durable.state_dir(config.state.dir, "commands.allow") / "calibrate")
    max_bytes = min(wanted.max_mb, config.commands.record_max_mb) << 20
    place = folder / f"{time.time_ns()}"
    tap.recorder = CalibrationRecorder(
        place, wanted.seconds * 10**9, wanted.every_ms * 10**6, max_bytes
    )
    return {"folder": place.name, "max_bytes": max_bytes}
