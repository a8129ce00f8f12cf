"""Whether every configured camera gives a picture."""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Tuple

from edge.capture import Cameras
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.settings.config import Config
from edge.structures import CameraState

IN_USE = "another program is using it"
BUSY = "the service itself may use it: systemctl status edge shows the state of its cameras"
ANY = "is it on, plugged in and reachable?"


def cameras(settings: Config) -> List[Finding]:
    """Open all cameras at once, and wait for a picture of each as long as the service would."""
    if not settings.cameras:
        return [Finding("cameras configured", WARN, "none", "add a [[cameras]] table")]
    opened = Cameras(settings.cameras, settings.capture)
    opened.start()
    pictures = _wait(opened, settings.capture.timeout_s + settings.capture.stall_s)
    states = opened.states()
    opened.close()
    return [_judge(s, pictures.get(s.camera)) for s in states]


def _wait(opened: Cameras, limit_s: float) -> Dict[str, Tuple[int, int]]:
    """The size of a picture of each camera that gave one."""
    pictures: Dict[str, Tuple[int, int]] = {}
    end = time.monotonic() + limit_s
    while time.monotonic() < end and not opened.ended:
        frames = opened.take(0.2)
        pictures.update({f.camera: f.size for f in frames})
        opened.release(frames)
        undecided = [s for s in opened.states() if s.camera not in pictures and _may_work(s)]
        if not undecided:
            break
    return pictures


def _may_work(state: CameraState) -> bool:
    """Whether the camera has reported no problem yet."""
    return state.state in ("starting", "ok") and not state.detail


def _judge(state: CameraState, size: Optional[Tuple[int, int]]) -> Finding:
    what = f"camera {state.camera}"
    if size:
        return Finding(what, OK, f"{size[0]}x{size[1]}")
    # An error of a camera names its fix behind a semicolon.
    detail = (state.detail or "gives no picture").replace("; trying again", "")
    if IN_USE in detail:
        return Finding(what, WARN, detail, BUSY)
    found, _, fix = detail.partition("; ")
    return Finding(what, FAIL, found, fix or ANY)
