"""Joint angles from gyroscopes and a late camera."""

from __future__ import annotations

from typing import List, Optional

import numpy as np
import pytest

from edge.people.fusion.delay import find_delay
from edge.people.fusion.hinge import HingeRate, Turning, axis_of
from edge.people.fusion.joint import UNKNOWN, FusedAngle, JointFusion
from edge.people.fusion.turn_history import TurnHistory

ZERO_NS = 10**12
DT = 0.005


def angle(t_s: np.ndarray) -> np.ndarray:
    """A knee that bends and stretches, never twice alike."""
    return np.asarray(50 + 30 * np.sin(2.3 * t_s) + 15 * np.sin(3.9 * t_s + 1))


def turning(t_s: np.ndarray, rate_dps: np.ndarray) -> Turning:
    t_ns = np.rint(t_s * 1e9).astype(np.int64) + ZERO_NS
    return Turning(t_ns, rate_dps, np.abs(rate_dps), np.zeros(len(rate_dps)))


class Knee:
    """A fusion that is fed in the order in which things would come."""

    def __init__(self, delay_s: float = 0.09, bias_dps: float = 2.0, **given: float) -> None:
        self.fusion = JointFusion(**given)  # type: ignore[arg-type]
        self._delay_s, self._bias_dps = delay_s, bias_dps
        self._rng = np.random.default_rng(4)
        self._sight = 0
        self.t_s: List[float] = []
        self.found: List[FusedAngle] = []

    def play(
        self,
        start_s: float,
        end_s: float,
        sight_deg: Optional[float] = 4.0,
        gyro: bool = True,
        sign: float = 1.0,
    ) -> None:
        for t in np.arange(start_s, end_s, 0.02):
            t_s = t + np.arange(4) * DT
            rate = np.gradient(angle(np.append(t_s, t_s[-1] + DT)), DT)[:4]
            rate = sign * rate + self._bias_dps + self._rng.normal(0, 0.05, 4)
            if gyro:
                self.fusion.gyro(turning(t_s, rate))
            self._sights(t, sight_deg)
            self.t_s.append(float(t_s[-1]))
            self.found.append(self.fusion.newest(round(t_s[-1] * 1e9) + ZERO_NS))

    def _sights(self, t: float, sigma_deg: Optional[float]) -> None:
        """Those whose picture was taken before `t`: they come 100 ms after their stamp."""
        while self._sight / 15 < t - 0.1:
            true_s, self._sight = self._sight / 15, self._sight + 1
            if sigma_deg is not None:
                seen = float(angle(np.array(true_s)) + self._rng.normal(0, sigma_deg))
                stamp_ns = round((true_s + self._delay_s) * 1e9) + ZERO_NS
                self.fusion.vision(stamp_ns, seen, sigma_deg)

    def miss(self, start_s: float) -> np.ndarray:
        rows = np.array(self.t_s) >= start_s
        return np.array([f.degrees for f in self.found])[rows] - angle(np.array(self.t_s)[rows])


def test_four_seconds_unseen_cost_no_accuracy_and_are_told() -> None:
    knee = Knee()
    knee.play(0, 20)
    before = knee.found[-1]
    knee.play(20, 24, None)
    hidden = knee.found[-1]
    knee.play(24, 27)
    assert np.sqrt(np.mean(knee.miss(12) ** 2)) <= 1.5
    assert knee.fusion.delay_s == pytest.approx(0.09, abs=0.015)
    assert knee.fusion.bias_dps == pytest.approx(2.0, abs=0.2)
    stands = [f.stands_on for f in knee.found]
    assert (before.stands_on, hidden.stands_on, stands[-1]) == ("both", "gyro", "both")
    assert before.error_deg < hidden.error_deg < 3
    assert knee.found[-1].error_deg < hidden.error_deg


def test_nothing_is_known_before_the_camera_saw_the_joint() -> None:
    knee = Knee()
    knee.play(0, 2, None)
    assert knee.found[-1] is UNKNOWN
    assert np.isnan(UNKNOWN.degrees)
    assert JointFusion().newest(ZERO_NS) is UNKNOWN


def test_without_gyroscopes_it_stands_on_the_camera_and_without_both_on_nothing() -> None:
    knee = Knee(delay_s=0.0)
    knee.play(0, 6, 2.0, gyro=False)
    assert knee.found[-1].stands_on == "vision"
    assert np.sqrt(np.mean(knee.miss(2) ** 2)) < 12  # 100 ms late, at up to 128 deg/s
    knee.play(6, 9, None, gyro=False)
    assert knee.found[-1].stands_on == "none"
    assert knee.found[-1].error_deg > 60


def test_gyroscopes_that_come_back_are_used_again() -> None:
    knee = Knee()
    knee.play(0, 12)
    knee.play(12, 16, gyro=False)
    assert {"both", "vision"} >= {f.stands_on for f in knee.found[-100:]}
    assert knee.found[-1].stands_on == "vision"
    knee.play(16, 24)
    assert knee.found[-1].stands_on == "both"
    assert np.sqrt(np.mean(knee.miss(20) ** 2)) < 2


def test_a_burst_of_lost_samples_is_a_gap_and_no_motion() -> None:
    knee = Knee()
    knee.play(0, 12)
    knee.play(12.5, 20)
    assert np.sqrt(np.mean(knee.miss(16) ** 2)) < 2


def test_one_sensor_says_that_its_error_grows_faster() -> None:
    errors = []
    for given in ({}, {"unseen_deg": 5.0}):
        knee = Knee(**given)
        knee.play(0, 8)
        knee.play(8, 12, None)
        errors.append(knee.found[-1].error_deg)
    assert errors[1] > 3 * errors[0]
    assert errors[1] == pytest.approx(10, rel=0.3)  # 5 deg in a second, four seconds


def test_a_wild_angle_of_the_camera_hardly_moves_it() -> None:
    knee = Knee()
    knee.play(0, 12)
    before = knee.found[-1].degrees
    stamp_ns = round(11.95 * 1e9) + ZERO_NS
    knee.fusion.vision(stamp_ns, before + 120, 4.0)
    after = knee.fusion.newest(round(12 * 1e9) + ZERO_NS)
    assert abs(after.degrees - before) < 3
    knee.fusion.vision(stamp_ns, float("nan"), 4.0)
    assert np.isfinite(knee.fusion.newest(stamp_ns).degrees)


def test_a_filter_that_is_wrong_follows_the_camera_at_last() -> None:
    knee = Knee()
    knee.play(0, 12)
    start_ns = round(12 * 1e9) + ZERO_NS
    for i in range(200):  # at rest, 100 deg away from where the filter believes it
        t_s = 12 + i * 0.02 + np.arange(4) * DT
        knee.fusion.gyro(turning(t_s, np.full(4, 2.0)))
        if i % 3 == 0:
            knee.fusion.vision(start_ns + i * 20_000_000, 150.0, 4.0)
    found = knee.fusion.newest(start_ns + 200 * 20_000_000)
    assert found.degrees == pytest.approx(150, abs=6)


def test_an_earlier_angle_is_the_one_of_that_time() -> None:
    knee = Knee()
    knee.play(0, 15)
    for back_s in (0.1, 0.5, 2.0):
        t_s = 14.9 - back_s
        found = knee.fusion.at(round(t_s * 1e9) + ZERO_NS)
        assert found.degrees == pytest.approx(float(angle(np.array(t_s))), abs=2)


@pytest.mark.parametrize("delay_s", [-0.2, 0.0, 0.04, 0.25])
def test_the_delay_is_found_within_15_ms(delay_s: float) -> None:
    rng = np.random.default_rng(1)
    history, t_s = TurnHistory(30), np.arange(0, 14, DT)
    history.add(np.rint(t_s * 1e9).astype(np.int64) + ZERO_NS, np.gradient(angle(t_s), DT) + 1.5)
    seen_s = np.arange(0.5, 13.4, 1 / 15)
    seen = angle(seen_s - delay_s) + rng.normal(0, 5, len(seen_s))
    found = find_delay(history, seen_s, seen, np.full(len(seen_s), 5.0))
    assert found is not None
    assert found.delay_s == pytest.approx(delay_s, abs=0.015)
    assert found.error_s < 0.01
    assert found.gain == pytest.approx(1, abs=0.1)
    assert found.fits


def test_a_sensor_whose_axis_is_reversed_is_recognised() -> None:
    knee = Knee()
    knee.play(0, 10, sign=-1.0)
    assert knee.fusion.delay is not None
    assert knee.fusion.delay.gain < -0.8
    assert not knee.fusion.delay.fits
    assert knee.fusion.contradicts
    assert knee.found[-1].stands_on == "none"


def test_a_joint_that_does_not_move_keeps_the_given_delay() -> None:
    fusion = JointFusion(delay_s=0.06)
    for i in range(600):
        t_s = i * 0.02 + np.arange(4) * DT
        fusion.gyro(turning(t_s, np.zeros(4)))
        if i % 3 == 0:
            fusion.vision(round(i * 0.02e9) + ZERO_NS, 30 + (-1) ** i * 3.0, 5.0)
    assert fusion.delay_s == pytest.approx(0.06, abs=0.03)
    assert not fusion.contradicts
    assert fusion.newest(round(12e9) + ZERO_NS).degrees == pytest.approx(30, abs=2)


def both(far: np.ndarray, near: Optional[np.ndarray]) -> Turning:
    """A hinge fed in pieces; the sensor before the joint has times of its own."""
    t_s = np.arange(0, 1, DT)
    hinge = HingeRate(far, near)
    shared = 40 * np.cos(4 * t_s)
    limb = np.outer(shared, [0.2, 0.9, 0.1])
    parts: List[Turning] = []
    for rows in np.array_split(np.arange(len(t_s)), 40):
        near_s = t_s[rows] + 0.002
        near_gyro = np.outer(40 * np.cos(4 * near_s), [0.2, 0.9, 0.1])
        hinge.add_near(np.rint(near_s * 1e9).astype(np.int64) + ZERO_NS, near_gyro)
        gyro = limb[rows] + np.outer(np.full(len(rows), 25.0), far)
        hinge.add_far(np.rint(t_s[rows] * 1e9).astype(np.int64) + ZERO_NS, gyro)
        parts.append(hinge.take())
    return Turning(*(np.concatenate(c) for c in zip(*(vars(p).values() for p in parts))))


def test_two_sensors_give_the_rate_of_the_joint_alone() -> None:
    y = np.array([0.0, 1.0, 0.0])
    found = both(y, y)
    assert len(found) > 190
    assert (np.diff(found.t_ns) == 5_000_000).all()
    np.testing.assert_allclose(found.rate_dps, 25, atol=0.01)
    np.testing.assert_allclose(found.across_dps.max(), 2 * 40 * np.hypot(0.2, 0.1), rtol=0.02)
    alone = both(y, None)
    assert len(alone) == 200
    assert np.ptp(alone.rate_dps) > 50


def test_a_lost_sensor_before_the_joint_does_not_fill_the_memory() -> None:
    hinge = HingeRate(np.array([0.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    for i in range(200):
        t_ns = np.arange(i * 100, i * 100 + 100) * 5_000_000
        hinge.add_far(t_ns, np.ones((100, 3)))
        assert len(hinge.take()) == 0
    hinge.add_near(np.array([10**15]), np.ones((1, 3)))
    assert len(hinge.take()) == 0


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("y", (0, 1, 0)),
        ("-x", (-1, 0, 0)),
        ("+z", (0, 0, 1)),
        ("0 3 4", (0, 0.6, 0.8)),
        ("0,3,-4", (0, 0.6, -0.8)),
    ],
)
def test_axes_are_letters_or_three_numbers(text: str, axis: List[float]) -> None:
    np.testing.assert_allclose(axis_of(text), axis)


@pytest.mark.parametrize("text", ["", "w", "--y", "0 0 0", "1 2", "1 2 nan", "1 2 inf", "x y z"])
def test_other_axes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use x, y, z"):
        axis_of(text)
