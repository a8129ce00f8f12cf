"""What a box talks to, on this machine: a broker with TLS, a listener, a consumer with a ledger."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.vm import page
from tests.vm.image import ROOT
from tests.vm.machine import Failed, free_port

PORT = 8883  # BOX.md's address of the broker names none
Message = Dict[str, Any]


class Broker:
    """mosquitto as BOX.md sets it up, with its files in a folder instead of /etc/mosquitto.

    The machine reaches it as broker.local, port 8883 (10.0.2.2 is this machine's loopback). Beside
    the page's listener it has one for the programs of this machine, which cannot resolve that name.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.authority = place / "authority"
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.signing = ""  # the page's line that signs a request
        self.port = free_port()

    def start(self) -> None:
        """Run the page's lines; the one that signs waits for `sign`."""
        shutil.rmtree(self.place, ignore_errors=True)
        (self.place / "etc/conf.d").mkdir(parents=True)
        shutil.copytree(ROOT / "systemd/broker", self.place / "broker")
        for line in page.blocks()["on the broker"]:
            if "device.csr" in line:
                self.signing = line.partition("#")[0]
            else:
                self.sh(line)

    def sh(self, line: str) -> None:
        """One line of the page, in the broker's folder."""
        restart = "systemctl restart mosquitto"
        here = line.replace("/etc/mosquitto", str(self.place / "etc")).replace(restart, "true")
        subprocess.run(["sh", "-c", here], cwd=self.place, check=True, stdout=subprocess.DEVNULL)
        if restart in line:
            self.restart()

    def restart(self) -> None:
        self.stop()
        config = self.place / "etc/conf.d/edge.conf"
        text = config.read_text("utf-8").replace("/etc/mosquitto", str(self.place / "etc"))
        text = text.replace("listener 8883\n", "listener 8883 127.0.0.1\n")
        own = f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
        config.write_text(text if own in text else text + own, "utf-8")
        with (self.place / "mosquitto.log").open("ab") as log:
            words = ["/usr/sbin/mosquitto", "-c", str(config)]
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        time.sleep(0.5)
        if self.process.poll() is not None:
            tail = (self.place / "mosquitto.log").read_text("utf-8")[-500:]
            raise Failed(f"mosquitto does not start; is port {PORT} taken? {tail}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def sign(self, request: str) -> Path:
        """Sign a box's certificate request; gives the certificate."""
        (self.place / "device.csr").write_text(request, "utf-8")
        self.sh(self.signing)
        return max(self.authority.glob("*.crt"), key=lambda path: path.stat().st_mtime)


class Listener:
    """Everything that boxes publish but frames, with the time of its arrival on this machine."""

    def __init__(self, broker: Broker) -> None:
        self._lock = threading.Lock()
        self._messages: List[Message] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_connect, self.client.on_message = self._connected, self._take
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def _connected(self, client: mqtt.Client, *rest: object) -> None:
        for topic in ("status", "metrics", "+/state", "+/event/#"):
            client.subscribe(f"poses/v1/+/{topic}", qos=1)

    def _take(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        record = {"topic": message.topic, "at_s": time.monotonic(), "retained": message.retain}
        record.update(json.loads(message.payload or b"{}"))
        with self._lock:
            self._messages.append(record)

    def since(self, begun_s: float, part: str) -> List[Message]:
        """Messages after a time, whose topic has a part, without retained ones."""
        with self._lock:
            found = [m for m in self._messages if part in m["topic"] and m["at_s"] > begun_s]
        return [m for m in found if not m["retained"]]

    def online_since(self, begun_s: float) -> bool:
        """Whether a box has come online, and the last word is not offline."""
        states = [m["state"] for m in self.since(begun_s, "/status")]
        return bool(states) and states[-1] == "online"

    def state_of(self, camera: str, begun_s: float) -> Message:
        """The last state of a camera after a time; empty = none."""
        return (self.since(begun_s, f"/{camera}/state") or [{}])[-1]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


class Ledger:
    """examples/consumer.py as a process: it writes an event to the disk, then acknowledges it."""

    def __init__(self, broker: Broker, path: Path) -> None:
        self.broker, self.path = broker, path
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> None:
        words = [sys.executable, str(ROOT / "examples/consumer.py")]
        with self.path.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*words, f"127.0.0.1:{self.broker.port}", str(self.path)], stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def numbers(self) -> Dict[str, Set[Tuple[str, int]]]:
        """Topic and number of the stored events of each run of the program."""
        found: Dict[str, Set[Tuple[str, int]]] = {}
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                topic, boot, seq = json.loads(line)["key"]
                found.setdefault(boot, set()).add((topic, seq))
        return found
