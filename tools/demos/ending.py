"""What a demo shows at its end: pictures, files, one line of figures, and whether it was right."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Dict, List

import cv2
import numpy as np

from edge.errors import DataError, InternalError
from edge.service.annotate import contact_sheet
from tools.demos.child import Daemon
from tools.demos.files import Files
from tools.mqtt.figures import Figures

SHEET_PICTURES = 4


def count_frames(clip: Path) -> int:
    """Number of frames of a video, from its header."""
    video = cv2.VideoCapture(str(clip))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return count


def write_sheet(files: Files) -> bool:
    """Write evenly spaced pictures of the annotated video on one sheet; False if there are none."""
    pictures: List[np.ndarray] = []
    wanted = np.linspace(0, max(count_frames(files.video) - 1, 0), SHEET_PICTURES + 2)[1:-1]
    video = cv2.VideoCapture(str(files.video))
    for index in np.unique(wanted.round().astype(int)):
        video.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        good, picture = video.read()
        if good:
            pictures.append(picture)
    video.release()
    return bool(pictures) and cv2.imwrite(str(files.sheet), contact_sheet(pictures, len(pictures)))


def print_report(
    files: Files, pages: Dict[str, Path], figures: Figures, took_s: float, sheet: bool
) -> None:
    """Print the files and the summary."""
    places = {
        "annotated video": files.video,
        "contact sheet": files.sheet if sheet else None,
        **pages,
        "every message": files.messages,
        "configuration": files.config,
        "daemon's log": files.log,
    }
    for what, path in places.items():
        if path is not None and path.exists():
            print(f"{what + ':':16} {path}")
    print(summary(figures, took_s))


def summary(figures: Figures, took_s: float) -> str:
    """One line of figures for the whole run."""
    now = figures.report(time.monotonic_ns())
    times = [f"{p} {v:.0f} ms" for p, v in now["latency_ms"].items() if v is not None]
    return (
        f"{now['frames']} frames of {now['cameras']} cameras at {figures.mean_fps():.1f} fps, "
        f"up to {figures.most_people} people, {now['events']} events, "
        f"latency {' '.join(times) or 'unknown'}, dropped {now['dropped']}, gaps {now['gaps']}; "
        f"{took_s:.0f} s in total"
    )


def verdict(daemon: Daemon, figures: Figures, files: Files, sheet: bool) -> int:
    """0 if the daemon ended with 0 and its messages and pictures are complete."""
    if daemon.code:
        lines = files.log.read_text("utf-8", "replace").splitlines() or ["no output"]
        print(f"edge-tools: edge run ended with {daemon.code}: {lines[-1]}", file=sys.stderr)
        return daemon.code if daemon.code > 0 else 128 - daemon.code
    if not figures.frames:
        raise InternalError("the daemon ended without an error, but no frame arrived over MQTT")
    if not sheet:
        raise DataError(f"{files.video}: no picture could be read from the annotated video")
    return 0
