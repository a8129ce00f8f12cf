"""The highest version that was ever confirmed, in a second file.

state.json has it too. But it may be damaged, removed, or come back from an old backup; then an
older bundle, which the operator signed and whose faults are known, would be new again. So the floor
has a second witness beside the folder of the bundles, and a third one in the signed manifests of
the slots.
"""

from __future__ import annotations

import json
import logging
import zlib
from pathlib import Path
from typing import Iterable, Optional

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge import durable
from edge.bundle.file import signed_version
from edge.errors import EdgeError
from edge.keys.trust import MANIFEST, MAX_MANIFEST_BYTES, SIGNATURE, read_once

log = logging.getLogger(__name__)


class Floor:
    """The second witness.

    Args:
        folder: of the bundles; the file is beside it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder.with_name(f"{folder.name}.floor")

    def read(self) -> Optional[int]:
        """Return the floor; None = the file is missing or damaged, or cannot be read."""
        try:
            table = json.loads(read_once(self._file, 4096))
            floor = table["floor"]
            sound = type(floor) is int and table["crc"] == _crc(floor)
        except (EdgeError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return floor if sound else None

    def raise_to(self, floor: int) -> None:
        """Store a floor unless the file has it; a failure is logged: state.json has it too."""
        if floor <= (self.read() or 0):
            return
        try:
            durable.save_json(self._file, {"floor": floor, "crc": _crc(floor)})
        except EdgeError as error:
            log.error("%s", error)


def of_slots(slots: Iterable[Path], key: Ed25519PublicKey) -> int:
    """Return the highest version in the signed manifests of the slots; 0 = there is none.

    It may be a version that was never confirmed. So it is asked only if both files are lost.
    """
    return max((_of_slot(slot, key) for slot in slots), default=0)


def _of_slot(slot: Path, key: Ed25519PublicKey) -> int:
    try:
        manifest = read_once(slot / MANIFEST, MAX_MANIFEST_BYTES)
        return signed_version(manifest, read_once(slot / SIGNATURE, 64), slot, key)
    except EdgeError:
        return 0


def _crc(floor: int) -> int:
    return zlib.crc32(f"floor {floor}".encode())
