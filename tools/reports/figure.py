"""The skeleton at the moment that shows a fault, drawn beside how it should be."""

from __future__ import annotations

from typing import List, Optional, Tuple

import numpy as np

from edge import skeletons
from edge.people.angles_picture import POINTS
from edge.rules._action.features import NAMES
from edge.rules._action.template import Template
from edge.skeletons import Skeleton
from edge.structures import VISIBLE
from tools.reports.curves import Moment
from tools.reports.drawing import BAD, GOOD, svg, text

_SIDE = 300.0
# Limb -> keypoints at both ends; the trunk is from the middle of the hips to that of the shoulders.
_ENDS = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
}


class _Drawn:
    """A person on a square of `_SIDE`."""

    def __init__(self, moment: Moment) -> None:
        poses = moment.poses
        self.skeleton: Skeleton = skeletons.get(poses.skeleton)
        self.there = poses.scores[0] > VISIBLE
        points = poses.keypoints[0].astype(np.float64)
        seen = points[self.there] if self.there.any() else np.zeros((1, 2))
        low, high = seen.min(0), seen.max(0)
        scale = (_SIDE - 50) / max(float((high - low).max()), 1.0)
        self.points = (points - (low + high) / 2) * scale + _SIDE / 2
        self.parts: List[str] = []

    def body(self) -> None:
        """Edges in their colours, and joints."""
        for (a, b), (blue, green, red) in zip(
            self.skeleton.edges.tolist(), self.skeleton.colours.tolist()
        ):
            if self.there[a] and self.there[b]:
                ends = self._line(self.points[a], self.points[b])
                self.parts.append(
                    f'<path d="{ends}" stroke="rgb({red},{green},{blue})" stroke-width="3" '
                    'stroke-linecap="round"/>'
                )

    def place(self, name: str) -> Optional[np.ndarray]:
        """A keypoint, or the middle of both sides' keypoints; None = not seen."""
        names = [name] if name.startswith(("left", "right")) else [f"left_{name}", f"right_{name}"]
        at = self.skeleton.index(*names)
        if (at < 0).any() or not self.there[at].all():
            return None
        return np.asarray(self.points[at].mean(0))

    def mark(self, start: np.ndarray, end: np.ndarray, colour: str, dashed: bool = False) -> None:
        """A thick line."""
        more = ' stroke-dasharray="7 5"' if dashed else ""
        self.parts.append(
            f'<path d="{self._line(start, end)}" stroke="{colour}" stroke-width="6" '
            f'stroke-linecap="round" opacity=".9"{more}/>'
        )

    @staticmethod
    def _line(start: np.ndarray, end: np.ndarray) -> str:
        return f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"

    def svg(self, label: str) -> str:
        """The drawing."""
        return svg(_SIDE, _SIDE, self.parts, label)


def off_template(moment: Moment, template: Template, frame: int, limb: int, mirrored: bool) -> str:
    """A person; the limb that is off is red, and where the template has it dashed green.

    Args:
        moment: one person.
        template: of the exercise.
        frame: of the template.
        limb: index in the template.
        mirrored: the repetition was done with the other side.
    """
    drawn = _Drawn(moment)
    drawn.body()
    name = NAMES[limb]
    if mirrored and name != "trunk":
        side, _, part = name.partition("_")
        name = f"{'right' if side == 'left' else 'left'}_{part}"
    start, end = _limb(drawn, name)
    if start is not None and end is not None:
        drawn.mark(start, end, BAD)
        reach = float(np.clip(template.reaches[frame, limb], -1, 1))
        down = -reach if name == "trunk" else reach
        length = float(np.linalg.norm(end - start))
        aside = np.sign(end[0] - start[0]) or 1.0
        across = float(np.sqrt(max(1 - reach * reach, 0)))
        drawn.mark(start, start + length * np.array([aside * across, down]), GOOD, dashed=True)
    return drawn.svg(f"{name} at the worst moment")


def with_angle(moment: Moment, angle: str, degrees: float) -> str:
    """A person; the joint's two limbs are marked, and the angle is written beside it."""
    drawn = _Drawn(moment)
    drawn.body()
    joint, first, second = _joint(angle)
    places = [drawn.place(name) if name else None for name in (joint, first, second)]
    if all(place is not None for place in places):
        at, one, other = (np.asarray(place) for place in places)
        drawn.mark(at, one, BAD)
        drawn.mark(at, other, BAD)
        drawn.parts.append(f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="6" fill="{BAD}"/>')
        drawn.parts.append(text(at[0] + 12, at[1] + 5, f"{degrees:.0f} deg", more='class="name"'))
    return drawn.svg(f"{angle} at its peak")


def _limb(drawn: _Drawn, name: str) -> Tuple[Optional[np.ndarray], Optional[np.ndarray]]:
    if name == "trunk":
        return drawn.place("hip"), drawn.place("shoulder")
    side, _, part = name.partition("_")
    start, end = _ENDS[part]
    return drawn.place(f"{side}_{start}"), drawn.place(f"{side}_{end}")


def _joint(angle: str) -> Tuple[str, str, str]:
    side, _, movement = angle.partition("_")
    if movement in POINTS:
        joint, first, second = POINTS[movement]
        return f"{side}_{joint}", f"{side}_{first}", f"{side}_{second}"
    return ("hip", "shoulder", "hip") if side == "trunk" else ("", "", "")
