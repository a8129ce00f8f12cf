"""One person: body, face, clothes and skeleton from a seed; posed any number of times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List

import numpy as np

from tools.render.body import kernels, palette
from tools.render.body.garments import Outfit, Tailor
from tools.render.body.keypoints import BODY_VERTICES, Keypoints
from tools.render.body.mesh import AT, Mesh, load
from tools.render.body.posing import Pose, Rig
from tools.render.body.regions import FACE68, regions
from tools.render.body.surface import SKIN, Piece, Surface, compact, join, material

Draw = np.random.Generator
# Facial actions that are drawn at random; the others move the gaze or the tongue.
_ACTIONS = "browInnerUp jawOpen mouthSmileLeft mouthSmileRight mouthPucker mouthFrownLeft cheekPuff"


@dataclass(frozen=True, eq=False)
class Posed:
    """A person in a pose. N vertices of the surface; metres, in the world."""

    vertices: np.ndarray  # [N,3] f32
    normals: np.ndarray  # [N,3] f32
    keypoints: np.ndarray  # [133,3] f32


class Person:
    """A body with clothes.

    Args:
        rng: source of all choices about the person.
        child_share: how often it is a child.

    Attributes:
        traits: age, gender and build, as `Mesh.shape` takes them.
        stature: m, from the soles to the top of the head.
        surface: what is drawn.
    """

    def __init__(self, rng: Draw, child_share: float = 0.08) -> None:
        self.mesh: Mesh = load()
        child = rng.random() < child_share
        self.traits = _traits(rng, child)
        rest = self.mesh.shape(self.traits, _face(rng))
        self.stature = float(np.ptp(rest[:BODY_VERTICES, 2]))
        self.rig = Rig(self.mesh, rest)
        self._points = Keypoints(self.mesh, self.rig.heads, rest)
        outfit = Tailor(self.mesh, rest, rng).dress(self.traits["gender"], child)
        self.surface: Surface = join([*_skin(self.mesh, rest, outfit, rng), *outfit.pieces])
        self._index = self.mesh.bone_index[self.surface.source]
        self._weight = self.mesh.bone_weight[self.surface.source]

    def posed(self, pose: Pose) -> Posed:
        """The person in a pose, the mid-hip at the origin."""
        turn, shift = self.rig.bones(pose)
        vertices = np.empty_like(self.surface.rest)
        kernels.skin(vertices, self.surface.rest, self._index, self._weight, turn, shift)
        normals = np.empty_like(vertices)
        kernels.normals(normals, vertices, self.surface.faces)
        return Posed(vertices, normals, self._points.of(turn, shift))


def _traits(rng: Draw, child: bool) -> Dict[str, float]:
    age = rng.uniform(1 / 3, 0.5) if child else rng.uniform(0.6, 1.0)
    gender = float(np.clip(rng.normal(rng.random() < 0.5, 0.08), 0, 1))
    race = rng.dirichlet((0.5, 0.5, 0.5)) + 1e-3
    return {
        "age": float(age),
        "gender": gender,
        "muscle": float(np.clip(rng.normal(0.5, 0.15), 0.1, 0.95)),
        "weight": float(np.clip(rng.normal(0.52, 0.17), 0.1, 0.98)),
        "height": float(np.clip(rng.normal(0.5, 0.15), 0.1, 0.9)),
        "proportions": float(rng.uniform(0.2, 0.8)),
        **dict(zip(("african", "asian", "caucasian"), race.tolist())),
    }


def _face(rng: Draw) -> Dict[str, float]:
    names = rng.choice(_ACTIONS.split(), 2, replace=False)
    return {str(n): float(rng.random() ** 2 * (0.4 if n == "jawOpen" else 0.8)) for n in names}


def _skin(mesh: Mesh, rest: np.ndarray, outfit: Outfit, rng: Draw) -> List[Piece]:
    """Skin that no garment covers, and the eyes."""
    colour = _skin_colours(mesh, rng)
    bare = np.ones(len(rest), bool)
    for covered in outfit.covered:
        bare &= covered <= 0
    faces = mesh.faces["body"]
    kept = faces[bare[faces].any(1)]
    used, index = compact(kept, len(rest))
    look = material(SKIN, scale=140, gloss=rng.uniform(0.02, 0.12), grain=0.05)
    shown = np.ones(len(used), np.float32)
    skin = Piece(used, rest[used], index, shown, colour[used], look, False)
    return [skin, _eyes(mesh, rest, rng)]


def _skin_colours(mesh: Mesh, rng: Draw) -> np.ndarray:
    """[V,3] f32 colours of skin, lips, brows and a shaven or bearded chin."""
    tone = palette.skin(rng)
    out = np.tile(tone, (len(mesh.template), 1)).astype(np.float32)
    face = _face_parts()
    out[face["lips"]] = tone * np.array([0.62, 0.55, 0.85], np.float32)
    out[face["brows"]] = tone * 0.25
    out[face["lashes"]] *= 0.3
    if rng.random() < 0.15:
        out[face["beard"]] *= 0.35
    return out


@lru_cache(maxsize=1)
def _face_parts() -> Dict[str, np.ndarray]:
    """Vertices [n] of the lips, the brows, the lashes and a beard."""
    mesh, at = load(), regions()
    lips = _near(mesh, FACE68[48:60], 0.005) | _near(mesh, FACE68[60:], 0.004)
    v, face = mesh.template, mesh.template[FACE68]
    chin = at.on_head & (v[:, 2] < face[33, 2] - 0.008) & (v[:, 2] > face[8, 2] - 0.02)
    masks = {
        "lips": lips,
        "brows": _near(mesh, FACE68[17:27], 0.0055),
        "lashes": _near(mesh, FACE68[36:48], 0.0032),
        "beard": chin & ~lips & (v[:, 0] > 0.04),
    }
    return {name: np.nonzero(mask)[0] for name, mask in masks.items()}


def _near(mesh: Mesh, points: np.ndarray, within_m: float) -> np.ndarray:
    """[V] bool: vertices of the head near some of them, or between two neighbours."""
    v = mesh.template
    at = v[points]
    places = np.concatenate([at, (at[1:] + at[:-1]) / 2])
    head = np.nonzero(regions().on_head)[0]
    gap = np.linalg.norm(v[head][:, None] - places, axis=2).min(1)
    out = np.zeros(len(v), bool)
    out[head[gap < within_m]] = True
    return out


def _eyes(mesh: Mesh, rest: np.ndarray, rng: Draw) -> Piece:
    faces = mesh.faces["eyes"]
    used, index = compact(faces, len(rest))
    v = mesh.template[used]
    heads = mesh.heads(mesh.template)
    centre = np.where(v[:, 1:2] > 0, heads[AT["eye.L"]], heads[AT["eye.R"]])
    ahead = (v - centre)[:, 0] / np.linalg.norm(v - centre, axis=1)
    white = palette.linear((235, 232, 228))
    iris = palette.linear(((70, 45, 30), (60, 80, 60), (70, 100, 130))[rng.integers(3)])
    colour = np.where(ahead[:, None] > 0.86, iris, white)
    colour = np.where(ahead[:, None] > 0.97, iris * 0.1, colour)
    look = material(gloss=0.4)
    shown = np.ones(len(used), np.float32)
    return Piece(used, rest[used], index, shown, colour, look, False)
