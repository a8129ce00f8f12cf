"""The committed contract: the AsyncAPI document, its schemas, and that they say no."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from jsonschema import Draft202012Validator, ValidationError

import edge.publish
from edge.messages import ROOT

MADE = ("bundle", "skeletons")  # by `edge-tools contract`, not schemas themselves
FOLDER = Path(edge.publish.__file__).parent / "contract"
SCHEMAS = {
    p.name: json.loads(p.read_text("utf-8")) for p in FOLDER.glob("*.json") if p.stem not in MADE
}
DOCUMENT = SCHEMAS.pop("asyncapi.json")
TIMES = {"t_utc_ns": 1, "t_mono_ns": 2}
HEAD = {"schema": "pose/1", "device": "box", "boot_id": "0" * 16, "seq": 0, **TIMES}
PERSON = {"id": 1, "score": 50, "box": [0, 0, 1, 1], "keypoints": [1, 2, 3]}
SINK = {
    "name": "x",
    "ok": True,
    "waiting": 0,
    "sent": 0,
    "dropped": 0,
    "refused": 0,
    "outbox": {"durable": True, "stored": 0, "parked": 0, "lost": 0, "resets": 0},
}
OWN = {**HEAD, "camera": "device", "person": -1, "score": 100}
GOOD: Dict[str, Dict[str, Any]] = {
    "frame": {**HEAD, "camera": "c", "size": [1, 2], "skeleton": "s", "people": [PERSON]},
    "scene/hall/frame": {
        **HEAD,
        "scene": "hall",
        "cameras": ["c"],
        "skeleton": "s",
        "people": [
            {"id": 1, "score": 50, "error": 31, "seen_as": {"c": 2}, "keypoints": [1, 2, 3, 4]}
        ],
    },
    "event/wave": {**HEAD, "camera": "c", "kind": "wave", "person": 1, "score": 1, "data": {}},
    "state": {
        **HEAD,
        "camera": "c",
        "state": "ok",
        "since_utc_ns": 1,
        "detail": "",
        "people": 0,
        "size": [1, 2],
        "frames": 0,
        "dropped": 0,
        "reconnects": 0,
        "zones": {"platform": 2},
        "down": 0,
        "rules": {
            "platform": {
                "kind": "zone",
                "data": {"people": 2},
                "outlines": [{"label": "platform: 2", "closed": True, "points": [[0, 1], [2, 3]]}],
            }
        },
    },
    "status": {
        **HEAD,
        "state": "online",
        "version": "1",
        "cameras": ["c"],
        "engines": {},
        "clock": {"source": "none", "error_ms": None},
    },
    "metrics": {
        **HEAD,
        "uptime_s": 1.5,
        "steps": 0,
        "events": 0,
        "fps": {"c": 1.0},
        "frames": {},
        "people": {},
        "dropped": {},
        "reconnects": {},
        "latency_ms": {},
        "stages_ms": {},
        "runs": {},
        "memory_mb": 1.0,
        "temperatures_c": {},
        "sinks": [SINK],
    },
    "event/outbox_loss": {
        **OWN,
        "kind": "outbox_loss",
        "data": {"sink": "x", "lost": 1, "total": 2},
    },
    "event/outbox_reset": {
        **OWN,
        "kind": "outbox_reset",
        "data": {"sink": "x", "reason": "r", "recovered": 0, "lost": 1},
    },
    "event/outbox_parked": {
        **OWN,
        "kind": "outbox_parked",
        "data": {"sink": "x", "topic": "t", "bytes": 1, "reason": "r"},
    },
    "ack": {},
    "cmd/rate": {
        "schema": "command/1",
        "device": "box",
        "name": "rate",
        "id": "",
        "seq": 1,
        "expires_utc_ns": 1,
        "answer_to": "",
        "args": {},
        "signature": "0" * 128,
    },
    "answer/ann": {
        "schema": "answer/1",
        "device": "box",
        "boot_id": "0" * 16,
        "name": "rate",
        "id": "",
        "t_utc_ns": 1,
        "state": "done",
        "reason": "",
        "detail": "",
        "result": {},
        "key": "0" * 64,
        "signature": "0" * 128,
    },
}


def topic(name: str) -> str:
    of_box = ("status", "metrics", "cmd/rate", "answer/ann", "ack", "scene/hall/frame")
    camera = "" if name in of_box else f"{GOOD[name].get('camera', 'c')}/"
    return f"{ROOT}/box/{camera}{name}"


def tables(schema: Any) -> Iterator[Dict[str, Any]]:
    """Every part of a schema that describes an object by its properties."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for name, inner in schema.items():
            yield from () if name in ("if", "then") else tables(inner)  # they narrow, no more
    elif isinstance(schema, list):
        for inner in schema:
            yield from tables(inner)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from ([part["$ref"]] if isinstance(part.get("$ref"), str) else [])
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def resolve(file: Dict[str, Any], pointer: str) -> Any:
    part: Any = file
    for step in pointer.strip("/").split("/") if pointer else []:
        part = part[step]
    return part


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_one_and_closed(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == name
    Draft202012Validator.check_schema(schema)
    for table in tables(schema):
        assert table["additionalProperties"] is False
        assert set(table.get("required", [])) <= set(table["properties"])


@pytest.mark.parametrize("name", sorted([*SCHEMAS, "asyncapi.json"]))
def test_every_reference_leads_somewhere(name: str) -> None:
    here = DOCUMENT if name == "asyncapi.json" else SCHEMAS[name]
    for reference in references(here):
        file, _, pointer = reference.partition("#")
        where = SCHEMAS[file.replace("./", "")] if file else here
        assert resolve(where, pointer) is not None, reference


def test_document_is_asyncapi_3() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"  # generators know no newer one, and none is needed
    assert {"title", "version"} <= set(DOCUMENT["info"])
    actions = {o["channel"]["$ref"]: o["action"] for o in DOCUMENT["operations"].values()}
    heard = {"command", "ack"}
    assert actions == {
        f"#/channels/{name}": "receive" if name in heard else "send"
        for name in DOCUMENT["channels"]
    }
    for channel in DOCUMENT["channels"].values():
        named = {level[1:-1] for level in channel["address"].split("/") if level[0] == "{"}
        assert named == set(channel["parameters"])
        assert channel["address"].startswith(ROOT + "/{device}/")
        assert channel["messages"]


def test_every_schema_is_used() -> None:
    used = {
        r.split("#")[0].replace("./", "")
        for s in [DOCUMENT, *SCHEMAS.values()]
        for r in references(s)
    }
    assert set(SCHEMAS) <= used


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_record_is_taken(contract: Any, name: str) -> None:
    contract(topic(name), GOOD[name])


def test_a_topic_of_nobody_is_refused(contract: Any) -> None:
    for wrong in ("poses/v1/box/c/picture", "poses/v1/other/status", "poses/v1/box/c/event"):
        with pytest.raises(AssertionError, match="described by 0"):
            contract(wrong, GOOD["status"])


def paths(record: Any, so_far: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The place of every value in a record."""
    inner = record.items() if isinstance(record, dict) else enumerate(record)
    for key, value in inner:
        yield (*so_far, key)
        if isinstance(value, (dict, list)):
            yield from paths(value, (*so_far, key))


def at(record: Any, path: Tuple[Any, ...]) -> Any:
    for key in path:
        record = record[key]
    return record


@pytest.mark.parametrize("name", sorted(GOOD))
def test_one_wrong_value_anywhere_is_noticed(contract: Any, name: str) -> None:
    refused: List[Any] = []
    for path in paths(GOOD[name]):
        for wrong in (object(), "Not a value!\n", -(2**70)):
            record = copy.deepcopy(GOOD[name])
            at(record, path[:-1])[path[-1]] = wrong
            try:
                contract(topic(name), record)
            except (ValidationError, AssertionError):
                refused.append(path)
    assert set(refused) == set(paths(GOOD[name]))


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_or_strange_field_is_noticed(contract: Any, name: str) -> None:
    for field in GOOD[name]:
        record = {k: v for k, v in GOOD[name].items() if k != field}
        with pytest.raises((ValidationError, AssertionError)):
            contract(topic(name), record)
    with pytest.raises(ValidationError):
        contract(topic(name), {**GOOD[name], "picture": "iVBORw0KGgo="})
