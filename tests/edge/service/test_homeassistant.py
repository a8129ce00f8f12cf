"""When the box announces itself to Home Assistant, and when it takes that back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple

import pytest

from edge.__main__ import main
from edge.errors import ConfigError
from edge.service import homeassistant
from edge.service.homeassistant import HomeAssistant
from edge.settings import config
from edge.structures import RuleSummary

TOPIC = "homeassistant/device/hall/config"


def settings(
    tmp_path: Path, on: bool = True, cameras: Tuple[str, ...] = ("door",)
) -> config.Config:
    table: Dict[str, Any] = {
        "device": "hall",
        "cameras": [{"source": "synthetic://walk", "name": name} for name in cameras],
        "rules": [{"kind": "rom", "angle": "knee"}],
        "state": {"dir": str(tmp_path / "state")},
        "publish": {"homeassistant": on, "sinks": ["mqtt://127.0.0.1"]},
    }
    return config.complete(config.build(config.Config, table))


class Box:
    """A running loop, as far as the extra sees it."""

    def __init__(self, configuration: config.Config) -> None:
        self.config = configuration
        self.sent: List[Tuple[str, Any]] = []
        self.sink = SimpleNamespace(ok=True)
        rules = [RuleSummary("rom", "rom", {}), RuleSummary("bed", "zone", {}, {"bed": 0})]
        stages = SimpleNamespace(summaries=lambda: rules)
        names = [camera.name for camera in configuration.cameras]
        self.pipeline = SimpleNamespace(stages=dict.fromkeys(names, stages))
        self.publisher = SimpleNamespace(
            announce=lambda topic, payload: self.sent.append((topic, payload)), sinks=[self.sink]
        )

    def camera_names(self) -> List[str]:
        return [camera.name for camera in self.config.cameras]


def attached(configuration: config.Config) -> Tuple[HomeAssistant, Box]:
    box, extra = Box(configuration), HomeAssistant(configuration)
    extra.attach(box)
    return extra, box


def parts(sent: Tuple[str, Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = sent[1]["components"]
    return found


def test_cameras_and_rules_are_announced_once_and_again_after_a_reload(tmp_path: Path) -> None:
    extra, box = attached(settings(tmp_path, cameras=("door", "yard")))
    assert [topic for topic, _ in box.sent] == [TOPIC]
    first = parts(box.sent[0])
    assert {"door_people", "yard_people", "door_rom", "door_zone_bed", "latency"} <= set(first)
    assert sum(key.startswith(("door_rom_left_knee", "door_rom_right_knee")) for key in first) == 2
    extra.tick()
    assert len(box.sent) == 1
    box.config = settings(tmp_path, cameras=("door",))
    extra.tick()
    extra.tick()
    assert len(box.sent) == 2
    assert parts(box.sent[1])["yard_people"] == {"platform": "sensor"}, "this removes it"
    assert parts(box.sent[1])["door_people"] == first["door_people"]


def test_a_later_run_removes_what_an_earlier_one_announced(
    tmp_path: Path, monkeypatch: Any
) -> None:
    attached(settings(tmp_path, cameras=("door", "yard")))
    _, box = attached(settings(tmp_path, cameras=("door",)))
    assert parts(box.sent[0])["yard_occupied"] == {"platform": "binary_sensor"}
    off = settings(tmp_path, on=False)
    assert homeassistant.wanted(off), "the file says that something is to be taken back"
    extra, box = attached(off)
    assert box.sent == [(TOPIC, {})]
    now = [0.0]
    monkeypatch.setattr("edge.service.homeassistant.time.monotonic", lambda: now[0])
    for now[0], box.sink.ok in ((1, False), (20, True), (25, False), (40, True), (45, True)):
        extra.tick()
        assert homeassistant.wanted(off), "a broker may not have it yet"
    now[0] = 51.0
    extra.tick()
    assert not homeassistant.wanted(off)


def test_another_name_or_prefix_takes_the_old_message_back(tmp_path: Path) -> None:
    before = settings(tmp_path)
    attached(before)
    publish = dataclasses.replace(before.publish, homeassistant_prefix="ha/two")
    _, box = attached(dataclasses.replace(before, publish=publish))
    assert [(t, bool(p)) for t, p in box.sent] == [
        (TOPIC, False),
        ("ha/two/device/hall/config", True),
    ]


def test_a_damaged_memory_stops_nothing(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / homeassistant.FILE).write_text("[1, 2", encoding="utf-8")
    _, box = attached(settings(tmp_path))
    assert [topic for topic, _ in box.sent] == [TOPIC]
    assert "cannot be read" in caplog.text


def test_off_by_default_and_the_prefix_is_checked(tmp_path: Path) -> None:
    assert not homeassistant.wanted(config.complete(config.Config()))
    with pytest.raises(ConfigError, match="homeassistant_prefix"):
        config.build(config.Config, {"publish": {"homeassistant_prefix": "a/#"}})


def test_only_brokers_get_the_message(tmp_path: Path) -> None:
    """A run with a file as its sink: the message is for brokers, and not in the file."""
    models = Path(__file__).parents[1] / "golden" / "models"
    out, path = tmp_path / "out.jsonl", tmp_path / "edge.toml"
    path.write_text(
        f'[[cameras]]\nsource = "synthetic://walk?frames=3&rate=max&width=160&height=120"\n'
        f'[models]\ndir = "{models}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        f'[publish]\nhomeassistant = true\nsinks = ["jsonl:{out}"]\n'
        f'[state]\ndir = "{tmp_path}/state"\n',
        encoding="utf-8",
    )
    assert main(["run", "--config", str(path)]) == 0
    topics = [json.loads(line)["topic"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert topics
    assert not [t for t in topics if t.startswith("homeassistant")]
    known = json.loads((tmp_path / "state" / homeassistant.FILE).read_text(encoding="utf-8"))
    assert "cam0_people" in known["homeassistant/device/edge/config"]
