"""Shrunk copies of labelled pictures on disk, from which each training picture is cut by one warp.

They lie as JPEGs in one file that is memory-mapped, so memory stays flat and a video is decoded
once.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any, List, Sequence

import cv2
import numpy as np

from edge.durable import READABLE, new_file, write_whole
from edge.errors import DataError
from tools.progress import Progress
from tools.training.boxes.samples import Labelled
from tools.training.data import frames

FINE = 1.6  # longer side of a copy over that of the network's input
_QUALITY = 92


class Pictures:
    """Copies and their labels in px of the copy; images are read when they are asked for.

    Attributes:
        boxes: of each picture, [G,4] f32.
        ignored: of each picture, [I,4] f32.
        sizes: [N,2] width and height of the copies, px.
    """

    def __init__(self, folder: Path, name: str) -> None:
        with np.load(folder / f"{name}.npz") as table:
            self.boxes = np.split(table["boxes"], table["box_ends"][:-1])
            self.ignored = np.split(table["ignored"], table["ignored_ends"][:-1])
            self.sizes, self._offsets = table["sizes"], table["offsets"]
        data = folder / f"{name}.jpegs"
        empty = not data.stat().st_size
        self._bytes = np.zeros(0, np.uint8) if empty else np.memmap(data, np.uint8, "r")

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.sizes)

    def image(self, which: int) -> np.ndarray:
        """[H,W,3] u8 BGR."""
        coded = np.asarray(self._bytes[self._offsets[which] : self._offsets[which + 1]])
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def ensure(
    folder: Path, name: str, samples: Sequence[Labelled], input_px: int, quiet: bool = False
) -> Pictures:
    """The copies of pictures; made if they are missing or of other labels.

    Args:
        folder: where NAME.npz, NAME.jpegs and NAME.json lie.
        name: of the part.
        samples: the pictures; the copies are in the order of decoding.
        input_px: longer side of the network's input.
        quiet: show no progress.
    """
    told = folder / f"{name}.json"
    mark = {"fingerprint": fingerprint(samples, input_px), "pictures": len(samples)}
    if not told.is_file() or json.loads(told.read_text("utf-8")) != mark:
        folder.mkdir(parents=True, exist_ok=True)
        told.unlink(missing_ok=True)
        _make(folder, name, samples, input_px, quiet)
        write_whole(told, json.dumps(mark).encode(), READABLE)
    return Pictures(folder, name)


def fingerprint(samples: Sequence[Labelled], input_px: int) -> str:
    """Changes if labels, pictures or the network's input change."""
    digest = hashlib.sha256(f"{FINE} {_QUALITY} {input_px}".encode())
    for sample in samples:
        path = sample.picture.path or sample.truth.videos.get(sample.picture.sequence)
        there = path.stat() if path else None
        stamp = (there.st_size, there.st_mtime_ns) if there else ()
        digest.update(f"{sample.picture.key} {sample.recording} {stamp}".encode())
        digest.update(sample.boxes.tobytes() + sample.ignored.tobytes())
    return digest.hexdigest()


def _make(folder: Path, name: str, samples: Sequence[Labelled], side: int, quiet: bool) -> None:
    groups: dict[int, List[Labelled]] = {}
    for sample in samples:
        groups.setdefault(id(sample.truth), []).append(sample)
    boxes, ignored, sizes, offsets = [], [], [], [0]
    with new_file(folder / f"{name}.jpegs", READABLE) as out, Progress(
        f"shrinking {name}", len(samples), "pictures", quiet
    ) as bar:
        for group in groups.values():
            of = {id(s.picture): s for s in group}
            for picture, image in frames.each(group[0].truth, [s.picture for s in group]):
                small, scale = _shrunk(image, side)
                coded = _jpeg(small)
                out.write(coded)
                boxes.append(of[id(picture)].boxes * scale)
                ignored.append(of[id(picture)].ignored * scale)
                sizes.append((small.shape[1], small.shape[0]))
                offsets.append(offsets[-1] + len(coded))
                bar.update()
    arrays = {"sizes": np.array(sizes, np.int64).reshape(-1, 2), "offsets": np.array(offsets)}
    arrays.update(_rows("boxes", "box_ends", boxes))
    arrays.update(_rows("ignored", "ignored_ends", ignored))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_whole(folder / f"{name}.npz", buffer.getvalue(), READABLE)


def _rows(name: str, ends: str, parts: List[Any]) -> dict[str, Any]:
    joined = np.concatenate([np.zeros((0, 4), np.float32), *parts]).astype(np.float32)
    return {name: joined, ends: np.cumsum([len(p) for p in parts], dtype=np.int64)}


def _shrunk(image: np.ndarray, side: int) -> Any:
    scale = min(1.0, FINE * side / max(image.shape[:2]))
    if scale == 1.0:
        return image, np.ones(4, np.float32)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    factors = np.array(size, np.float32) / (image.shape[1], image.shape[0])
    return small, np.tile(factors, 2).astype(np.float32)


def _jpeg(image: np.ndarray) -> bytes:
    fine, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not fine:
        raise DataError("a picture cannot be written as JPEG")
    return bytes(coded.tobytes())
