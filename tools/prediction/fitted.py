"""The fit's outcome, kept so that a prediction needs none; a test makes it anew and compares."""

from __future__ import annotations

from tools.prediction.roofline import Efficiencies

EFFICIENCIES = Efficiencies(
    volta_fp16=0.4517,
    volta_int8=0.3008,
    ampere_fp16=0.4673,
    ampere_int8=0.4018,
    point=1.0095,
    depth=0.2618,
    memory=1.1778,  # above 1: activations that stay in the L2 cache
    volta_launch=27.28,
    ampere_launch=24.39,
    volta_call_us=54.17,
    ampere_call_us=105.1,
)
# Nine of ten published times, each network predicted by a fit that has not seen it, those that are
# only checked against included, lie within this factor; the median lies within the second.
BAND = 1.42
MEDIAN = 1.07
