"""Signed commands: who is obeyed, who is refused and why, and that nothing is obeyed twice."""

from __future__ import annotations

import base64
import dataclasses
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge import durable
from edge.commands import snapshot
from edge.commands.frame_tap import CalibrationRecorder, FrameTap, folder_bytes
from edge.commands.handlers import make_handlers
from edge.commands.receiver import NAMES, ROOM, CommandReceiver, CommandResult
from edge.commands.record import ANSWER_PREFIX, REASONS, Refusal, canonical, parse, sign, verified
from edge.commands.replay_window import ReplayWindow
from edge.errors import ConfigError, DataError, TempError
from edge.loop.rate_limit import RateLimit
from edge.messages import Incoming, Message
from edge.settings import config, sections
from edge.structures import Frame, Poses
from tests.waiting import GIVE_UP_S

KEY, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
NOW_NS = 1_800_000_000 * 10**9
TO = "poses/v1/hall/answer/ann"
PEOPLE = Poses(
    np.full((1, 17, 2), 50, np.float32) + np.arange(34, dtype=np.float32).reshape(1, 17, 2),
    np.ones((1, 17), np.float32),
    np.array([[20, 10, 120, 230]], np.float32),
    np.array([7]),
    np.ones(1, np.float32),
    "coco17",
)


class Nobody:
    """A finder that knows of nobody."""

    def tracked(self, camera: str) -> np.ndarray:
        return np.zeros((0, 4), np.float32)

    def find(self, image: np.ndarray, camera: str, timeout_s: float) -> np.ndarray:
        return np.zeros((0, 4), np.float32)


NOBODY = Nobody()


def setting(folder: Path, allow: Any = NAMES, **extra: Any) -> config.Config:
    key = folder / "operator.pub"
    key.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    table = {
        "device": "hall",
        "cameras": [{"source": "synthetic://walk", "name": "door"}],
        "commands": {"allow": list(allow), "key_file": str(key), **extra},
        "state": {"dir": str(folder / "state")},
    }
    return config.complete(config.build(config.Config, table))


def of_box(settings: config.Config, *rest: Any) -> Dict[str, Any]:
    return make_handlers(settings, lambda: [c.name for c in settings.cameras], *rest)


def order(name: str = "rate", **changes: Any) -> Dict[str, Any]:
    record = {
        "schema": "command/1",
        "device": "hall",
        "name": name,
        "id": "a1",
        "seq": NOW_NS,
        "expires_utc_ns": NOW_NS + 30 * 10**9,
        "answer_to": TO,
        "args": {},
    }
    return {**record, **changes}


class Bench:
    """Commands without a broker: bodies in, answers out."""

    def __init__(self, folder: Path, allow: Any = NAMES, **extra: Any) -> None:
        self.done: List[Mapping[str, Any]] = []
        self.now_ns = NOW_NS

        def deed(args: Mapping[str, Any]) -> CommandResult:
            self.done.append(args)
            return CommandResult({"n": len(self.done)})

        self.commands = CommandReceiver(
            setting(folder, allow, **extra),
            dict.fromkeys(NAMES, deed),
            "b" * 16,
            lambda: self.now_ns,
        )

    def put(self, body: bytes, topic: str = "poses/v1/hall/cmd/rate", to: str = TO) -> List[Any]:
        answers: List[Message] = []
        self.commands.handle(Incoming(topic, body, to, b"corr", answers.append))
        return [json.loads(a.body) for a in answers if a.correlation == b"corr" and a.qos == 0]

    def send(self, key: Ed25519PrivateKey = KEY, **changes: Any) -> Dict[str, Any]:
        name = changes.get("name", "rate")
        topic = changes.pop("topic", f"poses/v1/hall/cmd/{name}")
        (answer,) = self.put(sign(order(**changes), key), topic)
        return answer


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.commands.close()


def test_an_allowed_command_is_done_once_and_answered(bench: Bench, contract: Any) -> None:
    answer = bench.send(args={"max_hz": 5})
    assert (answer["state"], answer["id"], answer["result"]) == ("done", "a1", {"n": 1})
    assert bench.done == [{"max_hz": 5}]
    contract(TO, answer)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(answer["key"]))
    assert verified(answer, key, ANSWER_PREFIX)
    assert not verified({**answer, "state": "refused"}, key, ANSWER_PREFIX)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "other"}, "other_device"),
        ({"topic": "poses/v1/hall/cmd/restart"}, "other_name"),
        ({"expires_utc_ns": NOW_NS}, "expired"),
        ({"expires_utc_ns": NOW_NS + 61 * 10**9}, "too_early"),
        ({"name": "fly"}, "not_allowed"),
        ({"key": FOREIGN}, "foreign"),
        ({"seq": "1"}, "malformed"),
        ({"seq": True}, "malformed"),
        ({"args": []}, "malformed"),
        ({"more": 1}, "malformed"),
        ({"name": "snapshot", "answer_to": ""}, "bad_arguments"),
    ],
)
def test_what_is_refused_has_one_reason(bench: Bench, changes: Any, reason: str) -> None:
    answer = bench.send(**changes)
    assert (answer["state"], answer["reason"]) == ("refused", reason)
    assert answer["detail"]
    assert bench.done == []
    assert bench.commands.counts[reason] == 1
    assert sum(bench.commands.counts.values()) == 1


def test_nothing_is_obeyed_twice_not_even_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    body = sign(order(), KEY)
    assert bench.put(body)[0]["state"] == "done"
    assert bench.put(body)[0]["reason"] == "replayed"
    again = Bench(tmp_path)
    assert again.put(body)[0]["reason"] == "replayed"
    assert again.send(seq=NOW_NS - 5)["state"] == "done", "of another sender, a little late"
    assert again.send(seq=NOW_NS - 5)["reason"] == "replayed"
    again.commands.close()


def test_a_clock_set_back_brings_nothing_back(bench: Bench) -> None:
    body = sign(order(), KEY)
    bench.put(body)
    for day in (-1, 1):
        bench.now_ns = NOW_NS + day * 86400 * 10**9
        assert bench.put(body)[0]["reason"] in ("too_early", "expired")
    bench.now_ns = NOW_NS
    assert bench.put(body)[0]["reason"] == "replayed"


def test_memory_is_bounded_and_forgets_nothing_wrongly(tmp_path: Path) -> None:
    memory = ReplayWindow(tmp_path / "m.json", size=8)
    for seq in (50, 10, 30, *range(60, 80)):
        assert not memory.used(seq)
        memory.add(seq)
    assert all(memory.used(seq) for seq in (50, 10, 30, 5, 71, *range(60, 80)))
    assert not memory.used(80)
    assert (tmp_path / "m.json").stat().st_size < 200
    assert ReplayWindow(tmp_path / "m.json", size=8).used(79)


DAMAGES = [
    b"",
    b"{}",
    b'{"floor":0,"seen":[],"crc":1}',
    b"\xff\x00",
    b'{"floor":"x","seen":null,"crc":3283563213}',
    b"[" * 100_000,
    None,  # removed
]


def spoil(path: Path, damage: Optional[bytes]) -> None:
    path.unlink() if damage is None else path.write_bytes(damage)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: repr(d)[:20])
@pytest.mark.parametrize("name", ["m.json", "m.witness"])
def test_a_file_that_is_lost_has_a_witness_and_needs_no_clock(
    tmp_path: Path, damage: Optional[bytes], name: str
) -> None:
    path = tmp_path / "m.json"
    ReplayWindow(path).add(NOW_NS - 5)
    spoil(tmp_path / name, damage)
    for _ in range(2):
        memory = ReplayWindow(path, lambda: 0)  # a clock at 1970
        assert memory.used(NOW_NS - 5)
        assert not memory.used(NOW_NS - 6), "commands that were never executed are not refused"
    if damage is not None:
        assert (tmp_path / "m.damaged").read_bytes() == damage
    memory.add(NOW_NS)
    assert (tmp_path / "m.json").read_bytes() == (tmp_path / "m.witness").read_bytes()


@pytest.mark.parametrize("damage", DAMAGES[:-1], ids=lambda d: repr(d)[:20])
def test_two_damaged_files_are_put_aside_and_nothing_old_is_trusted(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "m.json"
    ReplayWindow(path).add(5)
    for name in ("m.json", "m.witness"):
        spoil(tmp_path / name, damage)
    later_ns = time.time_ns() + 10**15
    memory = ReplayWindow(path, lambda: later_ns)
    assert memory.used(later_ns)
    assert not memory.used(later_ns + 1)
    assert (tmp_path / "m.damaged").read_bytes() == damage
    assert ReplayWindow(path, lambda: 0).used(later_ns), "the floor itself was written"


def test_with_both_files_damaged_and_the_clock_at_1970_the_files_times_count(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m.json"
    seq = time.time_ns()
    ReplayWindow(path).add(seq)
    for name in ("m.json", "m.witness"):
        spoil(tmp_path / name, b"")
    assert ReplayWindow(path, lambda: 0).used(seq)


def test_an_older_copy_of_one_file_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    ReplayWindow(path).add(5)
    kept = path.read_bytes()
    ReplayWindow(path).add(6)
    path.write_bytes(kept)
    assert ReplayWindow(path).used(6)


def test_what_cannot_be_remembered_is_not_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise TempError(f"{path}: No space left on device")

    monkeypatch.setattr(durable, "save", full)
    answer = bench.send()
    assert (answer["reason"], bench.done) == ("busy", [])


def test_answers_go_only_below_our_own_topic(bench: Bench) -> None:
    for stranger in (
        "poses/v1/other/cmd/restart",
        "#",
        "poses/v1/hall/answer/a/b",
        "poses/v1/hall/answer/",
        "poses/v1/hall/status",
        "",
    ):
        assert bench.put(b"junk", to=stranger) == []
    assert bench.commands.counts["malformed"] == 6
    assert bench.put(b"junk")[0]["reason"] == "malformed"
    body = sign(order(answer_to="poses/v1/hall/answer/ben"), KEY)
    answers: List[Message] = []
    bench.commands.handle(Incoming("poses/v1/hall/cmd/rate", body, TO, b"", answers.append))
    assert answers[0].topic == "poses/v1/hall/answer/ben", "what is signed counts"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"{" * 9000,
        b"[" * 16000,
        b"1" * 16000,
        b"x" * 20000,
        b'{"a":1.5}',
        b'{"a":NaN}',
        b'{"a":1, "b":2}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        '{"a":"é"}'.encode(),
        b'{"a":1e5}',
    ],
)
def test_only_one_spelling_is_read(body: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(body, KEY.public_key())
    assert refusal.value.reason == "malformed"


def test_a_signed_list_of_models_is_no_command(bench: Bench) -> None:
    """One key for both: what was signed as something else is not taken for an order."""
    record = order()
    record["signature"] = KEY.sign(canonical(order())).hex()
    assert bench.put(canonical(record))[0]["reason"] == "foreign"


GOOD = sign(order(), KEY)


@pytest.mark.one_python
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(at=GOOD.index(b'"signature":"') + 15, cut=0, put=b" ")
@given(at=st.integers(0, len(GOOD) - 1), cut=st.integers(0, 4), put=st.binary(max_size=4))
def test_no_mutation_is_a_command(at: int, cut: int, put: bytes) -> None:
    body = GOOD[:at] + put + GOOD[at + cut :]
    if body == GOOD:
        return
    with pytest.raises(Refusal) as refusal:
        parse(body, KEY.public_key())
    assert refusal.value.reason in REASONS


def test_a_flood_is_counted_and_costs_nothing(bench: Bench) -> None:
    gate = threading.Event()
    bench.commands.handle = lambda incoming: gate.wait(GIVE_UP_S)  # type: ignore[assignment, method-assign]
    for _ in range(100):
        bench.commands.receive(Incoming("t", b"", "", b"", lambda message: None))
    assert bench.commands.counts["busy"] >= 60
    gate.set()


def test_room_commands_wait_and_the_next_is_refused(bench: Bench) -> None:
    taken, gate = threading.Event(), threading.Event()

    def handle(incoming: Incoming) -> None:
        taken.set()
        gate.wait(GIVE_UP_S)

    bench.commands.handle = handle  # type: ignore[method-assign]
    incoming = Incoming("t", b"", "", b"", lambda message: None)
    bench.commands.receive(incoming)
    assert taken.wait(GIVE_UP_S)
    for _ in range(ROOM):
        bench.commands.receive(incoming)
    assert bench.commands.counts["busy"] == 0
    bench.commands.receive(incoming)
    assert bench.commands.counts["busy"] == 1
    gate.set()


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"commands\.allow\[0\]: no command 'fly'"):
        Bench(tmp_path, ["fly"])
    with pytest.raises(ConfigError, match=r"commands\.key_file"):
        Bench(tmp_path, ["rate"], key_file="")
    nowhere = dataclasses.replace(setting(tmp_path), state=sections.State())
    with pytest.raises(ConfigError, match=r"state\.dir"):
        CommandReceiver(nowhere, {}, "b" * 16)
    assert config.Config().commands.allow == [], "off by default"


# What is done --------------------------------------------------------------------------------


class Still:
    """Cameras that always have a frame."""

    ended = False

    def take(self, timeout_s: float) -> List[Frame]:
        return [Frame(np.zeros((4, 4, 3), np.uint8), 0, time.monotonic_ns(), "door")]

    def release(self, frames: Any) -> None: ...

    def states(self) -> List[Any]:
        return []


def test_rate_limits_the_turns_and_says_what_was(tmp_path: Path) -> None:
    limit = RateLimit(Still())
    do = of_box(setting(tmp_path), FrameTap(NOBODY), limit)
    assert do["rate"]({"max_hz": 50}).result == {"max_hz": 50, "before_hz": 0}
    start = time.monotonic()
    assert len([f for _ in range(11) for f in limit.take(1.0)]) == 11
    assert time.monotonic() - start >= 0.19
    limit.max_hz = 1
    limit.take(1.0)
    assert limit.take(0.01) == [], "a wait is never longer than asked"
    for wrong in ({"max_hz": -1}, {"max_hz": "5"}, {}, {"hz": 5}):
        with pytest.raises(ConfigError):
            do["rate"](wrong)


def test_restart_and_reload_act_after_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do = of_box(setting(tmp_path), FrameTap(NOBODY), RateLimit(Still()))
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    with pytest.raises(Exception, match="no service manager"):
        do["restart"]({})
    with pytest.raises(Exception, match="without a configuration file"):
        do["reload"]({})
    got: List[int] = []
    old = {n: signal.signal(n, lambda n, f: got.append(n)) for n in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setenv("INVOCATION_ID", "1")
    try:
        outcomes = [do["restart"]({}), do["reload"]({})]
        assert got == []
        for outcome in outcomes:
            outcome.then()
        assert got == [signal.SIGTERM, signal.SIGHUP]
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def step(watch: FrameTap, image: np.ndarray, stop: threading.Event, layout: str = "bgr") -> None:
    while not stop.is_set():
        frame = Frame(image, 0, time.monotonic_ns(), "door", layout=layout)
        watch([frame], [PEOPLE])
        time.sleep(0.002)


@pytest.fixture
def running() -> Iterator[Any]:
    """A loop that shows noise to a watch."""
    stop = threading.Event()
    image = np.random.default_rng(0).integers(0, 255, (15, 10, 3), np.uint8)
    image = image.repeat(16, 0).repeat(16, 1)
    watch = FrameTap(NOBODY)
    thread = threading.Thread(target=step, args=(watch, image, stop))
    thread.start()
    yield watch, image
    stop.set()
    thread.join()


def test_snapshot_hides_people_and_nothing_else(running: Any, tmp_path: Path) -> None:
    watch, image = running
    do = of_box(setting(tmp_path), watch, RateLimit(Still()))
    result = do["snapshot"]({"camera": "door", "width_px": 160}).result
    data = base64.b64decode(result["jpeg"])
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(float)
    x1, y1, x2, y2 = PEOPLE.boxes[0].astype(int)
    cell_w, cell_h = (x2 - x1) // 5, (y2 - y1) // 5
    cell = seen[y1 + 2 : y1 + cell_h - 2, x1 + 2 : x1 + cell_w - 2]
    assert cell.std((0, 1)).max() < 12, "one colour is all that is left of a part of a person"
    beside = np.abs(seen[:, 144:] - image[:, 144:]).mean()
    assert beside < 10
    assert seen[:, 144:].std() > 40, "the rest of the picture is there"
    with pytest.raises(ConfigError, match="there are: door"):
        do["snapshot"]({"camera": "roof"})


def test_snapshot_reads_every_layout(tmp_path: Path) -> None:
    for layout, shape in [
        ("nv12", (360, 160)),
        ("yuyv", (240, 160, 2)),
        ("gray", (240, 160)),
        ("rgb", (240, 160, 3)),
    ]:
        image = np.full(shape, 90, np.uint8)
        assert snapshot.to_bgr(Frame(image, 0, 0, "c", layout=layout)).shape == (240, 160, 3)


def test_a_picture_fits_or_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    assert len(snapshot.jpeg(noise, 1920)) <= snapshot.MAX_BYTES
    with pytest.raises(DataError):
        snapshot.jpeg(noise, 1920, 100)


def test_no_frame_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.commands.handlers.FRAME_S", 0.05)
    do = of_box(setting(tmp_path), FrameTap(NOBODY), RateLimit(Still()))
    with pytest.raises(TempError, match="no frame of door"):
        do["snapshot"]({"camera": "door"})


def test_calibration_keeps_crops_within_its_limit(running: Any, tmp_path: Path) -> None:
    watch, _ = running
    do = of_box(setting(tmp_path, record_max_mb=1), watch, RateLimit(Still()))
    outcome = do["calibrate-record"]({"seconds": 600, "every_ms": 40, "max_mb": 4000})
    assert outcome.result["max_bytes"] == 1 << 20
    folder = tmp_path / "state" / "calibrate" / outcome.result["folder"]
    end = time.monotonic() + GIVE_UP_S
    while watch.recorder.kept < 2 and time.monotonic() < end:
        time.sleep(0.02)
    kept = do["calibrate-record"]({"seconds": 0}).result["kept"]
    assert watch.recorder is None
    lines = [
        json.loads(line)
        for line in (folder / "poses.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) == kept == len(list(folder.glob("*.jpg"))) >= 2
    assert cv2.imread(str(folder / lines[0]["file"])) is not None
    assert lines[0]["keypoints"][:3] == [500, 510, 100], "the crop begins at the frame's corner"

    used = folder_bytes(folder.parent)
    watch.recorder = recorder = CalibrationRecorder(
        folder.parent / "more", 10**12, 40_000_000, used + 20_000
    )
    while not recorder.ended and time.monotonic() < end:
        time.sleep(0.02)
    assert "record_max_mb is reached" in recorder.ended
    assert recorder.kept
    assert folder_bytes(folder.parent) <= used + 20_000, "what lay there counts"


def test_poses_count_towards_the_limit_of_crops(tmp_path: Path) -> None:
    frame = Frame(np.zeros((240, 160, 3), np.uint8), 0, 0, "door")
    kept = []
    for name, max_bytes in (("a", 10**7), ("b", 0), ("c", -1)):
        folder = tmp_path / name / "recording"
        whole = folder_bytes(tmp_path / "a") + max_bytes
        recorder = CalibrationRecorder(folder, 10**12, 1, whole)
        recorder.add(frame, PEOPLE)
        recorder.close()
        kept.append(recorder.kept)
    assert kept == [1, 1, 0], "the same again fits, a byte less does not"


def test_crops_are_kept_with_their_own_poses(tmp_path: Path) -> None:
    """One who is followed beyond the picture has no crop; the next one's pose is not theirs."""
    keypoints = np.zeros((2, 17, 2), np.float32)
    keypoints[0], keypoints[1] = -500, 60
    boxes = np.array([[-900, 10, -700, 90], [20, 20, 100, 100]], np.float32)
    both = np.ones((2, 17), np.float32)
    poses = Poses(keypoints, both, boxes, np.array([3, 8]), np.array([0.4, 0.9], "f4"), "coco17")
    recorder = CalibrationRecorder(tmp_path / "one", 10**12, 1, 10**7)
    recorder.add(Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, "door"), poses)
    recorder.close()
    (line,) = (tmp_path / "one" / "poses.jsonl").read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept["file"].endswith("-8.jpg")
    assert (kept["score"], kept["keypoints"][:3]) == (90, [600, 600, 100])


def test_update_without_bundles_and_with_a_path(tmp_path: Path) -> None:
    do = of_box(setting(tmp_path), FrameTap(NOBODY), RateLimit(Still()))
    with pytest.raises(Exception, match=r"bundle\.enabled is off"):
        do["update"]({"file": "a.bundle"})
    for wrong in ("../a", "/etc/passwd", "", ".hidden", "a/b", "a\0b", "a\ud800"):
        with pytest.raises(ConfigError):
            do["update"]({"file": wrong})
    got: List[Path] = []

    def install(path: Path) -> Dict[str, Any]:
        got.append(path)
        return {"version": 1}

    do = of_box(setting(tmp_path), FrameTap(NOBODY), RateLimit(Still()), install)
    assert do["update"]({"file": "a.bundle"}).result == {"version": 1}
    assert got == [tmp_path / "state" / "incoming" / "a.bundle"]


def test_own_key_is_made_once_and_private(tmp_path: Path) -> None:
    first, second = Bench(tmp_path), Bench(tmp_path)
    keys = {b.send(seq=NOW_NS + i)["key"] for i, b in enumerate((first, second))}
    assert len(keys) == 1
    mode = (tmp_path / "state" / "commands" / "answer.key").stat().st_mode
    assert mode & 0o077 == 0
    for bench in (first, second):
        bench.commands.close()
