"""The broker exactly as systemd/broker sets it up, with an authority, boxes and consumers."""

from __future__ import annotations

import queue
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

from tests.waiting import GIVE_UP_S
from tools.mqtt.broker import account, free_port, install_mosquitto, listens, mosquitto

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "systemd/broker"
REFUSED = 0x87  # MQTT 5 section 2.4: not authorized


def authority(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(SETUP / "authority.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def provision(root: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "provision", "--root", str(root), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, encoding="utf-8"
    )


class Guarded:
    """mosquitto with edge.conf and acl, and the folder of its authority."""

    def __init__(self, folder: Path) -> None:
        assert install_mosquitto(), "these tests need mosquitto: apt install mosquitto"
        self.folder = folder
        self.authority = folder / "authority"
        # Started by root, mosquitto becomes another user, who cannot enter pytest's folders.
        self.files = Path(tempfile.mkdtemp(prefix="edge-broker-"))
        self.port = free_port()
        self.log = self.files / "log"
        self._process: Optional[subprocess.Popen[bytes]] = None
        for order in (
            ("init",),
            ("server", "127.0.0.1"),
            ("consumer", "dashboard"),
            ("consumer", "operator"),
        ):
            self.call(order[0], *order[1:])

    @property
    def uri(self) -> str:
        return f"mqtts://127.0.0.1:{self.port}"

    def call(self, command: str, *more: Any) -> str:
        done = authority(command, self.authority, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        for name in ("ca.crt", "ca.crl", "server.crt", "server.key"):
            shutil.copy(self.authority / name, self.files)
        shutil.copy(SETUP / "acl", self.files)
        text = (
            (SETUP / "edge.conf")
            .read_text(encoding="utf-8")
            .replace("/etc/mosquitto/edge", str(self.files))
        )
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        config = self.files / "edge.conf"
        config.write_text(
            f"user {account()}\nlog_dest stderr\nlog_type all\n{text}", encoding="utf-8"
        )
        self.log.touch()
        shutil.chown(self.files, account())
        for path in self.files.iterdir():
            shutil.chown(path, account())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([str(mosquitto()), "-c", str(config)], stderr=log)
        end = time.monotonic() + GIVE_UP_S
        while not listens("127.0.0.1", self.port):
            assert time.monotonic() < end, self.log.read_text(encoding="utf-8")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(GIVE_UP_S)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.files, ignore_errors=True)

    def box(self, device: str) -> Path:
        """A box's root, provisioned by the program itself and signed."""
        root = self.folder / f"box-{device}"
        (root / "etc/edge").mkdir(parents=True)
        shutil.copy(ROOT / "systemd/edge.toml", root / "etc/edge/edge.toml")
        done = provision(
            root, "--device", device, "--broker", self.uri, "--ca", self.authority / "ca.crt"
        )
        assert done.returncode == 0, done.stderr
        self.call("sign", root / "etc/edge/device.csr")
        done = provision(root, "--certificate", self.authority / f"{device}.crt")
        assert done.returncode == 0, done.stderr
        return root

    def files_of(self, name: str) -> Tuple[Path, Path]:
        """Certificate and key of a consumer, or of a provisioned box."""
        own = self.folder / f"box-{name}/etc/edge/credentials"
        if own.is_dir():
            return own / "device.crt", own / "device.key"
        return self.authority / f"{name}.crt", self.authority / f"{name}.key"


class Caller:
    """Any client: says who it is by certificate, name and number, as it likes."""

    def __init__(
        self,
        guarded: Guarded,
        files: Optional[Tuple[Path, Path]],
        client: str = "",
        user: str = "",
        tls: bool = True,
    ) -> None:
        self.seen: List[Tuple[str, bytes]] = []
        self._notes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client,
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        if user:
            self._client.username_pw_set(user, "whatever")
        if tls:
            context = ssl.create_default_context(cafile=str(guarded.authority / "ca.crt"))
            if files:
                context.load_cert_chain(*map(str, files))
            self._client.tls_set_context(context)
        put = self._notes.put
        self._client.on_connect = lambda c, d, f, reason, p: put(("up", reason.value))
        self._client.on_disconnect = lambda c, d, f, reason, p: put(("down", reason.value))
        self._client.on_publish = lambda c, d, mid, reason, p: put((mid, reason.value))
        self._client.on_subscribe = lambda c, d, mid, reasons, p: put((mid, reasons[0].value))
        self._client.on_message = lambda c, d, m: self.seen.append((m.topic, m.payload))
        self.entered = self._enter(guarded.port)

    def _enter(self, port: int) -> bool:
        try:
            self._client.connect("127.0.0.1", port)
        except (OSError, ssl.SSLError):
            return False
        self._client.loop_start()
        kind, value = self._notes.get(timeout=GIVE_UP_S)
        return kind == "up" and value == 0

    def say(self, topic: str, body: bytes = b"forged") -> int:
        """Publish; the broker's answer."""
        return self._answer(self._client.publish(topic, body, qos=1).mid)

    def hear(self, topic: str) -> int:
        return self._answer(self._client.subscribe(topic, qos=1)[1])

    def _answer(self, mid: Optional[int]) -> int:
        while True:
            note: Tuple[Any, int] = self._notes.get(timeout=GIVE_UP_S)
            if note[0] == mid:
                return note[1]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def of(self, part: str) -> List[Dict[str, Any]]:
        return [{"topic": t, "body": b} for t, b in list(self.seen) if part in t]
