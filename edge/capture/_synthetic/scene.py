"""A scene of people as one camera sees it, with exact ground truth for each frame.

`Scene.poses` draws no image, so tests of trackers, smoothers and rules can use it alone. The same
seed and index give bit-identical people in every view.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional

import numpy as np

from edge import skeletons
from edge.capture._synthetic.body import COVER, Bodies, build
from edge.capture._synthetic.camera import NEAR_M, Pinhole, around, hidden
from edge.capture._synthetic.gaits import MOTIONS
from edge.capture._synthetic.motion import Motion
from edge.capture._synthetic.people import Cast, People
from edge.errors import ConfigError
from edge.structures import Poses

SKELETON = "wholebody133"
_DEEP_M = 2.4  # largest distance of a lane behind the middle of the scene, see People


@dataclass(frozen=True)
class Setup:
    """The settings of a scene, shared by all its views."""

    people: int = 3
    motion: str = "walk"  # comma-separated names of MOTIONS, assigned to the people in turn
    seed: int = 1
    rate_hz: float = 30.0
    event_s: float = 2.0  # when the first person starts a motion that happens once
    distance_m: float = 0.0  # of the cameras from the middle; 0 = all people fit in
    height_m: float = 2.0  # of the cameras above the floor
    angle_deg: float = 60.0  # horizontal field of view
    clip: Optional[Motion] = field(default=None, compare=False)  # instead of `motion`
    clip_name: str = ""  # part of equality, instead of `clip`

    @property
    def away_m(self) -> float:
        """Distance of the cameras from the middle of the scene, in m."""
        return self.distance_m or 4.6 * max(1.0, (self.people / 6) ** 0.5)

    def motions(self) -> List[Motion]:
        """The motion of each person.

        Raises:
            ConfigError: an unknown motion; lists the known ones.
        """
        if self.clip is not None:
            return [self.clip] * self.people
        names = [name.strip() for name in self.motion.split(",")]
        for name in names:
            if name not in MOTIONS:
                raise ConfigError(f"no motion called {name!r}; there are: {', '.join(MOTIONS)}")
        return [MOTIONS[names[i % len(names)]] for i in range(self.people)]


@dataclass(frozen=True)
class Seen:
    """The N people in view in one frame."""

    index: int
    cast: Cast  # of all people, not only those in view
    who: np.ndarray  # [N] i64 rows of the cast
    bodies: Bodies  # in camera coordinates, m
    keypoints: np.ndarray  # [N,133,2] px
    starts: np.ndarray  # [N,S,2] px of the solids
    ends: np.ndarray  # [N,S,2] px
    radii: np.ndarray  # [N,S,2] px
    boxes: np.ndarray  # [N,4] f32 px, clipped to the picture


class Scene:
    """One camera's view of a setup.

    Args:
        setup: the people and the cameras.
        width: px.
        height: px.
        view: 0..3, one of four cameras around the scene.
    """

    def __init__(
        self, setup: Setup = Setup(), width: int = 640, height: int = 480, view: int = 0
    ) -> None:
        self.setup = setup
        self.camera: Pinhole = around(
            width, height, view, setup.away_m, setup.height_m, setup.angle_deg
        )
        lane_m = (setup.away_m + _DEEP_M) * float(np.tan(np.radians(setup.angle_deg) / 2)) + 0.6
        self._people = People(setup.motions(), setup.seed, setup.event_s, lane_m)
        self._last: Optional[Seen] = None

    def poses(self, index: int, skeleton: str = SKELETON) -> Poses:
        """Ground truth of a frame.

        The score of a keypoint is 1 if visible, 0.5 if a body hides it (its place is still exact),
        0 outside the picture. Boxes enclose the drawn body, clipped to the picture. People without
        a keypoint in the picture are left out.

        Returns:
            New arrays. ids are the people's numbers; a replaced person's number is not used again.
        """
        seen = self.see(index)
        scores = np.ones(seen.keypoints.shape[:2], np.float32)
        scores[self._hidden(seen)] = 0.5
        scores[~self._inside(seen.keypoints)] = 0.0
        numbers = seen.cast.column("number").astype(np.int64)[seen.who]
        ones = np.ones(len(seen.who), np.float32)
        exact = seen.keypoints.astype(np.float32)
        truth = Poses(exact, scores, seen.boxes, numbers, ones, SKELETON)
        return skeletons.convert_poses(truth, skeleton)

    def joints(self, index: int) -> np.ndarray:
        """[N,133,3] m in the world (x right, y away, z up); the same people as in `poses`."""
        seen = self.see(index)
        out: np.ndarray = seen.bodies.keypoints @ self.camera.rotation + self.camera.position
        return out

    def onset_s(self, number: int) -> float:
        """When a person starts the motion that happens once (a fall), in scene time.

        Raises:
            KeyError: nobody has this number at the start.
        """
        first = self._people.at(0.0).traits
        return {t.number: t.onset_s for t in first}[number]

    def see(self, index: int) -> Seen:
        """The people in view in frame `index`; borrowed until the next call with another index."""
        if self._last is None or self._last.index != index:
            self._last = self._look(index)
        return self._last

    def _look(self, index: int) -> Seen:
        cast = self._people.at(index / self.setup.rate_hz)
        bodies = _seen_from(self.camera, self._bodies(cast))
        keypoints = self.camera.project(bodies.keypoints)
        nearest = np.minimum(bodies.starts[..., 2], bodies.ends[..., 2]).min(1, initial=np.inf)
        visible = self._inside(keypoints).any(1) & (nearest > NEAR_M)
        who = np.flatnonzero(visible)
        bodies, keypoints = bodies.take(who), keypoints[who]
        starts, ends = self.camera.project(bodies.starts), self.camera.project(bodies.ends)
        depth = np.stack([bodies.starts[..., 2], bodies.ends[..., 2]], axis=-1)
        radii = self.camera.focal_px * bodies.radii / depth
        boxes = self._boxes(keypoints, starts, ends, radii)
        return Seen(index, cast, who, bodies, keypoints, starts, ends, radii, boxes)

    def _bodies(self, cast: Cast) -> Bodies:
        """The bodies of all people in the world; one computation per motion."""
        motions, n = self._people.motions, len(cast.traits)
        frames, lift = np.zeros((n, 15, 3, 3)), np.zeros(n)
        travel, curl = np.zeros((n, 2)), np.zeros((n, 2))
        own = cast.column("own").reshape(n, 3)
        for motion in dict.fromkeys(motions):
            rows = np.flatnonzero([m is motion for m in motions])
            posture = motion.at(cast.t_s[rows], own[rows])
            frames[rows], lift[rows] = posture.frames, posture.lift
            travel[rows], curl[rows] = posture.travel, posture.curl
        heading, stature = cast.column("heading"), cast.column("stature_m")
        turn = _about_z(heading)
        bodies = build(turn[:, None] @ frames, stature, curl)
        planted = np.array([m.planted for m in motions], bool)
        feet = bodies.joints[:, [11, 14], :2].mean(1) * planted[:, None]
        step = (turn[:, :2, :2] @ travel[..., None])[..., 0] * stature[:, None]
        floor = cast.place + step - feet
        return bodies.moved(np.concatenate([floor, (lift - bodies.lowest)[:, None]], axis=1))

    def _inside(self, px: np.ndarray) -> np.ndarray:
        edge = (self.camera.width - 0.5, self.camera.height - 0.5)
        return np.all((px >= -0.5) & (px < edge), axis=-1)

    def _hidden(self, seen: Seen) -> np.ndarray:
        """[N,133] whether any body, its own included, hides a keypoint."""
        bodies, cover = seen.bodies, COVER * seen.bodies.stature[:, None]
        out = np.zeros(seen.keypoints.shape[:2], bool)
        for i, near in enumerate(
            _overlaps(seen.boxes)
        ):  # only bodies with overlapping boxes can hide it
            solids = (
                bodies.starts[near].reshape(-1, 3),
                bodies.ends[near].reshape(-1, 3),
                bodies.radii[near].reshape(-1, 2),
            )
            out[i] = hidden(bodies.keypoints[i], cover[i], *solids)
        return out

    def _boxes(self, *where: np.ndarray) -> np.ndarray:
        keypoints, starts, ends, radii = where
        r0, r1 = radii[..., :1], radii[..., 1:]
        low = np.concatenate([keypoints, starts - r0, ends - r1], axis=1).min(1)
        high = np.concatenate([keypoints, starts + r0, ends + r1], axis=1).max(1)
        limit = np.array([self.camera.width, self.camera.height])
        both = np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)], axis=1)
        return both.astype(np.float32)


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """[N,N] whether two boxes overlap; each overlaps itself."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    return np.all((low <= boxes[None, :, 2:]) & (high >= boxes[None, :, :2]), axis=-1)


def _about_z(heading: np.ndarray) -> np.ndarray:
    out = np.zeros((len(heading), 3, 3))
    out[:, 0, 0] = out[:, 1, 1] = np.cos(heading)
    out[:, 1, 0] = np.sin(heading)
    out[:, 0, 1] = -out[:, 1, 0]
    out[:, 2, 2] = 1
    return out


def _seen_from(camera: Pinhole, bodies: Bodies) -> Bodies:
    return Bodies(
        camera.look(bodies.joints),
        camera.rotation @ bodies.frames,
        camera.look(bodies.keypoints),
        camera.look(bodies.starts),
        camera.look(bodies.ends),
        bodies.radii,
        bodies.stature,
    )
