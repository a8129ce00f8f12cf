"""Wide crops of people on disk, from which every training crop is cut by one warp.

A crop is a JPEG in one file that is memory-mapped, so memory stays flat however many people are
labelled, and a video is decoded once.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from edge.durable import READABLE, new_file, write_whole
from edge.errors import DataError
from tools.progress import Progress
from tools.training.data import frames
from tools.training.data.samples import Sample, by_picture

WIDE = 2.6  # side over the longer side of the person's box
_FINE = 1.2  # px of the crop over those that the network would see of the box
_QUALITY = 94
_NAMES = ("points", "boxes", "matrices", "sizes", "offsets")


class Crops:
    """Wide crops and their labels; images are read when they are asked for.

    Attributes:
        points: [N,T,3] f32 x y px of the frame, visibility.
        boxes: [N,4] f32 px of the frame.
        matrices: [N,2,3] f64 from px of the frame to px of the crop.
        sizes: [N,2] f32 width and height of the frame, px.
    """

    def __init__(self, folder: Path, name: str) -> None:
        with np.load(folder / f"{name}.npz") as table:
            arrays = [table[n] for n in _NAMES]
        self.points, self.boxes, self.matrices, self.sizes, self._offsets = arrays
        data = folder / f"{name}.jpegs"
        empty = not data.stat().st_size
        self._bytes = np.zeros(0, np.uint8) if empty else np.memmap(data, np.uint8, "r")

    def __len__(self) -> int:
        """The number of crops, N."""
        return len(self.points)

    def image(self, which: int) -> np.ndarray:
        """[H,W,3] u8 BGR."""
        coded = np.asarray(self._bytes[self._offsets[which] : self._offsets[which + 1]])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def ensure(
    folder: Path, name: str, samples: Sequence[Sample], input_px: int, quiet: bool = False
) -> Crops:
    """The crops of samples; made if they are missing or of other labels.

    Args:
        folder: where NAME.npz, NAME.jpegs and NAME.json lie.
        name: of the part.
        samples: of the people; the crops are in the order of decoding.
        input_px: longer side of the network's input.
        quiet: show no progress.

    Raises:
        EdgeError: a picture cannot be read.
    """
    told = folder / f"{name}.json"
    mark = {"fingerprint": fingerprint(samples, input_px), "people": len(samples)}
    if not told.is_file() or json.loads(told.read_text("utf-8")) != mark:
        folder.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        _make(folder, name, samples, input_px, quiet)
        write_whole(told, json.dumps(mark).encode(), READABLE)
    return Crops(folder, name)


def fingerprint(samples: Sequence[Sample], input_px: int) -> str:
    """Changes if labels, pictures or the network's input change."""
    digest = hashlib.sha256(f"{WIDE} {_FINE} {_QUALITY} {input_px}".encode())
    for sample in samples:
        path = sample.picture.path or sample.truth.videos.get(sample.picture.sequence)
        there = path.stat() if path else None
        stamp = (there.st_size, there.st_mtime_ns) if there else ()
        digest.update(f"{sample.picture.key} {sample.recording} {stamp}".encode())
        digest.update(sample.points.tobytes() + sample.box.tobytes())
    return digest.hexdigest()


def _make(folder: Path, name: str, samples: Sequence[Sample], input_px: int, quiet: bool) -> None:
    rows: List[Tuple[Any, ...]] = []
    groups: Dict[int, List[Tuple[Any, List[Sample]]]] = {}
    truths = {id(s.truth): s.truth for s in samples}
    for truth, picture, people in by_picture(samples):
        groups.setdefault(id(truth), []).append((picture, people))
    offset = 0
    with new_file(folder / f"{name}.jpegs", READABLE) as out, Progress(
        f"cutting out {name}", len(samples), "people", quiet
    ) as bar:
        for key, group in groups.items():
            people_of = {id(picture): people for picture, people in group}
            for picture, image in frames.each(truths[key], [p for p, _ in group]):
                for sample in people_of[id(picture)]:
                    matrix, coded = _crop(image, sample.box, input_px)
                    out.write(coded)
                    size = (image.shape[1], image.shape[0])
                    rows.append((sample.points, sample.box, matrix, size, offset))
                    offset += len(coded)
                    bar.update()
    arrays = [np.array([r[i] for r in rows]) for i in range(4)]
    arrays[3] = arrays[3].astype(np.float32)
    arrays.append(np.array([r[4] for r in rows] + [offset], np.int64))
    buffer = io.BytesIO()
    named: Dict[str, Any] = dict(zip(_NAMES, arrays))
    np.savez(buffer, **named)
    write_whole(folder / f"{name}.npz", buffer.getvalue(), READABLE)


def _crop(image: np.ndarray, box: np.ndarray, input_px: int) -> Tuple[np.ndarray, bytes]:
    """A wide crop as JPEG, and the matrix [2,3] from px of the frame to its px."""
    long = max(float((box[2:] - box[:2]).max()), 8.0)
    scale = min(1.0, _FINE * input_px / (1.25 * long))
    side = math.ceil(WIDE * long * scale)
    corner = (box[:2] + box[2:]) / 2 - WIDE * long / 2
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    if scale < 0.5:  # warpAffine knows no area mean: halve first
        less = 2.0 ** math.floor(math.log2(1 / scale))
        image = np.asarray(cv2.resize(image, None, fx=1 / less, fy=1 / less, interpolation=how))
        moved = matrix @ np.array([[less, 0, (less - 1) / 2], [0, less, (less - 1) / 2], [0, 0, 1]])
    else:
        moved = matrix
    crop = cv2.warpAffine(image, moved, (side, side), flags=cv2.INTER_LINEAR)
    fine, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not fine:
        raise DataError("a crop cannot be written as JPEG")
    return matrix, coded.tobytes()
