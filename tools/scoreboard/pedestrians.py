"""Small pedestrians at 10 frames a second: who is published, and how often an id changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.people.assignment import assign
from edge.settings.config import read_toml
from edge.structures import VISIBLE
from tools.evaluation import rig_run
from tools.evaluation.page.tables import number
from tools.fetch.by_name import ensure_set
from tools.scoreboard.labelled import SETUPS, settings_of
from tools.scoreboard.table import Table

CLIPS = "pedestrians"
HEAD = ("models", "labelled", "published", "share", "compared", "changes", "ids")
_LEAST_IOU = 0.3  # of a labelled box and the keypoints' box of the same person
_MARGIN_H = 0.07  # from keypoints to the sides of a person


@dataclass(frozen=True, eq=False)
class Labels:
    """Who is where in one frame."""

    index: int
    names: Tuple[str, ...]
    boxes: np.ndarray  # [G,4] f32 px
    stays: Tuple[str, ...]  # who stays in the picture until the next labelled frame


@dataclass(frozen=True)
class Count:
    """What became of the labelled people."""

    labelled: int
    published: int
    compared: int  # people who were published in a labelled frame and in the next, and stayed
    changes: int  # of these, whose id is another


def table(models: Optional[Path], sets: Path) -> Table:
    """A row for the default models."""
    folder = ensure_set(CLIPS, sets)
    labels = read_labels(folder / "people.toml")
    clip = folder / str(read_toml(folder / "people.toml")["clip"])
    name, moments = rig_run.played(settings_of(SETUPS[0], models), [clip], False)
    found = {i: next(iter(moment.values())) for i, moment in moments.items()}
    count = counted(labels, {i: (body.ids, boxes_of(body)) for i, body in found.items()})
    share = count.published / max(count.labelled, 1)
    ids = len(np.unique(np.concatenate([np.zeros(0, np.int64), *(b.ids for b in found.values())])))
    row = (
        name,
        str(count.labelled),
        str(count.published),
        number(share, 2),
        str(count.compared),
        str(count.changes),
        str(ids),
    )
    note = (
        f"OpenCV's clip of pedestrians, {len(found)} frames at 10 a second, 768 x 576 px; people "
        f"are labelled by hand in {len(labels)} frames. Published: IoU of at least {_LEAST_IOU:g}. "
        "Changes: the id is another than in the labelled frame before, though the person stayed in "
        "the picture."
    )
    return Table("Pedestrians", note, HEAD, [row])


def read_labels(path: Path) -> List[Labels]:
    """The labelled frames of a file like calibration/pedestrians/people.toml."""
    return [
        Labels(
            int(frame["index"]),
            tuple(frame["people"]),
            np.array(list(frame["people"].values()), np.float32).reshape(-1, 4),
            tuple(frame["stays"]),
        )
        for frame in read_toml(path)["frames"]
    ]


def counted(labels: Sequence[Labels], found: Dict[int, Tuple[np.ndarray, np.ndarray]]) -> Count:
    """Compare labels with ids [N] and boxes [N,4] of each frame; a frame may be missing."""
    nobody = np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    total = published = compared = changes = 0
    before: Dict[str, int] = {}
    for frame in labels:
        ids = _ids_of(frame, *found.get(frame.index, nobody))
        both = [name for name in ids if name in before]
        compared += len(both)
        changes += sum(ids[name] != before[name] for name in both)
        total, published = total + len(frame.names), published + len(ids)
        before = {name: ids[name] for name in frame.stays if name in ids}
    return Count(total, published, compared, changes)


def _ids_of(frame: Labels, ids: np.ndarray, boxes: np.ndarray) -> Dict[str, int]:
    """The id of each labelled person who was found."""
    overlap = geometry.iou(frame.boxes, boxes.astype(np.float32))
    chosen = assign(np.where(overlap >= _LEAST_IOU, -overlap, np.inf), 0.0)
    return {name: int(ids[i]) for name, i in zip(frame.names, chosen) if i >= 0}


def boxes_of(body: rig_run.Body) -> np.ndarray:
    """Boxes [N,4] px around the visible keypoints of people."""
    seen = (body.points[..., 2] > VISIBLE)[..., None]
    low = np.where(seen, body.points[..., :2], np.inf).min(1)
    high = np.where(seen, body.points[..., :2], -np.inf).max(1)
    margin = (_MARGIN_H * body.heights_px)[:, None]
    boxes = np.concatenate((low - margin, high + margin), 1)
    return np.where(np.isfinite(boxes).all(1)[:, None], boxes, 0)
