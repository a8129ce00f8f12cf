"""Errors that the real networks make on clips with truth: tracks of residuals and scores."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from edge.errors import DataError
from edge.people.stature import heights
from edge.settings.config import Config
from tools.evaluation.figures.pairing import Pairs, pair
from tools.evaluation.found import networks
from tools.evaluation.read import open_truth
from tools.evaluation.truth import Truth

RATE_HZ = 30.0
_BODY = 17
_LEAST_FOUND = 0.5  # share of the frames in which a person must be found


class Track(NamedTuple):
    """One person of one clip; where nobody was found, the score is 0."""

    off_h: np.ndarray  # [T,17,2] f32 H, found - true
    scores: np.ndarray  # [T,17] f32


def collect(clips: Sequence[Path], settings: Config, quiet: bool) -> List[Track]:
    """Run the networks over clips, without a filter.

    Args:
        clips: sets of `edge-tools synth`, or other labelled videos at 30 Hz.
        settings: of the networks.
        quiet: show no progress.

    Raises:
        DataError: there is no video among them. EdgeError: as `evaluate`.
    """
    plain = dataclasses.replace(
        settings, smooth=dataclasses.replace(settings.smooth, enabled=False)
    )
    tracks: List[Track] = []
    for path in clips:
        truth = open_truth(path, None, None)
        found = networks.run(plain, truth, networks.FRAMES, quiet)
        tracks += _tracks(truth, pair(truth, found))
    if not tracks:
        raise DataError(f"{', '.join(map(str, clips))}: nobody was followed; clips are needed")
    return tracks


def _tracks(truth: Truth, pairs: Pairs) -> List[Track]:
    people: Dict[Tuple[str, int], List[Tuple[int, int]]] = {}
    for row, (place, own) in enumerate(zip(pairs.pictures, pairs.rows)):
        picture = truth.pictures[place]
        name = (picture.sequence, int(picture.people.ids[own]))
        people.setdefault(name, []).append((picture.index, row))
    found = [_track(pairs, sorted(rows)) for rows in people.values()]
    return [track for track in found if track is not None]


def _track(pairs: Pairs, rows: List[Tuple[int, int]]) -> Optional[Track]:
    index = np.array([row for _, row in rows])
    true = pairs.truth[index, :_BODY]
    body = (true[..., 0] + 1j * true[..., 1]).astype(np.complex64)
    ones = np.ones(body.shape, np.float32)
    tall = heights(body, ones, pairs.boxes[index].astype(np.float32))
    off = (pairs.found[index, :_BODY] - true) / float(np.median(tall))
    scores = np.where(np.isfinite(off).all(-1), pairs.scores[index, :_BODY], 0)
    if (scores.max(1) > 0).mean() < _LEAST_FOUND:
        return None
    return Track(np.nan_to_num(off).astype(np.float32), scores.astype(np.float32))


def save(path: Path, tracks: Sequence[Track]) -> None:
    """Write tracks to an .npz file."""
    arrays = {f"off_{i}": t.off_h for i, t in enumerate(tracks)}
    arrays.update({f"scores_{i}": t.scores for i, t in enumerate(tracks)})
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def read(path: Path) -> List[Track]:
    """The tracks of a file that `save` wrote."""
    with np.load(path) as z:
        count = len(z.files) // 2
        return [Track(z[f"off_{i}"], z[f"scores_{i}"]) for i in range(count)]


def drawn(
    truth: np.ndarray,
    height_px: float,
    rate_hz: float,
    tracks: Sequence[Track],
    rng: np.random.Generator,
) -> Tuple[np.ndarray, np.ndarray]:
    """What the real networks might have seen of people [T,N,17,2] px: keypoints and scores.

    Each keypoint of each person gets the residuals of the same keypoint in a piece of a random
    track, played forwards or backwards, mirrored and rescaled by lot. A track that is too short
    goes on backwards.
    """
    steps, people = truth.shape[:2]
    seen, scores = truth.astype(np.float64).copy(), np.zeros((steps, people, _BODY))
    for person in range(people):
        for point in range(_BODY):
            track = tracks[int(rng.integers(len(tracks)))]
            length = len(track.scores)
            at = np.rint(np.arange(steps) * RATE_HZ / rate_hz).astype(int) + int(
                rng.integers(length)
            )
            at = (
                np.abs((at + length - 1) % (2 * length - 2) - (length - 1))
                if length > 1
                else at * 0
            )
            off = track.off_h[at, point] * rng.choice([-1.0, 1.0], 2) * rng.uniform(0.7, 1.3)
            seen[:, person, point] += off * height_px
            scores[:, person, point] = track.scores[at, point]
    return seen, scores
