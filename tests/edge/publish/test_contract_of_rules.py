"""What the rules really tell holds the contract, and the contract knows every rule."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List, Set

import numpy as np
import pytest

from edge import plug
from edge.messages import Builder
from edge.rules import _reporting, build_rule
from edge.structures import PoseEvent, Poses

STEP_NS = 40_000_000
# A person of 17 keypoints standing on y = 0, in heights: nose, eyes, ears, shoulders, elbows,
# wrists, hips, knees, ankles (Drillis and Contini 1966, roughly).
BODY = np.array(
    [
        [0, 0.93],
        [0.02, 0.95],
        [-0.02, 0.95],
        [0.05, 0.94],
        [-0.05, 0.94],
        [0.12, 0.82],
        [-0.12, 0.82],
        [0.16, 0.63],
        [-0.16, 0.63],
        [0.17, 0.48],
        [-0.17, 0.48],
        [0.08, 0.52],
        [-0.08, 0.52],
        [0.08, 0.28],
        [-0.08, 0.28],
        [0.08, 0.04],
        [-0.08, 0.04],
    ]
)
HEIGHT_PX = 400


def person(lying: float, x_px: float = 400.0) -> Poses:
    """Someone at x, turned by a share of a quarter round their feet; y grows downwards."""
    turn = lying * np.pi / 2
    x = BODY[:, 0] * np.cos(turn) + BODY[:, 1] * np.sin(turn)
    y = BODY[:, 1] * np.cos(turn) - BODY[:, 0] * np.sin(turn)
    points = np.stack([x_px + x * HEIGHT_PX, 700 - y * HEIGHT_PX], 1)[None].astype(np.float32)
    box = np.concatenate([points.min(1), points.max(1)], 1)
    ones = np.ones((1, 17), np.float32)
    return Poses(points, ones, box, np.array([1]), ones[:, 0], "coco17")


def play(rule: Any, scenes: List[Any]) -> List[PoseEvent]:
    """Events of scenes of (seconds, poses at a share of it)."""
    events, t_ns = [], 10**9
    for seconds, act in scenes:
        steps = round(seconds * 1e9 / STEP_NS)
        for i in range(steps):
            events += rule(act((i + 1) / steps), "cam0", t_ns)
            t_ns += STEP_NS
    return events


def raises(share: float) -> Poses:
    """Both hands above the head."""
    poses = person(0)
    poses.keypoints[0, [7, 8, 9, 10], 1] = 700 - HEIGHT_PX * np.array([1.0, 1.0, 1.15, 1.15])
    return poses


def stands(share: float) -> Poses:
    return person(0)


def lies(share: float) -> Poses:
    return person(1)


def walks(share: float) -> Poses:
    return person(0, 400 + 600 * share)


def sways(share: float) -> Poses:
    return person(0.4 * np.sin(share * 8 * np.pi))


def nobody(share: float) -> Poses:
    return Poses.empty(17, "coco17")


def gets_up(share: float) -> Poses:
    return person(1 - share)


FLOOR = [[300, 500], [500, 500], [500, 900], [300, 900]]
LIFE = [
    (2, stands),
    (0.5, person),
    (6, lies),
    (2, gets_up),
    (3, stands),
    (8, sways),
    (2, walks),
    (2, raises),
    (1, stands),
    (30, nobody),
]
RULES: Dict[str, Dict[str, Any]] = {
    "presence": {"kind": "presence", "dwell_s": 1.0},
    "zone": {"kind": "zone", "polygon": FLOOR, "dwell_s": 1.0},
    "fall": {"kind": "fall"},
    "rom": {
        "kind": "rom",
        "angle": "trunk_side_bend",
        "high_deg": 20,
        "leave_s": 5,
        "reps": 1,
        "max_off_plane_deg": 60,
    },
    "line": {"kind": "line", "line": [[700, 900], [700, 400]]},
    "loiter": {"kind": "loiter", "after_s": 4, "unseen_s": 5},
    "crowd": {
        "kind": "crowd",
        "polygon": FLOOR,
        "area_m2": 0.4,
        "least_people": 1,
        "dwell_s": 1,
    },
    "hands_up": {"kind": "hands_up"},
    "custom": {"kind": "custom", "when": 'height("nose") < 0.5 H for 0.1 s'},
}
# Rules with such a test of their own, since standing and falling do not make them speak.
ELSEWHERE = {"action", "fight", "strike"}
TOLD: Dict[str, Set[str]] = {
    "presence": {"enter", "dwell", "leave"},
    "zone": {"enter", "dwell", "leave"},
    "fall": {"fall", "recover"},
    "rom": {"outside", "end", "repetition", "set", "session"},
    "line": {"in"},
    "loiter": {"start", "end"},
    "crowd": {"over", "end"},
    "hands_up": {"start", "end"},
    "custom": {"start", "end"},
}


def test_the_contract_knows_every_rule(contract: Any) -> None:
    assert set(plug.names("rules")) == set(RULES) | ELSEWHERE
    for kind in plug.names("rules"):
        event = PoseEvent(kind, "cam0", 1, 0, 1.0, {"surprise": 1})
        message = Builder("box").event(event)
        with pytest.raises(Exception, match="surprise"):
            contract(message.topic, json.loads(message.body))


@pytest.mark.parametrize("kind", sorted(RULES))
def test_what_a_rule_tells_holds_the_contract(contract: Any, kind: str) -> None:
    events = play(build_rule(RULES[kind], "rules[0]"), LIFE)
    assert {e.data["action"] for e in events} >= TOLD[kind]
    builder = Builder("box")
    for event in events:
        message = builder.event(event)
        contract(message.topic, json.loads(message.body))


def test_the_page_of_rules_names_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs/rules.md").read_text(encoding="utf-8")
    for kind in plug.names("rules"):
        section = page.split(f"\n## {kind}\n")[1].split("\n## ")[0]
        for field in dataclasses.fields(plug.load("rules", kind).Options):
            assert f"`{field.name}`" in section, (kind, field.name)
    for name in _reporting.names():
        assert f"| `{name}` |" in page
