"""The app of examples/fleet/flower on loopback: `make flower-test`.

Four sites of a few numbers in three rounds, and two that run `edge-tools train`.

Flower runs on the Python of .venv-flower; this test only starts it. Nothing here has a time limit:
the SuperLink waits ten minutes for each process of Flower to start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Sequence

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.flower.site_trainer import WEIGHTS, examples, move
from tests.flower.test_site_train import HEAD_WEIGHTS, command
from tests.tools.training.training_cases import drawn
from tests.waiting import GIVE_UP_S, until
from tools.federated import weights
from tools.fetch.by_name import ensure_model
from tools.mqtt.broker import free_port, listens

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "examples/fleet/flower"
BIN = ROOT / ".venv-flower/bin"
TRAINER = Path(__file__).with_name("site_trainer.py")
SITES, ROUNDS = 4, 3
REVIEWER = "fpk_00000000-0000-4000-8000-000000000001"

pytestmark = pytest.mark.soak


def written(path: Path, key: Any) -> Path:
    """A secret key in a file, and its public key beside it, as `ssh-keygen` writes them."""
    secret = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.OpenSSH, ser.NoEncryption())
    path.write_bytes(secret)
    public = key.public_key().public_bytes(ser.Encoding.OpenSSH, ser.PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public)
    return path


def certificates(folder: Path) -> None:
    """An authority and a certificate of 127.0.0.1."""
    name = ["-subj", "/CN=trial", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make = ["openssl", "req", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2"]
    subprocess.run([*make, *name], cwd=folder, check=True, capture_output=True)
    make = ["openssl", "req", "-x509", "-keyout", "server.key", "-out", "server.crt", "-days", "2"]
    more = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    more += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*make, *name, *more], cwd=folder, check=True, capture_output=True)


class Federation:
    """A SuperLink and SuperNodes of the example, each a process group of its own.

    Args:
        place: folder for all files.
        trains: the training command of each site.
    """

    def __init__(self, place: Path, trains: Sequence[str]) -> None:
        self.place, self.trains, self.port = place, trains, free_port()
        self.processes: List[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "FLWR_HOME": str(place / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
        }
        self.environment.pop("PYTHONPATH", None)
        certificates(place)
        (place / "home").mkdir()
        text = '[superlink]\ndefault = "trial"\n\n[superlink.trial]\n'
        text += f'address = "127.0.0.1:{self.port}"\nroot-certificates = "{place / "ca.crt"}"\n'
        (place / "home/config.toml").write_text(text, "utf-8")
        reviewer = ed25519.Ed25519PrivateKey.generate()
        self.reviewer = written(place / "reviewer.key", reviewer)
        public = self.reviewer.with_suffix(".pub").read_text("utf-8")
        (place / "trusted.yaml").write_text(json.dumps({REVIEWER: public}), "utf-8")

    def start(self, name: str, *words: Any) -> None:
        """Start flower.py; its words are in NAME.log."""
        command = [str(BIN / "python"), str(APP / "flower.py"), *map(str, words)]
        with (self.place / f"{name}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=self.place,
                    env=self.environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def command(self, *words: Any, folder: Any = None) -> str:
        """Run a command of Flower's; returns what it printed."""
        done = subprocess.run(
            [str(BIN / str(words[0])), *map(str, words[1:])],
            cwd=folder or self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=GIVE_UP_S,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def up(self) -> None:
        """Start all of it; a node whose key is not registered is sent away."""
        place = self.place
        tls = ["--ssl-certfile", place / "server.crt", "--ssl-keyfile", place / "server.key"]
        tls += ["--ssl-ca-certfile", place / "ca.crt", "--signatures", place / "signatures"]
        self.start("superlink", "superlink", *tls, "--port", self.port)
        here = ("127.0.0.1", self.port)
        until(lambda: self.alive() and listens(*here), "the SuperLink", every_s=0.2)
        for site, train in enumerate(self.trains):
            key = ec.generate_private_key(ec.SECP384R1())
            path = written(place / f"node{site}.key", key)
            self.command("flwr", "supernode", "register", path.with_suffix(".pub"), "trial")
            words: List[Any] = [
                "--superlink",
                f"127.0.0.1:{self.port}",
                "--node-config",
                f"train='{train}'",
            ]
            words += ["--root-certificates", place / "ca.crt", "--port", free_port()]
            words += ["--auth-supernode-private-key", path, "--trusted-entities"]
            self.start(f"node{site}", "supernode", *words, place / "trusted.yaml")

    def alive(self) -> bool:
        for process in self.processes:
            assert process.poll() is None, self.logs()
        return True

    def logs(self) -> str:
        """What all of them said."""
        files = sorted(self.place.glob("*.log"))
        return "\n".join(f"== {f.name}\n{f.read_text('utf-8', 'replace')[-4000:]}" for f in files)

    def app(self, name: str, signed: bool) -> Path:
        """A copy of the app, built, and perhaps signed by the reviewer."""
        folder = self.place / name
        shutil.copytree(APP, folder)
        (folder / "edge_average/__init__.py").write_text(f'"""{name}"""\n', "utf-8")
        self.command("flwr", "build", "--app", folder)
        (file,) = self.place.glob("*.fab")
        if signed:
            words = ["--key", self.reviewer, "--id", REVIEWER]
            words += ["--signatures", self.place / "signatures"]
            self.command("python", APP / "flower.py", "sign", file, *words)
        file.unlink()
        return folder

    def run(self, app: Path, out: Path, weights: int, rounds: int) -> None:
        """Ask the SuperLink to run an app."""
        settings = f'weights={weights} rounds={rounds} sites={len(self.trains)} out="{out}"'
        self.command("flwr", "run", app, "trial", "--run-config", settings)

    def close(self) -> None:
        """End all of it; Flower puts what it starts into sessions of their own."""
        for process in self.processes:
            for pid in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(GIVE_UP_S)


def descendants(pid: int) -> List[int]:
    """All processes that a process and those below it have started."""
    found: List[int] = []
    for path in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in path.read_text("utf-8").split():
            found += [int(child), *descendants(int(child))]
    return found


@pytest.fixture
def federation(tmp_path: Path) -> Iterator[Callable[[Sequence[str]], Federation]]:
    """Starts a federation of sites with these training commands, and ends it with the test."""
    started: List[Federation] = []

    def start(trains: Sequence[str]) -> Federation:
        started.append(Federation(tmp_path, trains))
        started[-1].up()
        return started[-1]

    yield start
    for one in started:
        one.close()


def averaged() -> np.ndarray:
    """The same rounds by NumPy alone."""
    step = np.zeros(WEIGHTS, np.float32)
    shares = np.array([examples(site) for site in range(SITES)], float)
    for _ in range(ROUNDS):
        moves = np.stack([move(step, site) for site in range(SITES)])
        step = step + (shares / shares.sum()) @ moves
    return step


def test_four_sites_average_in_three_rounds(federation: Any, tmp_path: Path) -> None:
    sites = federation([f"{sys.executable} {TRAINER} {site}" for site in range(SITES)])
    out = tmp_path / "step.npy"
    sites.run(sites.app("signed", True), out, WEIGHTS, ROUNDS)
    until(lambda: sites.alive() and out.is_file(), "the average", every_s=0.5)
    np.testing.assert_allclose(np.load(out), averaged(), atol=1e-5)
    assert not list(tmp_path.glob("*.new.npy"))
    # What nobody has reviewed runs nowhere: each node says so, and no average comes of it.
    never = tmp_path / "never.npy"
    sites.run(sites.app("unsigned", False), never, WEIGHTS, ROUNDS)

    def refused() -> bool:
        logs = [(tmp_path / f"node{i}.log").read_text("utf-8") for i in range(SITES)]
        return sites.alive() and all("could not be verified" in log for log in logs)

    until(refused, "all nodes refuse", every_s=0.5)
    assert not never.exists()


def test_two_sites_train_the_real_network(federation: Any, tmp_path: Path) -> None:
    """The average is that of the moves which the same commands make without Flower."""
    words = [
        command(drawn(tmp_path / name, recordings=tuple(recordings)))
        for name, recordings in (("north", "abc"), ("south", "abcd"))
    ]
    np.save(tmp_path / "start.npy", np.zeros(HEAD_WEIGHTS, np.float32))
    moves, people = [], []
    for number, site in enumerate(words):
        moved = tmp_path / f"moved{number}.npy"
        files = [str(tmp_path / "start.npy"), str(moved)]
        done = subprocess.run([*site, *files], check=True, stdout=subprocess.PIPE)
        moves.append(np.load(moved))
        people.append(int(done.stdout.split()[-1]))
    assert people[0] != people[1]
    assert not np.array_equal(*moves)
    # Flower's option has the single quotes of TOML around it.
    sites = federation([shlex.join(site).replace("'", '"') for site in words])
    out = tmp_path / "step.npy"
    sites.run(sites.app("signed", True), out, HEAD_WEIGHTS, 1)
    until(lambda: sites.alive() and out.is_file(), "the average", every_s=0.5)
    wanted = np.average(moves, axis=0, weights=people)
    np.testing.assert_allclose(np.load(out), wanted, atol=1e-7)
    assert np.abs(wanted).max() > 1e-5
    models = tmp_path / "engines"
    shutil.copytree(ensure_model("blazepose"), models / "blazepose")
    given = [str(out), "--name", "together", "--models", str(models)]
    subprocess.run([sys.executable, str(APP / "model_of.py"), *given], check=True)
    pair = [models / name / "body.onnx" for name in ("blazepose", "together")]
    steps = weights.moves(*(weights.load(path)[0] for path in pair))
    assert np.concatenate([step.ravel() for step in steps.values()]).size <= HEAD_WEIGHTS
    assert max(np.abs(step).max() for step in steps.values()) == pytest.approx(
        np.abs(wanted).max(), rel=1e-2
    )
