"""The turning rate of a joint from gyroscopes on its limbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

_AXES = {"x": 0, "y": 1, "z": 2}
_MOST = 12000  # samples


def axis_of(text: str) -> np.ndarray:
    """A unit vector [3] from `x`, `-y`, or three numbers such as `0.1 0.99 0`.

    Raises:
        ValueError: it is none of these.
    """
    word = text.strip()
    name = word.lstrip("+-")
    if name in _AXES and len(word) - len(name) <= 1:
        axis = np.zeros(3)
        axis[_AXES[name]] = -1.0 if word[0] == "-" else 1.0
        return axis
    try:
        axis = np.array([float(part) for part in word.replace(",", " ").split()])
    except ValueError:
        axis = np.zeros(0)
    size = float(np.linalg.norm(axis)) if axis.shape == (3,) else 0.0
    if not 1e-6 < size < 1e6:
        raise ValueError("use x, y, z, -x, -y, -z, or three numbers such as '0.1 0.99 0'")
    return axis / size


@dataclass(frozen=True)
class Turning:
    """S samples of a joint's motion."""

    t_ns: np.ndarray  # [S] i64 monotonic
    rate_dps: np.ndarray  # [S] of the joint; positive = flexion
    along_dps: np.ndarray  # [S] >= 0, of both limbs about the joint's axis, together
    across_dps: np.ndarray  # [S] >= 0, about other axes

    def __len__(self) -> int:
        return len(self.t_ns)

    def take(self, rows: np.ndarray) -> Turning:
        """The samples of a mask or of indices."""
        return Turning(
            self.t_ns[rows], self.rate_dps[rows], self.along_dps[rows], self.across_dps[rows]
        )


class HingeRate:
    """Rate of a hinge from the limb beyond the joint, and from a sensor before it if there is one.

    With the axis j of the hinge in both sensors' axes the rate is j2 . w2 - j1 . w1 (Seel, Raisch,
    Schauer, Sensors 14, 2014). Both sensors sample at their own times; the one before the joint is
    interpolated.

    Args:
        far: [3] axis of the joint in the axes of the sensor beyond it; positive = flexion.
        near: [3] the same of the sensor before it; None = there is none.
    """

    def __init__(self, far: np.ndarray, near: Optional[np.ndarray] = None) -> None:
        self._far, self._near = far, near
        self._far_waits, self._near_had = _Kept(), _Kept()

    def add_near(self, t_ns: np.ndarray, gyro_dps: np.ndarray) -> None:
        """Samples [S] of the sensor before the joint."""
        if self._near is not None and len(t_ns):
            self._near_had.add(t_ns, _parts(gyro_dps, self._near))

    def add_far(self, t_ns: np.ndarray, gyro_dps: np.ndarray) -> None:
        """Samples [S] of the sensor beyond the joint."""
        if len(t_ns):
            self._far_waits.add(t_ns, _parts(gyro_dps, self._far))

    def take(self) -> Turning:
        """The samples for whose times all sensors have been read."""
        waits, had = self._far_waits, self._near_had
        if self._near is None:
            t_ns, parts = waits.drop(len(waits.t_ns))
            return Turning(t_ns, parts[:, 0], np.abs(parts[:, 0]), parts[:, 1])
        end_ns = had.t_ns[-1] if len(had.t_ns) else -1
        t_ns, parts = waits.drop(int(np.searchsorted(waits.t_ns, end_ns, "right")))
        covered = t_ns >= (had.t_ns[0] if len(had.t_ns) else 0)
        t_ns, parts = t_ns[covered], parts[covered]
        if not len(t_ns):
            return Turning(t_ns, parts[:, 0], parts[:, 0], parts[:, 1])
        near = had.at(t_ns)
        had.drop(max(int(np.searchsorted(had.t_ns, t_ns[-1])) - 1, 0))
        along = np.abs(parts[:, 0]) + np.abs(near[:, 0])
        return Turning(t_ns, parts[:, 0] - near[:, 0], along, parts[:, 1] + near[:, 1])


class _Kept:
    """Samples that wait for those of the other sensor: rates along and across the axis [S,2]."""

    def __init__(self) -> None:
        self.t_ns, self._parts = np.zeros(0, np.int64), np.zeros((0, 2))

    def add(self, t_ns: np.ndarray, parts: np.ndarray) -> None:
        """Append; a minute at 200 Hz is kept at most, as the other sensor may be gone."""
        self.t_ns = np.concatenate((self.t_ns, t_ns))[-_MOST:]
        self._parts = np.concatenate((self._parts, parts))[-_MOST:]

    def drop(self, count: int) -> Tuple[np.ndarray, np.ndarray]:
        """Remove and return the oldest."""
        gone = self.t_ns[:count], self._parts[:count]
        self.t_ns, self._parts = self.t_ns[count:], self._parts[count:]
        return gone

    def at(self, t_ns: np.ndarray) -> np.ndarray:
        """Rates [S,2] at times between the first and the last."""
        own_s, s = ((t - self.t_ns[0]) * 1e-9 for t in (self.t_ns, t_ns))
        return np.stack([np.interp(s, own_s, column) for column in self._parts.T], 1)


def _parts(gyro_dps: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Signed rate about the axis, and the size of the rest [S,2]."""
    along = gyro_dps @ axis
    across = np.linalg.norm(gyro_dps - along[:, None] * axis, axis=1)
    return np.stack((along, across), 1)
