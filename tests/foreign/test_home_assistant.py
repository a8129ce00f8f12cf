"""Home Assistant's rules for device discovery, and its templates, on our messages.

The rules are those of its MQTT integration (components/mqtt/{mixins,discovery,sensor,binary_sensor,
event}.py, 2025.4.4 and 2026.11.0): what a component must and may have. Templates are rendered by
Jinja2, which Home Assistant uses.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import jinja2
import numpy as np
import pytest

from edge.messages import Builder
from edge.publish._homeassistant import (
    CameraEntities,
    actions_of,
    discovery,
    discovery_topic,
    key_of,
    platforms,
)
from edge.structures import CameraState, PoseEvent, RuleSummary

BASE = {"platform", "unique_id", "name", "state_topic", "value_template", "qos"}
BASE |= {"availability", "availability_mode", "entity_category", "device_class"}
BASE |= {"json_attributes_topic", "json_attributes_template"}
MAY = {
    "sensor": BASE | {"state_class", "unit_of_measurement", "expire_after"},
    "binary_sensor": BASE,
    "event": BASE | {"event_types"},
}
CLASSES = {
    "sensor": {"duration", "temperature", "data_size"},
    "binary_sensor": {"occupancy", "problem", "safety"},
    "event": set(),
}
UNITS = {"duration": {"ms"}, "temperature": {"°C"}, "data_size": {"MB"}}
CAMERA = CameraEntities(
    "door",
    ["presence", "zone", "fall", "rom", "brand_new"],
    ["bed", 'the "quiet" corner\n'],
    [("rom", "left_knee_flexion"), ("rom", "right_knee_flexion")],
)


@pytest.fixture(scope="module")
def payload() -> Dict[str, Any]:
    return discovery("hall", "0.2.0", [CAMERA, CameraEntities("yard-2")], 10.0, {})


def rendered(template: str, message: Any) -> str:
    """As Home Assistant renders it: an undefined value is a mistake here."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(value_json=json.loads(message)).strip()


@pytest.fixture
def build() -> Builder:
    return Builder("hall")


def component(payload: Dict[str, Any], key: str) -> Dict[str, Any]:
    found: Dict[str, Any] = payload["components"][key]
    return found


def test_the_message_obeys_the_rules_of_discovery(payload: Dict[str, Any]) -> None:
    assert discovery_topic("homeassistant", "hall") == "homeassistant/device/hall/config"
    assert set(payload) == {"device", "origin", "availability", "components"}
    assert payload["origin"]["name"]
    assert payload["device"]["identifiers"]
    unique = [part["unique_id"] for part in payload["components"].values()]
    assert len(set(unique)) == len(unique)
    for key, part in payload["components"].items():
        platform = part["platform"]
        assert set(part) <= MAY[platform], key
        assert {"platform", "unique_id", "state_topic", "name"} <= set(part)
        assert part.get("device_class", "") in CLASSES[platform] | {""}, key
        assert part.get("unit_of_measurement") in UNITS.get(
            part.get("device_class", ""), {part.get("unit_of_measurement")}
        )
        assert part["state_topic"].startswith("poses/v1/hall/")
        assert part.get("entity_category", "diagnostic") == "diagnostic"
        assert key == key_of(key), "a key is letters, digits and _"
        if platform == "event":
            assert part["event_types"]
            assert len(set(part["event_types"])) == len(part["event_types"])
        if "availability" in part:
            assert part["availability"][0] in payload["availability"], "the device's own, repeated"
    assert not {"button", "image", "camera"} & {
        p["platform"] for p in payload["components"].values()
    }
    assert len(json.dumps(payload)) < 100_000


def test_the_state_of_a_camera_sets_its_entities(payload: Dict[str, Any], build: Builder) -> None:
    zones = RuleSummary("bed", "zone", {}, {"bed": 1, 'the "quiet" corner\n': 2})
    fall = RuleSummary("fall", "fall", {}, down=1)
    well = CameraState("door", "ok", "", time.monotonic_ns())
    ill = CameraState("door", "stalled", "no frame", time.monotonic_ns())
    busy, empty = build.state(well, 3, [zones, fall]).json, build.state(ill, 0).json

    def values(message: bytes) -> List[str]:
        names = ("people", "occupied", "problem", "fall_alarm", "zone_bed")
        return [rendered(component(payload, f"door_{n}")["value_template"], message) for n in names]

    assert values(busy) == ["3", "ON", "OFF", "ON", "1"]
    assert values(empty) == ["0", "OFF", "ON", "OFF", "None"]
    quiet = next(c for k, c in payload["components"].items() if k.startswith("door_zone_the"))
    assert rendered(quiet["value_template"], busy) == "2"
    attributes = component(payload, "door_problem")["json_attributes_template"]
    assert json.loads(rendered(attributes, empty)) == {"state": "stalled", "detail": "no frame"}
    online = component(payload, "door_people")["availability"]
    assert [a["topic"] for a in online] == ["poses/v1/hall/status", "poses/v1/hall/door/state"]
    assert rendered(online[0]["value_template"], build.online().json) == "online"
    assert rendered(online[0]["value_template"], build.offline("lost").json) == "offline"
    assert rendered(online[1]["value_template"], busy) == "online"
    assert rendered(online[1]["value_template"], empty) == "offline"


def event(build: Builder, kind: str, data: Dict[str, Any], late: bool = False) -> bytes:
    told = build.event(PoseEvent(kind, "door", 4, time.monotonic_ns(), 0.9, data, why='"so"'))
    return json.dumps({**json.loads(told.json), **({"historical": True} if late else {})}).encode()


def test_events_have_a_type_of_the_closed_list_and_late_ones_are_ignored(
    payload: Dict[str, Any], build: Builder
) -> None:
    part = component(payload, "door_fall")
    assert part["state_topic"] == "poses/v1/hall/door/event/fall"
    assert part["event_types"] == ["fall", "lying", "recover", "lost"]
    told = json.loads(rendered(part["value_template"], event(build, "fall", {"action": "fall"})))
    assert told["event_type"] == "fall"
    assert {"person", "score", "boot_id", "seq", "why", "level"} <= set(told)
    assert rendered(part["value_template"], event(build, "fall", {"action": "fall"}, True)) == ""
    new = component(payload, "door_brand_new")
    assert new["event_types"] == ["brand_new"], "a kind that the contract does not know"
    told = json.loads(rendered(new["value_template"], event(build, "brand_new", {"x": 1})))
    assert (told["event_type"], told["x"]) == ("brand_new", 1)


def test_every_kind_of_the_contract_has_its_actions() -> None:
    contract = Path(__file__).parents[2] / "edge" / "publish" / "contract" / "event.json"
    told = json.loads(contract.read_text("utf-8"))["$defs"]
    kinds = [kind for kind in told if "action" in told[kind].get("properties", {})]
    assert {"presence", "zone", "fall", "rom", "action", "custom"} <= set(kinds)
    for kind in kinds:
        action = told[kind]["properties"]["action"]
        assert list(actions_of(kind)) == action.get("enum", [action.get("const")]), kind


def test_the_range_of_motion_is_that_of_the_last_repetition(
    payload: Dict[str, Any], build: Builder
) -> None:
    left = component(payload, "door_rom_left_knee_flexion")
    assert left["unit_of_measurement"] == "°"
    data = {"name": "rom", "action": "repetition", "session": "", "peak_deg": 121.5}

    def value(angle: str, late: bool = False, **more: Any) -> str:
        told = event(build, "rom", {**data, "angle": angle, **more}, late)
        return rendered(left["value_template"], told)

    assert value("left_knee_flexion") == "121.5"
    assert value("right_knee_flexion") == ""
    assert value("left_knee_flexion", action="outside") == ""
    assert value("left_knee_flexion", name="other") == ""
    assert value("left_knee_flexion", late=True) == ""


@pytest.mark.parametrize("hot", [None, {"cpu": 41.5, "gpu": 60.0}])
def test_figures_of_the_box(payload: Dict[str, Any], build: Builder, hot: Optional[Any]) -> None:
    record = {"latency_ms": {"p95": 40.5} if hot else {}, "temperatures_c": hot or {}}
    record.update(memory_mb=300.5, fps={"door": np.float32(25).item()} if hot else {})
    record.update({"degrade": {"level": 2}} if hot else {})
    message = build.metrics(record).json
    names = ("latency", "temperature", "memory", "degraded", "door_fps", "yard_2_c0e5b6ab_fps")
    found = {
        name: rendered(part["value_template"], message)
        for name, part in payload["components"].items()
        if part["state_topic"].endswith("/metrics")
    }
    assert len(found) == len(names)
    got = [found[n] for n in names[:5]]
    expected = (
        ["40.5", "60.0", "300.5", "2", "25.0"] if hot else ["None", "None", "300.5", "0", "None"]
    )
    assert got == expected
    assert component(payload, "latency")["expire_after"] == 60


def test_removed_components_are_named_with_their_platform_alone() -> None:
    before = discovery("hall", "1", [CAMERA], 10.0, {})
    after = discovery("hall", "1", [], 10.0, platforms(before))
    assert after["components"]["door_people"] == {"platform": "sensor"}
    assert after["components"]["door_fall"] == {"platform": "event"}
    assert "unique_id" in after["components"]["latency"]
    again = discovery("hall", "1", [CAMERA], 10.0, platforms(after))
    assert again["components"]["door_people"] == before["components"]["door_people"]
