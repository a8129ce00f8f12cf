"""One scene: people, things, light, backdrop and camera, ready to be drawn at any time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import List, Optional, Sequence

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from tools.render.body.person import Person, Posed
from tools.render.motion.acts import Act, draw_act, draw_pair, length_s
from tools.render.motion.falls import Fall
from tools.render.motion.pairs import APART
from tools.render.paint import shade
from tools.render.paint.floor import ray_grid
from tools.render.paint.light import Light
from tools.render.paint.look import Look, apply, draw_look
from tools.render.paint.picture import Drawn, Solid, paint
from tools.render.paint.room import draw_room, paint_room
from tools.render.recipe import Recipe
from tools.render.scene import environment, layout
from tools.render.scene.actor import Actor, Path
from tools.render.scene.backdrop import Backdrops
from tools.render.scene.camera import Camera
from tools.render.scene.lights import draw_light, light_of_picture
from tools.render.scene.props import chair, obstacle

Draw = np.random.Generator
_FALL_AFTER_S = (1.5, 4.0)
_BODY = slice(0, 23)
_HEAD_AND_SHOULDERS = np.r_[0:7, 23:91]  # indices of the 133 keypoints
_NOBODY_M = np.array([(-0.3, -0.3, 0.0), (0.3, 0.3, 1.7)])  # where somebody would stand
_NEAR_M = 0.4  # a person who walks through the camera is not drawn and has no label
_CLUTTER_APART_M = 0.9  # from the camera
_APART_M, _STEP_M, _MOST_STEPS = 0.22, 0.15, 30


@dataclass(frozen=True, eq=False)
class Shot:
    """One drawn picture and all that its truth needs."""

    image: np.ndarray  # [H,W,3] u8 BGR
    drawn: Drawn
    camera: Camera
    people: List[Posed]
    owners: List[int]  # index of each person among the drawn solids; -1 = is not drawn


class Stage:
    """A scene.

    Args:
        recipe: what it is made of.
        split: tune | report.
        rng: source of all choices.
        backdrops: the user's own; None = a drawn room.
        clip: whether people move along paths; else they are at a moment of their motion.
    """

    def __init__(
        self, recipe: Recipe, split: str, rng: Draw, backdrops: Optional[Backdrops], clip: bool
    ) -> None:
        self.recipe, self._backdrops = recipe, backdrops
        kind = str(rng.choice(recipe.lights))
        count = layout.people_count(rng, recipe)
        acts = [act for _ in range(count) for act in self._acts(split, rng, clip)]
        self.moments = [0.0 if clip else float(rng.uniform(0, length_s(a))) for a in acts]
        self.actors = self._cast(acts, rng, clip)
        if not clip and count > 1:
            self._push_apart(rng)
        first = [a.at(t) for a, t in zip(self.actors, self.moments)]
        self.camera = self._place_camera(rng, first, clip)
        self._light(rng, kind)
        exposure = _exposure(self._behind, kind) if backdrops is None else 1.0
        self.look: Look = draw_look(rng, recipe.hard, kind == "infrared", exposure)
        self._still: List[Solid] = [s for a in self.actors for s in a.seat()]
        if rng.random() < recipe.occluders and first:
            self._still.append(self._obstacle(rng, first))
        if recipe.clutter[1]:
            self._still += self._clutter(rng)
        self._noise = np.random.default_rng(int(rng.integers(1 << 62)))

    def _acts(self, split: str, rng: Draw, clip: bool) -> List[Act]:
        """One act, or those of two people."""
        name = str(rng.choice(self.recipe.motions))
        if name in APART:
            return draw_pair(name, split, self.recipe.seconds, rng)
        return [self._act(name, split, rng, clip)]

    def _act(self, name: str, split: str, rng: Draw, clip: bool) -> Act:
        act = draw_act(name, split, rng)
        start_s = 0.0
        if act.motion.once and self.recipe.starts_s[1] > 0:
            start_s = layout.within(rng, self.recipe.starts_s)
        if isinstance(act.motion, Fall):
            late = float(rng.uniform(*_FALL_AFTER_S))
            start_s = min(late, self.recipe.seconds * 0.5) if clip else float(rng.uniform(0.5, 7.5))
        return Act(**{**act.__dict__, "start_s": start_s})

    def _cast(self, acts: Sequence[Act], rng: Draw, clip: bool) -> List[Actor]:
        recipe = self.recipe
        if clip:
            paths = layout.paths(rng, [a.speed > 0 for a in acts], recipe.spread_m)
            layout.face(paths, [APART.get(a.name, 0.0) * STATURE_M for a in acts])
        else:
            spots = layout.places(rng, len(acts), recipe.spread_m)
            paths = [
                _standing(spot, float(rng.uniform(-np.pi, np.pi)), act, t)
                for spot, act, t in zip(spots, acts, self.moments)
            ]
        return [
            Actor(
                Person(rng, recipe.child_share), act, path, rng, bool(rng.random() < recipe.props)
            )
            for act, path in zip(acts, paths)
        ]

    def _push_apart(self, rng: Draw) -> None:
        """Move people who reach into others away from them."""
        stood: List[np.ndarray] = []
        for actor, t in zip(self.actors, self.moments):
            body = actor.at(t).keypoints[_BODY]
            for _ in range(_MOST_STEPS):
                gaps = [_gap(body, other) for other in stood]
                if not gaps or min(gaps) > _APART_M:
                    break
                other = stood[int(np.argmin(gaps))]
                away = (body - other).mean(0)[:2] + rng.normal(size=2) * 0.05
                step = away / max(float(np.linalg.norm(away)), 1e-6) * _STEP_M
                actor.path = replace(actor.path, place=tuple(np.add(actor.path.place, step)))
                body = body + np.append(step, 0).astype(np.float32)
            stood.append(body)

    def _place_camera(self, rng: Draw, first: List[Posed], clip: bool) -> Camera:
        if clip:
            later = [self.recipe.seconds * s for s in (0.25, 0.5, 0.75, 1.0)]
            all_of = [p.vertices[::40] for p in first]
            all_of += [a.at(t).vertices[::40] for a in self.actors for t in later]
            main = np.concatenate(all_of)
        elif first:
            all_of = [p.vertices[::10] for p in first]
            main = first[0].vertices[::4]
            if self.recipe.view.focus == "head":
                main = first[0].keypoints[_HEAD_AND_SHOULDERS]
        else:
            main = _NOBODY_M
            all_of = [main]
        cut = bool(rng.random() < self.recipe.cut_off)
        heading = self.actors[0].path.heading if self.actors else 0.0
        return layout.draw_camera(rng, self.recipe.view, main, np.concatenate(all_of), heading, cut)

    def _light(self, rng: Draw, kind: str) -> None:
        """Draw light and backdrop once; of the user's own, begin at a random frame."""
        self._rays = ray_grid(self.camera)
        behind = str(rng.choice(self.recipe.backdrops))
        if self._backdrops is not None:
            self._first = int(rng.integers(len(self._backdrops.frames)))
            self._behind = self._backdrops.frame(self._first)
            dark = kind == "infrared"
            self.light: Light = (
                draw_light(rng, kind) if dark else light_of_picture(rng, self._behind)
            )
            return
        self._behind = np.empty((self.camera.height, self.camera.width, 3), np.uint8)
        if behind == "environment" and kind != "infrared":
            path = environment.files()[int(rng.integers(len(environment.files())))]
            turn, level = float(rng.uniform(0, 2 * np.pi)), 0.35 if kind == "dim" else 1.0
            self.light = environment.light_of(path, turn, level)
            table = environment.panorama(path)
            environment.paint_environment(self._behind, self._rays, table, turn, level)
            return
        self.light = draw_light(rng, kind)
        room = draw_room(rng, self.camera.position, self.recipe.spread_m + 1.5)
        lamp = shade.lamp_table(self.light)
        paint_room(self._behind, self._rays, self.camera.position, room, lamp)

    def _obstacle(self, rng: Draw, first: List[Posed]) -> Solid:
        """A thing between the camera and somebody."""
        person = first[int(rng.integers(len(first)))]
        place = person.keypoints[:17, :2].mean(0)
        eye = self.camera.position[:2]
        share = rng.uniform(0.25, 0.7)
        side = np.array([-(eye - place)[1], (eye - place)[0]])
        side = side / max(float(np.linalg.norm(side)), 1e-6)
        return obstacle(rng, place + (eye - place) * share + side * rng.normal() * 0.3)

    def _clutter(self, rng: Draw) -> List[Solid]:
        """Furniture and chairs at random places in view, none in the camera."""
        found: List[Solid] = []
        eye = self.camera.position[:2]
        for _ in range(int(rng.integers(self.recipe.clutter[0], self.recipe.clutter[1] + 1))):
            place = rng.uniform(-1, 1, size=2) * self.recipe.spread_m
            if float(np.linalg.norm(place - eye)) < _CLUTTER_APART_M:
                continue
            if rng.random() < 0.4:
                turn = rng.uniform(0, 2 * np.pi)
                seat = np.array([*place, rng.uniform(0.4, 0.7)])
                found += chair(rng, seat, np.array([np.cos(turn), np.sin(turn)]))
            else:
                found.append(obstacle(rng, place))
        return found

    def shoot(self, t_s: Optional[float] = None, frame: int = 0) -> Shot:
        """Draw the scene.

        Args:
            t_s: the time of a clip; None = each person at a moment of the own motion.
            frame: number of the frame, for a moving backdrop.
        """
        times = self.moments if t_s is None else [t_s] * len(self.actors)
        people = [actor.at(t) for actor, t in zip(self.actors, times)]
        solids: List[Solid] = []
        owners = []
        for actor, posed in zip(self.actors, people):
            near = np.linalg.norm(posed.keypoints - self.camera.position, axis=1).min()
            owners.append(len(solids) if near > _NEAR_M else -1)
            solids += actor.solids(posed) if near > _NEAR_M else []
        image = self._behind.copy()
        if self._backdrops is not None and frame:
            image = self._backdrops.frame(self._first + frame)
        drawn = paint(image, self._rays, self.camera, self.light, solids + self._still)
        return Shot(apply(image, self.look, self._noise), drawn, self.camera, people, owners)


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Least distance m between keypoints of two people."""
    return float(np.linalg.norm(one[:, None] - other, axis=2).min())


def _exposure(behind: np.ndarray, kind: str) -> float:
    """The gain with which a camera meets a backdrop: most of the way to a middle grey."""
    wanted = 84.0 if kind in ("dim", "infrared") else 128.0
    mean = float(behind[::4, ::4].mean()) + 4
    return float(np.clip((wanted / mean) ** 0.75, 0.7, 3.0))


def _standing(spot: np.ndarray, heading: float, act: Act, t_s: float) -> Path:
    """A path that is at a spot at a moment, whatever the way until then."""
    if act.speed > 0:
        return Path((float(spot[0]), float(spot[1])), heading, 0.0, 0.0, 1e-6)
    return Path((float(spot[0]), float(spot[1])), heading)
