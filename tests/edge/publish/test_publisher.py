"""From records to sinks: what is told, when, and to whom."""

from __future__ import annotations

import ctypes
import json
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge.errors import ConfigError, InternalError
from edge.health import Health
from edge.messages import Message
from edge.publish import Publisher, open_sink, parse, parse_all
from edge.publish import _clock as clock_module
from edge.publish._counters import Counters
from edge.settings.config import Camera, Config
from edge.settings.publishing import Publish
from edge.structures import CameraState, Frame, Outline, PoseEvent, Poses, RuleSummary
from tests.waiting import GIVE_UP_S

SHA = "ab" * 32


class Spy:
    """A sink that keeps everything."""

    name = "spy:"
    ok = True
    reader_left = False
    waiting = 0

    def __init__(self) -> None:
        self.counters = Counters()
        self.messages: List[Message] = []
        self.closed: List[float] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def close(self, timeout_s: float) -> None:
        self.closed.append(timeout_s)

    def kinds(self) -> List[str]:
        return [m.kind for m in self.messages]


def config(*sinks: str, **publish: Any) -> Config:
    cameras = [Camera("synthetic://", "cam0"), Camera("synthetic://", "cam1")]
    return Config(device="box", cameras=cameras, publish=Publish(sinks=list(sinks), **publish))


@pytest.fixture
def spied() -> Any:
    publisher = Publisher(config(), {"yolo/main": SHA})
    publisher.sinks = [Spy(), Spy()]
    return publisher


def state(name: str = "ok", camera: str = "cam0", frames: int = 0, **more: Any) -> CameraState:
    return CameraState(camera, name, "", time.monotonic_ns(), frames, **more)


frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, time.monotonic_ns(), "cam0")
nobody = Poses.empty(17, "coco17")


def test_every_sink_gets_the_same_message(spied: Publisher) -> None:
    spied.frame(frame, nobody)
    spied.event(PoseEvent("fall", "cam0", 1, 0, 1.0))
    first, second = (sink.messages for sink in spied.sinks)  # type: ignore[attr-defined]
    assert [m.kind for m in first] == ["frame", "event"]
    assert all(a is b for a, b in zip(first, second))


def test_messages_are_made_and_handed_over_under_one_lock(spied: Publisher) -> None:
    """Cameras, rules and sinks publish from several threads; each topic is numbered in order."""
    locked: Dict[str, bool] = {}

    class Watchful(Spy):
        def __call__(self, message: Message) -> None:
            locked[message.topic.split("/", 3)[3]] = spied._lock.locked()

    spied.sinks = [Watchful()]
    spied.online()
    spied.camera(state(), 2)
    spied.frame(frame, nobody)
    spied.event(PoseEvent("wave", "cam0", 1, 0, 1.0))
    spied.metrics(Health().report())
    assert locked == dict.fromkeys(
        ("status", "cam0/state", "cam0/frame", "cam0/event/wave", "metrics"), True
    )
    locked.clear()
    spied.close()
    assert locked == {"cam0/state": True, "status": True}


def test_everything_the_program_says_holds_the_contract(spied: Publisher, contract: Any) -> None:
    health = Health()
    health.timed("detect", lambda: None)()
    for arrival_ns in (1, 2):
        health.published("cam0", 3, time.monotonic_ns() - arrival_ns)
    spied.online()
    spied.camera(state(), 2)
    spied.frame(frame, nobody)
    spied.event(PoseEvent("wave", "cam0", 1, 0, 1.0, {"hand": "left", "high": True}))
    more = {
        "temperatures_c": {},
        "runs": {"yolo/main": 3},
        "dropped": {"cam0": 1},
        "reconnects": {"cam0": 0},
    }
    spied.metrics({**health.report(), **more})
    spied.metrics({**Health().report(), **more})
    spied.close()
    spy: Any = spied.sinks[0]
    assert spy.kinds() == [
        *("status", "state", "frame", "event", "metrics", "metrics"),
        *("state", "status"),  # the program stops
    ]
    for message in spy.messages:
        contract(message.topic, json.loads(message.json))
    birth = json.loads(spy.messages[0].json)
    assert (birth["cameras"], birth["engines"]) == (["cam0", "cam1"], {"yolo/main": SHA})
    figures = json.loads(spy.messages[4].json)
    assert [s["name"] for s in figures["sinks"]] == ["spy:", "spy:"]
    assert (figures["latency_ms"].keys(), figures["frames"]) == ({"p50", "p95", "p99"}, {"cam0": 2})


def test_a_camera_is_told_only_when_it_changes(spied: Publisher) -> None:
    spy: Any = spied.sinks[0]
    for frames in range(5):
        spied.camera(state(frames=frames), 1)
    assert spy.kinds() == ["state"]
    spied.camera(state(), 2)
    spied.camera(state("stalled"), 2)
    spied.camera(state("ok", reconnects=1), 2)
    spied.camera(state("ok", reconnects=1), 2)
    spied.camera(state("ok", "cam1"), 2)
    told = [(m.payload["camera"], m.payload["state"], m.payload["people"]) for m in spy.messages]
    assert told == [
        ("cam0", "ok", 1),
        ("cam0", "ok", 2),
        ("cam0", "stalled", 2),
        ("cam0", "ok", 2),
        ("cam1", "ok", 2),
    ]


def test_close_says_goodbye_once_and_nothing_follows(spied: Publisher) -> None:
    spied.close(0.5)
    spied.close(0.5)
    spied.frame(frame, nobody)
    spy: Any = spied.sinks[1]
    assert [m.payload["state"] for m in spy.messages] == ["offline"]
    assert spy.closed == [0.5]


def test_sinks_are_closed_side_by_side(spied: Publisher) -> None:
    meet = threading.Barrier(2)

    class Slow(Spy):
        def close(self, timeout_s: float) -> None:
            meet.wait(GIVE_UP_S)

    spied.sinks = [Slow(), Slow()]
    spied.close()
    assert not meet.broken


def test_numbers_are_whole_when_several_threads_publish(spied: Publisher) -> None:
    def tell() -> None:
        for _ in range(300):
            spied.frame(frame, nobody)
            spied.metrics({})

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spy: Any = spied.sinks[0]
    for kind in ("frame", "metrics"):
        seqs = [m.payload["seq"] for m in spy.messages if m.kind == kind]
        assert seqs == list(range(1200))


def test_a_rule_that_says_nonsense_is_named(spied: Publisher) -> None:
    with pytest.raises(InternalError, match=r"data of event fall\.x: object"):
        spied.event(PoseEvent("fall", "cam0", 1, 0, 1.0, {"x": object()}))  # type: ignore[dict-item]


def test_to_two_files_in_two_codecs_worth_of_lines(tmp_path: Path) -> None:
    made = Publisher(config(f"jsonl:{tmp_path}/a", f"jsonl:{tmp_path}/b", codec="cbor"))
    made.frame(frame, nobody)
    made.close()
    texts = [(tmp_path / name).read_text(encoding="utf-8") for name in "ab"]
    assert texts[0] == texts[1]
    records: List[Dict[str, Any]] = [json.loads(line) for line in texts[0].splitlines()]
    assert [r.get("content_type") for r in records] == ["application/cbor", None]
    assert made.report() == [
        {
            "name": f"jsonl:{tmp_path}/{name}",
            "ok": True,
            "waiting": 0,
            "sent": 2,
            "dropped": 0,
            "refused": 0,
        }
        for name in "ab"
    ]


def test_a_sink_that_cannot_be_opened_closes_those_before_it(tmp_path: Path) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError, match="No such file or directory"):
        Publisher(config(f"jsonl:{tmp_path}/a", f"jsonl:{tmp_path}/missing/b"))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("second", "name"),
    [
        ("mqtt://h:1883", "mqtt://h:1883"),
        ("mqtt://ann@H?keepalive_s=30", "mqtt://h:1883"),
        ("mqtts://h:1883", "mqtts://h:1883"),
    ],
)
def test_two_sinks_of_one_broker_are_refused_before_they_throw_each_other_out(
    tmp_path: Path, second: str, name: str
) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError) as caught:
        Publisher(config("mqtt://h", f"jsonl:{tmp_path}/a", second))
    line = f"publish.sinks[0] (mqtt://h:1883) and publish.sinks[2] ({name}) are the same broker"
    assert str(caught.value).startswith(line)
    assert threading.active_count() == before
    assert not list(tmp_path.iterdir())


def test_brokers_on_other_ports_or_hosts_are_others() -> None:
    parse_all(["mqtt://h", "mqtt://h:1884", "mqtt://i", "mqtts://h"])


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("out.jsonl", r"expected SCHEME:\.\.\., one of: gpio:, https:, jsonl:, mqtt:"),
        ("jsonk:out", "did you mean 'jsonl'"),
        ("_sender:x", "no publish plug called '_sender'"),
    ],
)
def test_a_sink_of_no_kind_is_answered_with_those_there_are(uri: str, line: str) -> None:
    for use in (parse, lambda u: open_sink(u, None)):
        with pytest.raises(ConfigError, match=line):
            use(uri)


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (0, 0, {"source": "kernel", "error_ms": 12.5}),
        (0x40, 5, {"source": "none", "error_ms": None}),
        (0, -1, {"source": "none", "error_ms": None}),
    ],
)
def test_clock_quality_is_what_the_kernel_says(
    monkeypatch: Any, status: int, answer: int, expected: Dict[str, Any]
) -> None:
    class Libc:
        @staticmethod
        def adjtimex(pointer: Any) -> int:
            assert pointer._obj.modes == 0, "reading only"
            pointer._obj.status, pointer._obj.maxerror = status, 12_500
            return answer

    monkeypatch.setattr(ctypes, "CDLL", lambda *a, **k: Libc())
    assert clock_module.clock_quality() == expected


def test_the_real_kernel_is_asked_without_harm() -> None:
    assert clock_module.clock_quality()["source"] in ("kernel", "none")


def test_the_retained_state_tells_zones_and_people_down(spied: Publisher) -> None:
    """A consumer that restarts knows them without having heard the events."""
    rules = [
        RuleSummary("platform", "zone", {"people": 2}, {"platform": 2}),
        RuleSummary("fall", "fall", {"down": 1, "fallen": 1}, down=1),
    ]
    spied.camera(state(), 3, rules)
    spied.camera(state(), 3, rules)
    spied.camera(state(), 3, [rules[0]])
    spy: Any = spied.sinks[0]
    told = [m.payload for m in spy.messages]
    assert len(told) == 2, "told once for each change"
    assert (told[0]["zones"], told[0]["down"]) == ({"platform": 2}, 1)
    assert told[0]["rules"]["platform"] == {"kind": "zone", "data": {"people": 2}}
    assert (told[1]["zones"], told[1]["down"]) == ({"platform": 2}, 0)


def watching(*corners: complex) -> RuleSummary:
    """A rule that watches a polygon, as made by one load of the configuration."""
    outline = Outline(np.array(corners), "bed: 0")
    return RuleSummary("bed", "zone", {"people": 0}, {"bed": 0}, outlines=[outline])


def test_the_state_tells_what_rules_watch_and_again_when_a_reload_moves_it(
    spied: Publisher,
) -> None:
    spied.camera(state(), 0, [watching(1 + 2j, 30 + 2j, 30 + 40.06j)])
    spied.camera(state(), 0, [watching(1 + 2j, 30 + 2j, 30 + 40.06j)])
    spied.camera(state(), 0, [watching(1 + 2j, 30 + 2j, 30 + 50j)])
    spied.camera(state(), 0, [watching(1 + 2j, 30 + 2j)])
    spy: Any = spied.sinks[0]
    told = [m.payload["rules"]["bed"]["outlines"] for m in spy.messages]
    assert told[0] == [
        {"label": "bed: 0", "closed": True, "points": [[10, 20], [300, 20], [300, 401]]}
    ]
    assert [outlines[0]["points"][-1] for outlines in told[1:]] == [[300, 500], [300, 20]]


@pytest.mark.parametrize(
    ("before", "after"),
    [("ok", "ended"), ("starting", "ended"), ("stalled", "ended"), ("failed", "failed")],
)
def test_after_a_stop_no_retained_state_says_ok(spied: Publisher, before: str, after: str) -> None:
    spied.camera(state(before), 2)
    spy: Any = spied.sinks[0]
    spy.messages.clear()
    spied.close()
    assert [m.topic.rsplit("/", 1)[1] for m in spy.messages] == ["state", "status"]
    assert spy.messages[0].payload["state"] == after
    assert spy.messages[0].payload["people"] == 0
