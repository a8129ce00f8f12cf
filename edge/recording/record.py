"""Convert the people of one frame to bytes of a recording, and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Tuple

import numpy as np

from edge.errors import DataError
from edge.structures import Poses

HEAD = struct.Struct("<qqqIIIIBB")  # t_ns utc_offset_ns index width height N K, two lengths
_F32, _I64 = np.dtype("<f4"), np.dtype("<i8")


@dataclass(frozen=True)
class RecordedFrame:
    """One frame as the rules saw it."""

    camera: str
    index: int
    t_ns: int
    offset_ns: int  # UTC minus t_ns
    size: Tuple[int, int]  # width, height px
    poses: Poses


def pack(frame: RecordedFrame) -> bytes:
    """Return the payload of a `P` record: HEAD, camera and skeleton (ASCII), then the arrays.

    keypoints f32 [N,K,2], scores f32 [N,K], boxes f32 [N,4], ids i64 [N], person_scores f32 [N],
    and world f32 [N,K,4] if there is one.
    """
    poses, camera, skeleton = frame.poses, frame.camera.encode(), frame.poses.skeleton.encode()
    n, k = poses.scores.shape
    head = HEAD.pack(
        frame.t_ns, frame.offset_ns, frame.index, *frame.size, n, k, len(camera), len(skeleton)
    )
    arrays = (poses.keypoints, poses.scores, poses.boxes, poses.ids, poses.person_scores)
    world = b"" if poses.world is None else poses.world.tobytes()
    return b"".join((head, camera, skeleton, *(a.tobytes() for a in arrays), world))


def unpack(payload: bytes) -> RecordedFrame:
    """Read the payload of a `P` record; the arrays are copies.

    Raises:
        DataError: it is not such a payload.
    """
    try:
        t_ns, offset_ns, index, width, height, n, k, *names = HEAD.unpack_from(payload)
        at = HEAD.size
        camera = payload[at : at + names[0]].decode("ascii")
        skeleton = payload[at + names[0] : at + sum(names)].decode("ascii")
        at += sum(names)
        arrays = []
        for count, shape, kind in (
            (2 * n * k, (n, k, 2), _F32),
            (n * k, (n, k), _F32),
            (4 * n, (n, 4), _F32),
            (n, (n,), _I64),
            (n, (n,), _F32),
        ):
            arrays.append(np.frombuffer(payload, kind, count, at).reshape(shape).copy())
            at += count * kind.itemsize
        world = None
        if n and len(payload) - at == 16 * n * k:
            world = np.frombuffer(payload, _F32, 4 * n * k, at).reshape(n, k, 4).copy()
        elif at != len(payload):
            raise ValueError("too long")
        keypoints, scores, boxes, ids, person_scores = arrays
        poses = Poses(keypoints, scores, boxes, ids, person_scores, skeleton, world=world)
        return RecordedFrame(camera, index, t_ns, offset_ns, (width, height), poses)
    except (struct.error, ValueError, OverflowError, UnicodeDecodeError) as error:
        raise DataError(f"not a record of poses: {error}") from error
