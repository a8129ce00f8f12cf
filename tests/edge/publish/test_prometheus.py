"""Figures for a local agent: the format, the bounds, and who may not ask."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from typing import Any, Dict, Iterator, List

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.errors import ConfigError, UnavailableError
from edge.health import Health
from edge.messages import Builder
from edge.publish import SinkOptions, open_sink, parse
from edge.publish._exposition import CONTRACT, ENVELOPE, MOST, Exposition, exposed, flatten
from edge.publish.prometheus import MOST_READERS
from tests.waiting import GIVE_UP_S, until

LINE = re.compile(
    r'^edge_[a-z0-9_]+(\{[a-z_]+="(\\.|[^"\\\n])*"(,[a-z_]+="(\\.|[^"\\\n])*")*\})? '
    r"(-?[0-9.e+-]+|NaN|[+-]Inf)$"
)
SINK = {
    "name": "mqtt://h:1",
    "ok": True,
    "waiting": 1,
    "sent": 2,
    "dropped": 3,
    "refused": 0,
    "outbox": {"durable": True, "stored": 7, "parked": 1, "lost": 0, "resets": 2},
}


@pytest.fixture
def sink() -> Iterator[Any]:
    opened = open_sink(f"prometheus://127.0.0.1:{free_port()}", SinkOptions())
    yield opened
    opened.close(5.0)
    opened.close(5.0)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask(sink: Any, path: str = "/metrics", host: str = "") -> str:
    url = sink.name.replace("prometheus", "http") + path
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def page_of(metrics: Dict[str, Any]) -> str:
    return Exposition().page(metrics).decode()


def record() -> Dict[str, Any]:
    health = Health()
    health.timed("pose", lambda: None)()
    health.published("door", 3, 0)
    return {
        **health.report(),
        "temperatures_c": {},
        "runs": {"m/main": 5},
        "dropped": {"door": 2},
        "sinks": [SINK],
        "commands": {"obeyed": 1},
    }


def test_metrics_are_told_in_the_format(sink: Any) -> None:
    assert "edge_up 1.0" in ask(sink), "before the first metrics, too"
    sink(Builder("hall").metrics(record()))
    text = ask(sink)
    assert text.endswith("\n")
    lines = text.splitlines()
    assert all(LINE.match(line) for line in lines if not line.startswith("#")), text
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types)), "each metric once"
    for wanted in (
        'edge_people{camera="door"} 3.0',
        'edge_dropped_total{camera="door"} 2.0',
        'edge_runs_total{network="m/main"} 5.0',
        'edge_sink_dropped_total{sink="mqtt://h:1"} 3.0',
        'edge_sink_ok{sink="mqtt://h:1"} 1.0',
        'edge_sink_outbox_stored_total{sink="mqtt://h:1"} 7.0',
        'edge_sink_outbox_durable{sink="mqtt://h:1"} 1.0',
        'edge_commands_total{outcome="obeyed"} 1.0',
    ):
        assert wanted in lines
    assert re.search(r'edge_stage_seconds\{stage="pose",quantile="0.95"\}', text)
    assert sink.counters.report()["sent"] == 1
    assert "boot_id" not in text


WHOLE = {
    "uptime_s": 12.5,
    "steps": 1,
    "events": 1,
    "fps": {"door": 12.5},
    "frames": {"door": 3},
    "people": {"door": 2},
    "dropped": {"door": 0},
    "reconnects": {"door": 0},
    "frame_memory": {"door": "userptr"},
    "host_copies": {"door": 0},
    "tiles": {"door": 4},
    "tile_changes": {"door": 1},
    "sparse": {"door": 0},
    "sparse_changes": {"door": 2},
    "filter_nis": {"door": 0.95},
    "outlier_share": {"door": 0.02},
    "latency_ms": {"p50": 12.3, "p95": 20.1, "p99": 30.7},
    "stages_ms": {"pose": {"p50": 4.0, "p95": 5.0, "p99": 6.0}},
    "runs": {"m/main": 5},
    "memory_mb": 1.5,
    "commands": {"obeyed": 1},
    "temperatures_c": {"cpu": 45.5},
    "telemetry": "jtop",
    "power_mw": {"cpu": 1250},
    "clocks_mhz": {"gpu": 1300.5},
    "load_percent": {"gpu": 35},
    "ram_mb": {"total": 8.0, "used": 2.0, "swap_total": 0.0, "swap_used": 0.0},
    "power_mode": "MAXN",
    "throttled": ["gpu"],
    "over_current": {"oc1": 0},
    "degrade": {
        "level": 1,
        "levels": 4,
        "changes": 2,
        "detect_times": 2,
        "part_limit": 0,
        "rate_share": 0.5,
        "why": "hot",
    },
    "adaptive_rate": {"slow": 1, "slow_s": 40.0, "saved_steps": 800, "saved_share": 0.25},
    "sensor_states": {"shank": "ok"},
    "sensor_samples": {"shank": 2000},
    "sensor_lost": {"shank": 0},
    "sensor_reopened": {"shank": 1},
    "sensor_temperatures_c": {"shank": 33.6},
    "sinks": [SINK],
}
# What promtool calls abbreviated units, and units that are no base units.
NO_BASE_UNITS = {
    *("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "m", "h", "d"),
    *("c", "mw", "hz", "mhz", "percent", "fps"),
    "milliseconds",
    "microseconds",
    "minutes",
    "hours",
    "megabytes",
    "kilobytes",
    "bits",
}


def test_the_names_are_those_that_prometheus_recommends() -> None:
    """The rules of https://prometheus.io/docs/practices/naming/ and of `promtool check metrics`."""
    contract = json.loads((CONTRACT / "metrics.json").read_text("utf-8"))
    assert set(WHOLE) | set(ENVELOPE) == set(contract["properties"]), "every field is looked at"
    families = list(text_string_to_metric_families(page_of(WHOLE)))
    assert len(families) > 30
    for family in families:
        words = family.name.split("_")
        assert words[0] == "edge", family.name
        assert family.name == family.name.lower()
        assert not set(words) & NO_BASE_UNITS, family.name
        assert not set(words) & {"gauge", "counter", "summary"}, family.name
        assert family.documentation, f"{family.name} has no help text"
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert ("quantile" in sample.labels) == (family.type == "summary"), sample.name
            assert not sample.name.endswith(("_count", "_sum", "_bucket"))


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("edge_uptime_seconds", {}, 12.5),
        ("edge_latency_seconds", {"quantile": "0.5"}, 0.0123),
        ("edge_latency_seconds", {"quantile": "0.99"}, 0.0307),
        ("edge_stage_seconds", {"stage": "pose", "quantile": "0.99"}, 0.006),
        ("edge_frame_rate_hertz", {"camera": "door"}, 12.5),
        ("edge_memory_bytes", {}, 1572864.0),
        ("edge_ram_total_bytes", {}, 8388608.0),
        ("edge_temperature_celsius", {"zone": "cpu"}, 45.5),
        ("edge_power_watts", {"rail": "cpu"}, 1.25),
        ("edge_clock_hertz", {"clock": "gpu"}, 1300500000.0),
        ("edge_load_ratio", {"unit": "gpu"}, 0.35),
        ("edge_over_current_total", {"circuit": "oc1"}, 0.0),
        ("edge_degrade_level", {}, 1.0),
        ("edge_adaptive_rate_saved_steps_total", {}, 800.0),
        ("edge_adaptive_rate_saved_ratio", {}, 0.25),
        ("edge_degrade_changes_total", {}, 2.0),
        ("edge_degrade_rate_ratio", {}, 0.5),
        ("edge_sink_waiting", {"sink": "mqtt://h:1"}, 1.0),
        ("edge_sink_outbox_resets_total", {"sink": "mqtt://h:1"}, 2.0),
        ("edge_up", {}, 1.0),
    ],
)
def test_values_are_in_base_units(name: str, labels: Dict[str, str], value: float) -> None:
    families = text_string_to_metric_families(page_of(WHOLE))
    samples = [s for family in families for s in family.samples if s.name == name]
    assert [s.value for s in samples if s.labels == labels] == [value]


def test_a_name_that_is_only_a_unit_stays() -> None:
    assert exposed("s", (), 2.0) == ("edge_s", "gauge", 2.0)


def test_help_texts_stay_on_their_line(monkeypatch: pytest.MonkeyPatch) -> None:
    exposition = Exposition()
    monkeypatch.setitem(exposition._help, "steps", "one\ntwo \\ three")
    assert "# HELP edge_steps_total one\\ntwo \\\\ three\n" in exposition.page(WHOLE).decode()


def test_other_messages_are_not_for_it(sink: Any) -> None:
    build = Builder("hall")
    before = ask(sink)
    sink(build.offline("stopped"))
    assert ask(sink) == before
    assert sink.counters.report()["sent"] == 0


@pytest.mark.parametrize(
    "uri",
    [
        "prometheus://0.0.0.0:9464",
        "prometheus://192.168.1.2",
        "prometheus://[::]:1",
        "prometheus://example.org",
        "prometheus://localhost.evil.org:1",
        "prometheus://",
        "prometheus://127.0.0.1:99999",
        "prometheus://127.0.0.1/x",
        "prometheus://u@127.0.0.1",
        "prometheus://127.0.0.1?x=1",
        "prometheus://127.0.0.1:0",
        "prometheus:9464",
    ],
)
def test_only_this_machine_may_ask(uri: str) -> None:
    with pytest.raises(ConfigError):
        parse(uri)
    with pytest.raises(ConfigError):
        open_sink(uri, SinkOptions())


def test_a_taken_port_is_one_line(sink: Any) -> None:
    with pytest.raises(UnavailableError, match="choose another port"):
        open_sink(sink.name, SinkOptions())


@pytest.mark.parametrize(
    ("path", "host"), [("/", ""), ("/metric", ""), ("/metrics", "evil.org"), ("/../etc", "")]
)
def test_nothing_else_is_answered(sink: Any, path: str, host: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(sink, path, host)
    assert error.value.code == 404
    error.value.close()


def test_nothing_is_ever_taken(sink: Any) -> None:
    port = int(sink.name.rpartition(":")[2])
    for line in (b"POST /metrics HTTP/1.0\r\n\r\n", b"\x00" * 70000, b"GET\r\n\r\n", b"GET /"):
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.sendall(line)
            raw.shutdown(socket.SHUT_WR)
            try:
                answer = raw.recv(4096)
            except ConnectionResetError:
                answer = b""
            assert b" 200 " not in answer[:40]
    assert "edge_up" in ask(sink), "it still answers"


def test_labels_do_not_explode() -> None:
    many = {f"net{i}": i for i in range(5000)}
    page = page_of({"runs": many, "temperatures_c": {'a"b\\c\nd': 1.0}})
    assert page.count("edge_runs_total{") == MOST
    assert f"edge_left_out {5000 - MOST}.0" in page
    assert 'zone="a\\"b\\\\c\\nd"' in page


def test_names_that_look_like_something_else_keep_their_labels() -> None:
    record = {
        "fps": {"p50": 5.0, "door": 1.0},
        "frames": {"p99": 2},
        "runs": {"p95": 3},
        "stages_ms": {"p50": {"p50": 2.0}},
        "latency_ms": {"p50": 7.0},
    }
    lines = page_of(record).splitlines()
    for wanted in (
        'edge_frame_rate_hertz{camera="p50"} 5.0',
        'edge_frame_rate_hertz{camera="door"} 1.0',
        'edge_frames_total{camera="p99"} 2.0',
        'edge_runs_total{network="p95"} 3.0',
        'edge_stage_seconds{stage="p50",quantile="0.5"} 0.002',
        'edge_latency_seconds{quantile="0.5"} 0.007',
    ):
        assert wanted in lines


@pytest.mark.parametrize("names", [["x" * 200 + "1", "x" * 200 + "2"], ["\udcfe", "\udcff"]])
def test_two_sinks_are_never_one_sample(names: List[str]) -> None:
    """Paths that begin alike, and paths that are not UTF-8."""
    sinks = [{**SINK, "name": f"jsonl:/{name}"} for name in names]
    lines = [x for x in page_of({"sinks": sinks}).splitlines() if x[0] != "#"]
    samples = [x.rpartition(" ")[0] for x in lines]
    assert len(samples) == len(set(samples)) > 10
    assert all(LINE.match(x) for x in lines)


def test_odd_numbers_are_written_as_the_format_wants() -> None:
    page = page_of(
        {
            "a": float("nan"),
            "b": float("inf"),
            "c": float("-inf"),
            "d": True,
            "e": "x",
            "f": {"g": {"h": {"i": 1}}},
            "g-h": 1,
            "n": None,
        }
    )
    assert "edge_a NaN" in page
    assert "edge_b +Inf" in page
    assert "edge_c -Inf" in page
    assert "edge_g_h 1.0" in page
    assert not list(flatten({"e": "x", "n": None}))


def test_port_is_closed_with_the_sink() -> None:
    opened = open_sink(f"prometheus://[::1]:{free_port()}", SinkOptions())
    assert "edge_up" in ask(opened)
    opened.close(5.0)
    with pytest.raises(urllib.error.URLError):
        ask(opened)


def test_readers_that_hold_connections_keep_nobody_out(sink: Any) -> None:
    """Under TasksMax a thread for each of them ended the program; now there are a few at most."""
    before = threading.active_count()
    port = int(sink.name.rpartition(":")[2])
    held = []
    try:
        for _ in range(60):
            held.append(socket.create_connection(("127.0.0.1", port)))
            held[-1].sendall(b"GET /met")
        ask(sink)
        until(lambda: threading.active_count() <= before + MOST_READERS, "readers were let go")
    finally:
        for connection in held:
            connection.close()


def test_without_a_thread_to_be_had_a_reader_is_refused_and_no_more(
    sink: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    port = int(sink.name.rpartition(":")[2])
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", none_left)
        with socket.create_connection(("127.0.0.1", port), GIVE_UP_S) as refused:
            refused.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert refused.recv(100) == b""
    ask(sink)
