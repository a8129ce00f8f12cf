"""`edge run` as a process of its own, with the two tiny networks of the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.waiting import GIVE_UP_S

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "edge" / "golden" / "models"
SYNTHETIC = "synthetic://walk?people=2&width=320&height=240&fps=20"
Table = Dict[str, Any]


def toml(table: Table) -> str:
    """Sections of plain values, and lists of tables."""
    lines: List[str] = []
    for name, value in table.items():
        if isinstance(value, dict):
            lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
        elif isinstance(value, list):
            for one in value:
                lines += [f"[[{name}]]", *(f"{k} = {json.dumps(v)}" for k, v in one.items())]
        else:
            lines.insert(0, f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def settings(folder: Path, sinks: List[str], **more: Any) -> Table:
    table: Table = {
        "device": "hall",
        "cameras": [{"source": SYNTHETIC, "name": "door"}],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox"},
        "pose": {"model": "standing"},
        "rules": [{"kind": "presence", "enter_s": 0.1}],
        "publish": {"sinks": sinks, "metrics_s": 0.5},
        "state": {"dir": str(folder / "state")},
    }
    return {**table, **more}


def key_pair(folder: Path, name: str = "operator") -> Ed25519PrivateKey:
    """Writes NAME.key and NAME.pub."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(secret)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return key


class Daemon:
    """Starts and ends the program; keeps what it says."""

    def __init__(self, folder: Path, table: Table, *arguments: str) -> None:
        self.folder, self.arguments = folder, arguments
        self.config = folder / "edge.toml"
        self.config.write_text(toml(table), encoding="utf-8")
        self.log = folder / "edge.log"
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self, **environment: str) -> None:
        command = [sys.executable, "-m", "edge", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
            )

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(GIVE_UP_S)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
