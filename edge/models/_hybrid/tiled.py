"""Looks for people with a one-stage network: in whole frames, and in tiles where they pay."""

from __future__ import annotations

import time
from typing import Dict, List, Mapping, Optional, Sequence

from edge.models import ModelOptions
from edge.models._hybrid.density import Density, Sight, mean_of
from edge.models._hybrid.tiles import ZOOMS, Windows, count, whole
from edge.models._onestage import OneStage
from edge.structures import Detections, Frame, Poses


class TiledPeople:
    """The people of frames; the whole frames of all cameras and their tiles are one batch.

    For each look call `begin` and `finish`, then `choose` with what was found in the end.
    """

    def __init__(self, people: OneStage, options: ModelOptions) -> None:
        self._people = people
        self._options = options
        self._densities: Dict[str, Density] = {}
        self._looked: List[Density] = []  # of the frames of this look
        self._levels: List[int] = []  # that they had
        self._windows: Optional[Windows] = None  # None = whole frames only
        self._began_ns = 0
        self._crop_ms = 0.0

    def begin(self, frames: Sequence[Frame]) -> None:
        """Begin to look at frames."""
        self._began_ns = time.process_time_ns()
        self._looked = [
            Density() if f.still else self._densities.setdefault(f.camera, Density())
            for f in frames
        ]
        self._begin(frames)

    def again(self, frames: Sequence[Frame], rows: Sequence[int]) -> None:
        """Begin to look once more at the frames of these rows, each at its camera's level."""
        self._looked = [self._looked[i] for i in rows]
        self._begin([frames[i] for i in rows])

    def finish(self, frames: Sequence[Frame]) -> List[Poses]:
        """The people of the frames that were begun, each once."""
        windows = self._windows
        if windows is None:
            return self._people.finish(frames)
        crops = self._people.finish_crops()
        return [
            whole(crops.take(windows.which[crops.crop] == i), windows, f.size, self._options)
            for i, f in enumerate(frames)
        ]

    def choose(self, frames: Sequence[Frame], found: Sequence[Detections]) -> List[int]:
        """Choose how to look at these cameras next.

        Args:
            frames: of this look.
            found: all people that were found in them.

        Returns:
            The rows of frames that should be looked at `again` now: the first of their camera, if
            they show a crowd. The next look of a known camera is soon enough.
        """
        self._time(len(frames))
        network, again = self._people.network, []
        for row, (frame, density) in enumerate(zip(frames, self._looked)):
            counts = [count(frame.size, network, level) for level in range(len(ZOOMS))]
            scale = min(network.width / frame.size[0], network.height / frame.size[1])
            first = not density.begun
            sight = Sight.of(found[row], scale)
            density.update(sight, frame.t_ns, counts, self._crop_ms, self._options.crowd)
            if first and density.level > self._levels[row]:
                density.begun = False
                again.append(row)
        return again

    def report(self) -> Mapping[str, Mapping[str, int]]:
        """Tiles of each camera's frames, and how often their number has changed."""
        densities = list(self._densities.items())
        return {
            "tiles": {name: density.tiles for name, density in densities},
            "tile_changes": {name: density.changes for name, density in densities},
        }

    def _begin(self, frames: Sequence[Frame]) -> None:
        self._levels = [density.level for density in self._looked]
        if any(self._levels):
            self._windows = Windows.of(frames, self._levels, self._people.network)
            self._people.begin_crops(frames, self._windows.which, self._windows.matrices)
        else:
            self._windows = None
            self._people.begin(frames)

    def _time(self, frames: int) -> None:
        """Learn the cost of a crop: time of the processor, which other programs do not change."""
        crops = frames if self._windows is None else len(self._windows.which)
        now_ns = time.process_time_ns()
        self._crop_ms = mean_of(self._crop_ms, (now_ns - self._began_ns) * 1e-6 / max(crops, 1))
        self._began_ns = now_ns
