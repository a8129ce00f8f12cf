"""Runs in the machine: open a camera by its URI, read frames, print what came as one line of JSON.

python grab.py URI [FRAMES]
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any, Dict, List

from edge.capture._ring import Ring
from edge.capture._source import CaptureOptions, open_source
from edge.errors import EdgeError


class Words(logging.Handler):
    """Keeps what the source logs."""

    def __init__(self) -> None:
        super().__init__()
        self.said: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.levelname} {record.getMessage()}")


def grab(uri: str, frames: int) -> Dict[str, Any]:
    """Format, shape, memory and brightness of the last frame."""
    source = open_source(uri, CaptureOptions(timeout_s=30.0))
    ring, found = Ring(4, True), {}  # type: ignore[var-annotated]
    try:
        count = 0
        while count < frames:
            slot = source.read(ring)
            if slot is None:
                continue
            count += 1
            found = {"shape": slot.image.shape, "transfer": slot.transfer, "copies": slot.copies}
            found["spread"] = float(slot.image.std())
            ring.publish(slot)
            taken = ring.take()
            if taken is not None:
                ring.release(taken)
        picture = source.picture  # type: ignore[attr-defined]
        return {**found, "format": picture.format, "rate_hz": picture.rate_hz, "frames": count}
    finally:
        source.close()


def main() -> None:
    words = Words()
    logging.basicConfig(level=logging.INFO, handlers=[words])
    try:
        found = grab(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    except EdgeError as error:
        found = {"error": str(error)}
    print(json.dumps({**found, "said": words.said}))


if __name__ == "__main__":
    main()
