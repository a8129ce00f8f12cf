"""The only place where commands see frames: one request at a time, and only on request."""

from __future__ import annotations

import json
import logging
import queue
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Protocol, Sequence, Tuple

import numpy as np

from edge import durable
from edge.commands import snapshot
from edge.errors import EdgeError, TempError
from edge.message_people import people
from edge.structures import Frame, Poses

log = logging.getLogger(__name__)

WAITING = 8  # frames on their way to the disk; further ones are skipped
MAX_WIDTH_PX = 1 << 14  # wider than any crop: crops are not scaled
MAX_CROP_BYTES = 4 << 20


@dataclass
class FrameRequest:
    """One frame that a command waits for."""

    camera: str  # empty = any
    ready: threading.Event = field(default_factory=threading.Event)
    image: Optional[np.ndarray] = None  # a copy
    poses: Optional[Poses] = None  # published
    boxes: Optional[np.ndarray] = None  # [N,4] f32 px of everybody, published or not
    name: str = ""
    t_ns: int = 0


class Finder(Protocol):
    """Knows where anybody may be (edge.loop.everybody)."""

    def tracked(self, camera: str) -> np.ndarray:
        """Boxes [N,4] f32 px of everybody who is followed now, published or not; a copy."""

    def find(self, image: np.ndarray, camera: str, timeout_s: float) -> np.ndarray:
        """Boxes [N,4] f32 px of everybody in a picture.

        Raises:
            EdgeError: nobody could look; then the picture must not be shown.
        """


class FrameTap:
    """Sees every step (`Pipeline.watchers`); does nothing unless a command waits for frames.

    Args:
        finder: finds the people to hide in a picture.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._request: Optional[FrameRequest] = None
        self.recorder: Optional[CalibrationRecorder] = None

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Take what is requested; called before the frames go back to their cameras."""
        request, recorder = self._request, self.recorder
        for frame, people_here in zip(frames, poses):
            if request is not None and request.camera in ("", frame.camera):
                self._fill(request, frame, people_here)
                self._request = request = None
            if recorder is not None:
                recorder.add(frame, people_here)

    def wait(self, camera: str, timeout_s: float) -> FrameRequest:
        """Return a copy of the next frame of a camera, and where anybody is in it.

        Args:
            camera: its name; empty = any.
            timeout_s: how long to wait for the frame, and as long for the boxes.

        Raises:
            TempError: no frame came in time. Other errors are those of the finder.
        """
        request = FrameRequest(camera)
        self._request = request
        if not request.ready.wait(timeout_s):
            self._request = None
            raise TempError(f"no frame of {camera or 'any camera'} came in {timeout_s:g} s")
        assert request.image is not None
        assert request.boxes is not None
        found = self._finder.find(request.image, request.name, timeout_s)
        request.boxes = np.concatenate((request.boxes, found))
        return request

    def _fill(self, request: FrameRequest, frame: Frame, poses: Poses) -> None:
        request.image, request.poses = snapshot.to_bgr(frame), _copy(poses)
        request.boxes = self._finder.tracked(frame.camera)
        request.name, request.t_ns = frame.camera, frame.t_ns
        request.ready.set()


def _copy(poses: Poses) -> Poses:
    """Copy the arrays: those of a step are borrowed."""
    return poses.take(np.arange(len(poses)))


class CalibrationRecorder:
    """Keeps crops of people and their poses in a folder, to calibrate for this place.

    The files are `<n>-<camera>-<person>.jpg`, with one line for each in `poses.jsonl`; coordinates
    are those of the crop. None of it is ever sent.

    Args:
        folder: new.
        lasts_ns: time from the first frame on.
        every_ns: time between two frames of one camera.
        max_bytes: of the parent folder, with earlier recordings.
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

    def add(self, frame: Frame, poses: Poses) -> None:
        """Keep the people of a frame if it is time; never blocks."""
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
        """Keep nothing more; the first reason is logged."""
        if not self.ended:
            self.ended = why
            log.info("%s: %d crops, %s", self._folder, self.kept, why)

    def close(self) -> None:
        """Write waiting frames, then end the thread."""
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
            data = snapshot.jpeg(crop, MAX_WIDTH_PX, MAX_CROP_BYTES)
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
    """Total size of all files below a folder."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def _corner(image: np.ndarray, crop: np.ndarray) -> Tuple[int, int]:
    """Column and row in an image at which a view of it begins."""
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
