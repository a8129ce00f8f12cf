"""A process that dies at the n-th system call that changes the disk, with or without its power.

`dies_at` runs a piece of work in a forked child in which os.open, write, fsync, replace, mkdir and
unlink are counted. At the n-th one the child is killed: before the call, or in the middle of a
write. With the power cut, too, what was not made durable is taken back first: file contents that
were not fsynced are gone, and (in the worse of two ways) names that their folder's fsync did not
cover are as they were.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

COUNTED = ("open", "write", "fsync", "replace", "mkdir", "unlink")
WAYS = ("kill", "torn", "power", "power-names")
CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Disk:
    """What a power cut would take back."""

    def __init__(self) -> None:
        self.paths: Dict[int, str] = {}
        self.dirty: Dict[str, None] = {}
        self.names: List[Tuple[str, Callable[[], None]]] = []  # folder, how to take it back

    def opened(self, path: str, handle: int, new: bool) -> None:
        self.paths[handle] = path
        if new:
            self.names.append((str(Path(path).parent), lambda: Path(path).unlink(missing_ok=True)))

    def wrote(self, handle: int) -> None:
        self.dirty[self.paths.get(handle, "")] = None

    def synced(self, handle: int) -> None:
        path = self.paths.get(handle, "")
        self.dirty.pop(path, None)
        self.names = [(folder, undo) for folder, undo in self.names if folder != path]

    def renamed(self, source: str, target: str, old: Optional[bytes]) -> None:
        if source in self.dirty:
            del self.dirty[source]
            self.dirty[target] = None

        def undo() -> None:
            if old is None:
                Path(target).unlink(missing_ok=True)
            else:
                Path(target).write_bytes(old)

        self.names.append((str(Path(target).parent), undo))

    def cut(self, names: bool) -> None:
        for path in self.dirty:
            if path and Path(path).is_file():
                Path(path).write_bytes(b"")
        for _, undo in reversed(self.names) if names else ():
            undo()


class Injector:
    """Counts, and kills at the n-th call; n = 0 only counts."""

    def __init__(self, at: int, way: str) -> None:
        self.at, self.way, self.count = at, way, 0
        self.disk = Disk()
        self.real = {name: getattr(os, name) for name in COUNTED}

    def install(self) -> None:
        for name in COUNTED:
            setattr(os, name, getattr(self, name))

    def remove(self) -> None:
        for name, function in self.real.items():
            setattr(os, name, function)

    def point(self, torn: Callable[[], Any] = lambda: None) -> None:
        self.count += 1
        if self.count == self.at:
            self.remove()
            if self.way == "torn":
                torn()
            elif self.way.startswith("power"):
                self.disk.cut(self.way == "power-names")
            os.kill(os.getpid(), signal.SIGKILL)

    def open(self, path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if not flags & CHANGES:
            handle = self.real["open"](path, flags, mode, **more)
            self.disk.paths[handle] = str(path)
            return int(handle)
        self.point()
        new = not Path(path).exists()
        handle = self.real["open"](path, flags, mode, **more)
        self.disk.opened(str(path), handle, new)
        return int(handle)

    def write(self, handle: int, data: Any) -> int:
        self.point(lambda: self.real["write"](handle, bytes(data)[: len(data) // 2]))
        self.disk.wrote(handle)
        return int(self.real["write"](handle, data))

    def fsync(self, handle: int) -> None:
        self.point()
        self.real["fsync"](handle)
        self.disk.synced(handle)

    def replace(self, source: Any, target: Any, **more: Any) -> None:
        self.point()
        old = Path(target).read_bytes() if Path(target).exists() else None
        self.real["replace"](source, target, **more)
        self.disk.renamed(str(source), str(target), old)

    def mkdir(self, path: Any, *more: Any, **named: Any) -> None:
        self.point()
        self.real["mkdir"](path, *more, **named)

    def unlink(self, path: Any, **more: Any) -> None:
        self.point()
        self.real["unlink"](path, **more)


def points(work: Callable[[], Any]) -> int:
    """At how many points a piece of work can die, the one right after it included; it is done."""
    injector = Injector(0, "kill")
    injector.install()
    try:
        work()
    finally:
        injector.remove()
    return injector.count + 1


def dies_at(work: Callable[[], Any], at: int, way: str) -> bool:
    """Do it in a child that dies there; False when it was done before."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            injector = Injector(at, way)
            injector.install()
            work()
            injector.point()  # right after it
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "the work failed by itself"
    return False
