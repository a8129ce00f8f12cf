"""Inputs from strangers, one after the other, in a process that may die of one.

    python fuzz_worker.py TARGET FIRST COUNT FOLDER

makes input number i from i alone, so that a death can be told and repeated. Before each hundred
(and before every one for parsers that are not Python) it prints the number. Refusals are
EdgeErrors; anything else ends it with a traceback.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import sys
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "edge" / "golden"
MEMORY_BYTES = 6 << 30
Target = Tuple[Callable[[random.Random], bytes], Callable[[bytes], None]]

CONFIG = b"""device = "hall"
[[cameras]]
source = "rtsp://viewer@10.0.0.5/stream"
name = "door"
[capture]
stall_s = 3.0
[detect]
model = "twobox"
[pose]
model = "standing"
min_score = 0.3
[[rules]]
kind = "zone"
cameras = ["door"]
name = "platform"
polygon = [[300, 1010], [800, 990], [1050, 1440], [60, 1550]]
[[rules]]
kind = "fall"
still_s = 2.0
[publish]
sinks = ["mqtts://broker.local", "jsonl:-"]
codec = "cbor"
[state]
dir = "/nowhere"
[mqtt]
protocol = "3.1.1"
[commands]
allow = ["rate"]
key_file = "k.pub"
"""
TOML_WORDS = [
    b"[",
    b"]",
    b"[[",
    b"]]",
    b"=",
    b'"',
    b"'",
    b'"""',
    b"\n",
    b"#",
    b"{",
    b"}",
    b",",
    b".",
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"9" * 400,
    b"true",
    b"0x",
    b"1979-05-27T07:32:00Z",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\x00",
    b"[rules]\n",
    b"[[cameras]]\n",
    b"[mqtt.x]\n",
    b"file://",
    b"mqtt://[",
    b"synthetic://walk?people=99999999999",
    b"../",
    b"kind = 1\n",
    b"[" * 60,
]


def mutated(chance: random.Random, good: bytes, words: List[bytes], most: int = 8) -> bytes:
    """Bits flipped, pieces cut, doubled, moved and put in."""
    data = bytearray(good)
    for _ in range(chance.randint(1, most)):
        at, n = chance.randrange(len(data) + 1), chance.randint(1, 40)
        deed = chance.randrange(6)
        if deed == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif deed == 1:
            del data[at : at + n]
        elif deed == 2:
            data[at:at] = data[at : at + n]
        elif deed == 3:
            data[at : at + chance.randrange(3)] = chance.choice(words)
        elif deed == 4:
            data[at : at + n] = chance.randbytes(chance.randint(0, n))
        else:
            data[at:at] = data[chance.randrange(len(data) + 1) :][:n]
    return bytes(data) if chance.random() > 0.02 else chance.randbytes(chance.randint(0, 300))


VALUES = [
    b"0",
    b"-1",
    b"1",
    b"1e999",
    b"-0.0",
    b"nan",
    b"inf",
    b"9" * 400,
    b"0.5",
    b"true",
    b'""',
    b"[]",
    b"{}",
    b"[[]]",
    b"[1, 'a']",
    b"{a = {b = [{}]}}",
    b'"x"',
    b'"../x"',
    b'"\\u0000"',
    b'"a b"',
    b"1979-05-27",
    b"[0, 0, 0]",
    b"[1e300, -1e300, 1]",
    b'"' + b"y" * 300 + b'"',
    b"[[0, 0], [1]]",
    b"9223372036854775808",
    b"'mqtt://[::'",
    b"'file://'",
    b"['jsonl:', 'x']",
    b"255",
    b"65536",
]


def revalued(chance: random.Random, good: bytes) -> bytes:
    """Still TOML, but a key or two have values that nobody expects, or names that nobody has."""
    lines = good.split(b"\n")
    for _ in range(chance.randint(1, 2)):
        at = chance.choice([i for i, line in enumerate(lines) if b"=" in line])
        name, _, value = lines[at].partition(b"=")
        if chance.random() < 0.2:
            name = chance.choice((name.strip() + b"s", b"x", b"''", b"a.b", name + b".c"))
        lines[at] = name + b"= " + (chance.choice(VALUES) if chance.random() < 0.9 else value)
    return b"\n".join(lines)


def altered(chance: random.Random, good: bytes) -> bytes:
    """A TOML file, altered one way or the other."""
    if chance.random() < 0.6:
        return revalued(chance, good)
    return mutated(chance, good, TOML_WORDS, 3)


def config_target(folder: Path) -> Target:
    """A configuration file, as `edge check` looks at it."""
    from edge.service.check import check
    from edge.settings import config

    path = folder / "edge.toml"
    models = f'[models]\ndir = "{GOLDEN / "models"}"\n'.encode()
    good = CONFIG + models
    path.write_bytes(good)
    check(path)

    def run(data: bytes) -> None:
        path.write_bytes(data)
        settings = check(path)
        config.show(settings).encode()

    return lambda chance: altered(chance, good), run


def recipe_target(folder: Path) -> Target:
    """A model.toml, up to the shapes of its networks."""
    import numpy as np

    from edge.errors import EdgeError
    from edge.models import ModelOptions, input_shapes, load_model
    from edge.recipe import load_recipe
    from edge.runtime import Runner, TensorSpec

    class Stub(Runner):
        """An opened network with the right inputs."""

        def __init__(self, shapes: Dict[str, Tuple[int, ...]]) -> None:
            kind = np.dtype(np.float32)
            self.inputs = {name: TensorSpec((-1, *s), kind) for name, s in shapes.items()}
            self.outputs: Dict[str, TensorSpec] = {}

    goods = [p.read_bytes() for p in sorted((ROOT / "engines").glob("*/model.toml"))]
    goods += [p.read_bytes() for p in sorted(GOLDEN.glob("models/*/model.toml"))]
    model = folder / "net"
    model.mkdir(exist_ok=True)

    def run(data: bytes) -> None:
        (model / "model.toml").write_bytes(data)
        recipe = load_recipe(model)
        shapes = input_shapes(recipe)
        stubs: Any = {n: Stub(s) for n, s in shapes.items()}  # type: ignore[abstract]
        with contextlib.suppress(EdgeError):  # no stub gives what every family wants
            load_model(recipe, stubs, ModelOptions())

    return lambda chance: altered(chance, chance.choice(goods)), run


def command_target(folder: Path) -> Target:
    """Commands: altered ones, and nonsense that the operator signed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from edge.commands import handlers
    from edge.commands.frame_tap import FrameTap
    from edge.commands.receiver import NAMES, CommandReceiver
    from edge.commands.record import canonical, sign
    from edge.loop.rate_limit import RateLimit
    from edge.messages import Incoming, Message
    from edge.settings import config

    os.fsync = lambda fd: None  # the disk is not what is tried here
    os.environ.pop("INVOCATION_ID", None)
    handlers.FRAME_S = 0.0
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "k.pub").write_bytes(public)
    settings = config.complete(
        config.build(
            config.Config,
            {
                "device": "hall",
                "cameras": [{"source": "synthetic://walk", "name": "door"}],
                "commands": {"allow": list(NAMES), "key_file": str(folder / "k.pub")},
                "state": {"dir": str(folder)},
            },
        )
    )
    none: Any = None
    made = handlers.make_handlers(settings, lambda: ["door"], FrameTap(none), RateLimit(none))
    now_ns = 10**18
    commands = CommandReceiver(settings, made, "0" * 16, lambda: now_ns)
    seq = [now_ns]
    good = {
        "schema": "command/1",
        "device": "hall",
        "name": "rate",
        "id": "x",
        "seq": 1,
        "expires_utc_ns": now_ns + 10**9,
        "answer_to": "poses/v1/hall/answer/a",
        "args": {"max_hz": 5},
    }
    body = sign(good, key)
    words = [
        b'"',
        b"{",
        b"}",
        b":",
        b",",
        b"\\u0000",
        b"\\ud800",
        b"1e9",
        b"NaN",
        b"-",
        b"[" * 50,
        b"9" * 300,
        b"null",
        b"poses/v1/",
        b"#",
        b"+",
        b"\xff",
        b"\x00",
    ]

    def value(chance: random.Random, deep: int = 0) -> Any:
        kind = chance.randrange(9 if deep < 3 else 6)
        if kind < 2:
            return chance.choice([0, 1, -1, 2**63, -(2**70), 10**300, 5, 640, 86400, True, None])
        if kind < 6:
            return chance.choice(["", "door", "..", "a/b", "\0", "\ud800", "x" * 500, "é", "5"])
        if kind == 6:
            return [value(chance, deep + 1) for _ in range(chance.randrange(4))]
        names = ["max_hz", "camera", "width_px", "seconds", "every_ms", "file", "\0", "max_mb"]
        return {chance.choice(names): value(chance, deep + 1) for _ in range(chance.randrange(4))}

    def make(chance: random.Random) -> bytes:
        if chance.random() < 0.5:
            return mutated(chance, body, words)
        seq[0] += 1
        args = value(chance)
        record = {
            **good,
            "name": chance.choice(NAMES),
            "seq": seq[0],
            "args": args if isinstance(args, dict) else {"max_hz": args},
        }
        if chance.random() < 0.3:
            record[chance.choice(sorted(record))] = value(chance)
        return canonical(record) if chance.random() < 0.05 else sign(record, key)

    def run(data: bytes) -> None:
        answers: List[Message] = []
        name = (b'"name":"', data)[0] in data and data.split(b'"name":"')[1].split(b'"')[0]
        shown = (name or b"rate").decode("ascii", "replace")
        topic = f"poses/v1/hall/cmd/{shown}"
        commands.handle(Incoming(topic, data, "poses/v1/hall/answer/me", b"c", answers.append))
        assert len(answers) == 1, "everything is answered with one reason"
        answer = json.loads(answers[0].body)
        assert (answer["state"] == "done") == (answer["reason"] == ""), answer

    return make, run


def ack_target(folder: Path) -> Target:
    """Answers of consumers: the correlation data that says which event they have."""
    from edge.outbox.store import Entry, Outbox
    from edge.publish._backlog import Backlog
    from edge.publish._connection import correlation

    box = Outbox(None, 4 << 20, "run")
    rows = box.commit([Entry("poses/v1/hall/door/event/x", b"{}", 1) for _ in range(3)], [])

    class NoStore:
        def remove(self, row_id: int, token: str) -> None: ...

        def park(self, row: Any, reason: str) -> None: ...

        def fetch(self, request: Any) -> None: ...

    backlog = Backlog(NoStore(), lambda row: False, 5.0)
    known = [correlation(row) for row in (rows if isinstance(rows, list) else box.after(0, 99, 9))]
    words = [b"-", b"0", b"9" * 30, b"\xd9\xa3", b"\x00", "²".encode(), b"+1", b" 1"]

    def run(data: bytes) -> None:
        assert backlog.consumer_acknowledged(data) in (True, False)

    return lambda chance: mutated(chance, chance.choice(known), words, 3), run


def onnx_target(folder: Path) -> Target:
    """An ONNX file, loaded and executed once."""
    import numpy as np

    from edge.runtime import RunnerOptions, open_runner

    goods = [p.read_bytes() for p in sorted(GOLDEN.glob("*.onnx"))]
    goods += [p.read_bytes() for p in sorted(GOLDEN.glob("models/*/*.onnx"))]
    path = folder / "net.onnx"
    words = [
        b"\xff" * 9,
        b"\x80" * 9,
        b"\x08\x01",
        b"\x12\x00",
        b"\n\x08location\x12",
        b"Conv",
        b"\x00" * 8,
        b"Reshape",
        b"Loop",
        b"If",
        b"\x7f\xff\xff\xff",
    ]

    def run(data: bytes) -> None:
        path.write_bytes(data)
        runner = open_runner(path, {}, RunnerOptions(1, 2))
        for fed in runner.feed(1).values():
            if fed.nbytes < 1 << 28:
                fed[...] = np.zeros((), fed.dtype)
        runner.run()
        runner.close()

    return lambda chance: mutated(chance, chance.choice(goods), words, 3), run


def video_target(folder: Path) -> Target:
    """A recording or picture, read to its end."""
    import cv2
    import numpy as np

    from edge.capture._ring import Ring
    from edge.capture._source import CaptureOptions, EndOfStream, open_source
    from tests.edge.capture.films import INTERLACED, PROGRESSIVE

    rng, goods = np.random.default_rng(0), []
    for suffix, fourcc in ((".avi", "MJPG"), (".mp4", "mp4v")):
        path = folder / f"good{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 25, (64, 48))
        for _ in range(6):
            writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
        writer.release()
        goods.append((suffix, path.read_bytes()))
    goods.append((".h264", PROGRESSIVE + INTERLACED * 3))
    for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif"):
        picture = cv2.imencode(suffix, rng.integers(0, 255, (48, 64, 3), np.uint8))[1]
        goods.append((suffix, picture.tobytes()))
    words = [
        b"\xff" * 4,
        b"\x00" * 8,
        b"\x7f\xff\xff\xff",
        b"moov",
        b"mdat",
        b"idx1",
        b"\xff\xd8",
        b"IHDR",
        b"\x80\x00\x00\x00",
        b"stsz",
        b"00dc",
    ]

    def make(chance: random.Random) -> bytes:
        suffix, good = chance.choice(goods)
        return suffix.encode() + b"|" + mutated(chance, good, words)

    def run(data: bytes) -> None:
        suffix, _, content = data.partition(b"|")
        path = folder / f"x{suffix.decode()}"
        path.write_bytes(content)
        source = open_source(f"file://{path}", CaptureOptions())
        ring = Ring(3, False)
        try:
            for _ in range(20):
                slot = source.read(ring)
                if slot is None:
                    break
                assert slot.image.ndim == 3
                ring.cancel(slot)
        except EndOfStream:
            pass
        finally:
            source.close()

    return make, run


TARGETS: Dict[str, Callable[[Path], Target]] = {
    "config": config_target,
    "model.toml": recipe_target,
    "command": command_target,
    "ack": ack_target,
    "onnx": onnx_target,
    "video": video_target,
}
NATIVE = ("onnx", "video")


def main() -> int:
    name, first, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from edge.errors import EdgeError

    make, run = TARGETS[name](folder)
    refused = 0
    for i in range(first, first + count):
        if name in NATIVE or i % 100 == 0:
            say(i)
        data = make(random.Random(f"{name} {i}"))
        refusal = ""
        try:
            run(data)
        except EdgeError as error:
            refusal = str(error)
        except BaseException:
            say(f"input {i}: {data[:2000]!r}")
            raise
        refused += bool(refusal)
        assert "\n" not in refusal, f"input {i}: more than a line: {refusal}"
    say("done", refused)
    return 0


def say(*words: object) -> None:
    print(*words, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import logging

    logging.disable(logging.CRITICAL)
    sys.exit(main())
