"""Clothes, shoes and hair with silhouettes of their own.

Clothes are made of the closed shell ("tights"), the skirt and the hair strands of the base mesh.
They are pushed off the body by an ease that grows towards the hems, with folds, and end at a line
between two vertices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List

import numpy as np

from tools.render.body.mesh import Mesh
from tools.render.body.palette import cloth, dark, hair_colour, pattern
from tools.render.body.regions import Regions, regions
from tools.render.body.surface import HAIR, Piece, material, piece_of

Draw = np.random.Generator
_UNDER = 0.25  # legs are drawn so far up below the hem of a skirt, in shares of a limb
OPEN = 0.02  # skin further inside a garment than this share of a limb is not drawn


@dataclass
class Outfit:
    """The clothes of one person."""

    pieces: List[Piece] = field(default_factory=list)
    covered: List[np.ndarray] = field(default_factory=list)  # [V] f32; above 0: under a garment

    def put_on(self, piece: Piece, shown: np.ndarray) -> None:
        """Add a garment, and note where it covers the body."""
        self.pieces.append(piece)
        self.covered.append(shown - OPEN)


class Tailor:
    """Makes the clothes of one person.

    Args:
        mesh: the body.
        rest: [V,3] f32 the person in the rest pose.
        rng: source of all choices.
    """

    def __init__(self, mesh: Mesh, rest: np.ndarray, rng: Draw) -> None:
        self.mesh, self.rest, self.rng = mesh, rest, rng
        self.at: Regions = regions()
        self.outfit = Outfit()

    def dress(self, female: float, child: bool) -> Outfit:
        """Clothes for one person: a bottom, a top, shoes and hair."""
        skirt = self.rng.random() < 0.3 * female
        top_colour = cloth(self.rng)
        if skirt:
            self._skirt(top_colour if self.rng.random() < 0.4 else cloth(self.rng))
        else:
            self._trousers(child)
        self._top(top_colour, tucked=skirt)
        self._shoes()
        self._hair(female)
        return self.outfit

    def _folds(self, depth_m: float) -> np.ndarray:
        """[V] f32 m: a smooth random field, positive."""
        waves = self.rng.normal(size=(3, 3)) * self.rng.uniform(6, 16)
        phase = self.rng.uniform(0, 2 * np.pi, 3)
        wave = np.sin(self.mesh.template @ waves.T.astype(np.float32) + phase).mean(1)
        return ((0.5 + 0.5 * wave) * depth_m).astype(np.float32)

    def _garment(self, mesh: str, ease: np.ndarray, shown: np.ndarray, colour: np.ndarray) -> None:
        offset = self.at.normals * ease[:, None].astype(np.float32)
        look = pattern(self.rng, colour)
        self.outfit.put_on(
            piece_of(self.mesh.faces[mesh], self.rest, offset, shown, colour, look), shown
        )

    def _trousers(self, child: bool) -> None:
        at, rng = self.at, self.rng
        kind = rng.choice(4, p=[0.55, 0.2, 0.15, 0.1] if not child else [0.4, 0.35, 0.2, 0.05])
        end = (1.93, rng.uniform(0.55, 1.05), 1.95, 1.9)[kind]  # long, shorts, leggings, wide
        loose = (rng.uniform(0.006, 0.02), rng.uniform(0.012, 0.03), 0.003, 0.03)[kind]
        flare = np.clip(at.leg, 0, 2) * (0.004, 0.012, 0.0, 0.018)[kind]
        shown = np.minimum(end - at.leg, (0.16 - at.trunk) * 4)
        shown = np.where(at.on_arm, -1, shown)
        low = np.clip(at.leg + 0.15, 0, 1)  # close to the body where a top hangs over it
        ease = 0.003 + low * loose + flare + self._folds(loose * 0.7) * np.minimum(low * 3, 1)
        self._garment("tights", ease, shown, cloth(rng, legs=True))

    def _skirt(self, colour: np.ndarray) -> None:
        at, rng = self.at, self.rng
        end = rng.uniform(0.5, 1.7)
        if rng.random() < 0.5:  # stockings
            below = np.where(at.on_arm, -1, np.minimum(1.97 - at.leg, at.leg - end + _UNDER))
            self._garment("tights", np.full(len(at.leg), 0.002), below, dark(rng))
        flare = np.clip(at.leg + 0.2, 0, 2) * rng.uniform(0.01, 0.07)
        shown = np.minimum(end - at.leg, (0.2 - at.trunk) * 4)
        self._garment("skirt", 0.006 + flare + self._folds(0.02), shown, colour)
        self.outfit.covered[-1] = np.where(at.on_arm, -1, np.minimum(shown, end - _UNDER - at.leg))

    def _top(self, colour: np.ndarray, tucked: bool) -> None:
        at, rng = self.at, self.rng
        kind = rng.choice(4, p=[0.42, 0.28, 0.22, 0.08])  # short sleeves, long, jacket, none
        sleeve = (rng.uniform(0.4, 0.85), rng.uniform(1.85, 1.97), 1.96, 0.02)[kind]
        loose = (
            rng.uniform(0.006, 0.022),
            rng.uniform(0.005, 0.02),
            rng.uniform(0.02, 0.036),
            0.006,
        )
        hem = rng.uniform(-0.22, 0.1) if kind != 2 else rng.uniform(-0.35, 0.0)
        hang = np.clip(0.5 - at.trunk, 0, 0.8) * rng.uniform(0.01, 0.035)
        if tucked:
            hem, hang = 0.08, np.zeros_like(hang)
        arms = np.where(at.on_arm, np.clip(at.arm, 0, 1) * loose[kind] * 0.8, hang)
        shown = np.where(at.on_arm, sleeve - at.arm, (at.trunk - hem) * 3)
        neck = (rng.uniform(1.05, 1.19) - at.trunk) * 3
        shown = np.minimum(shown, np.where(at.on_arm, 9, neck))
        if kind == 3:
            strap = np.where(at.trunk > 0.7, 5 * (0.145 - np.abs(self._side())), 9)
            edge = np.where(at.on_arm, -0.15 - at.arm, strap)
            shown = np.minimum(np.where(at.on_arm, 9, shown), edge)
        ease = 0.007 + loose[kind] * 0.6 + arms + self._folds(loose[kind] * 0.6)
        if tucked:  # below the waist of a skirt
            ease = ease * np.where(at.on_arm, 1, np.clip((at.trunk - 0.15) * 5, 0.2, 1))
        self._garment("tights", ease, shown, colour)

    def _side(self) -> np.ndarray:
        return self.mesh.template[:, 1]

    def _shoes(self) -> None:
        at, rng = self.at, self.rng
        if rng.random() < 0.05:
            return  # barefoot
        top = rng.choice([2.0, 2.12, 1.75, 2.3], p=[0.4, 0.35, 0.1, 0.15])
        shown = np.where(at.on_arm, -1, at.leg - top).astype(np.float32)
        normal = at.normals
        sole_m = rng.uniform(0.008, 0.03)
        offset = normal * np.float32(rng.uniform(0.004, 0.009))
        foot = np.clip((at.leg - 2.2) * 3, 0, 1)
        offset[:, 2] -= (foot * np.clip(-normal[:, 2], 0, 1) * sole_m).astype(np.float32)
        front = np.clip((self.mesh.template[:, 0] - 0.1) * 8, 0, 1) * foot
        offset[:, 0] += (front * rng.uniform(0, 0.012)).astype(np.float32)
        colour = dark(rng) if rng.random() < 0.6 else cloth(rng)
        self.outfit.put_on(
            piece_of(
                self.mesh.faces["tights"],
                self.rest,
                offset,
                shown,
                _soled(colour, self.rest, at.leg, rng),
                material(gloss=rng.uniform(0.0, 0.3)),
            ),
            shown,
        )

    def _hair(self, female: float) -> None:
        at, rng = self.at, self.rng
        if rng.random() < 0.08 * (1 - female):
            return  # bald
        colour = hair_colour(rng)
        long = rng.random() < 0.15 + 0.5 * female
        hat = rng.random() < 0.08
        depth = rng.uniform(0.004, 0.03) if not hat else rng.uniform(0.012, 0.02)
        line = at.scalp + rng.uniform(-0.012, 0.008)
        full = np.clip(line / 0.05, 0, 1)
        ease = 0.003 + full * depth + (self._folds(0.012) * full if not hat else 0)
        offset = at.normals * ease[:, None].astype(np.float32)
        look = material(HAIR, scale=90, share=0.5, gloss=0.15, grain=0.35)
        if hat:
            look, tint = material(fold=0.2), cloth(rng)
        self.outfit.pieces.append(
            piece_of(
                self.mesh.faces["body"], self.rest, offset, line, tint if hat else colour, look
            )
        )
        if long:
            self._strands(colour, look)

    def _strands(self, colour: np.ndarray, look: np.ndarray) -> None:
        low = self.rng.uniform(-0.25, 0.12)  # m below the eyes
        z = self.mesh.template[:, 2]
        offset = self.at.normals * np.float32(self.rng.uniform(0.004, 0.012))
        away = self.mesh.template[:, :2] - [[0.02, 0.0]]  # from the neck, over the clothes
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
        offset[:, :2] += (away * np.clip((0.68 - z) / 0.15, 0, 1)[:, None] * 0.035).astype(
            np.float32
        )
        face = (self.mesh.template[:, 0] > 0.06) & (z < 0.80)
        shown = np.where(face, -1, z - (0.73 + low - 0.25)).astype(np.float32)
        self.outfit.pieces.append(
            piece_of(self.mesh.faces["hair"], self.rest, offset, shown, colour, look)
        )


def _soled(colour: np.ndarray, rest: np.ndarray, leg: np.ndarray, rng: Draw) -> np.ndarray:
    """Colours of shoes with a sole."""
    out = np.tile(colour, (len(rest), 1)).astype(np.float32)
    low = (leg > 2) & (rest[:, 2] < rest[leg > 2, 2].min() + 0.015)
    out[low] = rng.uniform(0.02, 0.8)
    return out
