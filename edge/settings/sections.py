"""Sections of the configuration about what lies in the state directory, and who may change it."""

from dataclasses import dataclass
from typing import List

from edge.settings.schema import key


@dataclass(frozen=True)
class State:
    """What survives a restart: commands seen, model bundles, recordings."""

    dir: str = key("", "writable folder; empty = the service's state directory, else none")


@dataclass(frozen=True)
class Commands:
    """Signed commands from the broker; off unless something is allowed."""

    allow: List[str] = key(
        [],
        "names obeyed: restart reload rate snapshot calibrate-record "
        "update; empty = this box listens to nobody",
    )
    key_file: str = key("", "public key of who may command; empty = trust.key_file")
    max_age_s: int = key(
        60, "an older command is refused; needs a clock that is about right", 5, 3600
    )
    record_max_mb: int = key(64, "calibrate-record never keeps more", 1, 4096)


@dataclass(frozen=True)
class Bundle:
    """Model bundles: two slots in the state directory, the other one is the way back."""

    enabled: bool = key(False, "load models from the newest bundle; needs trust.key_file")
    confirm_frames: int = key(300, "a new bundle is kept after so many good steps", 1, 1000000)
    max_tries: int = key(3, "starts a new bundle may fail before the old one is back", 1, 100)


@dataclass(frozen=True)
class Record:
    """Poses on disk for `edge-tools replay`; never pixels."""

    max_mb: int = key(0, "the ring of recordings in the state directory; 0 = off", 0, 1000000)
