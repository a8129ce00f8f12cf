"""The bench of rules times every kind that there is, and counts what all hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge import plug
from edge.errors import ConfigError
from tools.benches import rules


def test_every_kind_is_timed_and_memory_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "LONG_S", 1.0)
    rows = {row.name: row for row in rules.run(Path(), Path(), 4)}
    kinds = [name[7:] for name in rows if name.startswith("rules: ") and " " not in name[7:]]
    assert kinds == plug.names("rules")
    total = next(row for name, row in rows.items() if name.startswith("rules: all "))
    assert total.goal == rules.GOAL_MS
    assert total.value > max(rows[f"rules: {kind}"].value for kind in kinds)
    assert rows["rules: memory after as many frames again"].met


def test_people_really_move_and_are_the_cameras_share() -> None:
    frames = rules.crowd(30)
    assert len(frames[0]) == 13
    step = np.abs(frames[20].keypoints - frames[0].keypoints)[:, :17].max(1)
    assert (step.max(1) > 10).all()


def test_a_kind_without_its_options_says_where_to_give_them(monkeypatch: Any) -> None:
    monkeypatch.setattr(rules, "TABLES", {})
    with pytest.raises(ConfigError, match=r"benches/rules\.py"):
        rules.rule("action")
