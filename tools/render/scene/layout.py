"""Where people stand or go, and where the camera is."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Sequence

import numpy as np

from edge.errors import ConfigError
from tools.render.recipe import Recipe, View
from tools.render.scene.actor import Path
from tools.render.scene.camera import FISHEYE, LENSES, PINHOLE, RADIAL, Camera, focal_px, towards

Draw = np.random.Generator
_APART_M = 0.55
_LANE_M = 0.85
_CLIP_APART_M = 1.1  # people of a clip move their arms, and may fall
_MOST_ON_RINGS = 4
_CLOSEST_M = 0.5
_SPARE = 1.15


def places(rng: Draw, count: int, spread_m: float, apart_m: float = _APART_M) -> np.ndarray:
    """[N,2] m: places of people around the middle, the first in it, apart from each other.

    Raises:
        ConfigError: the people have no room there.
    """
    if not count:
        return np.zeros((0, 2))
    found = [rng.normal(size=2) * 0.05]
    for _ in range(4000):
        if len(found) == count:
            return np.array(found)
        radius = spread_m * np.sqrt(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        place = radius * np.array([np.cos(angle), np.sin(angle)])
        if min(float(np.hypot(*(place - f))) for f in found) > apart_m:
            found.append(place)
    raise ConfigError(f"spread_m: {count} people have no room within {spread_m} m; make it larger")


def paths(rng: Draw, moving: Sequence[bool], spread_m: float) -> List[Path]:
    """The ways of the people of a clip.

    Few walkers go on rings of different radii, many on parallel lanes, so that nobody walks through
    anybody. The others stand outside the ways.

    Raises:
        ConfigError: the people have no room there.
    """
    walkers = sum(moving)
    across = float(rng.uniform(-np.pi, np.pi))
    standing = iter(_aside(rng, len(moving) - walkers, walkers, spread_m, across))
    out: List[Path] = []
    index = 0
    for goes in moving:
        heading = float(rng.uniform(-np.pi, np.pi))
        if not goes:
            place = next(standing)
            out.append(Path((float(place[0]), float(place[1])), heading))
            continue
        if walkers <= _MOST_ON_RINGS:
            radius = (0.9 + _LANE_M * index) * (1 if index % 2 else -1)
            out.append(Path((0.0, 0.0), heading, radius, float(rng.uniform(-np.pi, np.pi))))
        else:
            out.append(_lane(rng, index, walkers, spread_m, across))
        index += 1
    return out


def face(paths: List[Path], apart_m: Sequence[float]) -> None:
    """Put each two people who do something together before each other, on both sides of a place.

    Args:
        paths: of all people; those of pairs are changed.
        apart_m: distance of each person's pair; 0 = is in none. The two of a pair are neighbours.
    """
    first = 0
    while first < len(paths):
        if not apart_m[first]:
            first += 1
            continue
        (x, y), heading = paths[first].place, paths[first].heading
        step = np.array([np.cos(heading), np.sin(heading)]) * apart_m[first] / 2
        paths[first] = Path((x - step[0], y - step[1]), heading)
        paths[first + 1] = Path((x + step[0], y + step[1]), heading + np.pi)
        first += 2


def _aside(rng: Draw, count: int, walkers: int, spread_m: float, across: float) -> np.ndarray:
    """[N,2] m: places of people who stand while others walk."""
    if not walkers:
        return places(rng, count, spread_m, _CLIP_APART_M) if count else np.zeros((0, 2))
    steps = (np.arange(count) + rng.uniform(-0.1, 0.1, count)) * _CLIP_APART_M
    if walkers <= _MOST_ON_RINGS:  # one in the middle, the others around the rings
        radius = 0.9 + _LANE_M * (walkers - 1) + _CLIP_APART_M
        angle = across + steps / radius
        around = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        around[:1] = 0
        return around
    side = (walkers / 2 + 0.6) * _LANE_M * np.where(np.arange(count) % 2, 1, -1)
    along = steps - steps.mean() if count else steps
    cos, sin = np.cos(across), np.sin(across)
    return np.stack([cos * along - sin * side, sin * along + cos * side], axis=1)


def _lane(rng: Draw, index: int, count: int, spread_m: float, across: float) -> Path:
    """A lane for each walker, so that nobody overtakes through somebody."""
    offset = (index - (count - 1) / 2) * _LANE_M
    side = np.array([-np.sin(across), np.cos(across)]) * offset
    length_m = 4 * spread_m + 6
    turn = across + np.pi * (index % 2)
    shift = float(rng.uniform(0, length_m))
    return Path((float(side[0]), float(side[1])), float(turn), 0.0, shift, length_m)


def draw_camera(
    rng: Draw, view: View, main: np.ndarray, all_of: np.ndarray, heading: float, cut: bool
) -> Camera:
    """A camera that looks at people.

    Args:
        rng: source of all choices.
        view: ranges.
        main: [N,3] m, vertices of the person who counts.
        all_of: [M,3] m, vertices of all people.
        heading: rad, of that person.
        cut: whether people may be cut off by the edge of the picture.
    """
    lens = LENSES.index(str(rng.choice(view.lenses)))
    azimuth = heading + np.radians(within(rng, view.azimuth_deg))
    low, high = all_of.min(0), all_of.max(0)
    middle = (low + high) / 2
    if view.share[1] > 0:
        middle = (main.min(0) + main.max(0)) / 2
    away = within(rng, view.distance_m) + _radius(all_of, middle) * (view.share[1] <= 0)
    eye = middle + away * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    eye[2] = within(rng, view.camera_m)
    for _ in range(60):  # nobody stands in the camera
        if np.linalg.norm(all_of - eye, axis=1).min() > _CLOSEST_M:
            break
        eye[:2] += 0.2 * np.array([np.cos(azimuth), np.sin(azimuth)])
    target = middle + rng.normal(size=3) * 0.06
    if view.pitch_deg:
        pitch = np.radians(within(rng, view.pitch_deg))
        ahead = np.array([-np.cos(azimuth), -np.sin(azimuth), -np.tan(min(pitch, 1.55))])
        target = eye + ahead
    turn = towards(eye, target, np.radians(within(rng, view.roll_deg)))
    k1 = float(rng.uniform(-0.22, 0.05))
    fov = within(rng, view.fov_deg)
    if lens != FISHEYE:
        fov = min(fov, 120.0)
    focal = focal_px(view.width, fov, lens)
    camera = Camera(view.width, view.height, focal, turn, eye, lens)
    if view.share[1] > 0:
        camera = _zoomed(camera, main, within(rng, view.share))
    if lens == RADIAL:
        camera = replace(camera, k1=max(k1, _least_k1(camera)))
    return _cut(rng, camera, main) if cut else camera


def _radius(points: np.ndarray, middle: np.ndarray) -> float:
    return 0.5 * float(np.linalg.norm((points - middle)[:, :2], axis=1).max())


def _zoomed(camera: Camera, points: np.ndarray, share: float) -> Camera:
    """The camera with a focal length so that people fill a share of the picture's height."""
    plain = replace(camera, focal_px=1.0, lens=FISHEYE if camera.lens == FISHEYE else PINHOLE)
    pixels, depth = plain.project(points)
    if not (depth > 0).any():
        return camera
    size = np.ptp(pixels[depth > 0], axis=0)
    largest = max(size[1] / camera.height, size[0] / camera.width)
    return _like(camera, share / max(float(largest), 1e-6))


def _least_k1(camera: Camera) -> float:
    """The strongest barrel distortion with which the corner of the picture still sees something.

    r (1 + k1 r^2) has its maximum 2 / 3 / sqrt(-3 k1) at r = 1 / sqrt(-3 k1).
    """
    corner = float(np.hypot(camera.width, camera.height)) / 2 / camera.focal_px
    return -((2 / 3 / (_SPARE * corner)) ** 2) / 3


def _like(camera: Camera, focal: float, rotation: object = None) -> Camera:
    turn = camera.rotation if rotation is None else np.asarray(rotation)
    return replace(camera, focal_px=float(focal), rotation=turn)


def _cut(rng: Draw, camera: Camera, points: np.ndarray) -> Camera:
    """The camera turned so that the edge of the picture cuts a person off."""
    pixels, depth = camera.project(points)
    if not (depth > 0).any():
        return camera
    low, high = pixels[depth > 0].min(0), pixels[depth > 0].max(0)
    share = rng.uniform(0.35, 0.85)
    edge = int(rng.choice(4, p=[0.5, 0.1, 0.2, 0.2]))  # below, above, left, right
    shift = np.zeros(2)
    if edge == 0:
        shift[1] = camera.height - (low[1] + share * (high[1] - low[1]))
    elif edge == 1:
        shift[1] = -(high[1] - share * (high[1] - low[1]))
    else:
        line = low[0] + (1 - share if edge == 2 else share) * (high[0] - low[0])
        shift[0] = -line if edge == 2 else camera.width - line
    ray = camera.rays((np.array(camera.centre) - shift)[None])[0]
    old = camera.rotation
    turn = towards(camera.position, camera.position + ray)
    roll = np.arctan2(old[0] @ turn[1], old[0] @ turn[0])
    return _like(camera, camera.focal_px, towards(camera.position, camera.position + ray, roll))


def within(rng: Draw, ends: Sequence[float]) -> float:
    """A number between two ends."""
    return float(rng.uniform(ends[0], ends[1]))


def people_count(rng: Draw, recipe: Recipe) -> int:
    """How many people are in a picture."""
    return int(rng.integers(recipe.people[0], recipe.people[1] + 1))
