"""What boxes say of themselves at a broker: status, cameras, metrics."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

from edge.errors import DataError
from edge.messages import ROOT
from edge.publish._address import Broker
from edge.settings.schema import name_problem
from tools.mqtt.subscriber import Listener, Received

TOPICS = (f"{ROOT}/+/status", f"{ROOT}/+/+/state", f"{ROOT}/+/metrics")
STABLE_S = 1.0  # retained messages have come when none came for so long


@dataclass
class Box:
    """One box."""

    device: str
    state: str = "unknown"  # online, offline
    reason: str = ""  # why it is offline: stopped, lost
    version: str = ""
    boot_id: str = ""
    networks: FrozenSet[str] = frozenset()  # sha256 of the loaded files
    degrade: int = 0
    degrade_why: str = ""
    clock: str = ""
    cameras: Tuple[str, ...] = ()
    camera_states: Dict[str, str] = field(default_factory=dict)
    fps: Optional[float] = None  # of all cameras together

    @property
    def online(self) -> bool:
        """Whether its program runs and has a connection."""
        return self.state == "online"

    @property
    def cameras_ok(self) -> int:
        """How many of its cameras give frames."""
        return sum(self.camera_states.get(camera) == "ok" for camera in self.cameras)

    @property
    def networks_name(self) -> str:
        """Eight letters that are the same for the same networks."""
        return hashlib.sha256(" ".join(sorted(self.networks)).encode()).hexdigest()[:8]


class Boxes(Listener):
    """All boxes of a broker, live; a context manager. May be read from another thread.

    Args:
        broker: a checked address.
    """

    def __init__(self, broker: Broker) -> None:
        self._lock = threading.Lock()
        self._boxes: Dict[str, Box] = {}
        self._last_s = time.monotonic()
        super().__init__(broker, TOPICS)

    def received(self, message: Any) -> None:
        """Note a message; a foreign one is left out."""
        kind = getattr(getattr(message, "properties", None), "ContentType", None)
        got = Received(message.topic, message.payload, kind)
        self._last_s = time.monotonic()
        with contextlib.suppress(DataError, KeyError, TypeError, AttributeError, ValueError):
            record = got.record()
            device = message.topic.split("/")[2]
            if record["device"] != device or name_problem(device):
                return
            with self._lock:
                box = self._boxes.setdefault(device, Box(device))
                _NOTE[got.kind](box, record)

    def settle(self, wait_s: float) -> None:
        """Wait until the retained messages have come, and metrics for the rest of the time."""
        end_s = time.monotonic() + wait_s
        while time.monotonic() < end_s:
            boxes = self.all()
            quiet = time.monotonic() - self._last_s > STABLE_S
            if quiet and boxes and all(b.fps is not None for b in boxes if b.online):
                return
            time.sleep(0.05)

    def all(self) -> List[Box]:
        """All boxes by name."""
        with self._lock:
            return [self._boxes[name] for name in sorted(self._boxes)]

    def get(self, device: str) -> Box:
        """One box; unknown if it said nothing."""
        with self._lock:
            return self._boxes.get(device, Box(device))


def _status(box: Box, record: Mapping[str, Any]) -> None:
    state, boot_id = str(record["state"]), str(record["boot_id"])
    if state == "online":
        degrade = record.get("degrade") or {}
        box.version, box.networks = str(record["version"]), frozenset(record["engines"].values())
        box.cameras = tuple(record["cameras"])
        box.degrade, box.degrade_why = int(degrade.get("level", 0)), str(degrade.get("why", ""))
        box.clock = str(record["clock"]["source"])
    box.state, box.boot_id, box.reason = state, boot_id, str(record.get("reason", ""))


def _state(box: Box, record: Mapping[str, Any]) -> None:
    box.camera_states[str(record["camera"])] = str(record["state"])


def _metrics(box: Box, record: Mapping[str, Any]) -> None:
    box.fps = round(sum(record["fps"].values()), 1)


_NOTE = {"status": _status, "state": _state, "metrics": _metrics}


def problems(box: Box, newest: str) -> List[str]:
    """What is wrong with a box, one line each.

    Args:
        box: of the fleet.
        newest: version of the program that the newest box has.
    """
    if not box.online:
        return [f"offline ({box.reason or 'unknown'})"]
    found = []
    wrong = [c for c in box.cameras if box.camera_states.get(c) not in ("ok", "ended")]
    found += [f"camera {c} is {box.camera_states.get(c, 'unknown')}" for c in wrong]
    if box.degrade:
        found.append(f"degraded to level {box.degrade}: {box.degrade_why}")
    if box.version != newest:
        found.append(f"version {box.version} is behind {newest}")
    if box.clock == "none":
        found.append("the clock runs free")
    return found


def newest_version(boxes: List[Box]) -> str:
    """The highest version of the boxes that are online; "" if none is."""
    versions = {box.version for box in boxes if box.online}
    return max(versions, key=_numbers, default="")


def _numbers(version: str) -> Tuple[int, ...]:
    parts = version.replace("+", ".").replace("-", ".").split(".")
    return tuple(int(part) if part.isdigit() else -1 for part in parts)
