"""Measures how much of a network's input is letterbox bars, which cost as much as the picture."""

from __future__ import annotations

import logging
from typing import Sequence

from edge.recipe import Network
from edge.structures import Frame

LOG = logging.getLogger(__name__)
LOOKS = 100  # batches after which every camera has had a frame
_STEP_PX = 32  # the coarsest map of detectors and one-stage models
_WORTH = 0.75  # log only if the pictures need less than this share of the input


class Bars:
    """Notes how frames fill an input, and logs once if a smaller input would do."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._size = (network.width, network.height)
        self._looks = 0
        self._wide = self._high = 0.0

    def note(self, frames: Sequence[Frame]) -> None:
        """Note frames that are fitted into the input."""
        if not frames or self._looks >= LOOKS:
            return
        self._looks += 1
        for width, height in (frame.size for frame in frames):
            ratio = min(self._size[0] / width, self._size[1] / height)
            self._wide = max(self._wide, width * ratio)
            self._high = max(self._high, height * ratio)
        if self._looks == LOOKS:
            self._log()

    def _log(self) -> None:
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
