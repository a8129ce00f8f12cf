"""One picture: solids over a backdrop, with their shadows; and who is seen at each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from tools.render.body.person import Person, Posed
from tools.render.paint import shade
from tools.render.paint.floor import darken_floor
from tools.render.paint.light import Light, shadow_map
from tools.render.paint.raster import Buffers, draw, new_buffers, to_samples
from tools.render.scene.camera import Camera

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Solid:
    """A thing that is drawn: a person or a prop, in the world."""

    vertices: np.ndarray  # [N,3] f32 m
    normals: np.ndarray  # [N,3] f32
    rest: np.ndarray  # [N,3] f32, of the patterns
    faces: np.ndarray  # [F,3] i32
    shown: np.ndarray  # [N] f32
    colour: np.ndarray  # [N,3] f32
    material: np.ndarray  # [F] i32
    materials: np.ndarray  # [M,10] f32
    two_sided: np.ndarray  # [F] bool


@dataclass(frozen=True, eq=False)
class Drawn:
    """The z-buffer of a picture, for the truth."""

    depth: np.ndarray  # [2H,2W] f32 m; FAR = nothing
    owner: np.ndarray  # [2H,2W] i16 index of the solid, NOBODY = nothing


def solid_of(person: Person, posed: Posed) -> Solid:
    """A posed person as a solid."""
    s = person.surface
    return Solid(
        posed.vertices, posed.normals, s.rest, s.faces, s.shown, s.colour, s.material,
        s.materials, s.two_sided,
    )  # fmt: skip


def paint(
    image: np.ndarray, rays: np.ndarray, camera: Camera, light: Light, solids: Sequence[Solid]
) -> Drawn:
    """Draw solids over a backdrop.

    Args:
        image: [H,W,3] u8 BGR the backdrop, written.
        rays: [H,W,3] f32 of `floor.ray_grid`, for shadows on the floor.
        camera: its size is the image's.
        light: of the scene.
        solids: people and props.
    """
    buffers = new_buffers(camera.width, camera.height)
    if not solids:
        return Drawn(buffers.depth, np.full(buffers.face.shape, NOBODY, np.int16))
    all_of = _joined(solids)
    pixels, z = camera.project(all_of.vertices)
    places, z = to_samples(pixels), z.astype(np.float32)
    draw(
        buffers.depth, buffers.face, places, z, all_of.faces, all_of.shown, all_of.two_sided, 0
    )  # fmt: skip
    shadows = shadow_map(light, all_of.vertices, all_of.faces, all_of.shown)
    darken_floor(image, rays, camera.position, shadows, light, all_of.vertices)
    scene = shade.Scene(
        places, z, all_of.vertices, all_of.rest, all_of.normals, all_of.colour, all_of.faces,
        all_of.material, all_of.materials, shade.lamp_table(light),
        camera.position.astype(np.float32), shadows.depth, shadows.matrix, shadows.soft,
    )  # fmt: skip
    shade.compose(image, buffers.face, scene)
    return Drawn(buffers.depth, _owners(buffers, solids))


def _joined(solids: Sequence[Solid]) -> Solid:
    starts = np.concatenate([[0], np.cumsum([len(s.vertices) for s in solids])])
    kinds = np.concatenate([[0], np.cumsum([len(s.materials) for s in solids])])
    faces = [s.faces + np.int32(n) for s, n in zip(solids, starts)]
    return Solid(
        np.concatenate([s.vertices for s in solids]),
        np.concatenate([s.normals for s in solids]),
        np.concatenate([s.rest for s in solids]),
        np.concatenate(faces),
        np.concatenate([s.shown for s in solids]),
        np.concatenate([s.colour for s in solids]),
        np.concatenate([s.material + np.int32(n) for s, n in zip(solids, kinds)]),
        np.concatenate([s.materials for s in solids]),
        np.concatenate([s.two_sided for s in solids]),
    )


def _owners(buffers: Buffers, solids: Sequence[Solid]) -> np.ndarray:
    """[2H,2W] i16: the solid of each sample."""
    table = np.repeat(np.arange(len(solids), dtype=np.int16), [len(s.faces) for s in solids])
    table = np.append(table, np.int16(NOBODY))  # face -1 takes the last
    return table[buffers.face]
