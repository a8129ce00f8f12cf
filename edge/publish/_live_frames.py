"""Live frames that a connection has queued and not yet written."""

from __future__ import annotations

from typing import Dict


class LiveFrames:
    """Counts them and their bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self._sizes: Dict[int, int] = {}  # by packet number

    def __len__(self) -> int:
        return len(self._sizes)

    def sent(self, packet: int, size: int) -> None:
        """The connection has queued a packet of this many bytes."""
        self._sizes[packet] = size
        self.bytes += size

    def done(self, packet: int) -> bool:
        """The connection has written a packet; returns whether it was a live frame."""
        size = self._sizes.pop(packet, None)
        self.bytes -= size or 0
        return size is not None

    def clear(self) -> int:
        """The connection is lost; returns how many frames are lost with it."""
        left = len(self._sizes)
        self._sizes.clear()
        self.bytes = 0
        return left
