"""Does every configured camera give a picture?"""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Tuple

from edge.capture import Cameras
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.settings.config import Config
from edge.structures import CameraState

IN_USE = "another program is using it"
BUSY = "the service itself may have it: systemctl status edge tells how its cameras are"
ANY = "is it on, plugged in and in reach?"


def cameras(settings: Config) -> List[Finding]:
    """Open them all at once, wait for a picture of each for as long as the program would."""
    if not settings.cameras:
        return [Finding("cameras configured", WARN, "none", "add a [[cameras]] table")]
    opened = Cameras(settings.cameras, settings.capture)
    opened.start()
    pictures = _wait(opened, settings.capture.timeout_s + settings.capture.stall_s)
    states = opened.states()
    opened.close()
    return [_judge(s, pictures.get(s.camera)) for s in states]


def _wait(opened: Cameras, limit_s: float) -> Dict[str, Tuple[int, int]]:
    """Sizes of the pictures that came."""
    pictures: Dict[str, Tuple[int, int]] = {}
    end = time.monotonic() + limit_s
    while time.monotonic() < end and not opened.ended:
        frames = opened.take(0.2)
        pictures.update({f.camera: f.size for f in frames})
        opened.release(frames)
        undecided = [s for s in opened.states() if s.camera not in pictures and _hopeful(s)]
        if not undecided:
            break
    return pictures


def _hopeful(state: CameraState) -> bool:
    """Nothing is known against it yet; a busy device is tried again for ever by the service."""
    return state.state in ("starting", "ok") and not state.detail


def _judge(state: CameraState, size: Optional[Tuple[int, int]]) -> Finding:
    what = f"camera {state.camera}"
    if size:
        return Finding(what, OK, f"{size[0]}x{size[1]}")
    # A camera's own error tells its fix after a semicolon.
    detail = (state.detail or "gives no picture").replace("; trying again", "")
    if IN_USE in detail:
        return Finding(what, WARN, detail, BUSY)
    found, _, fix = detail.partition("; ")
    return Finding(what, FAIL, found, fix or ANY)
