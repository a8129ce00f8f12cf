"""The order of doing without, and that it neither flutters nor stays."""

from __future__ import annotations

import dataclasses
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.degrade.levels import Level, LevelSwitch, S, Signs, ladder
from edge.settings.sections import Degrade as Settings

PLAIN = Settings()
FINE, LATE, HOT = Signs(load=0.3), Signs(load=9.0), Signs("cpu-throttle-alert")


def machine(settings: Settings = PLAIN) -> LevelSwitch:
    return LevelSwitch(settings, ladder(settings), 0)


def play(
    degrade: LevelSwitch, signs: Signs, seconds: int, start_s: int = 0
) -> List[Tuple[int, int]]:
    """Second and level of each change."""
    changes = []
    for second in range(start_s + 1, start_s + seconds + 1):
        if degrade.update(signs, second * S):
            changes.append((second, degrade.at))
    return changes


def test_the_order_is_detector_then_parts_then_rate() -> None:
    assert [(x.detect_times, x.part_limit, x.rate_share) for x in ladder(Settings())] == [
        (1, 0, 1),
        (2, 0, 1),
        (4, 0, 1),
        (4, 4, 1),
        (4, 1, 1),
        (4, 1, 0.75),
        (4, 1, 0.5),
        (4, 1, 0.33),
        (4, 1, 0.25),
    ]
    mixed = Settings(detect_times=[4, 2], part_limits=[1, 4, 4], rate_shares=[0.5, 0.75])
    assert [str(x) for x in ladder(mixed)] == [
        "full quality",
        "detector 2 times less often",
        "detector 4 times less often",
        "detector 4 times less often, hands and faces of 4 people",
        "detector 4 times less often, hands and faces of 1 person",
        "detector 4 times less often, hands and faces of 1 person, 75% of the frames",
        "detector 4 times less often, hands and faces of 1 person, 50% of the frames",
    ]


def test_what_is_not_there_is_not_done_without() -> None:
    levels = ladder(Settings(), detector=False, parts=False)
    assert {(x.detect_times, x.part_limit) for x in levels} == {(1, 0)}
    assert len(levels) == 5
    bare = Settings(detect_times=[], part_limits=[], rate_shares=[])
    degrade = LevelSwitch(bare, ladder(bare), 0)
    assert not play(degrade, LATE, 100), "there is nowhere to go"
    assert degrade.level == Level()


def test_a_moment_is_no_reason_and_a_while_is_one() -> None:
    degrade = machine()
    for second in range(1, 60):
        assert not degrade.update(LATE if second % 3 else FINE, second * S)
    assert play(degrade, LATE, 20, 59)[0] == (60, 1), "three seconds after 57, which was fine"
    assert degrade.why.startswith("behind: a step takes 9.0 times")


def test_hot_goes_down_step_by_step_and_cool_comes_back_slower() -> None:
    degrade = machine()
    down = play(degrade, HOT, 100)
    assert down == [(5 * i, i) for i in range(1, 9)]
    assert degrade.why == "throttled: cpu-throttle-alert"
    up = play(degrade, FINE, 300, 100)
    assert [at for _, at in up] == list(range(7, -1, -1))
    assert {b - a for (a, _), (b, _) in zip(up, up[1:])} == {20}
    assert degrade.why == ""


def test_a_rate_is_lowered_only_as_far_as_needed() -> None:
    degrade = machine()
    play(degrade, Signs(load=1.9), 200)
    assert degrade.level.rate_share == 0.5, "half of the frames take 95 % of the time"
    assert not play(degrade, Signs(load=1.1), 200, 200), "three quarters would take 83 %"
    assert play(degrade, Signs(load=1.0), 60, 400)[0][1] == degrade.levels.index(
        Level(4, 1, 0.75)
    ), "75 %"


def test_a_way_back_that_does_not_last_is_tried_ever_more_seldom() -> None:
    """Late whenever everything is done, fine one level below: no going up and down at once."""
    settings = Settings(recover_max_s=100)
    degrade = machine(settings)
    ups = []
    for second in range(1, 2000):
        signs = FINE if degrade.at else LATE
        if degrade.update(signs, second * S) and degrade.at == 0:
            ups.append(second)
    waits = [b - a for a, b in zip(ups, ups[1:])]
    assert waits[:3] == [45, 85, 105], "5 to fall, then 40, 80, 100"
    assert set(waits[2:]) == {105}, "and never more than it was told"


def test_reasons_can_be_chosen() -> None:
    hot_only = machine(Settings(when=["throttled"]))
    assert not play(hot_only, LATE, 100)
    assert play(hot_only, dataclasses.replace(HOT, load=9.0), 100, 100)
    assert play(hot_only, LATE, 900, 200)[-1][1] == 0, "and how late it is does not keep it there"
    late_only = machine(Settings(when=["behind"]))
    assert not play(late_only, HOT, 100)


def test_times_that_cannot_be_measured_change_nothing() -> None:
    degrade = machine()
    assert not play(degrade, Signs(load=float("nan")), 100)


signs = st.builds(
    Signs,
    throttled=st.sampled_from(["", "", "devfreq-gpu"]),
    load=st.floats(0, 12),
)
settings_ = st.builds(
    Settings,
    after_s=st.floats(0, 10),
    hold_s=st.floats(0.5, 20),
    recover_s=st.floats(0.5, 60),
    recover_max_s=st.floats(0.5, 200),
    when=st.lists(st.sampled_from(["throttled", "behind"]), unique=True),
)


@given(settings_, st.lists(st.tuples(signs, st.floats(0.05, 30)), max_size=200))
def test_whatever_happens(settings: Settings, story: List[Tuple[Signs, float]]) -> None:
    """Levels change by one, no two changes come closer than the hold, and the end is everything."""
    degrade, now, changes = machine(settings), 0, []
    for sign, step_s in story:
        now += int(step_s * S)
        before = degrade.at
        changed = degrade.update(sign, now)
        assert abs(degrade.at - before) == int(changed)
        assert 0 <= degrade.at < len(degrade.levels)
        assert bool(degrade.why) == bool(degrade.at)
        if changed:
            changes.append((now, degrade.at - before))
    for (a, _), (b, step) in zip(changes, changes[1:]):
        least_s = settings.hold_s if step > 0 else max(settings.hold_s, settings.recover_s)
        assert b - a >= int(least_s * S)
    wait_s = max(settings.hold_s, settings.recover_s, settings.recover_max_s)
    for _ in range(len(degrade.levels) + 1):
        for _ in range(3):
            now += int(wait_s / 2 * S) + S
            degrade.update(FINE, now)
    assert degrade.at == 0, "it always recovers"


@pytest.mark.parametrize("load", [0.0, 0.79])
def test_what_is_easy_recovers_from_every_level(load: float) -> None:
    degrade = machine()
    play(degrade, HOT, 100)
    play(degrade, Signs(load=load), 400, 100)
    assert degrade.at == 0
