"""Build the machine, open a shell in it, or run cases and write their table.

    python -m tests.vm build                    the disks, if their content changed
    python -m tests.vm shell                    boot, open a shell, throw its disk away
    python -m tests.vm test [CASE ...]          cases; without names all
      --resume      leave out cases that are green already with this very content
      --rounds N    of cases that repeat a fault
    python -m tests.vm table                    put the table into docs/vm.md

Exit code 1: a case failed. The table has every case that ran, failed ones too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from typing import Any, Dict, List

from tests.vm import image, table
from tests.vm.cases import CASES
from tests.vm.host import Broker, Listener
from tests.vm.machine import Disk, Failed, Machine, accelerator
from tests.vm.trial import Trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.vm", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("build", "shell", "table"):
        commands.add_parser(name)
    test = commands.add_parser("test")
    test.add_argument("cases", nargs="*", metavar="CASE", help=" ".join(CASES))
    test.add_argument("--resume", action="store_true")
    test.add_argument("--rounds", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    if arguments.command == "table":
        table.into_page(table.load())
        return 0
    unknown = [name for name in getattr(arguments, "cases", []) if name not in CASES]
    if unknown:
        parser.error(f"no case {unknown[0]}: {' '.join(CASES)}")
    made = image.build()
    if arguments.command == "shell":
        return shell(made)
    if arguments.command == "test":
        return run(made, arguments.cases or list(CASES), arguments.resume, arguments.rounds)
    print(f"{made.box}: ready; make vm-shell, make vm-test")
    return 0


def shell(made: image.Image) -> int:
    """A machine for a person. Its disk is a new layer that is thrown away."""
    machine = Machine(made, Disk(made.box, image.CACHE / "run/shell/disk.qcow2"))
    try:
        print(f"booting under {machine.accel}; the console is {machine.console}", flush=True)
        print(f"login after {machine.boot():.0f} s; leave with exit", flush=True)
        words = [*machine.login("ssh", "-p"), "-t", "root@127.0.0.1"]
        return subprocess.run(words, check=False).returncode
    finally:
        machine.close()


def run(made: image.Image, names: List[str], resume: bool, rounds: int) -> int:
    """Run cases one after the other; each has machines of its own."""
    place = image.CACHE / f"run-{os.getpid()}"
    place.mkdir(parents=True)
    results = table.load()
    content = made.box.stem
    for name in names:
        before = results.get(name, {})
        if resume and before.get("content") == content and not before.get("error"):
            print(f"{name}: green already")
            continue
        with ExitStack() as stack:  # an authority signs a name once: each case has its own
            broker = Broker(place / name)
            stack.callback(broker.stop)
            broker.start()
            listener = Listener(broker)
            stack.callback(listener.close)
            results[name] = one(Trial(name, made, place, broker, listener, rounds), content)
        table.save({**table.load(), name: results[name]})  # another run may go on beside this
    print(table.markdown({name: results[name] for name in names}))
    red = [name for name in names if results[name]["error"]]
    if not red:  # else consoles and logs stay
        shutil.rmtree(place, ignore_errors=True)
    print(f"failed: {' '.join(red)}" if red else f"{len(names)} cases, all green")
    return 1 if red else 0


def one(trial: Trial, content: str) -> Dict[str, Any]:
    """Run one case; gives its result."""
    begun_s, error = time.monotonic(), ""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the machines end with us
    try:
        with trial.stack:
            CASES[trial.name](trial)
    except (Failed, subprocess.SubprocessError, OSError) as failure:
        error = str(failure) or repr(failure)
        trial.say(f"FAILED: {error}")
        traceback.print_exc()
    return {
        "content": content,
        "accel": accelerator(),
        "error": error,
        "took_s": round(time.monotonic() - begun_s),
        "rows": [vars(row) for row in trial.rows],
    }


if __name__ == "__main__":
    sys.exit(main())
