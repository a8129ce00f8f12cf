"""What an expression can measure of people, one array over all of them for each measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.geometry import as_complex
from edge.people import angles
from edge.rules._custom import units
from edge.rules._polygon import depths
from edge.rules._posture import ANKLES, body_of, limbs_of, straight_body_of
from edge.structures import VISIBLE, Poses

_SPEED_MEAN_S = 0.1  # speeds are exponential means over this time
_GAP_S = 1.0  # a longer gap gives no speed

# Short names of angles, as people call a joint that mainly bends.
ALIASES = {
    f"{side}_{joint}": f"{side}_{full}"
    for side in angles.SIDES
    for joint, full in (
        ("knee", "knee_flexion"),
        ("elbow", "elbow_flexion"),
        ("hip", "hip_flexion"),
        ("shoulder", "shoulder_flexion"),
        ("ankle", "ankle_dorsiflexion"),
    )
}


@dataclass(frozen=True)
class Measure:
    """One measure of an expression, such as speed("left_wrist")."""

    function: str
    names: Tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(self.names)})"


# Function -> what each of its names is, and its unit. `known` lists the names of a kind.
FUNCTIONS: Dict[str, Tuple[Tuple[str, ...], units.Unit]] = {
    "angle": (("angle",), units.NAMES["deg"]),
    "angle_speed": (("angle",), units.NAMES["deg/s"]),
    "speed": (("keypoint",), units.NAMES["H/s"]),
    "height": (("keypoint",), units.NAMES["H"]),
    "distance": (("keypoint", "keypoint"), units.NAMES["H"]),
    "x": (("keypoint",), units.NAMES["px"]),
    "y": (("keypoint",), units.NAMES["px"]),
    "score": (("keypoint",), units.PLAIN),
    "people": ((), units.PLAIN),
}


def known(kind: str) -> List[str]:
    """The names that a function takes: of angles, or of the keypoints of any set."""
    if kind == "angle":
        flat = [name for name, plane in angles.PLANES.items() if plane != "space"]
        return sorted([*flat, *ALIASES])
    return sorted({n for set_name in skeletons.names() for n in skeletons.get(set_name).names})


class Scene:
    """The measures of the people of one frame.

    Args:
        people: with ids; borrowed.
        max_error_deg: an angle with a larger likely error is not known.
        zones: polygons by name, complex px.
    """

    def __init__(
        self, people: Poses, max_error_deg: float, zones: Mapping[str, np.ndarray]
    ) -> None:
        self._people, self._max_error_deg, self._zones = people, max_error_deg, zones
        self._skeleton = skeletons.get(people.skeleton)
        self._body, self._seen, _ = body_of(people)
        self._shape, _, self.tall = straight_body_of(people)
        self._degrees: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}
        self.speeds: Dict[Measure, np.ndarray] = {}  # filled in by `Speeds`

    def __len__(self) -> int:
        """The number of people."""
        return len(self._people)

    def values(self, measure: Measure) -> np.ndarray:
        """The measure of each person [N] f64, NaN = not known."""
        if measure in self.speeds:
            return self.speeds[measure]
        return _MEASURED[measure.function](self, measure.names)

    def place(self, name: str) -> np.ndarray:
        """A keypoint [N] complex px; NaN = not seen."""
        return self._point(name, self._people.keypoints)

    def _straight(self, name: str) -> np.ndarray:
        """A keypoint without the lens, to be compared with others of the same person."""
        people = self._people
        return self._point(name, people.keypoints if people.straight is None else people.straight)

    def _point(self, name: str, keypoints: np.ndarray) -> np.ndarray:
        index = int(self._skeleton.index(name)[0])
        if index < 0:
            return np.full(len(self), np.nan + 0j)
        seen = self._people.scores[:, index] > VISIBLE
        return np.where(seen, as_complex(keypoints[:, index]), np.nan)

    def degrees(self, name: str) -> np.ndarray:
        """A joint angle [N]; NaN = not seen, or too uncertain."""
        if name not in self._degrees:
            self._degrees[name] = self._measured(ALIASES.get(name, name))
        return self._degrees[name][0]

    def in_space(self, person: int) -> bool:
        """Whether an angle of a person that was asked for was measured in three dimensions."""
        return any(bool(deep[person]) for _, deep in self._degrees.values())

    def _measured(self, name: str) -> Tuple[np.ndarray, np.ndarray]:
        """Degrees [N] in the picture; where they are too uncertain, in space; and where that is."""
        people, which = self._people, [name]
        found = angles.of_limbs(limbs_of(people), which, self.tall)
        sure = found.error_deg[:, 0] <= self._max_error_deg
        degrees = np.where(sure, found.degrees[:, 0], np.nan).astype(np.float64)
        space = angles.of_world(people, which)
        if space is None:
            return degrees, np.zeros(len(people), bool)
        deep = np.isnan(degrees) & (space.error_deg[:, 0] <= self._max_error_deg)
        return np.where(deep, space.degrees[:, 0], degrees), deep

    def inside(self, zone: str) -> np.ndarray:
        """Whether each person stands in a zone [N] bool: their feet, else the foot of their box."""
        return depths(self._feet(), self._zones[zone]) > 0

    def _feet(self) -> np.ndarray:
        boxes = self._people.boxes
        both = self._seen[:, ANKLES].all(1)
        ankles = self._body[:, ANKLES].mean(1)
        return np.where(both, ankles, (boxes[:, 0] + boxes[:, 2]) / 2 + 1j * boxes[:, 3])

    def heights(self, name: str) -> np.ndarray:
        """Height of a keypoint above the lower ankle, else above the bottom of the box [N] H."""
        ankle = np.where(self._seen[:, ANKLES], self._shape[:, ANKLES].imag, -np.inf).max(1)
        floor = np.where(np.isfinite(ankle), ankle + 0.039 * self.tall, self._people.boxes[:, 3])
        return (floor - self._straight(name).imag) / self.tall

    def score(self, name: str) -> np.ndarray:
        """Score of a keypoint [N]; 0 if the set has none."""
        index = int(self._skeleton.index(name)[0])
        return self._people.scores[:, index] * (index >= 0)

    def distances(self, one: str, other: str) -> np.ndarray:
        """Distance between two keypoints [N] H."""
        return np.abs(self._straight(one) - self._straight(other)) / self.tall


_MEASURED: Dict[str, Callable[[Scene, Sequence[str]], np.ndarray]] = {
    "angle": lambda scene, names: scene.degrees(names[0]),
    "height": lambda scene, names: scene.heights(names[0]),
    "distance": lambda scene, names: scene.distances(names[0], names[1]),
    "x": lambda scene, names: scene.place(names[0]).real,
    "y": lambda scene, names: scene.place(names[0]).imag,
    "score": lambda scene, names: scene.score(names[0]),
    "people": lambda scene, names: np.full(len(scene), float(len(scene))),
}


class Speeds:
    """Speeds of keypoints and of angles, as exponential means over `_SPEED_MEAN_S`.

    The memory of each person is held by the caller: one row of `last` and `mean` per person.

    Args:
        measures: of the functions `speed` and `angle_speed`.
    """

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = list(measures)

    def fields(self) -> Dict[str, np.ndarray]:
        """Fields of a new person: positions of the last frame, and mean speeds."""
        nothing = np.full(len(self._measures), np.nan, np.complex128)
        return {"last": nothing, "mean": nothing}

    def follow(
        self, scene: Scene, last: np.ndarray, mean: np.ndarray, dt_s: np.ndarray
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Put the speeds into the scene.

        Args:
            scene: of this frame.
            last: [N,M] positions in the frame before.
            mean: [N,M] mean velocities until then.
            dt_s: [N] since then.

        Returns:
            The new `last` and `mean`.
        """
        now = np.stack([self._now(scene, m) for m in self._measures], 1)
        moved = (now - last) / np.maximum(dt_s, 1e-3)[:, None]
        moved[(dt_s <= 0) | (dt_s > _GAP_S)] = np.nan
        gain = -np.expm1(-dt_s / _SPEED_MEAN_S)[:, None]
        new = np.where(np.isnan(mean), moved, mean + gain * (moved - mean))
        for i, measure in enumerate(self._measures):
            scene.speeds[measure] = np.abs(new[:, i])
        return now, new

    def _now(self, scene: Scene, measure: Measure) -> np.ndarray:
        name = measure.names[0]
        if measure.function == "angle_speed":
            return scene.degrees(name).astype(np.complex128)
        return scene.place(name) / scene.tall
