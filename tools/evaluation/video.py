"""Labelled videos: their tracks and walks, taken out of pictures and pairs."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from edge import geometry
from tools.evaluation.figures import identities, motion
from tools.evaluation.figures.identities import Track
from tools.evaluation.figures.motion import Walk
from tools.evaluation.figures.pairing import Pairs
from tools.evaluation.found.record import Found
from tools.evaluation.truth import Truth


def figures(truth: Truth, found: Found, pairs: Pairs) -> Dict[str, Any]:
    """Identities and motion of all videos; empty if there is none with ids."""
    videos = truth.sequences()
    named = any((p.people.ids >= 0).any() for pictures in videos.values() for p in pictures)
    if not named:
        return {}
    return {
        "videos": len(videos),
        "identities": identities.figures(tracks(truth, found)),
        "motion": motion.figures(walks(truth, pairs)),
    }


def tracks(truth: Truth, found: Found) -> List[List[Track]]:
    """Of each video its frames; people are alike by the overlap (IoU) of their boxes."""
    out: List[List[Track]] = []
    for pictures in truth.sequences().values():
        frames: List[Track] = []
        for picture in pictures:
            people, seen = picture.people, found.of(picture.key)
            rows = np.flatnonzero(~people.crowd & (people.ids >= 0))
            named = np.flatnonzero(seen.ids >= 0)
            alike = geometry.iou(
                people.boxes[rows].astype(np.float32), seen.boxes[named].astype(np.float32)
            )
            frames.append(Track(people.ids[rows], seen.ids[named], alike.astype(np.float64)))
        out.append(frames)
    return out


def walks(truth: Truth, pairs: Pairs) -> List[Walk]:
    """Of each labelled person the frames in which they were found, cut at gaps; the body only."""
    body = truth.points.parts["body"]
    where = {p.key: (p.sequence, p.index) for p in truth.pictures}
    groups: Dict[Any, List[int]] = {}
    for row, (place, person) in enumerate(zip(pairs.pictures.tolist(), pairs.rows.tolist())):
        picture = truth.pictures[place]
        track = int(picture.people.ids[person])
        if picture.sequence and track >= 0 and pairs.found_rows[row] >= 0:
            groups.setdefault((picture.sequence, track), []).append(row)
    found: List[Walk] = []
    for rows in groups.values():
        numbers = [where[truth.pictures[pairs.pictures[r]].key][1] for r in rows]
        order = np.argsort(numbers, kind="stable")
        some, index = np.array(rows)[order], np.array(numbers)[order]
        size = np.median((pairs.boxes[some, 2:] - pairs.boxes[some, :2]).max(1))
        for run in motion.runs(index):
            at = some[run]
            labels = np.where(pairs.counted[at][..., None], pairs.truth[at], np.nan)
            found.append(Walk(pairs.found[at][:, body], max(float(size), 1.0), labels[:, body]))
    return found
