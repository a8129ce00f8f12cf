"""Examples for the network of the rule `fall`: its inputs, and what was true then.

The rule itself makes the inputs, so what is trained on is what is judged later. Wanted: that the
person has fallen 0.3 to 2.3 s ago, and that the person is down. While somebody falls, or lies
down, and where nobody can tell, an example has no weight.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from edge import geometry
from edge.rules import fall
from edge.rules._fall import evidence
from edge.rules._lying import Shape
from edge.structures import Poses
from tools.benches._acts import Act
from tools.refining.fall_scenes import LYING, Scene
from tools.ruletests.corpus import frames_of
from tools.ruletests.recorded import Clip, head_of

FELL, DOWN = 0, 1
_FELL_S, _OVER_S, _BEGUN_S, _DOWN_S = (0.3, 2.3), 3.8, -0.9, 0.2
_RISES_S = 3.0  # after it, somebody who gets up again is not judged
_UNCLEAR_S = 0.8
_SAME_IOU = 0.3


class Examples(NamedTuple):
    """M examples."""

    given: np.ndarray  # [M,155] f32
    wanted: np.ndarray  # [M,2] f32 0 or 1: fell, down
    weights: np.ndarray  # [M,2] f32
    who: np.ndarray  # [M] i64 id of the person
    t_s: np.ndarray  # [M] f64


class _Listening(fall.Fall):
    """The rule, which notes the inputs of its network."""

    def __init__(self) -> None:
        super().__init__(fall.Options())
        self.heard: List[Tuple[int, np.ndarray, np.ndarray]] = []

    def _weigh(
        self, rows: np.ndarray, shape: Shape, body: np.ndarray, visible: np.ndarray, t_ns: int
    ) -> None:
        people = self._people
        tall, upright = people["tall"], people["upright"]
        now = evidence.signals(shape, body, visible, tall[rows], upright[rows])
        due = evidence.sample(people, rows, now, t_ns)
        given = evidence.inputs(people["past"][due], tall[due], upright[due])
        self.heard.append((t_ns, people.ids[due].copy(), given))


def heard(frames: Sequence[Tuple[int, Poses]]) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs [M,155], ids [M] and times [M] s since the first frame."""
    rule = _Listening()
    for t_ns, poses in frames:
        rule(poses, "trial", t_ns)
    times = [np.full(len(ids), (t_ns - frames[0][0]) * 1e-9) for t_ns, ids, _ in rule.heard]
    nothing = np.zeros((0, evidence.INPUTS), np.float32)
    return (
        np.concatenate([nothing, *(given for *_, given in rule.heard)]),
        np.concatenate([np.zeros(0, np.int64), *(ids for _, ids, _ in rule.heard)]),
        np.concatenate([np.zeros(0), *times]),
    )


def of_scene(scene: Scene) -> Examples:
    """The examples of a scene by formula."""
    given, who, t_s = heard(scene.frames)
    wanted, weights = np.zeros((len(who), 2), np.float32), np.ones((len(who), 2), np.float32)
    for number, act in enumerate(scene.acts):
        mine = who == number
        wanted[mine], weights[mine] = _truth_of(act, t_s[mine])
    return Examples(given, wanted, weights, who, t_s)


def _truth_of(act: Act, t_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """What is wanted of an act at times, and its weight."""
    wanted, weights = np.zeros((len(t_s), 2), np.float32), np.ones((len(t_s), 2), np.float32)
    since_s = t_s - act.ground_s
    if act.name == LYING:
        wanted[:, DOWN] = since_s > 0
        weights[(since_s > -3) & (since_s <= 0), DOWN] = 0
    elif np.isfinite(act.ground_s):
        _fallen(since_s, wanted, weights)
        if act.name.endswith("rise"):
            weights[since_s > _RISES_S] = 0
    elif act.name in ("lie_down", "get_up") or act.name.startswith("getup"):
        weights[:, DOWN] = 0
    return wanted, weights


def _fallen(since_s: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> None:
    """Fill in what is wanted of somebody who came down so long ago."""
    first_s, last_s = _FELL_S
    wanted[:, FELL] = (since_s > first_s) & (since_s < last_s)
    unclear = (since_s > _BEGUN_S) & (since_s <= first_s) | (since_s >= last_s) & (
        since_s < _OVER_S
    )
    weights[unclear, FELL] = 0
    wanted[:, DOWN] = since_s > _DOWN_S
    weights[(since_s > -_UNCLEAR_S) & (since_s <= _DOWN_S), DOWN] = 0


def of_clip(clip: Clip) -> Examples:
    """The examples of a drawn clip that the networks saw."""
    frames = [(frame.t_ns, frame.poses) for frame in frames_of(clip, clean=False)]
    given, who, t_s = heard(frames)
    wanted, weights = np.zeros((len(who), 2), np.float32), np.zeros((len(who), 2), np.float32)
    owners = _owners(clip, frames)
    people = {int(p["id"]): p for p in head_of(clip.truth)[1]["people"]}
    for person in np.unique(who).tolist():
        mine = who == person
        if person in owners:
            wanted[mine], weights[mine] = _truth_in_clip(people[owners[person]], t_s[mine])
        else:
            weights[mine, FELL] = 1  # nobody is there, so nobody fell
    return Examples(given, wanted, weights, who, t_s)


def _owners(clip: Clip, frames: Sequence[Tuple[int, Poses]]) -> Dict[int, int]:
    """Id of a track -> the person of the truth whose box it had most often."""
    votes: Dict[int, List[int]] = {}
    with clip.truth.open(encoding="utf-8") as lines:
        next(lines)
        for line, (_, poses) in zip(lines, frames):
            people: List[Dict[str, Any]] = json.loads(line)["people"]
            boxes = np.array([p["box"] for p in people], np.float32).reshape(-1, 4)
            overlap = geometry.iou(poses.boxes, boxes)
            for row, who in enumerate(poses.ids.tolist()):
                if len(people) and overlap[row].max() > _SAME_IOU:
                    votes.setdefault(who, []).append(int(people[int(overlap[row].argmax())]["id"]))
    return {who: max(set(some), key=some.count) for who, some in votes.items()}


def _truth_in_clip(person: Dict[str, Any], t_s: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    falls = [e for e in person["events"] if e["kind"] == "fall"]
    lying = [e for e in person["events"] if e["kind"] == "lying"]
    if falls:
        name, ground_s = str(person["motion"]), float(falls[0]["end_s"])
    else:
        name, ground_s = ("lie_down" if lying else str(person["motion"])), np.inf
    return _truth_of(Act(name, np.zeros((0, 17, 3)), ground_s), t_s)
