"""Each rule of a camera has a name of its own in the camera's state."""

from __future__ import annotations

import dataclasses

from edge.loop.assemble import build_stages
from edge.settings import config


def test_a_second_rule_of_one_name_is_numbered_and_cameras_are_apart() -> None:
    square = [[0, 0], [9, 0], [9, 9]]
    table = {
        "cameras": [{"source": "synthetic://walk", "name": n} for n in ("a", "b")],
        "rules": [
            {"kind": "fall"},
            {"kind": "zone", "name": "door", "polygon": square},
            {"kind": "zone", "name": "door", "polygon": square, "cameras": ["a"]},
            {"kind": "fall", "cameras": ["a"]},
        ],
    }
    stages = build_stages(config.complete(config.build(config.Config, table)), "coco17")
    names = {n: [s.name for s in stage.summaries()] for n, stage in stages.items()}
    assert names == {"a": ["fall", "door", "door-2", "fall-2"], "b": ["fall", "door"]}
    # A reload keeps what a camera has of its own, and replaces its rules.
    kept = dataclasses.replace(stages["a"], rules=stages["b"].rules)
    assert [s.name for s in kept.summaries()] == ["fall", "door"]
