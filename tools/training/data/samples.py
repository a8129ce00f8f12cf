"""Labelled people as samples of a network: its own points, a box, and the recording."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Dict, Generic, List, Optional, Pattern, Protocol, Sequence, Tuple, TypeVar

import numpy as np

from edge.errors import ConfigError
from tools.evaluation import point_sets
from tools.evaluation.point_sets import PointSet
from tools.evaluation.truth import Picture, Truth
from tools.training.data.sources import recordings_of

TEST_SHARE, STOP_SHARE = 0.2, 0.1  # of the people, for the held-out recordings and for early stop
LEAST_POINTS = 1  # labelled points that the network has


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled person."""

    truth: Truth
    picture: Picture
    recording: str
    points: np.ndarray  # [T,3] f32 x y px, 0 not labelled 1 hidden 2 visible; T of the network
    box: np.ndarray  # [4] f32 x1 y1 x2 y2 px


class _Recorded(Protocol):
    """What is split."""

    @property
    def recording(self) -> str:
        """Name of the recording."""


S = TypeVar("S", bound=_Recorded)


@dataclass(frozen=True, eq=False)
class Split(Generic[S]):
    """Samples by recording: no recording is in two parts."""

    train: List[S]
    stop: List[S]  # decide when to stop; may be empty
    test: List[S]  # judged before and after; never seen before


def gather(
    truths: Sequence[Truth], points: PointSet, pattern: Optional[Pattern[str]] = None
) -> List[Sample]:
    """The people of data sets in the points of a network.

    Crowds are left out, and people of whom no point of the network is labelled.

    Args:
        truths: data sets; each may label other points.
        points: of the network.
        pattern: see sources.recordings_of.
    """
    found: List[Sample] = []
    for truth in truths:
        pairs = point_sets.sources(points, truth.points.names)
        for picture, recording in zip(truth.pictures, recordings_of(truth, pattern)):
            people = picture.people
            marks = translated(people.keypoints, people.visible, pairs)
            for row in np.flatnonzero(~people.crowd).tolist():
                if int((marks[row, :, 2] > 0).sum()) >= LEAST_POINTS:
                    box = people.boxes[row].astype(np.float32)
                    found.append(Sample(truth, picture, recording, marks[row], box))
    return found


def translated(keypoints: np.ndarray, visible: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Labels [G,K,2] px and [G,K] in other points [G,T,3] f32.

    Args:
        keypoints: px.
        visible: 0 not labelled, 1 hidden, 2 visible.
        pairs: [T,2] of point_sets.sources.
    """
    there = (pairs >= 0).all(1)
    first, second = np.maximum(pairs, 0).T
    seen = np.minimum(visible[:, first], visible[:, second]) * there
    middle = (keypoints[:, first] + keypoints[:, second]) / 2
    return np.concatenate((middle, seen[..., None]), -1).astype(np.float32)


def split(samples: Sequence[S], held_out: Sequence[str]) -> Split[S]:
    """Divide samples by their recordings.

    Args:
        samples: of all recordings.
        held_out: names of recordings for the test, with * and ?; empty: the last by name that
            have a fifth of the people. With three recordings or more, a further one decides when
            to stop.

    Raises:
        ConfigError: a name fits no recording, or nothing is left to train on.
    """
    counts: Dict[str, int] = {}
    for sample in samples:
        counts[sample.recording] = counts.get(sample.recording, 0) + 1
    names = sorted(counts)
    test = _named(names, held_out) if held_out else _last(names, counts, TEST_SHARE)
    rest = [name for name in names if name not in test]
    if not rest or not test:
        raise ConfigError(
            f"all labels are of one recording ({', '.join(names)}), so none can be held out: give "
            "labels of a second one, --test LABELS, or --recording REGEX that tells recordings "
            "apart by file names"
        )
    train, stop = with_stop([s for s in samples if s.recording not in test])
    return Split(train, stop, [s for s in samples if s.recording in test])


def with_stop(samples: Sequence[S]) -> Tuple[List[S], List[S]]:
    """Training samples, and those of the last recordings, which decide when to stop, if any."""
    counts: Dict[str, int] = {}
    for sample in samples:
        counts[sample.recording] = counts.get(sample.recording, 0) + 1
    stop = _last(sorted(counts), counts, STOP_SHARE) if len(counts) > 1 else []
    train = [s for s in samples if s.recording not in stop]
    return train, [s for s in samples if s.recording in stop]


def _named(names: Sequence[str], wanted: Sequence[str]) -> List[str]:
    found: List[str] = []
    for one in wanted:
        fits = fnmatch.filter(names, one)
        if not fits:
            raise ConfigError(f"--hold-out {one}: no such recording; there are: {_listed(names)}")
        found += [name for name in fits if name not in found]
    return found


def _last(names: Sequence[str], counts: Dict[str, int], share: float) -> List[str]:
    """The last recordings that have this share of the people; at least one stays outside."""
    wanted, found, people = share * sum(counts[n] for n in names), [], 0
    for name in reversed(names[1:]):
        found.append(name)
        people += counts[name]
        if people >= wanted:
            break
    return found


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def by_picture(samples: Sequence[Sample]) -> List[Tuple[Truth, Picture, List[Sample]]]:
    """The samples of each picture, in order."""
    found: Dict[Tuple[int, str], Tuple[Truth, Picture, List[Sample]]] = {}
    for sample in samples:
        key = (id(sample.truth), sample.picture.key)
        found.setdefault(key, (sample.truth, sample.picture, []))[2].append(sample)
    return list(found.values())
