"""Joint angles from inertial sensors and a late, noisy camera, on motion capture.

Gyroscopes are derived from the captured limbs; noise, bias, scale and mounting errors are added.
The camera gives the true angle late, 15 times a second, with noise and outliers, and not at all
for 4 s in every 15. Clips and gaits are split as in _mocap.py: options were chosen on TUNE.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from edge.capture._synthetic.body import AT, STATURE_M, build
from edge.capture._synthetic.gaits import MOTIONS
from edge.people.fusion.hinge import HingeRate
from edge.people.fusion.joint import JointFusion
from tools.benches import Row, row
from tools.benches._mocap import REPORT, TUNE, clips

TUNE_ACTS = (*TUNE, "gait:squat", "gait:walk")
REPORT_ACTS = (*REPORT, "gait:run", "gait:sit")
STATED = (
    "gyroscopes at 200 Hz: noise .05 deg/s, bias 2 deg/s (walks .01 deg/s in a second), scale 1 %, "
    "mounted 2 deg off; camera at 15 Hz, noise 5 deg, 2 % outliers of 30 deg, 30 to 150 ms late, "
    "jitter 3 ms, clock off by 100 ppm, 4 s unseen in every 15"
)
SECONDS, WARM_S = 75.0, 15.0
MOST_OFF_HINGE_DEG = 4.0
MOVING_DPS = 20.0  # rms; without motion there is no delay to be found, and none that matters
GOAL_RMSE_DEG, GOAL_DELAY_S, GOAL_BIAS_DPS = 1.5, 0.015, 0.2
_OFFSET_S = 30.0  # over which the true bias is a mean
_GYRO_HZ, _SIGHT_HZ, _OCCLUDED_S, _EVERY_S = 200.0, 15.0, 4.0, 15.0
_NOISE_DPS, _BIAS_DPS, _BIAS_WALK, _SCALE, _MOUNT_DEG = 0.05, 2.0, 0.01, 0.01, 2.0
_SIGHT_DEG, _OUTLIERS, _OUTLIER_DEG = 5.0, 0.02, 30.0
_JITTER_S, _DRIFT = 0.003, 1e-4
_JOINTS = (  # upper limb, lower limb, sign of y that bends the joint
    ("left_thigh", "left_shank", 1.0),
    ("right_upper_arm", "right_forearm", -1.0),
)


@dataclass(frozen=True)
class Limb:
    """The truth of one joint in motion, at 200 Hz."""

    name: str
    t_s: np.ndarray  # [S]
    degrees: np.ndarray  # [S] flexion
    near_dps: np.ndarray  # [S,3] true rate of the limb before the joint, in its own axes
    far_dps: np.ndarray  # [S,3] of the limb beyond it
    sign: float  # of y

    @property
    def off_hinge_deg(self) -> float:
        """How far the joint is from a hinge about y: rms of what perfect gyroscopes would miss.

        The BVH clips give the directions of limbs and not their twist, so some of their elbows are
        none.
        """
        turn = self.sign * np.cumsum((self.far_dps - self.near_dps)[:, 1]) / _GYRO_HZ
        rest = self.degrees - turn
        return _rms(rest - np.polyval(np.polyfit(self.t_s, rest, 1), self.t_s))


@dataclass(frozen=True)
class Judged:
    """Errors of one run."""

    rmse_deg: float  # after WARM_S
    occluded_deg: float  # the same while the camera sees nothing
    delay_s: float  # absolute error at the end
    bias_dps: float  # absolute error at the end, against the mean error of the rate
    told: float  # share of errors within two of the told standard deviations
    moves_dps: float  # rms of the true rate


def limbs(sets: Path, act: str, seconds: float = SECONDS) -> List[Limb]:
    """The joints of a clip or gait.

    Raises:
        EdgeError: the clips cannot be fetched.
    """
    t_s = np.arange(0, seconds, 1 / _GYRO_HZ)
    frames = _frames(sets, act, t_s)
    return [_limb(f"{act} {far}", t_s, frames, near, far, sign) for near, far, sign in _JOINTS]


def _frames(sets: Path, act: str, t_s: np.ndarray) -> np.ndarray:
    """Axes of the segments [S,15,3,3]."""
    own = np.zeros((len(t_s), 3))
    if act.startswith("gait:"):
        motion: Any = MOTIONS[act[5:]]
    else:
        motion = clips(sets, (act,))[act]
        if not motion.loops and motion.length_s > 0:  # forwards and backwards
            t_s = motion.length_s - np.abs(t_s % (2 * motion.length_s) - motion.length_s)
    return np.asarray(motion.at(t_s, own).frames)


def _limb(name: str, t_s: np.ndarray, frames: np.ndarray, near: str, far: str, sign: float) -> Limb:
    body = build(frames, np.full(len(t_s), STATURE_M), np.zeros((len(t_s), 2)))
    end = {"left_shank": "left_foot", "right_forearm": "right_hand"}[far]
    joint = body.joints
    up = joint[:, AT[near]] - joint[:, AT[far]]
    down = joint[:, AT[end]] - joint[:, AT[far]]
    cos = (up * down).sum(1) / np.linalg.norm(up, axis=1) / np.linalg.norm(down, axis=1)
    degrees = 180 - np.degrees(np.arccos(np.clip(cos, -1, 1)))
    rates = [_rate_dps(frames[:, AT[limb]], 1 / _GYRO_HZ) for limb in (near, far)]
    return Limb(name, t_s, degrees, rates[0], rates[1], sign)


def _rate_dps(axes: np.ndarray, step_s: float) -> np.ndarray:
    """Turning rate [S,3] in own axes from axes [S,3,3], by central differences."""
    after = np.concatenate((axes[1:], axes[-1:]))
    before = np.concatenate((axes[:1], axes[:-1]))
    steps = np.full(len(axes), 2.0)
    steps[[0, -1]] = 1.0
    turn = np.swapaxes(before, 1, 2) @ after
    skew = turn - np.swapaxes(turn, 1, 2)
    vector = np.stack((skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]), 1) / 2
    sine = np.linalg.norm(vector, axis=1, keepdims=True)
    angle = np.arctan2(sine[:, 0], (np.trace(turn, axis1=1, axis2=2) - 1) / 2)[:, None]
    return np.asarray(
        np.degrees(vector * angle / np.maximum(sine, 1e-12)) / steps[:, None] / step_s
    )


class Trial:
    """One limb with sensors and a camera.

    Args:
        limb: the truth.
        seed: of all errors.
        both: sensors on both limbs; otherwise beyond the joint, and the limb before it is at rest.
    """

    def __init__(self, limb: Limb, seed: int, both: bool = True) -> None:
        self._limb, self._rng = limb, np.random.default_rng(seed)
        self.both = both
        self.near = self._measured(limb.near_dps)
        far = limb.far_dps if both else limb.far_dps - limb.near_dps * (0.0, 1.0, 0.0)
        self.far = self._measured(far)
        self.delay_s = float(self._rng.uniform(0.03, 0.15))
        self.drift = float(self._rng.uniform(-_DRIFT, _DRIFT))
        self.axis = np.array([0.0, limb.sign, 0.0])

    def run(self) -> Tuple[np.ndarray, np.ndarray, JointFusion]:
        """Angles [S] and told errors [S] at each reading's last sample, else NaN; the filter."""
        limb, fusion = self._limb, JointFusion(unseen_deg=0.0 if self.both else 2.0)
        hinge = HingeRate(self.axis, self.axis if self.both else None)
        t_ns = np.rint(limb.t_s * 1e9).astype(np.int64) + 10**12
        sights = self._sights()
        found, told = np.full(len(t_ns), np.nan), np.full(len(t_ns), np.nan)
        for start in range(0, len(t_ns), 4):  # the thread reads every 20 ms
            rows = slice(start, start + 4)
            hinge.add_near(t_ns[rows], self.near[rows])
            hinge.add_far(t_ns[rows], self.far[rows])
            fusion.gyro(hinge.take())
            now_s = limb.t_s[rows][-1]
            while sights and sights[0][0] <= now_s:
                _, stamp_s, degrees = sights.pop(0)
                fusion.vision(round(stamp_s * 1e9) + 10**12, degrees, _SIGHT_DEG)
            last = min(start + 3, len(t_ns) - 1)
            at = fusion.at(int(t_ns[last]))
            found[last], told[last] = at.degrees, at.error_deg
        return found, told, fusion

    def judge(self) -> Judged:
        """Run and compare to the truth."""
        found, told, fusion = self.run()
        limb = self._limb
        miss = found - limb.degrees
        warm = (limb.t_s > WARM_S) & np.isfinite(miss)
        hidden = warm & _occluded(limb.t_s)
        late_s = self.delay_s + self.drift * limb.t_s[-1]
        return Judged(
            _rms(miss[warm]),
            _rms(miss[hidden]),
            abs(fusion.delay_s - late_s),
            abs(fusion.bias_dps - self._offset_dps()),
            float((np.abs(miss[warm]) < 2 * told[warm]).mean()),
            _rms(np.gradient(limb.degrees, 1 / _GYRO_HZ)),
        )

    def _offset_dps(self) -> float:
        """Mean error of the joint's measured rate at the end.

        It is the gyroscopes' bias, and in a steady spin also what the mounting makes of the spin.
        """
        rows = self._limb.t_s > self._limb.t_s[-1] - _OFFSET_S
        rate = self.far[rows] @ self.axis
        rate = rate - (self.near[rows] @ self.axis if self.both else 0.0)
        t_s, degrees = self._limb.t_s[rows], self._limb.degrees[rows]
        return float(rate.mean() - (degrees[-1] - degrees[0]) / (t_s[-1] - t_s[0]))

    def _measured(self, true_dps: np.ndarray) -> np.ndarray:
        rng, n = self._rng, len(true_dps)
        tilt = _small_turn(np.radians(rng.normal(0, _MOUNT_DEG, 3)))
        walk = np.cumsum(rng.normal(0, _BIAS_WALK / np.sqrt(_GYRO_HZ), (n, 3)), 0)
        bias = rng.normal(0, _BIAS_DPS, 3) + walk
        scaled = true_dps @ tilt * (1 + rng.normal(0, _SCALE, 3))
        return np.asarray(scaled + bias + rng.normal(0, _NOISE_DPS, (n, 3)))

    def _sights(self) -> List[Tuple[float, float, float]]:
        """When each angle of the camera comes, its stamp, and the angle; without occluded ones."""
        rng, limb = self._rng, self._limb
        true_s = np.arange(0.5, limb.t_s[-1] - 0.4, 1 / _SIGHT_HZ)
        seen = np.interp(true_s, limb.t_s, limb.degrees) + rng.normal(0, _SIGHT_DEG, len(true_s))
        wild = rng.random(len(true_s)) < _OUTLIERS
        seen += wild * rng.normal(0, _OUTLIER_DEG, len(true_s))
        stamp_s = true_s + self.delay_s + self.drift * true_s
        stamp_s += rng.normal(0, _JITTER_S, len(true_s))
        come_s = np.maximum.accumulate(np.maximum(stamp_s, true_s) + 0.06)
        rows = zip(come_s.tolist(), stamp_s.tolist(), seen.tolist(), _occluded(true_s).tolist())
        return [(come, stamp, value) for come, stamp, value, hidden in rows if not hidden]


def _occluded(t_s: np.ndarray) -> np.ndarray:
    return np.asarray((t_s > WARM_S) & (t_s % _EVERY_S > _EVERY_S - _OCCLUDED_S))


def _small_turn(vector: np.ndarray) -> np.ndarray:
    """Rotation matrix [3,3] of a rotation vector, by Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / max(angle, 1e-12)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def judged(
    sets: Path, acts: Sequence[str], seeds: Sequence[int], both: bool = True
) -> Dict[str, Judged]:
    """Every joint of every act with every seed, by name."""
    return {
        f"{limb.name} {seed}": Trial(limb, seed, both).judge()
        for act in acts
        for limb in limbs(sets, act)
        if limb.off_hinge_deg < MOST_OFF_HINGE_DEG
        for seed in seeds
    }


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Errors on the report split."""
    rows: List[Row] = []
    for name, both in (("two sensors", True), ("one sensor", False)):
        found = list(judged(sets, REPORT_ACTS, range(max(rounds // 2, 1)), both).values())
        rows += [
            row(f"fusion, {name}: RMSE", [j.rmse_deg for j in found], "deg", GOAL_RMSE_DEG),
            row(f"fusion, {name}: RMSE unseen", [j.occluded_deg for j in found], "deg", 1.5),
            row(f"fusion, {name}: delay", [1e3 * j.delay_s for j in found], "ms", 15.0),
            row(f"fusion, {name}: bias", [j.bias_dps for j in found], "deg/s", GOAL_BIAS_DPS),
        ]
    return rows
