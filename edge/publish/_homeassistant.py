"""The discovery message of Home Assistant: one for a device, retained.

Home Assistant makes entities from it that read the topics of contract/asyncapi.json. Nothing else
is published for it. The keys follow its page "MQTT" (device discovery), as version 2025.4 and
2026.11 check them.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from edge.messages import ROOT

Component = Dict[str, Any]
FRESH_S = 60  # figures are unavailable after this time without metrics; more if metrics are rarer
_EVENTS = Path(__file__).with_name("contract") / "event.json"
_LIVE = "{% if value_json.historical is not defined"
_DEVICE_ONLINE = {"value_template": "{{ value_json.state }}"}
_CAMERA_ONLINE = {
    "value_template": "{{ 'online' if value_json.state in ('ok', 'starting') else 'offline' }}"
}


@dataclass(frozen=True)
class CameraEntities:
    """What one camera can report."""

    name: str
    kinds: Sequence[str] = ()  # of its rules' events
    zones: Sequence[str] = ()  # whose people its state counts
    angles: Sequence[Tuple[str, str]] = ()  # rule and angle whose repetitions are measured


@lru_cache(maxsize=None)
def actions_of(kind: str) -> Tuple[str, ...]:
    """The closed list of actions of an event kind in the contract; the kind if it has none."""
    told = json.loads(_EVENTS.read_text("utf-8"))["$defs"].get(kind, {})
    action = told.get("properties", {}).get("action", {})
    return tuple(action.get("enum") or [action.get("const", kind)])


def discovery_topic(prefix: str, device: str) -> str:
    """The topic of the message; a broker's access list can name it by the device alone."""
    return f"{prefix}/device/{device}/config"


def discovery(
    device: str,
    version: str,
    cameras: Sequence[CameraEntities],
    metrics_s: float,
    gone: Mapping[str, str],
) -> Dict[str, Any]:
    """The payload.

    Args:
        device: name of the box.
        version: of the program.
        cameras: all of them.
        metrics_s: pause between two metrics messages.
        gone: platform of each earlier component by its key; those not made now are removed.
    """
    made = _Components(device, max(FRESH_S, 3 * metrics_s))
    for camera in cameras:
        made.camera(camera)
    made.box()
    there = made.found
    removed = {key: {"platform": was} for key, was in gone.items() if key not in there}
    origin = {"name": "edge-pose", "sw_version": version}
    return {
        "device": {
            "identifiers": [f"edge_{device}"],
            "name": f"edge {device}",
            "manufacturer": "edge-pose",
            "model": "edge-pose box",
            "sw_version": version,
        },
        "origin": origin,
        "availability": [{"topic": f"{ROOT}/{device}/status", **_DEVICE_ONLINE}],
        "components": {**there, **removed},
    }


def key_of(text: str) -> str:
    """A part of a component's key: letters, digits and _, different for different texts."""
    plain = re.sub(r"[^a-z0-9_]", "_", text.lower())
    return plain if plain == text else f"{plain}_{zlib.crc32(text.encode()):08x}"


def _quoted(text: str) -> str:
    """A string of a template."""
    return json.dumps(text)


class _Components:
    """Collects the components of a device."""

    def __init__(self, device: str, fresh_s: float) -> None:
        self._device, self._fresh_s = device, round(fresh_s)
        self._base = f"{ROOT}/{device}"
        self.found: Dict[str, Component] = {}

    def _add(self, key: str, platform: str, name: str, topic: str, **more: Any) -> None:
        self.found[key] = {
            "platform": platform,
            "unique_id": f"edge_{self._device}_{key}",
            "name": name,
            "state_topic": f"{self._base}/{topic}",
            **more,
        }

    def camera(self, camera: CameraEntities) -> None:
        """The entities of one camera."""
        name, key, state = camera.name, key_of(camera.name), f"{camera.name}/state"
        seen = self._while_seen(camera.name)
        people = {"state_class": "measurement", "unit_of_measurement": "people", **seen}
        value = "{{ value_json.people }}"
        self._add(
            f"{key}_people", "sensor", f"{name} people", state, value_template=value, **people
        )
        self._add(
            f"{key}_occupied",
            "binary_sensor",
            f"{name} occupied",
            state,
            device_class="occupancy",
            value_template="{{ 'ON' if value_json.people > 0 else 'OFF' }}",
            **seen,
        )
        self._problem(name, key, state)
        for kind in camera.kinds:
            self._event(name, key, kind)
        if "fall" in camera.kinds:
            self._add(
                f"{key}_fall_alarm",
                "binary_sensor",
                f"{name} fall alarm",
                state,
                device_class="safety",
                value_template="{{ 'ON' if value_json.down > 0 else 'OFF' }}",
                **seen,
            )
        for zone in camera.zones:
            value = f"{{{{ value_json.zones.get({_quoted(zone)}) }}}}"
            zone_key = f"{key}_zone_{key_of(zone)}"
            self._add(
                zone_key, "sensor", f"{name} {zone} people", state, value_template=value, **people
            )
        for rule, angle in camera.angles:
            self._angle(name, key, rule, angle)
        self._figure(
            f"{key}_fps", f"{name} frame rate", f"value_json.fps.get({_quoted(name)})", "fps"
        )

    def _while_seen(self, camera: str) -> Component:
        """Unavailable without the device or the camera; replaces the device's availability."""
        topics = [
            {"topic": f"{self._base}/status", **_DEVICE_ONLINE},
            {"topic": f"{self._base}/{camera}/state", **_CAMERA_ONLINE},
        ]
        return {"availability": topics, "availability_mode": "all"}

    def _problem(self, name: str, key: str, state: str) -> None:
        attributes = "{{ {'state': value_json.state, 'detail': value_json.detail} | tojson }}"
        self._add(
            f"{key}_problem",
            "binary_sensor",
            f"{name} problem",
            state,
            device_class="problem",
            entity_category="diagnostic",
            value_template="{{ 'OFF' if value_json.state == 'ok' else 'ON' }}",
            json_attributes_topic=f"{self._base}/{state}",
            json_attributes_template=attributes,
        )

    def _event(self, name: str, key: str, kind: str) -> None:
        """An event entity; late (historical) events look new, so they are left out."""
        action = f"value_json.data.action | default({_quoted(kind)})"
        fields = ", ".join(f"{f}=value_json.{f}" for f in ("person", "score", "boot_id", "seq"))
        told = f"dict(value_json.data, event_type={action}, {fields}, "
        told += "level=value_json.level | default('info'), why=value_json.why | default(''))"
        self._add(
            f"{key}_{key_of(kind)}",
            "event",
            f"{name} {kind}",
            f"{name}/event/{kind}",
            qos=1,
            event_types=list(actions_of(kind)),
            value_template=f"{_LIVE} %}}{{{{ {told} | tojson }}}}{{% endif %}}",
        )

    def _angle(self, name: str, key: str, rule: str, angle: str) -> None:
        """The peak of the last repetition; other events give an empty text, which is ignored."""
        data = "value_json.data"
        ours = f"{data}.name == {_quoted(rule)} and {data}.angle == {_quoted(angle)}"
        value = f"{_LIVE} and {data}.action == 'repetition' and {ours} %}}"
        self._add(
            f"{key}_{key_of(rule)}_{key_of(angle)}",
            "sensor",
            f"{name} {rule} {angle.replace('_', ' ')}",
            f"{name}/event/rom",
            qos=1,
            state_class="measurement",
            unit_of_measurement="°",
            value_template=f"{value}{{{{ {data}.peak_deg }}}}{{% endif %}}",
        )

    def box(self) -> None:
        """The entities of the device itself."""
        self._figure(
            "latency", "latency", "value_json.latency_ms.get('p95')", "ms", device_class="duration"
        )
        hottest = (
            "(value_json.temperatures_c.values() | max) if value_json.temperatures_c else None"
        )
        self._figure("temperature", "temperature", hottest, "°C", device_class="temperature")
        self._figure("memory", "memory", "value_json.memory_mb", "MB", device_class="data_size")
        degrade = "value_json.degrade.level if value_json.degrade is defined else 0"
        self._figure("degraded", "degraded", degrade, "")

    def _figure(self, key: str, name: str, value: str, unit: str, **more: Any) -> None:
        """A figure of the metrics; `None` in a template makes it unknown."""
        measured = {"unit_of_measurement": unit} if unit else {}
        self._add(
            key,
            "sensor",
            name,
            "metrics",
            entity_category="diagnostic",
            state_class="measurement",
            expire_after=self._fresh_s,
            value_template=f"{{{{ {value} }}}}",
            **measured,
            **more,
        )


def platforms(payload: Mapping[str, Any]) -> Dict[str, str]:
    """Platform of each component of a payload by its key."""
    parts: List[Tuple[str, Component]] = list(payload["components"].items())
    return {key: str(part["platform"]) for key, part in parts}
