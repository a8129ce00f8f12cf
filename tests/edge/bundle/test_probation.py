"""Bundles: what is taken, what is refused, and the way back."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import io
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge import durable
from edge.bundle.file import HEAD, MAGIC, read_files, read_head, write_bundle
from edge.bundle.guard import GuardedDetector, defect
from edge.bundle.probation import Bundles
from edge.bundle.slots import Slots, State
from edge.errors import ConfigError, DataError, EdgeError, NoInputError, TempError
from edge.health import Health
from edge.models import Gives
from edge.settings import config, sections
from edge.structures import Detections, Poses
from tests.waiting import GIVE_UP_S

KEY, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
GOLDEN = Path(__file__).parents[1] / "golden" / "models"


def make(path: Path, version: int = 1, root: Path = GOLDEN, key: Any = KEY) -> Path:
    files = {p.relative_to(root).as_posix(): p for p in root.glob("*/*") if p.is_file()}
    with path.open("wb") as out:
        write_bundle(out, files, version, "test", key)
    return path


def slots(folder: Path) -> Slots:
    return Slots(folder / "bundles")


def test_contents_come_out_as_they_went_in(tmp_path: Path) -> None:
    data = make(tmp_path / "x").read_bytes()
    file = io.BytesIO(data)
    contents = read_head(file, Path("x"), KEY.public_key())
    got: Dict[str, bytes] = {}
    for name, piece, _ in read_files(file, Path("x"), contents):
        got[name] = got.get(name, b"") + piece
    want = {p.relative_to(GOLDEN).as_posix(): p.read_bytes() for p in GOLDEN.glob("*/*")}
    assert got == want
    assert (contents.version, contents.name) == (1, "test")


def test_a_bundle_becomes_a_signed_models_folder(tmp_path: Path) -> None:
    here = slots(tmp_path)
    slot, version = here.install(make(tmp_path / "x", 3), KEY.public_key())
    assert (slot, version) == ("a", 3)
    assert here.state() == State(), "installing switches nothing"
    here.switch(slot, version)
    table = config.build(
        config.Config,
        {
            "models": {"dir": str(here.path("a"))},
            "trust": {"key_file": str(public(tmp_path))},
            "detect": {"model": "twobox"},
            "pose": {"model": "standing"},
        },
    )
    from edge.loop.assemble import Models

    Models(table).close()


def test_a_state_that_does_not_fit_its_checksum_is_not_believed(tmp_path: Path) -> None:
    here = slots(tmp_path)
    here.switch("a", 3)
    path = tmp_path / "bundles" / "state.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"version": 3', '"version": 4'), encoding="utf-8"
    )
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == 4
    assert here.state() == State(reason="state.json was damaged")
    assert path.with_suffix(".damaged").exists()


def test_one_process_at_a_time_changes_the_slots(tmp_path: Path) -> None:
    here = slots(tmp_path)
    here.begin(3)
    waits = threading.Thread(target=here.begin, args=(3,), daemon=True)
    with (tmp_path / "bundles" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        waits.start()
        waits.join(0.5)
        assert waits.is_alive(), "even who only looks keeps the others out"
    waits.join(GIVE_UP_S)
    assert not waits.is_alive()


def public(folder: Path, key: Any = KEY) -> Path:
    path = folder / "k.pub"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


Change = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d[:10], "not a model bundle"),
        (lambda d: b"", "not a model bundle"),
        (lambda d: b"X" + d[1:], "not a model bundle"),
        (lambda d: d[:20] + bytes(64) + d[84:], "not signed"),
        (lambda d: d[:84] + d[84:].replace(b'"version":1', b'"version":9'), "not signed"),
        (lambda d: d[:-1], "cut short|was changed"),
        (lambda d: d[:-1] + b"?", "was changed"),
        (lambda d: d + b"x", "goes on after its end"),
    ],
)
def test_what_was_changed_is_refused_and_leaves_nothing(
    tmp_path: Path, change: Change, words: str
) -> None:
    path = make(tmp_path / "x")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        slots(tmp_path).install(path, KEY.public_key())
    assert not (tmp_path / "bundles" / "a").exists()
    assert slots(tmp_path).state() == State()


def test_foreign_and_unsigned_and_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not signed with this key"):
        slots(tmp_path).install(make(tmp_path / "x", key=FOREIGN), KEY.public_key())
    with pytest.raises(NoInputError):
        slots(tmp_path).install(tmp_path / "none", KEY.public_key())


@pytest.mark.parametrize(
    "table",
    [
        {"schema": "models/1", "files": {}},
        {"schema": "models/1", "files": {}, "bundle": {"version": "1", "name": ""}, "sizes": {}},
        {
            "schema": "models/1",
            "files": {"a": "0" * 64},
            "bundle": {"version": 1, "name": ""},
            "sizes": {},
        },
        {
            "schema": "models/1",
            "files": {"a": "0" * 64},
            "bundle": {"version": 1, "name": ""},
            "sizes": {"a": -1},
        },
        {
            "schema": "models/1",
            "files": {"../a": "0" * 64},
            "bundle": {"version": 1, "name": ""},
            "sizes": {"../a": 0},
        },
        {"schema": "other", "files": {}},
        [],
        1,
    ],
)
def test_signed_nonsense_is_no_bundle(tmp_path: Path, table: Any) -> None:
    manifest = json.dumps(table).encode()
    path = tmp_path / "x"
    path.write_bytes(HEAD.pack(MAGIC, len(manifest), KEY.sign(manifest)) + manifest)
    with pytest.raises(DataError):
        slots(tmp_path).install(path, KEY.public_key())


def test_older_versions_never_come_back(tmp_path: Path) -> None:
    here = slots(tmp_path)
    for version in (2, 5):
        here.switch(*here.install(make(tmp_path / "x", version), KEY.public_key()))
        here.confirm()
    assert (here.state().active, here.state().floor) == ("b", 5)
    for old in (1, 5):
        with pytest.raises(DataError, match="an older bundle is never taken"):
            here.install(make(tmp_path / "x", old), KEY.public_key())
    here.roll_back("for the test")
    assert here.state().active == "", "of a confirmed bundle, to the installation"
    with pytest.raises(DataError, match="never taken"):
        here.install(make(tmp_path / "x", 5), KEY.public_key())
    here.install(make(tmp_path / "x", 6), KEY.public_key())


def test_one_probation_at_a_time(tmp_path: Path) -> None:
    here = slots(tmp_path)
    here.switch(*here.install(make(tmp_path / "x", 1), KEY.public_key()))
    with pytest.raises(TempError, match="on probation"):
        here.install(make(tmp_path / "x", 2), KEY.public_key())
    assert here.path("a") is not None


def test_starts_are_counted_and_the_way_back_is_kept(tmp_path: Path) -> None:
    here = slots(tmp_path)
    here.switch(*here.install(make(tmp_path / "x", 1), KEY.public_key()))
    here.confirm()
    here.switch(*here.install(make(tmp_path / "x", 2), KEY.public_key()))
    assert [slots(tmp_path).begin(3).active for _ in range(2)] == ["b", "b"], "tries 2 and 3"
    state = slots(tmp_path).begin(3)
    assert (state.active, state.version, state.confirmed) == ("a", 1, True)
    assert (state.gave_up, state.floor) == (2, 1)
    assert "3 starts" in state.reason
    assert slots(tmp_path).begin(3) == state
    here.install(make(tmp_path / "x", 2), KEY.public_key())


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b'{"active":"../x","crc":0}', b"\xff"])
def test_a_damaged_state_falls_back_to_the_installation(tmp_path: Path, damage: bytes) -> None:
    here = slots(tmp_path)
    here.switch(*here.install(make(tmp_path / "x", 1), KEY.public_key()))
    file = tmp_path / "bundles" / "state.json"
    file.write_bytes(damage)
    assert here.state().active == ""
    assert file.with_suffix(".damaged").read_bytes() == damage
    assert here.state().reason == "state.json was damaged"


@pytest.mark.parametrize(("where", "refused"), [(durable, "write_all"), (Path, "replace")])
def test_a_damaged_state_on_a_full_disk_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: Any,
    refused: str,
) -> None:
    def full(*anything: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    here = slots(tmp_path)
    file = tmp_path / "bundles" / "state.json"
    file.write_bytes(b"{")
    with monkeypatch.context() as disk:
        disk.setattr(where, refused, full)
        assert here.begin(3) == State(reason="state.json was damaged")
    (line,) = caplog.messages
    assert "damaged; the models of the installation are used; it stays for now" in line
    assert "No space left on device" in line
    assert sorted(p.name for p in file.parent.iterdir()) == ["lock", "state.json"]
    assert here.begin(3).reason == "state.json was damaged", "and with room it is put aside"
    assert file.with_suffix(".damaged").read_bytes() == b"{"


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    with pytest.raises(TempError, match="are free"):
        slots(tmp_path).install(make(tmp_path / "x"), KEY.public_key())
    assert not (tmp_path / "bundles" / "a").exists()


def test_a_disk_that_refuses_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = slots(tmp_path)
    path = make(tmp_path / "x")

    def refuse(handle: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(TempError, match="No space left"):
        here.install(path, KEY.public_key())
    with pytest.raises(TempError, match="No space left"):
        here.switch("a", 1)
    monkeypatch.undo()
    assert here.state() == State()
    assert not (tmp_path / "bundles" / "a").exists()


def test_a_disk_that_refuses_keeps_nobody_from_starting_or_going_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here = slots(tmp_path)
    here.switch(*here.install(make(tmp_path / "x"), KEY.public_key()))

    def refuse(handle: int, data: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    assert here.begin(3).active == "a"
    assert here.begin(1).active == ""
    assert here.roll_back("broken").active == ""
    monkeypatch.undo()
    assert here.state().active == "a", "what could not be written is decided anew"
    assert caplog.text.count("No space left") == 3


def test_a_confirmed_bundle_is_used_on_a_read_only_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = slots(tmp_path)
    here.switch(*here.install(make(tmp_path / "x"), KEY.public_key()))
    here.confirm()
    real, open_path = os.open, Path.open

    def read_only(path: Any, flags: int, mode: int = 0o777) -> int:
        new = flags & os.O_CREAT and not os.path.exists(path)  # noqa: PTH110
        if flags & (os.O_WRONLY | os.O_RDWR) or new:
            raise OSError(30, "Read-only file system", path)
        return real(path, flags, mode)

    def read_only_path(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        if "w" in mode:
            raise OSError(30, "Read-only file system", path)
        return open_path(path, mode, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(Path, "open", read_only_path)
    assert here.begin(3).active == "a"
    (tmp_path / "bundles/lock").unlink()
    with pytest.raises(TempError, match="lock: Read-only"):
        here.begin(3)


# In a running program ------------------------------------------------------------------------


class Stage:
    """A detector or pose model that does as it is told."""

    gives = Gives.POSES
    skeleton = "coco17"
    part_limit = None
    halved = None

    def __init__(self, boxes: Any = ()) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.error: Optional[EdgeError] = None
        self.calls = 0

    def __call__(self, frames: Any, people: Any = None) -> List[Any]:
        self.calls += 1
        if self.error:
            raise self.error
        found = Detections(self.boxes, np.ones(len(self.boxes), np.float32))
        return [
            Poses.of_boxes(found, 17, "coco17") if people is not None else found for _ in frames
        ]


class Nets:
    """Stands in for edge.loop.assemble.Models."""

    made: List[Nets] = []

    def __init__(self, settings: config.Config) -> None:
        self.folder = settings.models.dir
        if "refuse" in self.folder:
            raise DataError("cannot be opened")
        self.detect: Any = Stage()
        self.pose: Any = Stage()
        self.closed = False
        Nets.made.append(self)

    def sha256(self) -> Dict[str, str]:
        return {"folder": self.folder}

    def close(self) -> None:
        self.closed = True


class Loop:
    """Stands in for edge.loop.parts.Running: a loop that turns when told."""

    def __init__(self, settings: config.Config, models: Any) -> None:
        import threading

        self.config, self.models, self.health = settings, models, Health()
        self.pipeline, self.changing = self, threading.Lock()
        self.births: List[Dict[str, str]] = []

    def between_steps(self, change: Callable[[], None]) -> None:
        change()

    def use(self, models: Any) -> Any:
        before, self.models = self.models, models
        return before

    def publish_engines(self) -> None:
        self.births.append(self.models.sha256())

    def turn(self, bundles: Bundles) -> List[Any]:
        found = self.models.detect(["frame"])
        poses = self.models.pose(["frame"], found)
        self.health.steps += 1
        bundles.tick()
        return poses


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Config:
    monkeypatch.setattr("edge.bundle.probation.Models", Nets)
    monkeypatch.setattr(Nets, "made", [])
    return config.build(
        config.Config,
        {
            "state": {"dir": str(tmp_path)},
            "models": {"dir": "installed"},
            "trust": {"key_file": str(public(tmp_path))},
            "bundle": {"enabled": True, "confirm_frames": 5, "max_tries": 2},
        },
    )


def start(settings: config.Config) -> Any:
    bundles = Bundles(settings)
    _, models = bundles.open(settings)
    loop: Any = Loop(bundles.applied(settings), models)
    bundles.attach(loop)
    return bundles, loop


def wait_for(true: Callable[[], bool]) -> None:
    import time

    end = time.monotonic() + GIVE_UP_S
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    assert true()


def test_a_bundle_is_switched_to_confirmed_and_found_again(
    settings: config.Config, tmp_path: Path
) -> None:
    bundles, loop = start(settings)
    old = loop.models
    loop.turn(bundles)
    assert bundles.install(make(tmp_path / "x")) == {"version": 1, "in_use": "now"}
    assert loop.models.folder == str(tmp_path / "bundles" / "a") == loop.config.models.dir
    assert loop.births[-1] == {"folder": loop.models.folder}
    for _ in range(4):
        loop.turn(bundles)
    assert not bundles.state.confirmed
    assert not old.closed, "the way back is open"
    loop.turn(bundles)
    wait_for(lambda: old.closed)
    assert slots(tmp_path).state().confirmed
    assert isinstance(loop.models.detect, Stage), "no guard costs anything any more"
    _, again = start(settings)
    assert again.models.folder == str(tmp_path / "bundles" / "a")
    back, reread = Bundles(settings), dataclasses.replace(settings)
    assert back.applied(reread).models.dir == again.models.folder, "a reload keeps the bundle"


@pytest.mark.parametrize("stage", ["detect", "pose"])
@pytest.mark.parametrize("how", ["raises", "nan"])
def test_what_fails_on_probation_is_done_by_the_old_ones(
    settings: config.Config, tmp_path: Path, stage: str, how: str
) -> None:
    bundles, loop = start(settings)
    old = loop.models
    old.detect.boxes = old.pose.boxes = np.array([[1, 2, 3, 4]], np.float32)
    bundles.install(make(tmp_path / "x"))
    new = loop.models
    loop.turn(bundles)
    if how == "raises":
        getattr(new, stage).stage.error = DataError("the network failed")
    else:
        getattr(new, stage).stage.boxes = np.full((1, 4), np.nan, np.float32)
    poses = loop.turn(bundles)
    assert len(poses) == 1, "no frame is lost"
    assert loop.models is old
    assert not old.closed
    assert new.closed
    state = slots(tmp_path).state()
    assert (state.active, state.gave_up) == ("", 1)
    assert state.reason in ("the network failed", "a network gives numbers that are not finite")
    assert loop.config.models.dir == "installed"
    for _ in range(8):
        loop.turn(bundles)
    assert loop.models is old
    assert bundles.install(make(tmp_path / "x", 2))["version"] == 2, "the next one may be better"
    assert isinstance(loop.models.detect, GuardedDetector)


def test_after_crashes_the_old_ones_are_back(settings: config.Config, tmp_path: Path) -> None:
    bundles, loop = start(settings)
    bundles.install(make(tmp_path / "x"))
    second, loop = start(settings)  # the first died
    assert loop.models.folder.endswith("/a")
    assert isinstance(loop.models.detect, GuardedDetector)
    third, loop = start(settings)
    assert loop.models.folder == "installed"
    assert third.state.gave_up == 1
    del bundles, second


def test_a_failure_after_a_restart_on_probation_opens_the_old_ones(
    settings: config.Config, tmp_path: Path
) -> None:
    bundles, loop = start(settings)
    bundles.install(make(tmp_path / "x"))
    bundles, loop = start(settings)
    loop.models.pose.stage.error = DataError("broken")
    loop.turn(bundles)
    assert loop.models.folder == "installed"
    assert slots(tmp_path).state().gave_up == 1


def test_a_slot_that_cannot_be_opened_is_given_up_at_once(
    settings: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles, _ = start(settings)
    bundles.install(make(tmp_path / "x"))

    class Broken(Nets):
        def __init__(self, given: config.Config) -> None:
            if given.models.dir.endswith("/a"):
                raise DataError("was changed after it was signed")
            super().__init__(given)

    monkeypatch.setattr("edge.bundle.probation.Models", Broken)
    bundles, loop = start(settings)
    assert loop.models.folder == "installed"
    assert "was changed" in bundles.state.reason


def test_a_bundle_that_fails_its_trial_is_not_switched_to(
    settings: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles, loop = start(settings)

    class Bad(Nets):
        def __init__(self, given: config.Config) -> None:
            super().__init__(given)
            self.detect.boxes = np.full((1, 4), np.inf, np.float32)

    monkeypatch.setattr("edge.bundle.probation.Models", Bad)
    with pytest.raises(DataError, match="were tried"):
        bundles.install(make(tmp_path / "x"))
    assert Nets.made[-1].closed
    assert slots(tmp_path).state() == State()
    assert loop.models.folder == "installed"


def test_bundles_need_a_key_and_a_place(settings: config.Config) -> None:
    with pytest.raises(ConfigError, match=r"trust\.key_file"):
        Bundles(dataclasses.replace(settings, trust=sections.Trust()))
    with pytest.raises(ConfigError, match=r"state\.dir"):
        Bundles(dataclasses.replace(settings, state=sections.State()))


def test_nonsense_is_told_from_sense() -> None:
    good = Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32))
    assert defect([good, Detections.empty(), Poses.of_boxes(good, 17, "coco17")]) == ""
    poses = Poses.of_boxes(good, 17, "coco17")
    poses.keypoints[0, 0, 0] = np.nan
    assert defect([poses])
