"""A box as a process: the real loop on synthetic cameras or a publisher alone, full of events.

Its networks are replaced (everyone stands still), nothing else is. Every event carries `n`, its
number in this run. The ledger gets a line {"boot": .., "stored": .., "given": ..} again and again:
the first `stored` events of that run were on disk before the line was written. The status file says
the last report. A file named stop ends it in order. Argument: an order in JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from edge.capture import Cameras
from edge.health import Health
from edge.pipeline import Pipeline
from edge.publish import Publisher
from edge.settings import config
from edge.stages import CameraStages
from edge.structures import Detections, Frame, PoseEvent, Poses, RuleSummary

ORDER: Dict[str, Any] = json.loads(sys.argv[1])
FOLDER = Path(ORDER["folder"])


class Box:
    def __init__(self) -> None:
        self.config = config.complete(config.build(config.Config, ORDER["config"]))
        self.publisher = Publisher(self.config)
        self.health = Health()
        self.given = 0
        self.lock, self.noting = threading.Lock(), threading.Lock()

    def event(self, camera: str, pad: int = 0) -> None:
        with self.lock:
            data = {"n": self.given, "pad": "x" * pad}
            kind = ORDER.get("kind", "wave")
            self.publisher.event(PoseEvent(kind, camera, 1, time.monotonic_ns(), 1.0, data))
            self.given += 1

    def note(self) -> None:
        """Reads what is stored before what is given: the line is true when it is written."""
        with self.noting:  # the last one is written by another thread
            self._note()

    def _note(self) -> None:
        sink = self.publisher.sinks[0]
        stored = sink.counters.outbox["stored"]
        line = {"boot": self.publisher.build.boot_id, "stored": stored, "given": self.given}
        handle = os.open(str(FOLDER / "ledger"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (json.dumps(line) + "\n").encode())
        os.close(handle)
        report = {
            **self.publisher.report()[0],
            **line,
            "latency": self.health.report()["latency_ms"],
            "wall_ns": time.time_ns(),
        }
        (FOLDER / "status.new").write_text(json.dumps(report), encoding="utf-8")
        (FOLDER / "status.new").replace(FOLDER / "status")

    def notes(self) -> None:
        while True:
            self.note()
            time.sleep(ORDER.get("note_s", 0.01))

    def stop(self) -> bool:
        return (FOLDER / "stop").exists()

    def run(self) -> None:
        threading.Thread(target=self.notes, daemon=True).start()
        self.publisher.online()
        if self.config.cameras:
            self.loop()
        else:
            self.load()
        if ORDER.get("drain_s"):
            until_s = time.monotonic() + ORDER["drain_s"]
            while self.publisher.report()[0]["waiting"] and time.monotonic() < until_s:
                time.sleep(0.02)
        self.publisher.close(3.0)
        self.note()

    def load(self) -> None:
        """Events at a rate, `count` of them or until told to stop."""
        rate_hz, count = ORDER.get("rate_hz", 200.0), ORDER.get("count", 0)
        start_s = time.monotonic()
        while not self.stop() and not (count and self.given >= count):
            due = int((time.monotonic() - start_s) * rate_hz)
            while self.given < due and not (count and self.given >= count):
                self.event("cam0", ORDER.get("pad", 200))
            time.sleep(0.005)
        while ORDER.get("linger") and not self.stop():
            time.sleep(0.02)

    def loop(self) -> None:
        cameras = Cameras(self.config.cameras, self.config.capture)
        names = [c.name for c in self.config.cameras]
        stages = {n: CameraStages(Everyone(), lambda p, t: p, [Telling(self)]) for n in names}
        pipeline = Pipeline(cameras, nothing, stand, stages, self.publisher, health=self.health)
        cameras.start()
        pipeline.run(self.stop)
        cameras.close()


class Telling:
    """A rule that gives some events of every frame."""

    def __init__(self, box: Any) -> None:
        self._box = box

    def __call__(self, poses: Poses, camera: str, t_ns: int) -> List[PoseEvent]:
        for _ in range(ORDER.get("per_frame", 5)):
            self._box.event(camera, ORDER.get("pad", 200))
        return []

    def summary(self) -> RuleSummary:
        return RuleSummary("telling", "telling", {"given": self._box.given})


class Everyone:
    """A tracker for people who never move."""

    calm, boxes = False, np.zeros((0, 4), np.float32)

    def candidates(self, detections: Any, t_ns: int, still: bool = False) -> Poses:
        return Poses.empty(17, "coco17")

    def update(self, poses: Poses, t_ns: int) -> Poses:
        return poses


def nothing(frames: Any) -> List[Detections]:
    return [Detections.empty() for _ in frames]


def stand(frames: List[Frame], candidates: Any) -> List[Poses]:
    box = Detections(np.float32([[10, 10, 60, 200]] * 3), np.float32([0.9] * 3))
    return [Poses.of_boxes(box, 17, "coco17") for _ in frames]


def shorten(constants: Dict[str, float]) -> None:
    """Sets waiting times of the program, {"module:NAME": seconds}, for short tests."""
    for name, value in constants.items():
        module, _, constant = name.partition(":")
        setattr(importlib.import_module(module), constant, value)


if __name__ == "__main__":
    shorten(ORDER.get("constants", {}))
    Box().run()
