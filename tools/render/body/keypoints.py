"""The 133 COCO-WholeBody points of a posed body, in space.

Body and feet are the means of vertices that anny's regressors give. Faces are vertices. Hands are
the heads of the finger bones, and one vertex at each finger tip.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Tuple

import numpy as np

from tools.render.body import kernels
from tools.render.body.build import BONES
from tools.render.body.mesh import AT, Mesh, load
from tools.render.body.regions import FACE68

COUNT = 133
BODY_VERTICES = 13380  # the first of the mesh: skin; then come eyes, clothes and others
BODY, FACE, HANDS = slice(0, 23), slice(23, 91), slice(91, 133)
_LEAST = 2e-4  # regressor weights below this are left out


@lru_cache(maxsize=1)
def _sparse() -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices that are needed [n], and the dense weights [23,n] and rows of the other points."""
    mesh = load()
    weight = np.where(mesh.regressors > _LEAST, mesh.regressors, 0)
    weight /= weight.sum(1, keepdims=True)
    used = np.nonzero(weight.any(0))[0]
    direct = np.concatenate([FACE68, _tips(mesh)])
    return used.astype(np.int32), weight[:, used].astype(np.float32), direct.astype(np.int32)


def _tips(mesh: Mesh) -> np.ndarray:
    """[10] vertex at the tip of each finger: thumb to little finger, left hand first."""
    v, heads = mesh.template, mesh.heads(mesh.template)
    out = []
    for side in "LR":
        for finger in range(1, 6):
            last, before = (heads[AT[f"finger{finger}-{b}.{side}"]] for b in (3, 2))
            bone = AT[f"finger{finger}-3.{side}"]
            own = np.nonzero(mesh.bone_index[:BODY_VERTICES, 0] == bone)[0]
            out.append(own[np.argmax((v[own] - last) @ (last - before))])
    return np.array(out)


def _hand_bones() -> np.ndarray:
    """[42] bone of each point of both hands; -1 for a tip."""
    rows = []
    for side in "LR":
        rows.append(AT[f"wrist.{side}"])
        for finger in range(1, 6):
            rows += [AT[f"finger{finger}-{b}.{side}"] for b in (1, 2, 3)] + [-1]
    return np.array(rows)


class Keypoints:
    """The keypoints of one person.

    Args:
        mesh: the body.
        heads: [B,3] of the bones in the rest pose.
        rest: [V,3] f32 the person in the rest pose.
    """

    def __init__(self, mesh: Mesh, heads: np.ndarray, rest: np.ndarray) -> None:
        used, self._weight, direct = _sparse()
        rows = np.concatenate([used, direct])
        self._rest = rest[rows]
        self._index, self._bone_weight = mesh.bone_index[rows], mesh.bone_weight[rows]
        self._heads = heads.astype(np.float32)
        self._used = len(used)
        self._bones = _hand_bones()
        assert len(heads) == len(BONES)

    def of(self, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """[133,3] f32 of a pose, from the bones of `Rig.bones`."""
        moved = np.empty_like(self._rest)
        kernels.skin(moved, self._rest, self._index, self._bone_weight, turn, shift)
        out = np.empty((COUNT, 3), np.float32)
        out[BODY] = self._weight @ moved[: self._used]
        out[FACE] = moved[self._used : self._used + 68]
        joints = np.einsum("bij,bj->bi", turn, self._heads) + shift
        hands = joints[self._bones]
        hands[self._bones < 0] = moved[self._used + 68 :]
        out[HANDS] = hands
        return out
