"""Prove the GPU half on a machine with an NVIDIA GPU: python -m tests.device test | bench.

`make gpu-test` and `make gpu-bench` start it. Every function `check_*` of a file `*_checks.py`
beside this one is run; a file names in `NEEDS` what it needs, and what is missing is said, not
hidden. Exit code: 0 all that could run passed, 1 something failed, 69 no GPU.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

from edge.errors import EdgeError
from edge.loop.assemble import default_models
from tests.device.place import Here, Place, here

NO_GPU = 69
Check = Tuple[str, Callable[[Place], None]]


def main(arguments: List[str]) -> int:
    """Run what this machine can."""
    parser = argparse.ArgumentParser(prog="python -m tests.device", description=__doc__)
    parser.add_argument("what", choices=("test", "bench"))
    parser.add_argument("--frames", type=int, default=100_000, help="of the soak (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="small crowds, few rounds: no proof")
    parser.add_argument("--only", default="", metavar="FILE", help="such as engine or kernel")
    chosen = parser.parse_args(arguments)
    machine = here()
    if not machine.gpu:
        sys.stderr.write(f"no GPU to prove anything on: {machine.no_gpu}\n")
        return NO_GPU
    tell(f"on {machine.gpu}")
    with tempfile.TemporaryDirectory(prefix="edge-gpu-") as name:
        place = Place(Path(name), Path(name) / "engines", chosen.frames, chosen.quick, tell)
        copy_models(place.models)
        return run(place, machine, chosen.what, chosen.only)


def tell(line: str) -> None:
    """At once, whatever it is written to."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def copy_models(to: Path) -> None:
    """Networks that are there already; engines are built in the copy."""
    shutil.copytree(default_models(), to, ignore=shutil.ignore_patterns("*.engine*", ".*"))


def run(place: Place, machine: Here, what: str, only: str = "") -> int:
    """Every check of a kind; a line each, and one at the end.

    Returns:
        0, or 1 when one failed or nothing could run.
    """
    passed, failed, left_out = 0, 0, []
    for module in modules(what, only):
        why = machine.missing(list(module.NEEDS))
        if why:
            left_out.append(f"{module.__name__.rsplit('.', 1)[-1]}: {why}")
            continue
        for name, check in checks(module):
            fine = _run(name, check, place)
            passed, failed = passed + fine, failed + (not fine)
    for line in left_out:
        tell(f"left out  {line}")
    tell(f"{passed} passed, {failed} failed, {len(left_out)} files left out")
    return 0 if passed and not failed else 1


def modules(what: str, only: str = "") -> Iterator[Any]:
    """The files of checks, or of benches."""
    ending = "_checks" if what == "test" else "_bench"
    for path in sorted(Path(__file__).parent.glob(f"{only or '*'}{ending}.py")):
        yield importlib.import_module(f"tests.device.{path.stem}")


def checks(module: Any) -> List[Check]:
    """In the order they stand in the file."""
    found = [(n, f) for n, f in vars(module).items() if n.startswith(("check_", "bench_"))]
    return [(n.split("_", 1)[1].replace("_", " "), f) for n, f in found]


def _run(name: str, check: Callable[[Place], None], place: Place) -> bool:
    start = time.monotonic()
    try:
        check(place)
    except Exception as error:  # noqa: BLE001 - a check that fails must not stop those after it
        where = traceback.extract_tb(error.__traceback__)[-1]
        kind = "" if isinstance(error, (AssertionError, EdgeError)) else type(error).__name__
        tell(f"FAILED    {name}: {Path(where.filename).name}:{where.lineno}: {kind} {error}")
        return False
    tell(f"ok        {name} ({time.monotonic() - start:.1f} s)")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
