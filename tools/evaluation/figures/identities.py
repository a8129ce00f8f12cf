"""How well ids stay with their people: HOTA, IDF1 and MOTA.

HOTA: Luiten et al., IJCV 129 (2021). IDF1: Ristani et al., ECCV workshops 2016. MOTA and switches:
Bernardin and Stiefelhagen, EURASIP 2008, with the rules of MOTChallenge. The figures are those of
the package trackeval 1.3 for one sequence; `Sums` adds sequences as it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge.people.assignment import assign

ALPHAS = np.arange(0.05, 0.99, 0.05)  # of HOTA, as similarities
LEAST = 0.5  # similarity of a match for IDF1 and MOTA
_EPS = float(np.finfo("float").eps)
_STAY = 1000.0  # a person keeps the id of the frame before, whatever else is nearer


@dataclass(frozen=True, eq=False)
class Track:
    """One frame: ids of labelled people [G], of found people [N], similarities [G,N] 0..1."""

    truth: np.ndarray
    found: np.ndarray
    alike: np.ndarray


@dataclass
class Sums:
    """What sequences add up to."""

    tp: np.ndarray = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    fn: np.ndarray = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    fp: np.ndarray = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    association: np.ndarray = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    idtp: int = 0
    idfn: int = 0
    idfp: int = 0
    matched: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    frames: int = 0

    def add(self, frames: Sequence[Track]) -> None:
        """Add a sequence."""
        frames = _numbered(frames)
        self.frames += len(frames)
        _add_hota(self, frames)
        _add_identity(self, frames)
        _add_clear(self, frames)

    def figures(self) -> Dict[str, Any]:
        """HOTA, DetA, AssA, IDF1, MOTA 0..1, and counts."""
        detection = self.tp / np.maximum(1, self.tp + self.fn + self.fp)
        association = self.association / np.maximum(1, self.tp)
        labelled, every = self.matched + self.missed, 2 * self.idtp + self.idfn + self.idfp
        return {
            "HOTA": float(np.sqrt(detection * association).mean()),
            "DetA": float(detection.mean()),
            "AssA": float(association.mean()),
            "IDF1": 2 * self.idtp / max(every, 1),
            "MOTA": (self.matched - self.false - self.switches) / max(labelled, 1),
            "switches": self.switches,
            "missed": self.missed,
            "false": self.false,
            "frames": self.frames,
        }


def figures(sequences: Sequence[Sequence[Track]]) -> Dict[str, Any]:
    """The figures of several videos together."""
    sums = Sums()
    for frames in sequences:
        sums.add(frames)
    return sums.figures()


def _numbered(frames: Sequence[Track]) -> List[Track]:
    """The same frames with ids from 0 on, without gaps."""
    of_truth = _ranks([f.truth for f in frames])
    of_found = _ranks([f.found for f in frames])
    return [Track(t, n, f.alike) for t, n, f in zip(of_truth, of_found, frames)]


def _ranks(ids: List[np.ndarray]) -> List[np.ndarray]:
    none = np.zeros(0, np.int64)
    _, rank = np.unique(np.concatenate([none, *ids]), return_inverse=True)
    ends = np.cumsum([len(i) for i in ids])
    return list(np.split(rank.ravel(), ends[:-1])) if ids else []


def _counts(frames: Sequence[Track]) -> Tuple[np.ndarray, np.ndarray]:
    """In how many frames each labelled id [A] and each found id [B] is."""
    none = np.zeros(0, np.int64)
    return (
        np.bincount(np.concatenate([none, *(f.truth for f in frames)])).astype(np.float64),
        np.bincount(np.concatenate([none, *(f.found for f in frames)])).astype(np.float64),
    )


def _add_hota(sums: Sums, frames: Sequence[Track]) -> None:
    of_truth, of_found = _counts(frames)
    overlap = np.zeros((len(of_truth), len(of_found)))
    for f in frames:
        rest = f.alike.sum(0)[None] + f.alike.sum(1)[:, None] - f.alike
        share = np.divide(f.alike, rest, out=np.zeros_like(f.alike), where=rest > _EPS)
        overlap[np.ix_(f.truth, f.found)] += share
    together = of_truth[:, None] + of_found[None]
    aligned = overlap / np.maximum(together - overlap, _EPS)
    matches = np.zeros((len(ALPHAS), *overlap.shape))
    for f in frames:
        rows, columns = _best(aligned[np.ix_(f.truth, f.found)] * f.alike)
        good = f.alike[rows, columns] >= ALPHAS[:, None] - _EPS
        hits = good.sum(1)
        sums.tp += hits
        sums.fn += len(f.truth) - hits
        sums.fp += len(f.found) - hits
        matches[:, f.truth[rows], f.found[columns]] += good
    shares = matches / np.maximum(1, together - matches)
    sums.association += (matches * shares).sum((1, 2))


def _add_identity(sums: Sums, frames: Sequence[Track]) -> None:
    of_truth, of_found = _counts(frames)
    matches = np.zeros((len(of_truth), len(of_found)))
    for f in frames:
        matches[np.ix_(f.truth, f.found)] += f.alike >= LEAST
    rows, columns = _best(matches)
    right = int(matches[rows, columns].sum())
    sums.idtp += right
    sums.idfn += int(of_truth.sum()) - right
    sums.idfp += int(of_found.sum()) - right


def _add_clear(sums: Sums, frames: Sequence[Track]) -> None:
    people = 1 + max((int(f.truth.max()) for f in frames if len(f.truth)), default=-1)
    last = np.full(people, -1, np.int64)  # id at the last match of each labelled id
    before = last.copy()  # id in the frame before
    for f in frames:
        if not len(f.truth) or not len(f.found):
            sums.missed, sums.false = sums.missed + len(f.truth), sums.false + len(f.found)
            continue
        stays = f.found[None] == before[f.truth][:, None]
        worth = np.where(f.alike >= LEAST - _EPS, _STAY * stays + f.alike, 0.0)
        rows, columns = _best(worth)
        who, ids = f.truth[rows], f.found[columns]
        sums.switches += int(((last[who] >= 0) & (last[who] != ids)).sum())
        last[who] = ids
        before[:] = -1
        before[who] = ids
        sums.matched += len(rows)
        sums.missed += len(f.truth) - len(rows)
        sums.false += len(f.found) - len(rows)


def _best(worth: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Pairs of the largest total worth [A,B] >= 0; pairs of no worth are left out."""
    chosen = assign(np.where(worth > 0, -worth, np.inf), 0.0)
    rows = np.flatnonzero(chosen >= 0)
    return rows, chosen[rows]
