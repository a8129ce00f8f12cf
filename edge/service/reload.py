"""Reloads the configuration: checks it, makes its parts beside the old ones, swaps between steps.

A reload is done as a whole or not at all: if anything is wrong with the new configuration, the old
one stays and one line says why. The stream, the people, the filters and the rules of a camera are
replaced only if a key changed on which they depend.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Set, cast

from edge import skeletons
from edge.capture import CameraList
from edge.errors import ConfigError, EdgeError
from edge.loop.assemble import Finish, Models, build_stages, rule_tables
from edge.loop.carry import Carry
from edge.loop.parts import Running, timed_scenes
from edge.loop.scenes import SceneStage, build_scenes
from edge.people.look_schedule import Pacing
from edge.people.tracker import Tracker
from edge.service import heap
from edge.service.check import look_up
from edge.service.systemd import Notifier
from edge.settings.config import Config, Pose
from edge.stages import CameraStages
from edge.structures import CameraState

log = logging.getLogger(__name__)

NETWORKS = ("models", "trust", "detect", "pose", "runtime")
PEOPLE = ("track", "smooth")  # a change here replaces all trackers and smoothers
LIVE = {
    *NETWORKS,
    *PEOPLE,
    "cameras",
    "capture",
    "rules",
    "scenes",
    "grounds",
}  # all other sections need a restart
SETTLE_S = 30.0  # a step that takes longer hangs; then the watchdog ends the program


@dataclass
class NextParts:
    """The parts of a loop for another configuration."""

    config: Config
    models: Models
    finish: Finish
    scenes: List[SceneStage]
    stages: Dict[str, CameraStages]
    kept: Set[str]  # cameras whose trackers, smoothers and unchanged rules stay
    cameras: CameraList


class Reload:
    """Reloads the configuration on request, in a thread of its own.

    Args:
        running: the loop.
        read: reads the configuration again, as the program did when it started.
        notify: is told about each reload.
    """

    def __init__(
        self,
        running: Running,
        read: Callable[[], Config],
        notify: Notifier,
    ) -> None:
        self._running, self._read, self._notify = running, read, notify
        # Written by signal handlers, one of which may interrupt another: SimpleQueue.put allows
        # that, an Event's lock does not.
        self._requests: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="reload", daemon=True)
        self.done = 0  # reloads so far
        self.refused = 0

    def start(self) -> None:
        """Begin to wait for requests."""
        self._thread.start()

    def request(self) -> None:
        """Ask for a reload; from a signal handler or any thread.

        Requests in quick succession become one reload.
        """
        self._requests.put(True)

    def close(self) -> None:
        """Accept no more requests; a reload in progress is given up."""
        self._closed = True
        self._requests.put(True)

    def _loop(self) -> None:
        while True:
            self._requests.get()
            while not self._requests.empty():
                self._requests.get()
            if self._closed:
                return
            with self._running.changing:
                self._reload()

    def _reload(self) -> None:
        self._notify.reloading()
        try:
            parts = prepare(self._running, self._read())
        except EdgeError as error:
            self.refused += 1
            log.error("reload refused, the old configuration stays: %s", error)
            self._notify.ready(f"reload refused: {error}")
            return
        changes = self._swap(parts)
        self.done += 1
        log.info("reloaded: %s", changes)
        self._notify.ready(f"reloaded: {changes}")

    def _swap(self, parts: NextParts) -> str:
        """Have the loop use the parts, then close the replaced ones; says what changed."""
        swapped = threading.Event()
        closers: List[Callable[[], None]] = []
        changes: List[str] = []

        def change() -> None:
            changes.append(difference(self._running.config, parts.config))
            closers.extend(swap_in(self._running, parts))
            swapped.set()

        self._running.pipeline.between_steps(change)
        while not swapped.wait(SETTLE_S) and not self._closed:
            log.warning("reload: a step takes more than %.0f s", SETTLE_S)
        for close in closers:
            close()
        heap.trim()
        return changes[0] if changes else "nothing, the program ends"


def prepare(running: Running, config: Config) -> NextParts:
    """Make the parts for another configuration; the loop runs on unchanged meanwhile.

    Raises:
        EdgeError: the configuration cannot be used, or needs a restart.
    """
    if not config.cameras:
        raise ConfigError("cameras: none; add a [[cameras]] table")
    look_up(config)
    _refuse_fixed(running.config, config)
    same = _networks(running.config) == _networks(config)
    models = running.models if same else Models(config)
    try:
        stages = build_stages(config, models.pose.skeleton)
        finish = Finish(config, models.pose.skeleton)
        scenes = build_scenes(config, finish.skeleton)
        kept = _kept(running, config, models, stages)
        cameras = running.cameras.planned(config.cameras, config.capture)
    except EdgeError:
        if not same:
            models.close()
        raise
    return NextParts(config, models, finish, scenes, stages, kept, cameras)


def swap_in(running: Running, parts: NextParts) -> List[Callable[[], None]]:
    """Have the loop use the parts; called in its thread.

    Returns:
        Calls that close what was replaced. They take time and are made later, in another thread.
    """
    closers = [running.cameras.swap(parts.cameras)]
    for name, old in running.pipeline.stages.items():
        new = parts.stages.get(name)
        if new is not None and name in parts.kept:
            parts.stages[name] = dataclasses.replace(
                old, rules=new.rules, phase=new.phase, lens=new.lens
            )
        elif new is not None:
            cast(Tracker, new.tracker).number_after(cast(Tracker, old.tracker))
    gone = set(running.pipeline.stages) - set(parts.stages)
    running.pipeline.stages = parts.stages
    running.pipeline.finish = parts.finish
    running.scenes = [_successor(scene, running, parts) for scene in parts.scenes]
    running.pipeline.scenes = timed_scenes(running.scenes, running.health)
    running.pipeline.pacing = Pacing.of(parts.config.detect)
    skeleton = skeletons.get(parts.models.pose.skeleton)
    running.pipeline.carry = Carry.of(parts.config.pose, skeleton)
    if parts.models is not running.models:
        closers.append(running.use(parts.models).close)
    running.config = parts.config
    for name in sorted(gone):
        running.health.forget(name)
        now_ns = time.monotonic_ns()
        state = CameraState(name, "ended", "is no longer in the configuration", now_ns)
        running.publisher.camera(state, 0)
    running.publisher.limit(parts.config.cameras)
    running.publisher.describe(running.camera_names(), parts.models.sha256())
    return closers


def _successor(new: SceneStage, running: Running, parts: NextParts) -> SceneStage:
    """The scene as it runs, if nothing of it changes; else the new one, with higher ids."""
    for old in running.scenes:
        if old.settings.name == new.settings.name:
            if old.same_as(new) and set(new.settings.cameras) <= parts.kept:
                return old
            new.room.number_after(old.room)
    return new


def difference(old: Config, new: Config) -> str:
    """The changed sections and cameras, as text for a person."""
    before = {c.name: c for c in old.cameras}
    after = {c.name: c for c in new.cameras}
    parts = [f"+{name}" for name in after if name not in before]
    parts += [f"-{name}" for name in before if name not in after]
    parts += [f"~{name}" for name in after if before.get(name, after[name]) != after[name]]
    cameras = [f"cameras {' '.join(parts)}"] if parts else []
    return ", ".join([s for s in _changed(old, new) if s != "cameras"] + cameras) or "no change"


def _changed(old: Config, new: Config) -> List[str]:
    names = (f.name for f in dataclasses.fields(Config))
    return [n for n in names if getattr(old, n) != getattr(new, n)]


def _refuse_fixed(old: Config, new: Config) -> None:
    fixed = [name for name in _changed(old, new) if name not in LIVE]
    if [c.depth for c in old.cameras if c.depth] != [c.depth for c in new.cameras if c.depth]:
        fixed.append("cameras.depth")
    if fixed:
        what = ", ".join(name if name == "device" else f"[{name}]" for name in fixed)
        raise ConfigError(f"{what} changed, which needs a restart: systemctl restart edge")


def _networks(config: Config) -> List[Any]:
    """The settings on which the networks depend; other keys of these sections are the loop's."""
    parts = {name: getattr(config, name) for name in NETWORKS}
    parts["detect"] = dataclasses.replace(
        config.detect, every=1, every_s=0.0, calm_s=0.0, still_s=0.0
    )
    parts["pose"] = dataclasses.replace(
        config.pose, min_score=0.0, skeleton="", every_s=0.0, flow=Pose().flow
    )
    return list(parts.values())


def _kept(
    running: Running, config: Config, models: Models, stages: Dict[str, CameraStages]
) -> Set[str]:
    """The cameras whose people stay; their unchanged rules are put into `stages`."""
    old = running.config
    same = all(getattr(old, n) == getattr(config, n) for n in PEOPLE)
    if not same or models.pose.skeleton != running.models.pose.skeleton:
        return set()
    kept = set()
    for camera in config.cameras:
        before = running.pipeline.stages.get(camera.name)
        if before is None or camera not in old.cameras:
            continue
        kept.add(camera.name)
        now = stages[camera.name]
        now.rules = _rules(old, config, camera.name, before, now)
    return kept


def _rules(
    old: Config, new: Config, camera: str, before: CameraStages, now: CameraStages
) -> List[Any]:
    """The rules of a camera; a rule with an unchanged table is the old one, with its state."""
    known = list(zip(_tables(old, camera), before.rules))
    rules = []
    for table, fresh in zip(_tables(new, camera), now.rules):
        at = next((i for i, (was, _) in enumerate(known) if was == table), -1)
        rules.append(known.pop(at)[1] if at >= 0 else fresh)
    return rules


def _tables(config: Config, camera: str) -> List[Dict[str, Any]]:
    return [table for _, table in rule_tables(config, camera)]
