"""Networks that go silent: nothing is refused, nothing arrives.

With root: a broker in a network namespace of its own behind a veth pair; silence = each side's
neighbour entry names a hardware address that nobody has. Without: a TCP proxy that stops to read.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

from tests.promises.box_process import HERE, ROOT
from tests.waiting import until
from tools.mqtt.broker import mosquitto

NOWHERE = "02:00:00:00:00:99"


def ip(*words: str) -> str:
    done = subprocess.run(
        ["ip", *words], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    return done.stdout


class Namespace:
    """A broker and a consumer on the far side of a cable that can be cut without a sound."""

    kind = "network namespaces"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"edge{os.getpid()}"
        net = os.getpid() % 250
        self.host, self._near = f"10.213.{net}.2", f"10.213.{net}.1"
        self.port = 18831
        self._processes: List[subprocess.Popen[bytes]] = []
        self.received = folder / "received"

    @property
    def uri(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def __enter__(self) -> Namespace:
        near, far = f"{self._name}a", f"{self._name}b"
        ip("netns", "add", self._name)
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", self._name)
        ip("addr", "add", f"{self._near}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", self._name, "addr", "add", f"{self.host}/30", "dev", far)
        ip("-n", self._name, "link", "set", far, "up")
        ip("-n", self._name, "link", "set", "lo", "up")
        self._links = ((), near, self.host), (("-n", self._name), far, self._near)
        self._macs = [self._mac(*link) for link in (((), near), (("-n", self._name), far))]
        self._inside("broker", str(mosquitto()), "-c", str(self._configuration()))
        until(self._listens, "the broker")
        self._inside(
            "consumer",
            sys.executable,
            str(HERE / "far_consumer.py"),
            str(self.port),
            str(self.received),
        )
        until(self.received.exists, "the consumer")
        return self

    def silent(self, silent: bool) -> None:
        """Both ways at once, and without a word to anybody."""
        for (where, device, neighbour), mac in zip(self._links, reversed(self._macs)):
            ip(
                *where,
                "neigh",
                "replace",
                neighbour,
                "lladdr",
                NOWHERE if silent else mac,
                "dev",
                device,
                "nud",
                "permanent",
            )

    def records(self) -> List[Dict[str, Any]]:
        return [json.loads(line) for line in self.received.read_text(encoding="utf-8").splitlines()]

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        subprocess.run(["ip", "netns", "del", self._name], check=False)

    def _mac(self, where: Any, device: str) -> str:
        return json.loads(ip(*where, "-j", "link", "show", device))[0]["address"]

    def _inside(self, name: str, *command: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self._folder / f"{name}.log").open("ab") as log:
            words = ["ip", "netns", "exec", self._name, *command]
            self._processes.append(subprocess.Popen(words, stdout=log, stderr=log, env=environment))

    def _configuration(self) -> Path:
        path = self._folder / "far.conf"
        path.write_text(
            f"listener {self.port}\nallow_anonymous true\nuser root\n"
            "max_queued_messages 0\npersistence false\n",
            encoding="utf-8",
        )
        return path

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, self.port)) == 0


class Proxy:
    """Stands between a box and its broker; a silent one neither reads, writes nor accepts."""

    kind = "a silent TCP proxy"

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._calls: List[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def uri(self) -> str:
        return f"mqtt://127.0.0.1:{self._listener.getsockname()[1]}"

    def silent(self, silent: bool) -> None:
        """A call that went silent never speaks again: its sides have given it up by then."""
        self._open.clear() if silent else self._open.set()

    def close(self) -> None:
        self._open.set()
        for one in (self._listener, *self._calls):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                self._open.wait()
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            self._calls += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = one.recv(65536)
                self._open.wait()
                if not data:
                    break
                other.sendall(data)
        for end in (one, other):
            end.close()
