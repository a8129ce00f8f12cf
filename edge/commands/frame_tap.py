"""The only place where commands see frames: one look at a time, and only while one is wanted."""

from __future__ import annotations

import json
import logging
import queue
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from edge import durable
from edge.commands import snapshot
from edge.errors import EdgeError, TempError
from edge.messages import people
from edge.structures import Frame, Poses

log = logging.getLogger(__name__)

WAITING = 8  # frames on their way to the disk; more are skipped
QUALITY_WIDTH = 1 << 14  # crops are kept as they are
MAX_CROP_BYTES = 4 << 20


@dataclass
class Look:
    """One frame that somebody waits for."""

    camera: str  # empty = whichever comes first
    ready: threading.Event = field(default_factory=threading.Event)
    image: Optional[np.ndarray] = None  # a copy
    poses: Optional[Poses] = None
    name: str = ""
    t_ns: int = 0


class Watch:
    """Sees every step (`Pipeline.watchers`); free of cost while nothing is wanted."""

    def __init__(self) -> None:
        self._look: Optional[Look] = None
        self.keeper: Optional[Keeper] = None

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Called in the loop's second half, before the frames go back to their cameras."""
        look, keeper = self._look, self.keeper
        for frame, people_here in zip(frames, poses):
            if look is not None and look.camera in ("", frame.camera):
                _take(look, frame, people_here)
                self._look = look = None
            if keeper is not None:
                keeper.see(frame, people_here)

    def wait(self, camera: str, timeout_s: float) -> Look:
        """A copy of the next frame of a camera.

        Raises:
            TempError: none came.
        """
        look = Look(camera)
        self._look = look
        if not look.ready.wait(timeout_s):
            self._look = None
            raise TempError(f"no frame of {camera or 'any camera'} came in {timeout_s:g} s")
        return look


def _take(look: Look, frame: Frame, poses: Poses) -> None:
    look.image, look.poses = snapshot.to_bgr(frame), _copy(poses)
    look.name, look.t_ns = frame.camera, frame.t_ns
    look.ready.set()


def _copy(poses: Poses) -> Poses:
    """Arrays of its own: those of a step are borrowed."""
    return poses.take(np.arange(len(poses)))


class Keeper:
    """Crops of people and their poses in a folder, for calibration on this very place.

    Files `<n>-<camera>-<person>.jpg` and a line for each in `poses.jsonl`; coordinates are those of
    the crop. Nothing of it is ever sent.

    Args:
        folder: new; what lies beside it counts towards the limit.
        lasts_ns: from the first frame on.
        every_ns: between two frames kept of one camera.
        max_bytes: of the whole parent folder.
    """

    def __init__(self, folder: Path, lasts_ns: int, every_ns: int, max_bytes: int) -> None:
        self._folder, self._lasts_ns, self._every_ns = folder, lasts_ns, every_ns
        self._first_ns: Optional[int] = None
        self._room = max_bytes - folder_bytes(folder.parent)
        self._last_ns: Dict[str, int] = {}
        self._queue: queue.Queue[Optional[Tuple[str, np.ndarray, Poses]]] = queue.Queue(WAITING)
        self.kept = 0
        self.ended = ""
        durable.make_dir(folder)
        self._thread = threading.Thread(target=self._run, name="calibrate-record", daemon=True)
        self._thread.start()

    def see(self, frame: Frame, poses: Poses) -> None:
        """Take a frame when it is time; never blocks."""
        if self.ended:
            return
        if self._first_ns is None:
            self._first_ns = frame.t_ns
        if frame.t_ns > self._first_ns + self._lasts_ns:
            self.end("its time is over")
        elif frame.t_ns - self._last_ns.get(frame.camera, -(1 << 62)) >= self._every_ns:
            self._last_ns[frame.camera] = frame.t_ns
            if len(poses) and not self._queue.full():
                self._queue.put((frame.camera, snapshot.to_bgr(frame), _copy(poses)))

    def end(self, why: str) -> None:
        """Keep nothing more."""
        if not self.ended:
            self.ended = why
            log.info("%s: %d crops, %s", self._folder, self.kept, why)

    def close(self) -> None:
        """Write what waits, and leave."""
        self.end("it was stopped")
        self._queue.put(None)
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            try:
                self._keep(*work)
            except (OSError, EdgeError) as error:
                self.end(str(error))

    def _keep(self, camera: str, image: np.ndarray, poses: Poses) -> None:
        records = {record["id"]: record for record in people(poses)}
        for number, crop in snapshot.crops(image, poses).items():
            data = snapshot.jpeg(crop, QUALITY_WIDTH, MAX_CROP_BYTES)
            name = f"{self.kept:06d}-{camera}-{number}.jpg"
            text = _line(name, _corner(image, crop), records[number], poses.skeleton)
            if len(data) + len(text) > self._room:
                self.end("commands.record_max_mb is reached")
                return
            (self._folder / name).write_bytes(data)
            with (self._folder / "poses.jsonl").open("ab") as file:
                file.write(text)
            self._room -= len(data) + len(text)
            self.kept += 1


def folder_bytes(folder: Path) -> int:
    """What all files below a folder take."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _corner(image: np.ndarray, crop: np.ndarray) -> Tuple[int, int]:
    """Column and row of a view in the image that it is a view of."""
    start = crop.__array_interface__["data"][0] - image.__array_interface__["data"][0]
    row, rest = divmod(start, image.strides[0])
    return rest // image.strides[1], row


def _line(name: str, corner: Tuple[int, int], person: Dict[str, Any], skeleton: str) -> bytes:
    x, y = corner
    points = person["keypoints"].astype(np.int64).reshape(-1, 3)
    points[:, :2] -= np.array((x, y)) * 10 * (points[:, 2:] > 0)
    record = {
        "file": name,
        "skeleton": skeleton,
        "score": person["score"],
        "unit": "0.1 px",
        "keypoints": points.ravel().tolist(),
    }
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"
