"""Runs an outbox under kill_at.cpp and kills it at one call after the other.

Arguments: folder (its path must not have "outbox" in it), the library, full or short. Says one JSON
object: for each scenario how many kills, and what was broken.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Set, Tuple

from edge.outbox.store import MINOR, NORMAL, URGENT, Entry, Outbox

FOLDER, LIBRARY, FULL = Path(sys.argv[1]), ctypes.CDLL(sys.argv[2]), sys.argv[3] == "full"
LIBRARY.calls.restype = ctypes.c_long
MANNERS = {1: "before", 2: "torn", 3: "power cut", 4: "power cut, part survives"}
SHORT = 16  # kills of a scenario
FIRST, EVERY = 120, 97  # of thousands of writes that reserve room, the full form tries these
MAX_BYTES = 4 * 2**20
DB = FOLDER / "outbox.db"
Say = Callable[[str, List[int]], None]


def open_box() -> Outbox:
    return Outbox(DB, MAX_BYTES, "run")


def entries(first: int, count: int, priority: int = NORMAL, size: int = 300) -> List[Entry]:
    return [
        Entry(f"t/{i % 3}", b'{"n":%d}' % i + b" " * size, priority)
        for i in range(first, first + count)
    ]


def number(body: bytes) -> int:
    return json.loads(body)["n"]


def commit(box: Outbox, say: Say, puts: List[Entry], removed: List[int]) -> List[int]:
    """Say what is tried, do it, say that it is done."""
    say("try", [number(p.body) for p in puts])
    say("go", [number(r.body) for r in box.after(0, 2**62, 10**6) if r.id in removed])
    ids = [row.id for row in box.commit(puts, removed)]
    say("done", [])
    return ids


def put_and_remove(say: Say) -> None:
    box = open_box()
    first = commit(box, say, entries(100, 1), [])
    more = commit(box, say, entries(101, 20, URGENT), [])
    commit(box, say, [], [*first, *more[:5]])
    commit(box, say, entries(200, 3, size=9000), more[5:7])
    commit(box, say, [], more[7:])
    box.close()


def evict(say: Say) -> None:
    box = open_box()
    for i in range(3):
        commit(box, say, entries(10_000 + 100 * i, 100, size=2000), [])
    box.close()


def only_open(say: Say) -> None:
    open_box().close()


def fill(count: int, size: int = 300) -> Callable[[], None]:
    def prepare() -> None:
        box = open_box()
        for start in range(0, count, 100):
            box.commit(entries(start, min(100, count - start), MINOR, size))
        box.close()

    return prepare


def damaged() -> None:
    fill(50)()
    data = DB.read_bytes()
    at = data.index(b'{"n":7}')
    with DB.open("r+b") as file:
        file.seek(at + 20)
        file.write(b"?")


def nothing() -> None:
    pass


SCENARIOS: Dict[str, Tuple[Callable[[], None], Callable[[Say], None]]] = {
    "put and remove": (fill(30), put_and_remove),
    "evict": (fill(1600, 2000), evict),
    "first start": (nothing, only_open),
    "mend": (damaged, only_open),
}


def clear() -> None:
    for path in FOLDER.glob("outbox*"):
        path.unlink()


def numbers(box: Outbox) -> List[int]:
    found: List[int] = []
    cursor = 0
    while True:
        rows = box.after(cursor, 2**62, 500)
        if not rows:
            return found
        found += [number(r.body) for r in rows]
        cursor = rows[-1].id


def child(run: Callable[[Say], None], at: int, manner: int, pipe: int) -> None:
    def say(what: str, which: List[int]) -> None:
        os.write(pipe, json.dumps([what, which]).encode() + b"\n")

    LIBRARY.kill_at(at, manner)
    run(say)
    say("calls", [LIBRARY.calls()])
    os._exit(0)


def kill(run: Callable[[Say], None], at: int, manner: int) -> Tuple[bool, List[Any]]:
    """Run in a child; returns whether it was killed, and what it said."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        child(run, at, manner, into)
    os.close(into)
    with os.fdopen(out) as file:
        said = [json.loads(line) for line in file]
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, (at, manner, status)
    return killed, said


def judge(name: str, before: Set[int], said: List[Any]) -> str:
    """What is wrong with what the next start finds; empty = nothing."""
    old, new = set(before), set(before)
    tried: List[int] = []
    for what, which in said:
        if what == "try":
            tried = which
        elif what == "go":
            new = (old | set(tried)) - set(which)
        elif what == "done":
            old = set(new)
    box = open_box()
    try:
        found = numbers(box)
        evicted = box.losses.evicted
        if name != "mend" and box.losses.reset is not None:
            return f"reset: {box.losses.reset}"
        if len(found) != len(set(found)):
            return "twice"
        if name == "evict":
            missing_old, missing_new = len(old - set(found)), len(new - set(found))
            fine = set(found) <= new and evicted in (missing_old, missing_new)
            return "" if fine else f"evicted {evicted}, missing {missing_old} or {missing_new}"
        if name == "mend":
            old, new = old - {7}, new - {7}
        if set(found) not in (old, new):
            return f"neither old nor new: {sorted(set(found) ^ new)[:5]}"
        after = box.commit(entries(5000, 1))
        return "" if number(after[0].body) in numbers(box) else "cannot go on"
    finally:
        box.close()


def main() -> None:
    told: Dict[str, Any] = {}
    for name, (prepare, run) in SCENARIOS.items():
        clear()
        prepare()
        template = {p.name: p.read_bytes() for p in FOLDER.glob("outbox*")}
        before: Set[int] = set()
        if template and name != "mend":
            box = open_box()
            before = set(numbers(box))
            box.close()
        elif template:
            before = set(range(50))
        told[name] = one(name, run, template, before)
    print(json.dumps(told))  # noqa: T201
    shutil.rmtree(str(FOLDER), ignore_errors=True)


def one(name: str, run: Any, template: Dict[str, bytes], before: Set[int]) -> Any:
    broken, kills = [], 0
    restore(template)
    _, said = kill(run, 0, 0)
    boundaries = said[-1][1][0]
    for at, manner in places(boundaries):
        restore(template)
        killed, said = kill(run, at, manner)
        wrong = judge(name, before, said)
        if wrong:
            broken.append([MANNERS[manner], at, wrong])
        kills += killed
    return {"kills": kills, "boundaries": boundaries, "broken": broken[:20]}


def places(boundaries: int) -> List[Tuple[int, int]]:
    """Where to kill, and how."""
    if FULL:
        every = range(1, boundaries + 1)
        chosen = every if boundaries < 1000 else [n for n in every if n <= FIRST or n % EVERY == 0]
        return [(n, manner) for n in chosen for manner in MANNERS]
    early = list(range(1, boundaries, max(1, min(boundaries, FIRST) // (SHORT // 2))))[: SHORT // 2]
    spread = [1 + n * (boundaries - 1) // (SHORT // 2) for n in range(SHORT // 2)]
    return [(n, 1 + i % len(MANNERS)) for i, n in enumerate(early + spread)]


def restore(template: Dict[str, bytes]) -> None:
    clear()
    for file, data in template.items():
        (FOLDER / file).write_bytes(data)


if __name__ == "__main__":
    main()
