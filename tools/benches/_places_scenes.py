"""Scenes for the rules of places: people on a floor whose ways and postures are known.

Everybody leaves the picture for a while now and then. A scene has a floor of 8 m and a camera that
looks at its middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Tuple

import numpy as np

from edge.capture._synthetic.body import STATURE_M
from edge.capture._synthetic.camera import Pinhole
from edge.scene.ground import Ground
from tools.benches._mocap import looking, pixels, played
from tools.benches._walkers import SIZE, Instant, detected
from tools.floor import from_points

HALF_M = 4.0
DISTANCE_M, FOCAL_PX = 9.0, 850.0
_TURN_S, _AWAY_EVERY_S, _AWAY_S = 4.0, 24.0, (1.0, 4.0)
_ARM_M, _RAISE_S = (0.29, 0.25), 0.6
_MATCHED = 0.75  # of the height of a box: farther off, an event is of nobody
_SHOULDERS, _ELBOWS, _WRISTS = [5, 6], [7, 8], [9, 10]


class Actor(NamedTuple):
    """One person: joints [T,17,3] m in place, ways [T] m on the floor, headings [T] rad."""

    points: np.ndarray
    way: np.ndarray
    heading: np.ndarray


class Scene(NamedTuple):
    """People on a floor as a camera sees them."""

    points: np.ndarray  # [T,N,17,3] m; NaN while somebody is away or not wholly in the picture
    places: np.ndarray  # [T,N] complex m on the floor, at all times
    boxes: np.ndarray  # [T,N,4] px
    instants: List[Instant]
    ground: Ground
    camera: Pinhole


def of(actors: List[Actor], pitch_deg: float, rate_hz: float, rng: np.random.Generator) -> Scene:
    """The scene of actors."""
    camera = looking(SIZE, FOCAL_PX, DISTANCE_M, pitch_deg)
    points = np.stack([_moved(actor) for actor in actors], 1)
    there = np.stack([_present(len(points), rate_hz, rng) for _ in actors], 1)
    seen, depth = pixels(camera, points), camera.look(points)[..., 2].mean(2)
    height_px = STATURE_M * FOCAL_PX / np.median(depth, 0)
    instants = detected(there, seen, depth, height_px, rate_hz, rng)
    grow = 0.06 * height_px[:, None]
    boxes = np.concatenate((seen.min(2) - grow, seen.max(2) + grow), -1)
    inside = (seen[..., 0] > 0) & (seen[..., 0] < SIZE[0]) & (seen[..., 1] > 0)
    shown = there & (inside & (seen[..., 1] < SIZE[1])).all(-1)
    known = np.where(shown[..., None, None], points, np.nan)
    places = np.stack([actor.way for actor in actors], 1)
    return Scene(known, places, boxes, instants, ground_of(camera), camera)


def ground_of(camera: Pinhole) -> Ground:
    """The floor of a camera whose place is known."""
    corners = np.array([[-3.0, -3, 0], [3, -3, 0], [3, 3, 0], [-3, 3, 0]])
    seen = on_picture(camera, corners[:, 0] + 1j * corners[:, 1])
    return from_points.fit(seen, corners[:, 0] + 1j * corners[:, 1]).ground


def on_picture(camera: Pinhole, floor: np.ndarray) -> np.ndarray:
    """Points [P] complex px of places [P] complex m."""
    room = np.stack((floor.real, floor.imag, np.zeros(len(floor))), -1)
    seen = pixels(camera, room)
    return np.asarray(seen[:, 0] + 1j * seen[:, 1])


def person_of(boxes: np.ndarray, box: np.ndarray) -> int:
    """Whose box it is, -1 = nobody's."""
    if not len(box):
        return -1
    off = np.abs(boxes - box[0]).max(1) / np.maximum(boxes[:, 3] - boxes[:, 1], 1)
    off = np.where(np.isfinite(off), off, np.inf)
    return int(off.argmin()) if off.min(initial=np.inf) < _MATCHED else -1


def wanders(
    sets: Path, name: str, t_s: np.ndarray, rng: np.random.Generator, half_m: float = HALF_M
) -> Actor:
    """Somebody who goes about a square at the speed of a clip."""
    points, speed_mps = played(sets, name, t_s + rng.uniform(0, 9))
    way, heading = _ways(t_s, np.full(len(t_s), speed_mps * rng.uniform(0.9, 1.1)), half_m, rng)
    return Actor(points, way, heading)


def stops(
    sets: Path, t_s: np.ndarray, rng: np.random.Generator, go_s: float, stay_s: float, sway_m: float
) -> Actor:
    """Somebody who walks and stops, and sways about the place while there."""
    phase = (t_s + rng.uniform(0, go_s + stay_s)) % (go_s + stay_s)
    goes = phase < go_s
    walk, speed_mps = played(sets, "gait:walk", t_s)
    stand, _ = played(sets, "gait:stand", t_s)
    way, heading = _ways(t_s, speed_mps * goes, HALF_M - 1, rng)
    sway = sway_m * np.where(goes, 0, np.sin((phase - go_s) * 0.9))
    way = way + sway * np.exp(1j * (heading + np.pi / 2))
    return Actor(np.where(goes[:, None, None], walk, stand), way, heading)


def paces(sets: Path, t_s: np.ndarray, rng: np.random.Generator, reach_m: float) -> Actor:
    """Somebody who walks to and fro along a line."""
    walk, speed_mps = played(sets, "gait:walk", t_s)
    lap = (t_s * speed_mps / reach_m + rng.uniform(0, 2)) % 2
    along = reach_m * (np.abs(lap - 1) - 0.5)
    towards = rng.uniform(0, 2 * np.pi)
    heading = towards + np.where(lap < 1, np.pi, 0)
    middle = complex(*rng.uniform(-2, 2, 2))
    return Actor(walk, middle + along * np.exp(1j * towards), heading)


def raises(actor: Actor, t_s: np.ndarray, rng: np.random.Generator, every_s: float) -> Actor:
    """The same person, who raises both hands for 2.5 to 5 s now and then."""
    phase = (t_s + rng.uniform(0, every_s)) % every_s
    held_s = rng.uniform(2.5, 5)
    share = np.clip(np.minimum(phase, held_s + _RAISE_S - phase) / _RAISE_S, 0, 1)[:, None, None]
    points, bent = actor.points.copy(), rng.uniform(0, 1)
    out = points[:, _SHOULDERS] - points[:, _SHOULDERS[::-1]]
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    up = np.array([0, 0, 1.0])
    upper = (1 - 0.8 * bent) * up + (0.35 + 0.6 * bent) * out
    elbow = points[:, _SHOULDERS] + _ARM_M[0] * upper / np.linalg.norm(
        upper, axis=-1, keepdims=True
    )
    lower = up + 0.1 * out
    wrist = elbow + _ARM_M[1] * lower / np.linalg.norm(lower, axis=-1, keepdims=True)
    points[:, _ELBOWS] += share * (elbow - points[:, _ELBOWS])
    points[:, _WRISTS] += share * (wrist - points[:, _WRISTS])
    return actor._replace(points=points)


def gathers(
    sets: Path, t_s: np.ndarray, rng: np.random.Generator, every_s: float, half_m: float
) -> Actor:
    """Somebody who goes into a square of the floor when all do, and out of it again."""
    walk, speed_mps = played(sets, "gait:walk", t_s + rng.uniform(0, 9))
    stand, _ = played(sets, "gait:stand", t_s)
    inner = complex(*rng.uniform(-0.85 * half_m, 0.85 * half_m, 2))
    angle = rng.uniform(0, 2 * np.pi)
    outer = (half_m * 1.5 + rng.uniform(0.3, 1.5)) * np.exp(1j * angle)
    place, heading = np.zeros(len(t_s), complex), np.zeros(len(t_s))
    at, facing, step_s = outer, angle, t_s[1] - t_s[0]
    late_s = rng.uniform(0, 3)
    for i, t in enumerate(t_s):
        goal = inner if (t - late_s) % every_s > every_s / 2 else outer
        away = goal - at
        if abs(away) > 0.1:
            facing = float(np.angle(away))
            at = at + min(speed_mps * step_s, abs(away)) * np.exp(1j * facing)
        place[i], heading[i] = at, facing
    goes = np.abs(np.gradient(place)) > 1e-6
    return Actor(np.where(goes[:, None, None], walk, stand), place, heading)


def _ways(
    t_s: np.ndarray, speed_mps: np.ndarray, half_m: float, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """Places [T] and headings [T] of somebody who turns now and then, and at the border."""
    step_s = t_s[1] - t_s[0]
    at, heading = complex(*rng.uniform(-half_m, half_m, 2)), rng.uniform(0, 2 * np.pi)
    wanted, gain = heading, 1 - np.exp(-step_s / 0.5)
    places, headings = np.zeros(len(t_s), complex), np.zeros(len(t_s))
    for t in range(len(t_s)):
        if rng.random() < step_s / _TURN_S:
            wanted = heading + rng.uniform(-2, 2)
        if max(abs(at.real), abs(at.imag)) > half_m:
            wanted = float(np.angle(-at))
        heading += gain * np.angle(np.exp(1j * (wanted - heading)))
        at = at + speed_mps[t] * step_s * np.exp(1j * heading)
        places[t], headings[t] = at, heading
    return places, headings


def _moved(actor: Actor) -> np.ndarray:
    turn = np.exp(1j * actor.heading)[:, None]
    flat = (actor.points[..., 0] + 1j * actor.points[..., 1]) * turn + actor.way[:, None]
    return np.stack((flat.real, flat.imag, actor.points[..., 2]), -1)


def _present(frames: int, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    phase = (np.arange(frames) / rate_hz + rng.uniform(0, _AWAY_EVERY_S)) % _AWAY_EVERY_S
    return np.asarray(phase >= rng.uniform(*_AWAY_S))
