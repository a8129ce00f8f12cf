"""HOTA, IDF1, MOTA and switches are those of trackeval, run in an environment of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from tests.tools.evaluation.label_cases import found_of, person, seen_of, truth_of
from tests.waiting import GIVE_UP_S
from tools.benches.peer import environment
from tools.evaluation import judge
from tools.evaluation.figures.identities import Track, figures

PEER = Path(__file__).with_name("trackeval_process.py")
# Its plots and file formats want more packages than its figures do.
PACKAGES = ["--no-deps", "trackeval==1.3.0", "numpy>=2,<3", "scipy>=1.13,<2"]


def clip(seed: int, people: int, frames: int = 60) -> List[Track]:
    """People who wander, with misses, false ones, and ids that change."""
    rng = np.random.default_rng(seed)
    at, ids = rng.uniform(0, 10, (people, 2)), np.arange(people)
    found: List[Track] = []
    for _ in range(frames):
        at += rng.normal(0, 0.3, at.shape)
        changed = rng.random(people) < 0.04
        ids = np.where(changed, rng.integers(0, 2 * people, people), ids)
        there = np.flatnonzero(rng.random(people) > 0.1)
        seen = np.flatnonzero(rng.random(people) > 0.15)
        _, first = np.unique(ids[seen], return_index=True)
        seen = seen[np.sort(first)]
        places = [*(at[seen] + rng.normal(0, 0.15, (len(seen), 2)))]
        names = ids[seen].tolist()
        if rng.random() < 0.3:
            places.append(rng.uniform(0, 10, 2))
            names.append(1000 + int(rng.integers(0, 4)))
        off = at[there][:, None] - np.array(places).reshape(1, -1, 2)
        found.append(Track(there, np.array(names, np.int64), np.exp(-np.hypot(*off.T).T)))
    return found


def nobody(count: int) -> List[Track]:
    none = np.zeros(0, np.int64)
    return [Track(np.array([1]), none, np.zeros((1, 0))) for _ in range(count)]


CASES = [[clip(seed, 1 + seed % 7)] for seed in range(12)]
CASES += [[clip(20, 4), clip(21, 6, 33)], [nobody(5)], [clip(22, 3), nobody(4)]]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Of each of CASES."""
    python = environment("trackeval", PACKAGES)
    sent = [
        [[[f.truth.tolist(), f.found.tolist(), f.alike.tolist()] for f in seq] for seq in case]
        for case in CASES
    ]
    done = subprocess.run(
        [str(python), str(PEER)],
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_figures_are_those_of_trackeval(theirs: Any, number: int) -> None:
    mine = figures(CASES[number])
    assert {name: mine[name] for name in theirs[number]} == pytest.approx(theirs[number], abs=1e-9)


def test_who_is_always_right_has_ones() -> None:
    frames = [Track(np.array([3, 5]), np.array([7, 9]), np.eye(2)) for _ in range(5)]
    found = figures([frames])
    assert [found[n] for n in ("HOTA", "IDF1", "MOTA", "switches")] == [1, 1, 1, 0]


def test_a_switch_of_two_ids_is_two_switches() -> None:
    ids = [np.array([7, 9])] * 3 + [np.array([9, 7])] * 3
    found = figures([[Track(np.array([0, 1]), i, np.eye(2)) for i in ids]])
    assert found["switches"] == 2
    assert found["IDF1"] == 0.5


def test_a_labelled_video_gets_them() -> None:
    people = [person(0), person(1, at=(400, 100))]
    truth = truth_of([people] * 6, sequence="clip", tracks=(4, 8))
    seen = [np.column_stack((p[:, :2], np.full(17, 0.9))) for p in people]
    ids = [(1, 2)] * 3 + [(2, 1)] * 3
    found = found_of([seen_of(seen, ids=i) for i in ids])
    video = judge.judge(truth, found).figures["video"]
    assert video["identities"]["switches"] == 2
    assert video["identities"]["DetA"] > 0.6, "boxes around points are larger by a margin"
    assert video["motion"]["jitter_h"] == 0
    assert "video" not in judge.judge(truth_of([people] * 6), found).figures
