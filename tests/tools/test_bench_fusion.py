"""The bench of joint angles with inertial sensors, on motions by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tools.benches import fusion


@pytest.mark.parametrize("both", [True, False])
def test_a_squat_reaches_the_goals(both: bool) -> None:
    knee = fusion.limbs(Path(), "gait:squat", 45.0)[0]
    assert knee.off_hinge_deg < 1
    found = fusion.Trial(knee, 3, both).judge()
    assert found.rmse_deg < fusion.GOAL_RMSE_DEG
    assert found.delay_s < fusion.GOAL_DELAY_S
    assert found.bias_dps < fusion.GOAL_BIAS_DPS
    assert found.told > 0.8


def test_rates_are_those_of_the_limbs() -> None:
    knee = fusion.limbs(Path(), "gait:walk", 5.0)[0]
    turned = np.cumsum((knee.far_dps - knee.near_dps)[:, 1]) / 200
    assert np.abs((knee.degrees - turned) - np.median(knee.degrees - turned)).max() < 3


def test_tuned_and_reported_motions_are_others() -> None:
    assert not set(fusion.TUNE_ACTS) & set(fusion.REPORT_ACTS)
