"""`edge-tools demo`: run the daemon on real video, with a broker and a subscriber."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional
from urllib.parse import quote

import cv2
import numpy as np

from edge.errors import DataError, InternalError
from edge.publish._address import parse
from edge.rig.files import read_rig
from edge.service.annotate import contact_sheet
from edge.settings.publishing import Mqtt
from tools.cameras import scene_page
from tools.evaluation.rig_run import calibration_of
from tools.fetch.by_name import ensure_model, ensure_set
from tools.listen import LIVE_EVERY_S, Figures, Screen
from tools.mqtt.broker import Broker, choose, install_mosquitto
from tools.mqtt.subscriber import Subscriber

HELP = "run the daemon on four cameras of real video, with a broker and a subscriber"
CLIP = "multiperson"
DETECT, POSE = "hybrid-tall", "blazepose"  # the clip's cameras are in portrait orientation
DEVICE = "demo"
SHEET_PICTURES = 4
QUIET_S = 2.0  # time to wait for the last messages after the daemon has ended
STOP_S = 10.0

CONFIG = """\
# Made by `edge-tools demo`.
device = {device}
{cameras}
[models]
dir = {models}

[detect]
model = {detect}

[pose]
model = {pose}

[runtime]
precision = {precision}
{rules}
[publish]
sinks = [{broker}, {recording}]
metrics_s = 1.0

[mqtt]
protocol = {protocol}
password_file = {password_file}
"""
RULES = """
[[rules]]
kind = "presence"

[[rules]]
kind = "zone"
cameras = ["cam02"]
name = "platform"
polygon = [[300, 1010], [800, 990], [1050, 1440], [60, 1550]]
dwell_s = 0.5

[[rules]]
kind = "fall"
"""
SCENE = """
[[scenes]]
name = "room"
calibration = {calibration}
"""


@dataclass
class Files:
    """The files that the demo writes."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.config = self.folder / "edge.toml"
        self.video = self.folder / "poses.mp4"
        self.sheet = self.folder / "sheet.png"
        self.recording = self.folder / "messages.jsonl"
        self.scene = self.folder / "scene.html"
        self.log = self.folder / "daemon.log"

    def clear(self) -> None:
        """Make the folder and remove files of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (
            self.config,
            self.video,
            self.sheet,
            self.recording,
            self.scene,
            self.log,
        ):
            if path.exists():
                path.unlink()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo"),
        help="folder for the results (default: %(default)s)",
    )
    parser.add_argument("--models", type=Path, metavar="DIR", help="folder of models")
    parser.add_argument("--sets", type=Path, metavar="DIR", help="folder of media sets")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument(
        "--max-frames",
        type=int,
        default=0,
        metavar="N",
        help="frames of each camera; 0 = the whole clip",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        help="stop after this time; 0 = at the end of the clip",
    )
    parser.add_argument("--broker", choices=("auto", "mosquitto", "amqtt"), default="auto")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo. The exit code is the daemon's, unless another part failed."""
    # A shell starts a background job with SIGINT ignored, so SIGINT is set as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    start_s = time.monotonic()
    files = Files(arguments.out)
    files.clear()
    folders = [ensure_model(name, arguments.models) for name in (DETECT, POSE)]
    models = folders[0].parent
    clips = sorted(ensure_set(CLIP, arguments.sets).glob("cam*.mp4"))
    if arguments.broker == "auto":
        install_mosquitto()
    with ExitStack() as stack:
        broker = stack.enter_context(open_broker(arguments.broker))
        print(f"broker: {broker.kind}, MQTT {broker.protocol}, {broker.uri}", flush=True)
        files.config.write_text(config_text(broker, clips, files, models, arguments.precision))
        login = f"&password_file={broker.password_file}" if broker.user else ""
        uri = f"{broker.uri}?protocol={broker.protocol}{login}"
        listener = stack.enter_context(Subscriber(parse(uri, Mqtt()), DEVICE))
        daemon = stack.enter_context(Daemon(files, arguments.max_frames))
        frames = arguments.max_frames or min(count_frames(clip) for clip in clips)
        figures = watch(listener, daemon, frames * len(clips), arguments.seconds)
    made = write_sheet(files) if files.video.exists() else False
    write_scene(files, clips[0].parent)
    print_report(files, figures, time.monotonic() - start_s, made)
    return verdict(daemon, figures, files, made)


def open_broker(kind: str) -> Broker:
    """A broker, with a login if this kind of broker supports logins."""
    chosen = choose() if kind == "auto" else kind
    return Broker(chosen, user=None if chosen == "amqtt" else DEVICE)


def config_text(
    broker: Broker, clips: List[Path], files: Files, models: Path, precision: str
) -> str:
    """The daemon's configuration, as a user would write it."""
    cameras = "".join(
        f"\n[[cameras]]\nname = {json.dumps(clip.stem)}\n"
        f"source = {json.dumps(f'file://{quote(str(clip))}?rate=max')}\n"
        for clip in clips
    )
    texts = {
        "device": DEVICE,
        "models": str(models),
        "detect": DETECT,
        "pose": POSE,
        "precision": precision,
        "broker": broker.uri,
        "recording": f"jsonl:{files.recording}",
        "protocol": broker.protocol,
        "password_file": str(broker.password_file) if broker.user else "",
    }
    # A JSON string is also a TOML string.
    quoted = {name: json.dumps(text) for name, text in texts.items()}
    return CONFIG.format(cameras=cameras, rules=RULES + scene_text(clips), **quoted)


def scene_text(clips: List[Path]) -> str:
    """The [[scenes]] table, if a calibration lies beside the clips."""
    path = calibration_of(clips[0].parent)
    return SCENE.format(calibration=json.dumps(str(path))) if path else ""


def write_scene(files: Files, folder: Path) -> None:
    """Write the page with the people in their room, if the daemon told any."""
    path = calibration_of(folder)
    if path is None or not files.recording.exists():
        return
    with files.recording.open(encoding="utf-8") as lines:
        told = [json.loads(line)["payload"] for line in lines if "/scene/" in line[:200]]
    if told:
        scene_page.write(files.scene, told, read_rig(path))


class Daemon:
    """`edge run` as a child process; a context manager that ends it."""

    def __init__(self, files: Files, max_frames: int) -> None:
        self._files = files
        self._command = [sys.executable, "-m", "edge", "run", "--config", str(files.config)]
        self._command += ["--annotate", str(files.video)]
        self._command += ["--max-frames", str(max_frames)]
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._asked = False
        self.code: Optional[int] = None

    def running(self) -> bool:
        """Whether it still runs; if not, its exit code is known."""
        self.code = self._process.poll() if self._process else self.code
        return self.code is None

    def stop(self) -> None:
        """Send SIGTERM like systemd, but only once: a second signal ends the daemon at once."""
        if self._process is not None and self.running() and not self._asked:
            self._asked = True
            self._process.terminate()

    def __enter__(self) -> Daemon:
        with self._files.log.open("wb") as log:
            # An own session: Ctrl-C must reach the daemon only once, through this process.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is not None:
            self.stop()
        if self._process is not None:
            try:
                self.code = self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.code = self._process.wait()


def watch(listener: Subscriber, daemon: Daemon, total: int, seconds: float) -> Figures:
    """Show messages until the daemon says it is offline, or has ended and sends nothing more."""
    figures, screen = Figures(), Screen(sys.stdout)
    end_s = time.monotonic() + seconds if seconds else float("inf")
    gone_s = float("inf")
    for message in listener.messages(LIVE_EVERY_S):
        if message is not None:
            screen.tell(figures.take(message))
        screen.live(figures, f"{min(100, 100 * figures.frames // max(total, 1)):3d} % | ")
        now_s = time.monotonic()
        if now_s > end_s:
            daemon.stop()
        if not daemon.running():
            gone_s = min(gone_s, now_s)
        if DEVICE in figures.offline or now_s > gone_s + QUIET_S:
            break
    screen.end()
    return figures


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


def print_report(files: Files, figures: Figures, took_s: float, sheet: bool) -> None:
    """Print the files and the summary."""
    places = {
        "annotated video": files.video,
        "contact sheet": files.sheet if sheet else None,
        "people in 3-D": files.scene,
        "every message": files.recording,
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
