"""`edge-tools fleet-demo`: 20 simulated boxes of one recorded run, landed, joined and reported."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from edge.errors import ConfigError, NoInputError, TempError
from tools.__main__ import main
from tools.mqtt.broker import Broker, choose, install_mosquitto
from tools.progress import Progress

HELP = "20 simulated boxes of one recorded run: landed, joined, and one page at the end"
BOXES, DAYS, VISITS = 20, 3, 12  # visits: copies of the recording at each box and day
EVENTS_HZ, FRAMES_HZ = 400.0, 2.0
WAIT_S = 60.0
DAY_S = 24 * 3600
# How busy a place is in each hour of the day.
BUSY = (1, 1, 1, 1, 1, 2, 6, 14, 18, 12, 9, 10, 14, 12, 9, 9, 12, 18, 16, 9, 6, 4, 2, 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--messages",
        type=Path,
        default=Path("out/demo/messages.jsonl"),
        metavar="F",
        help="messages of a run (default: %(default)s, of `make demo`)",
    )
    parser.add_argument("--out", type=Path, default=Path("out/fleet-demo"), help="folder")
    parser.add_argument("--boxes", type=int, default=BOXES, metavar="N", help="(%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Simulate, land, join, report."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if not 1 <= arguments.boxes <= 100:
        raise ConfigError("--boxes: must be 1 to 100")
    recorded = read(arguments.messages)
    landing = arguments.out / f"landing-{time.time_ns()}"
    install_mosquitto()
    print(f"simulated: {arguments.boxes} boxes repeat the messages of one real recording")
    with Broker(choose()) as broker, Landing(broker.uri, landing) as lander:
        sent = send(broker.port, recorded, arguments.boxes)
        lander.wait_for(sent)
    main(["fleet", "join", str(landing), "--older", "0"])
    page = arguments.out / "fleet.html"
    return main(["fleet", "report", str(landing), "--out", str(page)])


Recorded = List[Tuple[str, Dict[str, Any]]]


def read(path: Path) -> Recorded:
    """Events and a few frames of each camera, with the kind of message, in the order of time.

    Raises:
        NoInputError: there are none.
    """
    found: Recorded = []
    last_ns: Dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                levels, payload = message["topic"].split("/"), message["payload"]
                kind = levels[4] if len(levels) > 4 and levels[3] != "scene" else ""
                since_ns = payload.get("t_mono_ns", 0) - last_ns.get(payload.get("camera", ""), 0)
                if kind == "event" or (kind == "frame" and since_ns >= 1e9 / FRAMES_HZ):
                    found.append((kind, payload))
                    if kind == "frame":
                        last_ns[payload["camera"]] = payload["t_mono_ns"]
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror}; `make demo` makes it") from error
    if not any(kind == "event" for kind, _ in found):
        raise NoInputError(f"{path}: holds no event; `make demo` makes one that does")
    return sorted(found, key=lambda one: int(one[1]["t_utc_ns"]))


def send(port: int, recorded: Recorded, boxes: int) -> int:
    """Publish what the boxes would say; returns the number of events."""
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    events = list(simulated(recorded, boxes))
    with Progress("publishing", len(events), "events") as bar:
        begin_s = time.monotonic()
        frames = _Frames(client, recorded, boxes)
        for number, (topic, payload) in enumerate(events):
            client.publish(topic, json.dumps(payload), 1)
            bar.update()
            while time.monotonic() - begin_s < number / EVENTS_HZ:
                frames.due()
                time.sleep(0.002)
    frames.rest()
    client.disconnect()
    client.loop_stop()
    return len(events)


def simulated(recorded: Recorded, boxes: int) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Topics and events of all boxes: copies of the recorded ones, over some days."""
    rng = random.Random(1)
    real = [payload for kind, payload in recorded if kind == "event"]
    begin_ns = real[0]["t_utc_ns"]
    today_s = time.time() // DAY_S * DAY_S - DAYS * DAY_S
    for box in range(boxes):
        device, boot_id = f"box{box:02d}", secrets.token_hex(8)
        busy = rng.uniform(0.4, 1.6)
        seq: Dict[str, int] = {}
        for visit in range(max(1, round(VISITS * busy)) * DAYS):
            hour = rng.choices(range(24), BUSY)[0]
            at_s = today_s + (visit % DAYS) * DAY_S + hour * 3600 + rng.uniform(0, 3600)
            for one in real:
                topic = f"poses/v1/{device}/{one['camera']}/event/{one['kind']}"
                seq[topic] = seq.get(topic, -1) + 1
                t_ns = round(at_s * 1e9) + one["t_utc_ns"] - begin_ns
                person = one["person"] + 100 * visit if one["person"] >= 0 else -1
                changed = {"device": device, "boot_id": boot_id, "seq": seq[topic]}
                yield topic, {**one, **changed, "t_utc_ns": t_ns, "person": person}


class _Frames:
    """Frames of all boxes, published in the time of the recording."""

    def __init__(self, client: Client, recorded: Recorded, boxes: int) -> None:
        self._client, self._boxes = client, boxes
        self._frames = [payload for kind, payload in recorded if kind == "frame"]
        self._begin_s = time.monotonic()
        self._first_ns = self._frames[0]["t_mono_ns"] if self._frames else 0

    def due(self) -> None:
        """Publish the frames whose time has come."""
        while self._frames and self._at_s(self._frames[0]) <= time.monotonic() - self._begin_s:
            self._publish(self._frames.pop(0))

    def rest(self) -> None:
        """Publish the other frames, each at its time."""
        while self._frames:
            self.due()
            time.sleep(0.01)

    def _at_s(self, frame: Mapping[str, Any]) -> float:
        return float((frame["t_mono_ns"] - self._first_ns) * 1e-9)

    def _publish(self, frame: Mapping[str, Any]) -> None:
        for box in range(self._boxes):
            device = f"box{box:02d}"
            payload = {**frame, "device": device, "t_utc_ns": time.time_ns()}
            topic = f"poses/v1/{device}/{frame['camera']}/frame"
            self._client.publish(topic, json.dumps(payload), 0)


class Landing:
    """`edge-tools land` as a child process; a context manager that ends it."""

    def __init__(self, uri: str, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, "-m", "tools", "land", uri, str(folder), "--heat"]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def __enter__(self) -> Landing:
        assert self._child.stdout is not None
        if not self._child.stdout.readline().startswith("landing in "):
            raise TempError("edge-tools land did not begin")
        return self

    def wait_for(self, rows: int) -> None:
        """Wait until so many events are landed; raises TempError."""
        end_s = time.monotonic() + WAIT_S
        while self._rows() < rows:
            if time.monotonic() > end_s:
                raise TempError(f"{self._rows()} of {rows} events were landed in {WAIT_S:.0f} s")
            time.sleep(0.5)

    def _rows(self) -> int:
        files = list((self._folder / "landed").glob("day=*/device=*/*.jsonl"))
        return sum(text.count('"kind":"') - text.count('"kind":"h') for text in map(_text, files))

    def __exit__(self, *error: object) -> None:
        self._child.terminate()
        out, _ = self._child.communicate(timeout=WAIT_S)
        print(out.strip().splitlines()[-1] if out.strip() else "land ended")


def _text(path: Path) -> str:
    return path.read_text("utf-8")
