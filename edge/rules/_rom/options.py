"""The settings of the rule `rom`."""

from __future__ import annotations

from dataclasses import dataclass

from edge.settings.schema import key

NO_LOW_DEG, NO_HIGH_DEG = -180.0, 360.0


@dataclass(frozen=True)
class Options:
    """Settings of a range-of-motion rule."""

    angle: str = key(help='joint angle, such as "left_knee"; without a side: both, "knee"')
    name: str = key("rom", "name of the rule in events")
    toward: str = key("high", "where the peak of a repetition is", choices=("high", "low"))
    prominence_deg: float = key(15.0, "least rise of a repetition, and least way back", 5, 180)
    goal_deg: float = key(0.0, "a good repetition reaches this angle; 0 = any", -180, 360)
    hold_s: float = key(0.0, "a good repetition stays at its peak for this long", 0, 600)
    hold_band_deg: float = key(5.0, "what counts as staying at the peak", 1, 45)
    reps: int = key(0, "good repetitions of a set; 0 = no plan", 0, 1000)
    sets: int = key(1, "sets of the plan", 1, 100)
    low_deg: float = key(NO_LOW_DEG, "alarm below this angle; -180 = none", -180, 360)
    high_deg: float = key(NO_HIGH_DEG, "alarm above this angle; 360 = none", -180, 360)
    hysteresis_deg: float = key(3.0, "an alarm ends this far within the bounds", 0, 45)
    dwell_s: float = key(0.3, "an angle must be outside, or inside again, for this long", 0, 60)
    refractory_s: float = key(2.0, "pause before the next alarm of the same person", 0, 3600)
    max_lean_deg: float = key(0.0, "trunk lean that is compensation; 0 = not watched", 0, 90)
    max_hike_deg: float = key(0.0, "slope of the pelvis that is compensation; 0 = not", 0, 90)
    max_shrug_h: float = key(
        0.0, "rise of a shoulder that is compensation, in standing heights; 0 = not", 0, 0.2
    )
    max_uneven_deg: float = key(
        0.0, "difference of both sides' ranges that is told; 0 = not compared", 0, 180
    )
    max_off_plane_deg: float = key(30.0, "a view further off the movement is refused", 5, 75)
    max_error_deg: float = key(20.0, "an angle with a larger likely error is refused", 1, 180)
    leave_s: float = key(10.0, "a person unseen for this long has ended the exercise", 1, 3600)
