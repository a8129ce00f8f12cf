"""TRC files of marker paths, as OpenSim and Pose2Sim read them: one a person, m, y up."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Callable, Dict, List, Tuple

import numpy as np

from tools.exporting.number_rows import number_rows
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline
from tools.exporting.tracks import Tracks

BLOCK_ROWS = 512  # of all people together
OPEN_FILES = 64  # an hour has thousands of people; a process may have 1024 open files


class RowFiles:
    """Files that grow by rows, many at the same time."""

    def __init__(self, folder: Path, suffix: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._suffix = folder, suffix
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()

    def path(self, name: str) -> Path:
        """Where the rows of a name lie."""
        return self._folder / f".{name}{self._suffix}.rows"

    def write(self, name: str, data: bytes, is_new: bool) -> None:
        """Append; `is_new` = begin again."""
        if name not in self._open:
            if len(self._open) >= OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            self._open[name] = self.path(name).open("wb" if is_new else "ab")
        self._open.move_to_end(name)
        self._open[name].write(data)

    def close(self) -> None:
        """Close all."""
        while self._open:
            self._open.popitem()[1].close()

    def complete(self, name: str, header: bytes) -> Path:
        """Put a header before the rows; the file gets its own name."""
        path = self._folder / f"{name}{self._suffix}"
        rows = self.path(name)
        with path.open("wb") as file, rows.open("rb") as source:
            file.write(header)
            shutil.copyfileobj(source, file, 1 << 20)
        rows.unlink()
        return path


class Blocks:
    """Collects rows of each path, since a block of rows is written faster than its rows.

    Args:
        write: is called with a name, the number of its first row, rows [n,M,3] with NaN for those
            that are missing, and whether they are the first of their path.
    """

    def __init__(self, write: Callable[[str, int, np.ndarray, bool], None]) -> None:
        self._write = write
        self._waiting: Dict[str, List[Tuple[int, np.ndarray]]] = {}
        self._count = 0
        self.first: Dict[str, int] = {}
        self.next: Dict[str, int] = {}

    def add(self, name: str, number: int, row: np.ndarray) -> None:
        """Collect one row; numbers of a path rise."""
        self.first.setdefault(name, number)
        self._waiting.setdefault(name, []).append((number, row))
        self._count += 1
        if self._count >= BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        for name, rows in self._waiting.items():
            begin = self.next.get(name, rows[0][0])
            numbers = np.array([number for number, _ in rows]) - begin
            for start in range(0, int(numbers[-1]) + 1, BLOCK_ROWS):  # a gap may be hours long
                inside = (numbers >= start) & (numbers < start + BLOCK_ROWS)
                length = min(BLOCK_ROWS, int(numbers[-1]) + 1 - start)
                block = np.full((length, *rows[0][1].shape), np.nan)
                for i in np.flatnonzero(inside).tolist():
                    block[numbers[i] - start] = rows[i][1]
                self._write(name, begin + start, block, begin + start == self.first[name])
            self.next[name] = rows[-1][0] + 1
        self._waiting, self._count = {}, 0


class PathWriter:
    """Writes the paths of all people into a folder, a file each; a gap is filled with empty rows.

    Args:
        folder: made if it is missing.
        timeline: gives the rate.
        y_up: as of `Tracks`.
    """

    suffix: str  # of the files

    def __init__(self, folder: Path, timeline: Timeline, y_up: bool) -> None:
        self._folder, self._timeline = folder, timeline
        self._tracks = Tracks(timeline, y_up)
        self._files = RowFiles(folder, self.suffix)
        self._blocks = Blocks(self._write)

    def add(self, sight: Sight) -> None:
        """Write the rows of one frame."""
        for name, number, row in self._tracks.rows(sight):
            self._blocks.add(name, number, row)

    def close(self) -> List[str]:
        """Complete the files; notes for the user."""
        self._blocks.flush()
        self._files.close()
        for name in self._blocks.first:
            self._files.complete(name, self._header(name))
        return [f"{len(self._blocks.first)} people: {self._folder}/*{self.suffix}"]

    def _write(self, name: str, begin: int, rows: np.ndarray, is_new: bool) -> None:
        """Write rows of a person."""
        raise NotImplementedError

    def _header(self, name: str) -> bytes:
        """The head of a person's file."""
        raise NotImplementedError


class Writer(PathWriter):
    """Writes the paths of all people as .trc."""

    suffix = ".trc"

    def _write(self, name: str, begin: int, rows: np.ndarray, is_new: bool) -> None:
        texts = number_rows(np.round(rows, 7).reshape(len(rows), -1), b"\t")
        rate = self._timeline.rate_hz
        lines = [
            f"{n + 1}\t{n / rate:.6f}\t".encode() + text + b"\n"
            for n, text in enumerate(texts, begin)
        ]
        self._files.write(name, b"".join(lines), is_new)

    def _header(self, name: str) -> bytes:
        markers = self._tracks.paths[name].names
        rate = f"{self._timeline.rate_hz:g}"
        first = self._blocks.first[name]
        count = self._blocks.next[name] - first
        axes = "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, len(markers) + 1))
        columns = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\t"
        lines = (
            f"PathFileType\t4\t(X/Y/Z)\t{name}.trc",
            columns + "OrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
            f"{rate}\t{rate}\t{count}\t{len(markers)}\tm\t{rate}\t{first + 1}\t{count}",
            "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
            f"\t\t{axes}",
        )
        return "".join(f"{line}\n" for line in lines).encode()
