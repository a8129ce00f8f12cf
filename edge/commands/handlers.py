"""What each command does. Arguments are checked by schemas, as the configuration is."""

import base64
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from edge import durable
from edge.commands import snapshot
from edge.commands.frame_tap import Keeper, Watch
from edge.commands.receiver import Deed, Outcome
from edge.errors import ConfigError, UnavailableError
from edge.loop.rate_limit import RateLimit
from edge.settings.config import Config
from edge.settings.schema import build, key, name_problem

LOOK_S = 5.0


@dataclass(frozen=True)
class Nothing:
    """No arguments."""


@dataclass(frozen=True)
class Rate:
    """How often the loop may turn."""

    max_hz: int = key(help="steps per second; 0 = as the cameras give frames", low=0, high=240)


@dataclass(frozen=True)
class Snapshot:
    """Which picture."""

    camera: str = key(
        "",
        "its name; empty = whichever comes first",
        check=lambda v: name_problem(v) if v else None,
    )
    width_px: int = key(640, "at most so wide", 64, 1920)


@dataclass(frozen=True)
class Calibrate:
    """How much to keep for calibration."""

    seconds: int = key(60, "for so long; 0 = stop", 0, 86400)
    every_ms: int = key(1000, "between two frames kept of a camera", 40, 3600000)
    max_mb: int = key(64, "of all recordings together", 1, 4096)


@dataclass(frozen=True)
class Update:
    """Which model bundle."""

    file: str = key(
        help="a file name in the state directory's folder `incoming`",
        check=lambda v: (
            None
            if v.isprintable() and Path(v).name == v != "" and v[0] != "."
            else "use a plain file name"
        ),
    )


Install = Callable[[Path], Dict[str, Any]]


def deeds(
    config: Config,
    cameras: Callable[[], List[str]],
    watch: Watch,
    rate_limit: RateLimit,
    install: Optional[Install] = None,
) -> Dict[str, Deed]:
    """All commands of a run.

    Args:
        config: the limits.
        cameras: their names now; a reload may change them.
        watch: where pictures come from.
        rate_limit: the limit of the loop's rate.
        install: puts a bundle into use; gives what to answer; None = bundles are off.
    """

    def restart(args: Mapping[str, Any]) -> Outcome:
        build(Nothing, args)
        if not os.environ.get("INVOCATION_ID"):  # systemd.exec(5): set for every service
            raise UnavailableError("no service manager runs this program: it would stay away")
        return Outcome(then=lambda: os.kill(os.getpid(), signal.SIGTERM))

    def reload(args: Mapping[str, Any]) -> Outcome:
        build(Nothing, args)
        if not callable(signal.getsignal(signal.SIGHUP)):
            raise UnavailableError("this run was started without a configuration file")
        return Outcome(then=lambda: os.kill(os.getpid(), signal.SIGHUP))

    def rate(args: Mapping[str, Any]) -> Outcome:
        before, rate_limit.max_hz = rate_limit.max_hz, build(Rate, args).max_hz
        return Outcome({"max_hz": rate_limit.max_hz, "before_hz": before})

    def picture(args: Mapping[str, Any]) -> Outcome:
        wanted = build(Snapshot, args)
        _known(wanted.camera, cameras())
        return Outcome(take_picture(watch, wanted))

    def calibrate(args: Mapping[str, Any]) -> Outcome:
        return Outcome(_calibrate(config, watch, build(Calibrate, args)))

    def update(args: Mapping[str, Any]) -> Outcome:
        wanted = build(Update, args)
        if install is None:
            raise UnavailableError("bundle.enabled is off")
        folder = durable.state_dir(config.state.dir, "commands.allow") / "incoming"
        return Outcome(install(folder / wanted.file))

    return {
        "restart": restart,
        "reload": reload,
        "rate": rate,
        "snapshot": picture,
        "calibrate-record": calibrate,
        "update": update,
    }


def _known(camera: str, cameras: List[str]) -> None:
    if camera and camera not in cameras:
        raise ConfigError(f"camera: no {camera!r}; there are: {', '.join(cameras)}")


def take_picture(watch: Watch, wanted: Snapshot) -> Dict[str, Any]:
    """A picture with heads painted over, in base64.

    Raises:
        TempError: no frame came. DataError: it cannot be made small enough.
    """
    look = watch.wait(wanted.camera, LOOK_S)
    assert look.image is not None
    assert look.poses is not None
    snapshot.hide_heads(look.image, look.poses)
    data = snapshot.jpeg(look.image, wanted.width_px)
    return {
        "camera": look.name,
        "t_mono_ns": look.t_ns,
        "people": len(look.poses),
        "jpeg": base64.b64encode(data).decode("ascii"),
    }


def _calibrate(config: Config, watch: Watch, wanted: Calibrate) -> Dict[str, Any]:
    before, watch.keeper = watch.keeper, None
    if before is not None:
        before.close()
    if wanted.seconds == 0:
        return {"kept": before.kept if before else 0}
    folder = durable.make_dir(durable.state_dir(config.state.dir, "commands.allow") / "calibrate")
    max_bytes = min(wanted.max_mb, config.commands.record_max_mb) << 20
    place = folder / f"{time.time_ns()}"
    watch.keeper = Keeper(place, wanted.seconds * 10**9, wanted.every_ms * 10**6, max_bytes)
    return {"folder": place.name, "max_bytes": max_bytes}
