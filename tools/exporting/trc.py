"""TRC files of marker paths, as OpenSim and Pose2Sim read them: one a person, m, y up."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Dict, List

import numpy as np

from tools.exporting.number_rows import number_rows
from tools.exporting.sight import Sight
from tools.exporting.timeline import Timeline
from tools.exporting.tracks import Tracks

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


class Writer:
    """Writes the paths of all people into a folder; a gap is filled with empty rows.

    Args:
        folder: made if it is missing.
        timeline: gives the rate.
        y_up: as of `Tracks`.
    """

    def __init__(self, folder: Path, timeline: Timeline, y_up: bool) -> None:
        self._folder, self._timeline = folder, timeline
        self._tracks = Tracks(timeline, y_up)
        self._files = RowFiles(folder, ".trc")
        self._first: Dict[str, int] = {}
        self._next: Dict[str, int] = {}

    def add(self, sight: Sight) -> None:
        """Write the rows of one frame."""
        for name, number, row in self._tracks.rows(sight):
            is_new = name not in self._first
            first = self._first.setdefault(name, number)
            empty = range(self._next.get(name, first), number)
            width = 3 * len(row)
            lines = [self._line(n, b"\t" * (width - 1)) for n in empty]
            text = number_rows(np.round(row, 7).reshape(1, -1), b"\t")[0]
            self._files.write(name, b"".join((*lines, self._line(number, text))), is_new)
            self._next[name] = number + 1

    def close(self) -> List[str]:
        """Complete the files; notes for the user."""
        self._files.close()
        for name in self._first:
            self._files.complete(name, self._header(name))
        return [f"{len(self._first)} people: {self._folder}/*.trc"]

    def _line(self, number: int, text: bytes) -> bytes:
        return f"{number + 1}\t{number / self._timeline.rate_hz:.6f}\t".encode() + text + b"\n"

    def _header(self, name: str) -> bytes:
        markers = self._tracks.paths[name].names
        rate = f"{self._timeline.rate_hz:g}"
        first, count = self._first[name], self._next[name] - self._first[name]
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
