"""SIGHUP: check the new configuration, make its parts beside the old, swap between two steps.

All of it or nothing: whatever is wrong with the new configuration, the old one stays and a line
says why. What a camera has of its own (its stream, its people, their filters, its rules) is touched
only when a key changed that it depends on.
"""

from __future__ import annotations

import dataclasses
import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Set, cast

from edge.capture import CameraList
from edge.errors import ConfigError, EdgeError
from edge.loop.assemble import Finish, Models, build_stages
from edge.loop.parts import Running
from edge.people.look_schedule import Pacing
from edge.people.tracker import Tracker
from edge.pipeline import CameraStages
from edge.service.check import look_up
from edge.service.systemd import Notifier
from edge.settings.config import Config
from edge.structures import CameraState

log = logging.getLogger(__name__)

NETWORKS = ("models", "trust", "detect", "pose", "runtime")
PEOPLE = ("track", "smooth")  # a change begins all people anew
LIVE = {*NETWORKS, *PEOPLE, "cameras", "capture", "rules"}
SETTLE_S = 30.0  # a step that takes longer is a hang, and the watchdog's matter


@dataclass
class Plan:
    """The parts of the next configuration."""

    config: Config
    models: Models
    finish: Finish
    stages: Dict[str, CameraStages]
    kept: Set[str]  # cameras of the old loop whose people go on
    cameras: CameraList


class Reload:
    """Waits, in a thread of its own, to be asked for another configuration.

    Args:
        running: the loop.
        read: reads the configuration again, as the program did when it started.
        notify: whom to tell.
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
        self._asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._left = False
        self._thread = threading.Thread(target=self._loop, name="reload", daemon=True)
        self.done = 0  # times a configuration was taken
        self.refused = 0

    def start(self) -> None:
        """Begin to wait."""
        self._thread.start()

    def ask(self) -> None:
        """Ask for it; from a signal handler or any thread. Requests that come too fast are one."""
        self._asked.put(True)

    def close(self) -> None:
        """Take no more requests; one that is under way is given up."""
        self._left = True
        self._asked.put(True)

    def _loop(self) -> None:
        while True:
            self._asked.get()
            while not self._asked.empty():
                self._asked.get()
            if self._left:
                return
            with self._running.changing:
                self._once()

    def _once(self) -> None:
        self._notify.reloading()
        try:
            plan = make_plan(self._running, self._read())
        except EdgeError as error:
            self.refused += 1
            log.error("reload refused, the old configuration stays: %s", error)
            self._notify.ready(f"reload refused: {error}")
            return
        told = self._swap(plan)
        self.done += 1
        log.info("reloaded: %s", told)
        self._notify.ready(f"reloaded: {told}")

    def _swap(self, plan: Plan) -> str:
        """Have the loop take the parts, then end those that are left over."""
        swapped = threading.Event()
        leftovers: List[Callable[[], None]] = []
        told: List[str] = []

        def change() -> None:
            told.append(difference(self._running.config, plan.config))
            leftovers.extend(apply(self._running, plan))
            swapped.set()

        self._running.pipeline.between_steps(change)
        while not swapped.wait(SETTLE_S) and not self._left:
            log.warning("reload: a step takes more than %.0f s", SETTLE_S)
        for leftover in leftovers:
            leftover()
        return told[0] if told else "nothing, the program ends"


def make_plan(running: Running, config: Config) -> Plan:
    """Everything that can fail, while the loop goes on as it is.

    Raises:
        EdgeError: the configuration cannot be used, or not without a restart.
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
        kept = _kept(running, config, models, stages)
        cameras = running.cameras.planned(config.cameras, config.capture)
    except EdgeError:
        if not same:
            models.close()
        raise
    return Plan(config, models, finish, stages, kept, cameras)


def apply(running: Running, plan: Plan) -> List[Callable[[], None]]:
    """Put the parts in place, in the loop's thread; gives what takes time and can be done later."""
    leftovers = [running.cameras.swap(plan.cameras)]
    for name, old in running.pipeline.stages.items():
        new = plan.stages.get(name)
        if new is not None and name in plan.kept:
            plan.stages[name] = dataclasses.replace(old, rules=new.rules, phase=new.phase)
        elif new is not None:
            cast(Tracker, new.tracker).number_after(cast(Tracker, old.tracker))
    gone = set(running.pipeline.stages) - set(plan.stages)
    running.pipeline.stages = plan.stages
    running.pipeline.finish = plan.finish
    running.pipeline.pacing = Pacing.of(plan.config.detect)
    if plan.models is not running.models:
        leftovers.append(running.use(plan.models).close)
    running.config = plan.config
    for name in sorted(gone):
        running.health.forget(name)
        now_ns = time.monotonic_ns()
        away = CameraState(name, "ended", "is no longer in the configuration", now_ns)
        running.publisher.camera(away, 0)
    running.publisher.describe(running.camera_names(), plan.models.sha256())
    return leftovers


def difference(old: Config, new: Config) -> str:
    """What changed, for people: sections, and cameras by name."""
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
    if fixed:
        what = ", ".join(name if name == "device" else f"[{name}]" for name in fixed)
        raise ConfigError(f"{what} changed, which needs a restart: systemctl restart edge")


def _networks(config: Config) -> List[Any]:
    """What the networks depend on; the rest of these sections belongs to the loop."""
    parts = {name: getattr(config, name) for name in NETWORKS}
    parts["detect"] = dataclasses.replace(config.detect, every=1, calm_s=0.0, still_s=0.0)
    parts["pose"] = dataclasses.replace(config.pose, min_score=0.0, skeleton="")
    return list(parts.values())


def _kept(
    running: Running, config: Config, models: Models, stages: Dict[str, CameraStages]
) -> Set[str]:
    """The cameras whose people go on as they are; those of their rules that stay are put back."""
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
    """The rules of a camera: one whose table did not change goes on with what it knows."""
    known = list(zip(tables(old, camera), before.rules))
    rules = []
    for table, fresh in zip(tables(new, camera), now.rules):
        at = next((i for i, (was, _) in enumerate(known) if was == table), -1)
        rules.append(known.pop(at)[1] if at >= 0 else fresh)
    return rules


def tables(config: Config, camera: str) -> List[Dict[str, Any]]:
    """The [[rules]] tables that watch a camera, in the order of its rules."""
    return [t for t in config.rules if camera in t.get("cameras", [camera])]
