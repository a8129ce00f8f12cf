"""Where each vertex lies on the body: along the arms, legs and trunk, and on the head.

Clothes and hair end at a value of these coordinates. They are those of the average body, so a hem
lies at the same place on everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tools.render.body.build import BONES
from tools.render.body.mesh import AT, Mesh, load

# Base mesh vertices of the 68 points of a face, found once by the face network on a frontal render.
FACE68 = np.array(
    [5195, 5185, 5179, 5205, 735, 5298, 3698, 914, 747, 7616, 10366, 7595, 11850, 7574]
    + [11707, 12360, 11846, 261, 225, 224, 204, 208, 6983, 6980, 6998, 6999, 7030, 126, 125]
    + [290, 5052, 288, 359, 342, 7077, 7055, 20, 7, 4847, 6769, 1070, 1067, 11487, 6838, 6790]
    + [6809, 13372, 13368, 368, 447, 457, 464, 7220, 11953, 11942, 7239, 7245, 496, 490, 484]
    + [412, 453, 474, 7213, 7172, 7226, 523, 5360]
)
_ARM = ("upperarm", "lowerarm", "wrist", "finger")
_HEAD = ("head", "neck", "eye")


@dataclass(frozen=True, eq=False)
class Regions:
    """Coordinates [V] f32 of the vertices."""

    arm: np.ndarray  # 0 shoulder, 1 elbow, 2 wrist; -1 elsewhere
    leg: np.ndarray  # 0 hip, 1 knee, 2 ankle, above 2 the foot; negative above the hip
    trunk: np.ndarray  # 0 hip, 1 shoulder
    scalp: np.ndarray  # m above the hairline; -1 off the head
    on_arm: np.ndarray  # bool
    on_head: np.ndarray  # bool
    normals: np.ndarray  # [V,3] f32 of the tights, skirt and body in the rest pose


@lru_cache(maxsize=1)
def regions() -> Regions:
    """The coordinates of the body's vertices."""
    mesh = load()
    v, heads = mesh.template, mesh.heads(mesh.template)
    bone = mesh.bone_index[:, 0]
    names = np.array([n.split(".")[0] for n in BONES])
    on_arm = np.array([n.startswith(_ARM) for n in names])[bone]
    on_head = np.array([n.startswith(_HEAD) for n in names])[bone]
    joints = [heads[AT[f"{n}.L"]] for n in ("upperarm01", "lowerarm01", "wrist")]
    arm = np.interp(np.abs(v[:, 1]), [j[1] for j in joints], [0, 1, 2])
    arm += np.maximum(np.abs(v[:, 1]) - joints[2][1], 0) * 10
    arm -= np.maximum(joints[0][1] - np.abs(v[:, 1]), 0) * 5
    legs = [heads[AT[f"{n}.L"]][2] for n in ("upperleg01", "lowerleg01", "foot")]
    span = legs[0] - legs[1]
    leg = np.interp(
        -v[:, 2], [-legs[0] - 1, -legs[0], -legs[1], -legs[2], 1], [-1 / span, 0, 1, 2, 4]
    )
    trunk = (v[:, 2] - legs[0]) / (joints[0][2] - legs[0])
    return Regions(
        np.where(on_arm, arm, -1).astype(np.float32),
        leg.astype(np.float32),
        trunk.astype(np.float32),
        np.where(on_head, _scalp(v, heads), -1).astype(np.float32),
        on_arm,
        on_head,
        _rest_normals(mesh),
    )


def _scalp(v: np.ndarray, heads: np.ndarray) -> np.ndarray:
    """Height above a hairline that falls from the forehead over the ears to the nape."""
    eye = heads[AT["eye.L"]]
    line = np.interp(
        v[:, 0] - eye[0],
        [-0.20, -0.14, -0.105, -0.095, -0.06, -0.03, 0.005, 0.03],
        [-0.09, -0.075, -0.035, 0.0, 0.012, 0.052, 0.066, 0.062],
    )
    return v[:, 2] - eye[2] - line


def _rest_normals(mesh: Mesh) -> np.ndarray:
    from tools.render.body.kernels import normals

    out, one = np.zeros_like(mesh.template), np.zeros_like(mesh.template)
    for name in ("body", "tights", "skirt", "hair", "eyes"):
        normals(one, mesh.template, mesh.faces[name])
        out += one
    return out
