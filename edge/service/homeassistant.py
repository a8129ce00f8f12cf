"""Announce the box to Home Assistant, and take back what an earlier run announced."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import edge
from edge import durable
from edge.loop.assemble import rule_tables
from edge.loop.parts import Extra, Running
from edge.publish._homeassistant import (
    CameraEntities,
    discovery,
    discovery_topic,
    platforms,
)
from edge.rules.rom import angles_of
from edge.settings.config import Config

log = logging.getLogger(__name__)

FILE = "homeassistant.json"
SETTLED_S = 10.0  # connected for this long, brokers have what was taken back
MOST_GONE = 500  # components whose removal is repeated

Known = Dict[str, Dict[str, str]]  # topic -> key of a component -> its platform


def wanted(config: Config) -> bool:
    """Whether a run has something to announce or to take back."""
    path = _path(config)
    return config.publish.homeassistant or (path is not None and path.exists())


def _path(config: Config) -> Optional[Path]:
    folder = durable.find_state_dir(config.state.dir)
    return None if folder is None else folder / FILE


class HomeAssistant(Extra):
    """Publishes the discovery message; again whenever cameras or rules change.

    The state directory remembers what was announced, so that a later run can remove components, or
    the device once the option is off. Without a state directory only this run's are removed.
    """

    def __init__(self, config: Config) -> None:
        self._config: Optional[Config] = None  # that the last message is about
        self._path = _path(config)
        self._known: Known = _read(self._path)
        self._running: Optional[Running] = None
        self._taken_back: List[str] = []
        self._settled_s = float("inf")

    def attach(self, running: Running) -> None:
        """Announce, and take back."""
        self._running = running
        publish = running.config.publish
        ours = discovery_topic(publish.homeassistant_prefix, running.config.device)
        if publish.homeassistant and not any(u.startswith("mqtt") for u in publish.sinks):
            log.warning("publish.homeassistant: no sink is a broker (mqtt:// or mqtts://)")
        self._taken_back = [t for t in self._known if t != ours or not publish.homeassistant]
        for topic in self._taken_back:
            running.publisher.announce(topic, {})
        self._announce()

    def tick(self) -> None:
        """Announce again after a reload; forget what brokers have removed."""
        assert self._running is not None
        if self._running.config is not self._config:
            self._announce()
        if self._taken_back:
            self._forget()

    def _announce(self) -> None:
        assert self._running is not None
        config = self._config = self._running.config
        if not config.publish.homeassistant:
            return
        topic = discovery_topic(config.publish.homeassistant_prefix, config.device)
        cameras = [entities(self._running, camera) for camera in self._running.camera_names()]
        gone = dict(list(self._known.get(topic, {}).items())[-MOST_GONE:])
        metrics_s = config.publish.metrics_s
        payload = discovery(config.device, edge.__version__, cameras, metrics_s, gone)
        self._running.publisher.announce(topic, payload)
        self._known[topic] = platforms(payload)
        self._save()

    def _forget(self) -> None:
        """Once all brokers are connected for a while, nothing is left to take back."""
        assert self._running is not None
        now_s = time.monotonic()
        if not all(sink.ok for sink in self._running.publisher.sinks):
            self._settled_s = float("inf")
        elif self._settled_s == float("inf"):
            self._settled_s = now_s + SETTLED_S
        elif now_s > self._settled_s:
            for topic in self._taken_back:
                self._known.pop(topic, None)
            self._taken_back = []
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        if self._known:
            durable.save_json(durable.make_dir(self._path.parent) / FILE, self._known)
        elif self._path.exists():
            self._path.unlink()


def _read(path: Optional[Path]) -> Known:
    if path is None or not path.exists():
        return {}
    try:
        known = json.loads(path.read_text("utf-8"))
        return {str(t): {str(k): str(p) for k, p in ks.items()} for t, ks in known.items()}
    except (OSError, ValueError, AttributeError) as error:
        log.warning("%s: cannot be read (%s); entities of removed cameras may stay", path, error)
        return {}


def entities(running: Running, camera: str) -> CameraEntities:
    """What a camera can report, by its rules as they run."""
    summaries = running.pipeline.stages[camera].summaries()
    kinds = dict.fromkeys(s.kind for s in summaries)
    zones = dict.fromkeys(zone for s in summaries for zone in s.zones)
    angles = [
        (str(table.get("name", "rom")), angle)
        for table in _tables(running.config, camera)
        if table.get("kind") == "rom"
        for angle in angles_of(table["angle"])
    ]
    return CameraEntities(camera, list(kinds), list(zones), angles)


def _tables(config: Config, camera: str) -> List[Mapping[str, Any]]:
    return [table for _, table in rule_tables(config, camera)]
