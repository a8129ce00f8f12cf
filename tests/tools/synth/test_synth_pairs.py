"""People who do something together, and what a clip's truth says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tools.render.motion.acts import draw_act, draw_pair
from tools.render.motion.daily import DAILY
from tools.render.motion.falls import MORE
from tools.render.motion.pairs import APART, PAIRS
from tools.render.scene.actor import Path as Way
from tools.render.scene.layout import face
from tools.ruletests.labels import Label, load

SECONDS = 7.0


@pytest.mark.parametrize("name", PAIRS)
def test_both_play_one_script(name: str) -> None:
    one, other = draw_pair(name, "report", SECONDS, np.random.default_rng(4))
    for t_s in np.linspace(0, SECONDS, 8):
        for act in (one, other):
            pose, lift_m, travel = act.at(float(t_s))
            assert np.isfinite(pose.axes).all()
            assert abs(lift_m) < 1.5
            assert np.abs(travel).max() < 2
    kinds = {e.kind for act in (one, other) for e in act.events(SECONDS)}
    assert ("fight" in kinds) == name.startswith("fight")
    spans = [
        {(e.start_s, e.end_s) for e in a.events(SECONDS) if e.kind == "fight"} for a in (one, other)
    ]
    assert spans[0] == spans[1]


def test_blows_of_the_two_are_apart() -> None:
    acts = draw_pair("fight_punches", "tune", 20.0, np.random.default_rng(1))
    blows = [[e for e in act.events(20.0) if e.kind == "strike"] for act in acts]
    assert len(blows[0]) + len(blows[1]) > 5
    assert all(0 < e.end_s - e.start_s < 1 for some in blows for e in some)


def test_a_pair_faces_each_other_at_its_distance() -> None:
    paths = [Way((0.0, 0.0), 0.3), Way((5.0, 5.0), 1.0), Way((9.0, 9.0), 2.0)]
    face(paths, [0.0, 0.8, 0.8])
    assert paths[0].place == (0.0, 0.0)
    step = np.subtract(paths[2].place, paths[1].place)
    assert float(np.hypot(*step)) == pytest.approx(0.8)
    assert np.arctan2(step[1], step[0]) == pytest.approx(paths[1].heading)


@pytest.mark.parametrize("name", [*DAILY, *MORE])
def test_daily_movements_and_falls_are_played(name: str) -> None:
    act = draw_act(name, "report", np.random.default_rng(2))
    poses = [act.at(float(t))[0].axes for t in np.linspace(-1, 9, 6)]
    assert all(np.isfinite(axes).all() for axes in poses)
    kinds = [e.kind for e in act.events(12.0)]
    assert ("fall" in kinds) == (name in MORE)


def test_a_fight_of_two_is_one_label(tmp_path: Path) -> None:
    fight = {"kind": "fight", "start_s": 1, "end_s": 5}
    blow = {"kind": "strike", "start_s": 2, "end_s": 2.5}
    people = [{"events": [fight, blow]}, {"events": [fight, {**blow, "start_s": 2.2}]}]
    path = tmp_path / "c.truth.jsonl"
    path.write_text(
        json.dumps({"schema": "edge-truth/1", "people": people}) + "\n", encoding="utf-8"
    )
    found = load(path)
    assert found.count(Label("fight", 1, 5, "")) == 1
    assert sum(label.kind == "strike" for label in found) == 2


def test_every_pair_has_a_distance() -> None:
    assert all(0.1 < apart < 1 for apart in APART.values())
