"""Result of the fit, stored so that a prediction needs no fit; a test repeats the fit."""

from __future__ import annotations

from tools.prediction.roofline import Efficiencies

EFFICIENCIES = Efficiencies(
    volta_fp16=0.4517,
    volta_int8=0.3008,
    ampere_fp16=0.4673,
    ampere_int8=0.4018,
    point=1.0095,
    depth=0.2618,
    memory=1.1778,  # above 1, because some activations stay in the L2 cache
    volta_launch=27.28,
    ampere_launch=24.39,
    volta_call_us=54.17,
    ampere_call_us=105.1,
)
# Error factors. Each network is predicted by a fit without it, the networks that are only checked
# included. 90 % of the published times lie within BAND, half of them within MEDIAN.
BAND = 1.42
MEDIAN = 1.07
