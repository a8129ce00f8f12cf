"""A temporary MQTT broker on loopback: mosquitto if it is installed, else amqtt from pip.

Use: `with Broker() as broker: print(broker.uri)`.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Dict, List, Optional, Sequence, Type

from edge.errors import ConfigError, UnavailableError

KINDS = ("mosquitto", "amqtt")
SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # often not on a user's PATH
START_S = 10.0
STOP_S = 5.0
ROUNDS = 101  # of PBKDF2, as mosquitto 2.0 writes; the password is random and short-lived


def mosquitto() -> Optional[str]:
    """The path of mosquitto, or None if it is not installed."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *SBIN])
    return shutil.which("mosquitto", path=places)


def install_mosquitto() -> bool:
    """Install mosquitto with apt if possible (as root); returns whether it is installed now."""
    if mosquitto() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "mosquitto"]
        # The package would start a service on port 1883, which is not wanted.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for attempt in (["apt-get", "update", "-q"], command):
            subprocess.run(attempt, env=quiet, check=False, stdout=sys.stderr)
    return mosquitto() is not None


def choose() -> str:
    """The kind of broker that this machine can run.

    Raises:
        UnavailableError: there is no broker. The message says what to install.
    """
    if mosquitto():
        return "mosquitto"
    if importlib.util.find_spec("amqtt"):
        return "amqtt"
    raise UnavailableError("no MQTT broker: `apt install mosquitto`, or `pip install amqtt`")


class Broker:
    """One broker process; a context manager.

    Args:
        kind: "auto", "mosquitto" or "amqtt".
        user: clients must log in with this name and a random password (mosquitto only).
        extra: further lines of mosquitto's configuration.
    """

    def __init__(
        self, kind: str = "auto", user: Optional[str] = None, extra: Sequence[str] = ()
    ) -> None:
        self.kind = choose() if kind == "auto" else kind
        if self.kind == "mosquitto" and not mosquitto():
            raise UnavailableError("mosquitto is not installed: `apt install mosquitto`")
        if self.kind != "mosquitto" and (user or extra):
            raise ConfigError(f"{self.kind} runs without users and options; use mosquitto")
        self.host, self.port = "127.0.0.1", free_port()
        self.user = user
        self.password = secrets.token_urlsafe(18) if user else ""
        self.protocol = "5" if self.kind == "mosquitto" else "3.1.1"
        self.folder = Path(tempfile.mkdtemp(prefix="edge-broker-"))
        self.log = self.folder / "broker.log"
        self.password_file = self.folder / "password"
        self.extra = list(extra)
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def uri(self) -> str:
        """Its address, in the form of a sink's address."""
        who = f"{self.user}@" if self.user else ""
        return f"mqtt://{who}{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id, or 0 if it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it and wait until it listens. A second start uses the same port.

        Raises:
            UnavailableError: it does not start. The message ends with the broker's own.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal must not reach the broker
            )
        give_up_s = time.monotonic() + START_S
        while not listens(self.host, self.port):
            if self._process.poll() is not None or time.monotonic() > give_up_s:
                lines = self.log.read_text("utf-8", "replace").splitlines() or ["no output"]
                errors = [line for line in lines if "error" in line.lower()] or lines[-1:]
                self.stop()
                raise UnavailableError(f"{self.kind} does not start: {errors[0]}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal and wait until it has ended; it can be started again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Broker:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> List[str]:
        if self.kind == "amqtt":
            return [sys.executable, "-m", "tools.mqtt.embedded_broker", str(self.port)]
        self._write_files()
        return [str(mosquitto()), "-c", str(self.folder / "mosquitto.conf")]

    def _write_files(self) -> None:
        """Write the files, readable by the user to whom mosquitto switches if root starts it."""
        files: Dict[str, str] = {"mosquitto.conf": "\n".join(self._lines()) + "\n"}
        if self.user:
            files["password"] = self.password + "\n"
            files["users"] = f"{self.user}:{hashed(self.password)}\n"
        for name, text in files.items():
            path = self.folder / name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o600)
        owner = account()
        if os.geteuid() == 0 and owner != "root":
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, owner)

    def _lines(self) -> List[str]:
        lines = [f"listener {self.port} {self.host}", "persistence false", "log_dest stderr"]
        lines.append("set_tcp_nodelay true")  # else a second message waits 40 ms for an ACK
        lines += [f"user {account()}", f"allow_anonymous {'false' if self.user else 'true'}"]
        if self.user:
            lines.append(f"password_file {self.folder / 'users'}")
        return lines + self.extra


def account() -> str:
    """The user that mosquitto runs as: its own if we are root and it exists, else ours."""
    if os.geteuid() != 0:
        return getpass.getuser()
    return "mosquitto" if any(u.pw_name == "mosquitto" for u in pwd.getpwall()) else "root"


def hashed(password: str) -> str:
    """A line of mosquitto's password file: $7$rounds$salt$PBKDF2-HMAC-SHA512 (mosquitto_passwd)."""
    salt = secrets.token_bytes(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def free_port() -> int:
    """A TCP port on loopback that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(host: str, port: int) -> bool:
    """Whether a server accepts connections at this address."""
    try:
        socket.create_connection((host, port), 1.0).close()
    except OSError:
        return False
    return True
