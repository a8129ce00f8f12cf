"""Two slots for model bundles, and a small file with the slot in use.

    <state>/bundles/state.json   {"active", "previous", "confirmed", "tries", "version", ...}
    <state>/bundles/a, b         models folders; a slot that state.json does not name is unused

A slot is complete, verified and on the disk before the file names it, and the file is replaced in
one rename. So at every instant the state is the old or the new one. A new bundle is on probation
until it is confirmed; until then the slot before it is not changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import zlib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Tuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge import durable
from edge.bundle.file import Contents, open_bundle, read_files, read_head
from edge.bundle.floor import Floor, of_slots
from edge.errors import DataError, EdgeError, TempError
from edge.keys.trust import MANIFEST, SIGNATURE, Trust

log = logging.getLogger(__name__)

RESERVE_BYTES = 16 << 20  # left free on the disk
SLOTS = ("a", "b")
DAMAGED = "state.json was damaged"


@dataclass(frozen=True)
class State:
    """The content of state.json. A slot "" is the models folder of the installation."""

    active: str = ""
    version: int = 0
    confirmed: bool = True
    tries: int = 0  # starts on probation, with the present one
    previous: str = ""  # the slot to roll back to, while on probation
    previous_version: int = 0
    floor: int = 0  # the highest version ever confirmed; older bundles are refused
    gave_up: int = 0  # version of the last bundle that was rolled back
    reason: str = ""  # why

    def back(self, reason: str) -> State:
        """Return the state before the bundle on probation."""
        return State(
            self.previous,
            self.previous_version,
            floor=self.floor,
            gave_up=self.version,
            reason=reason[:300],
        )


class Slots:
    """The folder <state>/bundles.

    Args:
        folder: it is made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = durable.make_dir(folder)
        self._file = folder / "state.json"
        self._floor = Floor(folder)

    def state(self) -> State:
        """Read state.json; a damaged file is put aside, and the installation's models are used.

        The floor is the higher one of state.json and its second witness.
        """
        try:
            raw = self._file.read_bytes()
        except FileNotFoundError:
            return State(floor=self._floor.read() or 0)
        except OSError as error:
            raise TempError(f"{self._file}: {error.strerror}") from error
        state = _parse(raw)
        if state is None:
            state = State(reason=DAMAGED, floor=self._floor.read() or 0)
            left = self._put_aside(raw, state)
            log.error("%s: damaged; the models of the installation are used%s", self._file, left)
        return replace(state, floor=max(state.floor, self._floor.read() or 0))

    def _put_aside(self, raw: bytes, state: State) -> str:
        """Keep a damaged file for inspection; a failure does not end the program.

        Returns:
            The end of a log line: empty, or why the file is still there.
        """
        try:
            durable.save(self._file.with_suffix(".damaged"), raw)
            self._write(state)
        except EdgeError as error:
            return f"; it stays for now: {error}"
        return ""

    def path(self, slot: str) -> Optional[Path]:
        """Return the models folder of a slot; None = the installation's."""
        return self._folder / slot if slot else None

    def install(self, path: Path, key: Ed25519PublicKey) -> Tuple[str, int]:
        """Unpack a bundle into the unused slot and verify it; the slot in use does not change.

        Returns:
            The slot and the bundle's version.

        Raises:
            DataError: the bundle is not signed, changed, or not newer.
            TempError: no room, or another bundle is on probation. NoInputError: no such file.
        """
        with self._locked(), open_bundle(path) as file:
            contents = read_head(file, path, key)
            state = self.state()
            _refuse_old(contents, replace(state, floor=self._known_floor(state, key)), path)
            slot = SLOTS[1] if state.active == SLOTS[0] else SLOTS[0]
            self._room(contents)
            durable.remove_tree(self._folder / slot)
            try:
                self._unpack(file, path, contents, self._folder / slot)
                _verify(self._folder / slot, key, contents)
            except (OSError, EdgeError) as error:
                durable.remove_tree(self._folder / slot)
                if isinstance(error, OSError):
                    raise TempError(f"{path}: cannot unpack: {error.strerror}") from error
                raise
            return slot, contents.version

    def _known_floor(self, state: State, key: Ed25519PublicKey) -> int:
        """The floor; if both of its files are lost, the slots' manifests count as well."""
        lost = state.reason == DAMAGED or not self._file.exists()
        if not lost or self._floor.read() is not None:
            return state.floor
        return max(state.floor, of_slots([self._folder / name for name in SLOTS], key))

    def switch(self, slot: str, version: int) -> State:
        """Use an installed slot from now on; its probation begins."""
        with self._locked():
            old = self.state()
            new = State(slot, version, False, 1, old.active, old.version, old.floor)
            self._write(new)
            return new

    def begin(self, max_tries: int) -> State:
        """Count a start of the program while on probation; after `max_tries` roll back."""
        with self._locked():
            state = self.state()
            self._floor.raise_to(state.floor)  # a file of an earlier release, or a damaged one
            if state.confirmed:
                return state
            if state.tries >= max_tries:
                state = state.back(f"{state.tries} starts, and it was never confirmed")
                log.error("bundle %d is given up: %s", state.gave_up, state.reason)
            else:
                state = replace(state, tries=state.tries + 1)
            self._write_or_tell(state)
            return state

    def confirm(self) -> State:
        """End the probation: the bundle works."""
        with self._locked():
            state = self.state()
            if not state.confirmed:
                state = State(state.active, state.version, floor=max(state.floor, state.version))
                self._write(state)
            self._floor.raise_to(state.floor)
            return state

    def roll_back(self, reason: str) -> State:
        """Roll back to the slot before; from a confirmed bundle, to the installation's models."""
        with self._locked():
            state = self.state().back(reason)
            self._write_or_tell(state)
            log.error("bundle %d is given up: %s", state.gave_up, reason)
            return state

    def _write(self, state: State) -> None:
        table = asdict(state)
        durable.save_json(self._file, {**table, "crc": _crc(table)})

    def _write_or_tell(self, state: State) -> None:
        """Write the state; a failure is logged, because the networks before must go on."""
        try:
            self._write(state)
        except EdgeError as error:
            log.error("%s; until then each start decides again which bundle is used", error)

    def _room(self, contents: Contents) -> None:
        needed = sum(contents.sizes.values()) + RESERVE_BYTES
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise TempError(f"{self._folder}: {needed >> 20} MB are needed, {free >> 20} are free")

    def _unpack(self, file: BinaryIO, path: Path, contents: Contents, slot: Path) -> None:
        durable.make_dir(slot)
        handle = -1
        try:
            for name, piece, last in read_files(file, path, contents):
                if handle < 0:
                    handle = _create(slot / name)
                durable.write_all(handle, piece)
                if last:
                    os.fsync(handle)
                    handle = _close(handle)
        finally:
            _close(handle)
        durable.write_whole(slot / MANIFEST, contents.manifest)
        durable.write_whole(slot / SIGNATURE, contents.signature)
        for folder in sorted({(slot / n).parent for n in contents.files} | {slot, self._folder}):
            durable.sync_dir(folder)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder against other threads and processes (the daemon and the tools)."""
        try:  # for reading: a confirmed bundle also works on a read-only disk
            handle = os.open(f"{self._folder}/lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise TempError(f"{self._folder}/lock: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _close(handle: int) -> int:
    if handle >= 0:
        os.close(handle)
    return -1


def _verify(slot: Path, key: Ed25519PublicKey, contents: Contents) -> None:
    """Read the files on the disk as they will be read when they are used."""
    trust = Trust(slot, key)
    for name in contents.files:
        trust.read(slot / name)


def _refuse_old(contents: Contents, state: State, path: Path) -> None:
    if not state.confirmed:
        raise TempError(f"bundle {state.version} is on probation; try again when it is confirmed")
    newest = max(state.version, state.floor)
    if contents.version <= newest:
        raise DataError(
            f"{path}: has version {contents.version}, but {newest} was in use; an older "
            "bundle is never taken: sign it again with a higher version"
        )


def _parse(raw: bytes) -> Optional[State]:
    try:
        table = json.loads(raw)
        crc = table.pop("crc")
        state = State(**table)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    kinds = {field.name: type(getattr(State(), field.name)) for field in fields(State)}
    fine = all(type(getattr(state, name)) is kind for name, kind in kinds.items())
    named = {state.active, state.previous} <= {"", *SLOTS}
    return state if fine and named and crc == _crc(table) else None


def _crc(table: object) -> int:
    return zlib.crc32(json.dumps(table, sort_keys=True).encode())
