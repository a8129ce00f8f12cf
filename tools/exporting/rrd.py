"""Rerun recordings (.rrd).

Their format changes between versions: write with the version of the viewer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import numpy as np

from edge import skeletons
from edge.structures import VISIBLE
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline

BATCH = 256  # frames of a person that are sent together


class Writer:
    """Writes one file; every person is an entity below its camera or scene.

    Args:
        path: the file.
        timeline: makes the names of cameras distinct.

    Raises:
        ModuleNotFoundError: rerun-sdk is not installed.
    """

    def __init__(self, path: Path, timeline: Timeline) -> None:
        import rerun

        self._rerun, self._path, self._timeline = rerun, path, timeline
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = rerun.RecordingStream("edge-pose")
        self._stream.save(str(path))
        self._classes: Set[str] = set()
        self._waiting: Dict[str, List[Tuple[int, np.ndarray, np.ndarray]]] = {}
        self.frames = 0

    def add(self, sight: Sight) -> None:
        """Write one frame, once a batch of it is full."""
        self.frames += 1
        self._describe(sight)
        label = self._timeline.label(sight)
        for i, who in enumerate(sight.ids.tolist()):
            seen = np.flatnonzero(sight.scores[i] > VISIBLE)
            name = f"{sight.skeleton}/{label}/person/{who}"
            row = (sight.t_utc_ns, seen.astype(np.uint16), sight.points[i, seen])
            self._waiting.setdefault(name, []).append(row)
            if len(self._waiting[name]) >= BATCH:
                self._send(name)

    def close(self) -> List[str]:
        """Complete the file; notes for the user."""
        for name in list(self._waiting):
            self._send(name)
        self._stream.disconnect()
        version = self._rerun.__version__
        return [f"{self.frames} frames: {self._path}, for viewers of Rerun {version}"]

    def _describe(self, sight: Sight) -> None:
        """Log the names and edges of a skeleton once."""
        if sight.skeleton in self._classes:
            return
        self._classes.add(sight.skeleton)
        skeleton, rr = skeletons.get(sight.skeleton), self._rerun
        person = rr.ClassDescription(
            info=rr.AnnotationInfo(id=0, label="person"),
            keypoint_annotations=[
                rr.AnnotationInfo(id=i, label=name) for i, name in enumerate(skeleton.names)
            ],
            keypoint_connections=[(a, b) for a, b in skeleton.edges.tolist()],
        )
        self._stream.log(sight.skeleton, rr.AnnotationContext([person]), static=True)

    def _send(self, name: str) -> None:
        rr, rows = self._rerun, self._waiting.pop(name)
        points = np.concatenate([row[2] for row in rows])
        kind = rr.Points3D if points.shape[1] == 3 else rr.Points2D
        columns = kind.columns(
            positions=points,
            keypoint_ids=np.concatenate([row[1] for row in rows]),
            class_ids=np.zeros(len(points), np.uint16),
        )
        times = np.array([row[0] for row in rows], "datetime64[ns]")
        index: Any = rr.TimeColumn("time", timestamp=times)
        self._stream.send_columns(
            name, indexes=[index], columns=columns.partition([len(row[1]) for row in rows])
        )
