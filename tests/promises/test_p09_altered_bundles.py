"""Bundles that are not what the operator signed."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.bundle.file import HEAD, MAGIC, write_bundle
from edge.bundle.slots import Slots, State
from edge.errors import EdgeError
from tests.promises.whole_daemon import MODELS, Daemon, key_pair, settings
from tests.waiting import until
from tools.__main__ import main as tools

KEY, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
Mutation = Callable[[bytes, random.Random], bytes]


def bundle(version: int = 1, key: Any = KEY) -> bytes:
    out = io.BytesIO()
    files = {p.relative_to(MODELS).as_posix(): p for p in MODELS.glob("*/*")}
    write_bundle(out, files, version, "bundle", key)
    return out.getvalue()


def spot(data: bytes, chance: random.Random) -> int:
    """Anywhere, but the head and the manifest as often as all the rest."""
    return chance.randrange(min(1200, len(data)) if chance.random() < 0.5 else len(data))


def flip(data: bytes, chance: random.Random) -> bytes:
    at = spot(data, chance)
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    at = spot(data, chance)
    return data[:at] + data[at + chance.randint(1, 100) :]


def add(data: bytes, chance: random.Random) -> bytes:
    at = spot(data, chance)
    return data[:at] + chance.randbytes(chance.randint(1, 100)) + data[at:]


def end(data: bytes, chance: random.Random) -> bytes:
    return data[: spot(data, chance)]


def swap(data: bytes, chance: random.Random) -> bytes:
    a, b, n = spot(data, chance), spot(data, chance), chance.randint(1, 64)
    a, b = sorted((a, b))
    return data[:a] + data[b : b + n] + data[a + n : b] + data[a : a + n] + data[b + n :]


def unsigned(data: bytes, chance: random.Random) -> bytes:
    magic, length, signature = HEAD.unpack_from(data)
    fakes = (bytes(64), chance.randbytes(64), signature[::-1], signature[:32] + bytes(32))
    return HEAD.pack(magic, length, chance.choice(fakes)) + data[HEAD.size :]


def foreign(data: bytes, chance: random.Random) -> bytes:
    magic, length, _ = HEAD.unpack_from(data)
    manifest = data[HEAD.size : HEAD.size + length]
    key = chance.choice((FOREIGN, Ed25519PrivateKey.generate()))
    return HEAD.pack(magic, length, key.sign(manifest)) + data[HEAD.size :]


def relisted(data: bytes, chance: random.Random) -> bytes:
    """The manifest written anew, under the old signature or a foreign one."""
    _, length, signature = HEAD.unpack_from(data)
    table: Dict[str, Any] = json.loads(data[HEAD.size : HEAD.size + length])
    which = chance.randrange(4)
    name = chance.choice(sorted(table["files"]))
    if which == 0:
        table["bundle"]["version"] += chance.randint(1, 99)
    elif which == 1:
        table["files"][name] = chance.randbytes(32).hex()
    elif which == 2:
        table["sizes"][name] += chance.choice((-1, 1))
    else:
        table["files"]["../../" + name] = table["files"].pop(name)
    manifest = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    signature = chance.choice((signature, FOREIGN.sign(manifest)))
    return HEAD.pack(MAGIC, len(manifest), signature) + manifest + data[HEAD.size + length :]


MUTATIONS: List[Mutation] = [flip, cut, add, end, swap, unsigned, foreign, relisted]


def refused(slots: Slots, path: Path) -> str:
    """Why a bundle is not taken; empty when it is."""
    try:
        slots.install(path, KEY.public_key())
    except EdgeError as error:
        return str(error)
    return ""


def test_no_altered_unsigned_or_foreign_bundle_is_accepted(
    tmp_path: Path, soak: bool, figures: Any
) -> None:
    """P9: 0 of 1000 altered, unsigned or foreign bundles are accepted (short form: 100)."""
    good, chance, count = bundle(), random.Random(9), 1000 if soak else 100
    slots, path = Slots(tmp_path / "bundles"), tmp_path / "x.bundle"
    tried: Dict[str, int] = {}
    accepted = []
    for i in range(count):
        mutation = MUTATIONS[i % len(MUTATIONS)]
        data = mutation(good, chance)
        while data == good:
            data = mutation(good, chance)
        path.write_bytes(data)
        refusal = refused(slots, path)
        if not refusal:
            accepted.append((mutation.__name__, i))
        assert "\n" not in refusal
        tried[mutation.__name__] = tried.get(mutation.__name__, 0) + 1
        assert slots.state() == State()
        assert sorted(p.name for p in (tmp_path / "bundles").iterdir()) == ["lock"]
    path.write_bytes(good)
    slots.install(path, KEY.public_key())  # what was changed was the reason, nothing else
    figures("P9", mutations=count, kinds=len(tried), accepted=len(accepted))
    assert accepted == []
    assert set(tried) == {m.__name__ for m in MUTATIONS}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    key_pair(tmp_path)
    key_pair(tmp_path, "foreign")
    return tmp_path


def make(home: Path, name: str, version: int, key: str = "operator") -> Path:
    out = home / "state" / "incoming" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    secret = str(home / f"{key}.key")
    arguments = ["--models", str(MODELS), "--key", secret, "--version", str(version)]
    assert tools(["bundle", "make", "twobox", "standing", *arguments, "--out", str(out)]) == 0
    return out


def test_a_running_box_takes_a_signed_bundle_and_no_other(
    home: Path, broker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """P9: the whole program takes a signed bundle over a signed command, and no foreign one.

    The installation's own models must be signed, too: `[trust]` counts for both.
    """
    fine, alien = make(home, "fine.bundle", 7), make(home, "alien.bundle", 8, "foreign")
    changed = home / "state" / "incoming" / "changed.bundle"
    changed.write_bytes(fine.read_bytes()[:-1] + b"?")
    assert tools(["bundle", "inspect", str(fine), "--key", str(home / "operator.pub")]) == 0
    for wrong in (alien, changed):
        assert tools(["bundle", "inspect", str(wrong), "--key", str(home / "operator.pub")]) == 65
    models = home / "models"
    for source in MODELS.glob("*/*"):
        copy = models / source.relative_to(MODELS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    assert tools(["sign", "--models", str(models), "--key", str(home / "operator.key")]) == 0
    table = settings(
        home,
        [broker.uri, "jsonl:out.jsonl"],
        models={"dir": str(models)},
        trust={"key_file": str(home / "operator.pub")},
        commands={"allow": ["update"]},
        bundle={"enabled": True, "confirm_frames": 10},
    )
    capsys.readouterr()

    def update(name: str) -> Any:
        to = ["--device", "hall", "--broker", broker.uri, "--key", str(home / "operator.key")]
        code = tools(["command", "update", f"file={name}", *to, "--wait", "60", "--json"])
        told = capsys.readouterr()
        assert code in (0, 77), told.err
        return json.loads(told.out)

    slots = Slots(home / "state" / "bundles")
    with Daemon(home, table) as daemon:
        until(
            lambda: (
                b'/frame"' in (home / "out.jsonl").read_bytes()
                if (home / "out.jsonl").exists()
                else False
            ),
            "frames",
        )
        for name, words in [
            ("alien.bundle", "not signed with this key"),
            ("changed.bundle", "was changed"),
            ("none.bundle", "No such file"),
        ]:
            answer = update(name)
            assert (answer["state"], answer["reason"]) == ("refused", "failed")
            assert words in answer["detail"]
        assert slots.state() == State()
        answer = update("fine.bundle")
        assert (answer["state"], answer["result"]) == ("done", {"version": 7, "in_use": "now"})
        until(lambda: slots.state().confirmed, "the confirmation")
        assert update("fine.bundle")["detail"].endswith("sign it again with a higher version")
        assert slots.state().active == "a"
        assert daemon.stop() == 0
    frames = [
        json.loads(line)["payload"]["seq"]
        for line in (home / "out.jsonl").read_text(encoding="utf-8").splitlines()
        if '/frame"' in line
    ]
    assert frames == list(range(len(frames))), "the switch lost no frame"
    assert "Traceback" not in daemon.text()
    with Daemon(home, table) as daemon:
        until(lambda: str(home / "state" / "bundles" / "a") in daemon.text(), "the bundle")
        daemon.stop()


@pytest.mark.parametrize("lost", ["state.json", "floor", "both"])
@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_an_older_bundle_stays_refused_after_files_are_lost(
    tmp_path: Path, figures: Any, lost: str, how: str
) -> None:
    """P9: a bundle that is older than a confirmed one is refused, also after one or both of the
    files that know it are damaged or gone.
    """
    for version in (1, 2):
        (tmp_path / f"{version}.bundle").write_bytes(bundle(version))
    slots = Slots(tmp_path / "bundles")
    slots.switch(*slots.install(tmp_path / "2.bundle", KEY.public_key()))
    slots.confirm()
    files = {"state.json": tmp_path / "bundles/state.json", "floor": tmp_path / "bundles.floor"}
    for name, path in files.items():
        if lost in (name, "both"):
            path.unlink() if how == "gone" else path.write_bytes(path.read_bytes()[:-20])
    after = Slots(tmp_path / "bundles")
    after.begin(3)
    for version in (1, 2):
        with pytest.raises(EdgeError, match="an older bundle is never taken"):
            after.install(tmp_path / f"{version}.bundle", KEY.public_key())
    figures("P9", what=f"older bundle, {lost} {how}", installed=0)
