"""How much of a network's input never shows anything: grey bars, computed like all the rest."""

from __future__ import annotations

import logging
from typing import Sequence

from edge.recipe import Network
from edge.structures import Frame

LOG = logging.getLogger(__name__)
LOOKS = 100  # after so many every camera has been among them
_STEP_PX = 32  # the coarsest map of detectors and one-stage models
_WORTH = 0.75  # share of the input from which on nobody is bothered


class Bars:
    """Sees what an input is filled with, and says once which size would do."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._size = (network.width, network.height)
        self._looks = 0
        self._wide = self._high = 0.0

    def note(self, frames: Sequence[Frame]) -> None:
        """Frames that are fitted into the input."""
        if not frames or self._looks >= LOOKS:
            return
        self._looks += 1
        for width, height in (frame.size for frame in frames):
            ratio = min(self._size[0] / width, self._size[1] / height)
            self._wide = max(self._wide, width * ratio)
            self._high = max(self._high, height * ratio)
        if self._looks == LOOKS:
            self._tell()

    def _tell(self) -> None:
        width, height = (-(-int(n) // _STEP_PX) * _STEP_PX for n in (self._wide, self._high))
        share = width * height / (self._size[0] * self._size[1])
        if share < _WORTH:
            LOG.info(
                "%s: these cameras' pictures fill %d x %d px of an input of %d x %d; a model of "
                "that size sees the same in %.2f of the work (README, Models)",
                self._network.file,
                width,
                height,
                *self._size,
                share,
            )
