"""The tracker on crowds of walkers, runners and dancers: HOTA, IDF1 and switches of ids.

Ours, three ways: `alone` is told boxes and poses without ids; `echoed` is told in each frame for
whom a pose was made, as the daemon's loop does; `loop` looks with the detector in every fifth frame
only. Peers run in an environment of their own: ByteTrack, OC-SORT and SORT of the package trackers,
and norfair, each with the best of a small grid that is chosen on crowds of the tuning clips.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.people.tracker import Tracker
from edge.settings.config import Track as TrackOptions
from edge.structures import Detections, Poses
from tools.benches import Row, row
from tools.benches._mocap import BODY
from tools.benches._walkers import RATE_HZ, REPORT_CLIPS, STATED, TUNE_CLIPS, Instant, crowd
from tools.benches.peer import Peer
from tools.evaluation.figures import identities
from tools.evaluation.figures.identities import Track
from tools.progress import Progress

PEOPLE, FRAMES, SEEDS = (5, 20, 50), 600, 3
TUNE_SEED, TUNE_PEOPLE = 1000, 20
EVERY = 5
# Each in an environment of its own: norfair needs NumPy 1, trackers NumPy 2.
REQUIREMENTS = {"trackers": ["trackers==2.6.1"], "norfair": ["norfair==2.3.0"]}
GRID: Dict[str, List[Dict[str, Any]]] = {
    "bytetrack": [
        {"lost_track_buffer": b, "minimum_iou_threshold": i}
        for b in (30, 60, 120)
        for i in (0.1, 0.3)
    ],
    "ocsort": [
        {"high_conf_det_threshold": 0.4, "minimum_consecutive_frames": n, "lost_track_buffer": b}
        for n in (1, 3)
        for b in (30, 60, 120)
    ],
    "sort": [
        {"lost_track_buffer": b, "minimum_iou_threshold": i}
        for b in (10, 30, 120)
        for i in (0.1, 0.3)
    ],
    "norfair": [
        {"distance_threshold": d, "hit_counter_max": h} for d in (0.7, 0.9) for h in (15, 30, 120)
    ],
}
_NEAR = 0.3  # IoU of a candidate's box with the person whose pose the network then finds

Peers = Dict[str, Peer]
Answer = List[Tuple[np.ndarray, np.ndarray]]  # of each frame: ids [N] and boxes [N,4]


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Rows of HOTA, IDF1 and switches for each number of people and each side."""
    seeds = range(min(rounds, SEEDS))
    rows: List[Row] = []
    total = sum(len(g) for g in GRID.values()) + len(PEOPLE) * len(seeds)
    with ExitStack() as stack:
        peers = {n: stack.enter_context(Peer(n, r)) for n, r in REQUIREMENTS.items()}
        bar = stack.enter_context(Progress("tracking", total, "crowds"))
        options = tuned(peers, sets, bar)
        for people in PEOPLE:
            found: Dict[str, List[Dict[str, Any]]] = {}
            for seed in seeds:
                frames = crowd(sets, REPORT_CLIPS, people, FRAMES, seed)
                for name, answer in _sides(peers, frames, options).items():
                    found.setdefault(name, []).append(judged(frames, answer))
                bar.update()
            for name, all_ in found.items():
                rows += _rows(f"tracking {people} people, {name}", all_, options.get(name, {}))
    return rows


def _rows(name: str, found: List[Dict[str, Any]], options: Dict[str, Any]) -> List[Row]:
    return [
        row(f"{name}: HOTA", [f["HOTA"] for f in found], "", options=options, scene=STATED),
        row(f"{name}: IDF1", [f["IDF1"] for f in found], ""),
        row(f"{name}: switches", [f["switches"] for f in found], "count"),
    ]


def _sides(
    peers: Peers, frames: Sequence[Instant], options: Dict[str, Dict[str, Any]]
) -> Dict[str, Answer]:
    sides = {f"ours {name}": answer for name, answer in own(frames).items()}
    for name, chosen in options.items():
        sides[name] = theirs(peers, frames, name, chosen)
    return sides


def own(frames: Sequence[Instant]) -> Dict[str, Answer]:
    """Our tracker in the three ways of the module's docstring."""
    return {"alone": alone(frames), "echoed": echoed(frames, 1), "loop": echoed(frames, EVERY)}


def tuned(peers: Peers, sets: Path, bar: Progress) -> Dict[str, Dict[str, Any]]:
    """The options of each peer with the best HOTA on a crowd that reports nothing."""
    frames = crowd(sets, TUNE_CLIPS, TUNE_PEOPLE, FRAMES, TUNE_SEED)
    best: Dict[str, Dict[str, Any]] = {}
    for name, grid in GRID.items():
        worth = []
        for options in grid:
            worth.append(judged(frames, theirs(peers, frames, name, options))["HOTA"])
            bar.update()
        best[name] = grid[int(np.argmax(worth))]
    return best


def judged(frames: Sequence[Instant], answer: Answer) -> Dict[str, Any]:
    """Figures of an answer; people are alike by the overlap of their boxes."""
    tracks = []
    for instant, (ids, boxes) in zip(frames, answer):
        alike = geometry.iou(instant.boxes.astype(np.float32), boxes.astype(np.float32))
        tracks.append(Track(instant.ids, ids, alike.astype(np.float64)))
    return identities.figures([tracks])


def alone(frames: Sequence[Instant]) -> Answer:
    """Our tracker, told poses without ids."""
    tracker = Tracker(TrackOptions(), BODY)
    out: Answer = []
    for t, instant in enumerate(frames):
        found = tracker.update(instant.found, _ns(t))
        out.append((found.ids, found.boxes))
    return out


def echoed(frames: Sequence[Instant], every: int) -> Answer:
    """Our tracker as in the loop: it says where to look, and is told whom a pose was made for."""
    tracker = Tracker(TrackOptions(), BODY)
    out: Answer = []
    for t, instant in enumerate(frames):
        seen = instant.found
        boxes = Detections(seen.boxes, seen.person_scores) if t % every == 0 else None
        found = tracker.update(looked(tracker.candidates(boxes, _ns(t)), seen), _ns(t))
        out.append((found.ids, _boxes_of(found, seen)))
    return out


def _boxes_of(found: Poses, seen: Poses) -> np.ndarray:
    """The measured boxes [N,4] of poses that the tracker passed on: ids are judged, not boxes."""
    at = {points.tobytes(): i for i, points in enumerate(seen.keypoints)}
    rows = [at[points.tobytes()] for points in found.keypoints]
    return np.asarray(seen.boxes[rows]).reshape(-1, 4)


def looked(candidates: Poses, seen: Poses) -> Poses:
    """A pose network's answer: the pose of the person who fills most of each candidate's box."""
    if not len(candidates) or not len(seen):
        return candidates.take(np.zeros(0, np.int64))
    overlap = geometry.iou(candidates.boxes, seen.boxes)
    which, there = overlap.argmax(1), overlap.max(1) > _NEAR
    poses = seen.take(which[there])
    return Poses(
        poses.keypoints,
        poses.scores,
        candidates.boxes[there],
        candidates.ids[there],
        poses.person_scores,
        poses.skeleton,
    )


def _ns(frame: int) -> int:
    return int((frame + 1) * 1e9 / RATE_HZ)


def theirs(peers: Peers, frames: Sequence[Instant], name: str, options: Dict[str, Any]) -> Answer:
    """A peer's ids for the same boxes; it gives those boxes back that it gave an id."""
    counts = np.array([len(f.found) for f in frames])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "boxes.npz"
        boxes = np.concatenate([f.found.boxes for f in frames])
        scores = np.concatenate([f.found.person_scores for f in frames])
        np.savez(path, boxes=boxes, scores=scores, counts=counts)
        peer = peers["norfair" if name == "norfair" else "trackers"]
        told = peer.ask({"file": str(path), "tracker": name, "options": options, "hz": RATE_HZ})
    out: Answer = []
    for ids, instant in zip(told["ids"], frames):
        named = np.array(ids, np.int64)
        out.append((named[named >= 0], instant.found.boxes[named >= 0]))
    return out
