"""The drawn surface of one person: skin, eyes, hair and clothes as one mesh with colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np

# Materials by number; a row of `Surface.materials` says how its pixels look.
PLAIN, STRIPES, BANDS, CHECKS, MOTTLED, PRINT, SKIN, HAIR, WOOD = range(9)
FIELDS = 10  # pattern, scale (1/m), colour 2 (3), share, fold depth, fold scale (1/m), gloss, grain


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a surface: skin, or one garment. N vertices, F faces."""

    source: np.ndarray  # [N] i32 vertices of the body's mesh that it moves with
    rest: np.ndarray  # [N,3] f32 m, in the rest pose
    faces: np.ndarray  # [F,3] i32
    shown: np.ndarray  # [N] f32; it ends where this is 0
    colour: np.ndarray  # [N,3] f32 albedo 0..1, linear, BGR
    material: np.ndarray  # [FIELDS] f32
    two_sided: bool


@dataclass(frozen=True, eq=False)
class Surface:
    """All pieces of one person, joined."""

    source: np.ndarray  # [N] i32
    rest: np.ndarray  # [N,3] f32
    faces: np.ndarray  # [F,3] i32
    shown: np.ndarray  # [N] f32
    colour: np.ndarray  # [N,3] f32
    material: np.ndarray  # [F] i32 row of `materials`
    materials: np.ndarray  # [M,FIELDS] f32
    two_sided: np.ndarray  # [F] bool


def material(
    pattern: int = PLAIN,
    scale: float = 20.0,
    colour2: Sequence[float] = (0.0, 0.0, 0.0),
    share: float = 0.5,
    fold: float = 0.0,
    fold_scale: float = 25.0,
    gloss: float = 0.0,
    grain: float = 0.0,
) -> np.ndarray:
    """A row of `Surface.materials`."""
    return np.array([pattern, scale, *colour2, share, fold, fold_scale, gloss, grain], np.float32)


def join(pieces: List[Piece]) -> Surface:
    """One surface of several pieces."""
    starts = np.concatenate([[0], np.cumsum([len(p.source) for p in pieces])])
    counts = [len(p.faces) for p in pieces]
    return Surface(
        np.concatenate([p.source for p in pieces]).astype(np.int32),
        np.concatenate([p.rest for p in pieces]).astype(np.float32),
        np.concatenate([p.faces + s for p, s in zip(pieces, starts)]).astype(np.int32),
        np.concatenate([p.shown for p in pieces]).astype(np.float32),
        np.concatenate([p.colour for p in pieces]).astype(np.float32),
        np.repeat(np.arange(len(pieces)), counts).astype(np.int32),
        np.stack([p.material for p in pieces]),
        np.repeat([p.two_sided for p in pieces], counts),
    )


def compact(faces: np.ndarray, count: int) -> Tuple[np.ndarray, np.ndarray]:
    """The vertices that faces use, in order, and the faces in numbers of these.

    Args:
        faces: [F,3] i32 of `count` vertices.
        count: of all vertices.

    Returns:
        [N] vertices, [F,3] faces. It is `np.unique(..., return_inverse=True)` without its sort.
    """
    mask = np.zeros(count, bool)
    mask[faces] = True
    return np.nonzero(mask)[0], (np.cumsum(mask) - 1)[faces]


def piece_of(
    faces: np.ndarray,
    rest: np.ndarray,
    offset: np.ndarray,
    shown: np.ndarray,
    colour: np.ndarray,
    look: np.ndarray,
    two_sided: bool = True,
) -> Piece:
    """A piece of the faces of a mesh that are shown, with its own vertices.

    Args:
        faces: [F,3] i32 of the body's mesh.
        rest: [V,3] f32 the person in the rest pose.
        offset: [V,3] f32 m from the body.
        shown: [V] f32.
        colour: [3] or [V,3] f32.
        look: a material.
        two_sided: whether its inside is drawn.
    """
    kept = faces[(shown[faces] > 0).any(1)]
    used, index = compact(kept, len(rest))
    tint = np.broadcast_to(np.asarray(colour, np.float32), (len(rest), 3))
    return Piece(
        used,
        rest[used] + offset[used],
        index,
        shown[used],
        tint[used],
        look,
        two_sided,
    )
