"""Make the code wrong on purpose and see whether the tests notice: python -m tests.mutants.

A mutant is one small change that makes the code wrong. Each is applied alone, in a copy of the
tree, so that the work tree stays as it is even if this program is killed. A mutant is `killed`
where one of its tests fails, and `survived` where none does: then a test is missing.

The mutants stand in `tests/mutants/*.toml`. Exit code: 0 every mutant was killed, or is marked as
equivalent and survived; 1 otherwise; 2 `--only` matches no mutant; 78 a file of the list cannot be
read; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Dict, List, Sequence

from tqdm import tqdm

from edge.errors import INTERRUPTED, ConfigError
from tests.mutants.entry import Mutant, load
from tests.mutants.trial import EQUIVALENT, ERROR, KILLED, SURVIVED, Outcome, Runner, Tree, Trials
from tools.progress import Progress

ROOT = Path(__file__).resolve().parent.parent.parent
LIST = "tests/mutants"
NOTHING_CHOSEN = 2  # as argparse, for a command line that cannot be right
Outcomes = Dict[str, Outcome]


def main(arguments: List[str], root: Path = ROOT) -> int:
    """Put the chosen mutants of a tree on trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="in a mutant's name or file")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument("--list", action="store_true", help="print the mutants, run no test")
    chosen = parser.parse_args(arguments)
    try:
        mutants = load(root / LIST, chosen.only)
    except ConfigError as error:
        tqdm.write(str(error), file=sys.stderr)
        return error.exit_code
    if not mutants:
        tqdm.write(f"--only {chosen.only}: no mutant has this in its name or file", file=sys.stderr)
        return NOTHING_CHOSEN
    problems = {m.name: m.problem(root) for m in mutants}
    outcomes = {name: Outcome(ERROR, why) for name, why in problems.items() if why}
    for mutant in mutants:
        if mutant.name in outcomes or chosen.list:
            tell(mutant, outcomes.get(mutant.name, Outcome("", "")))
    if not chosen.list:
        fit = [m for m in mutants if m.name not in outcomes]
        outcomes.update(in_copies(fit, max(1, min(chosen.jobs, len(fit))), root))
        tqdm.write(summary(outcomes))
    return int(any(outcome.kind in (SURVIVED, ERROR) for outcome in outcomes.values()))


def in_copies(mutants: Sequence[Mutant], jobs: int, root: Path) -> Outcomes:
    """The outcome of each mutant by name."""
    runner, pool = Runner(), ThreadPoolExecutor(jobs)
    with tempfile.TemporaryDirectory(prefix="edge-mutants-") as folder:
        try:
            trees = [Tree(root, Path(folder) / str(i)) for i in range(jobs)]
            trials = Trials(trees, runner)
            return _mutants(mutants, trials, _failing(mutants, trials, pool), pool)
        finally:
            runner.stop()
            pool.shutdown()


def _failing(mutants: Sequence[Mutant], trials: Trials, pool: Executor) -> Dict[str, str]:
    """For each file of tests, why its tests tell nothing; empty where they pass."""
    files: Dict[str, List[str]] = {}
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        files.setdefault(_file(test), []).append(test)
    running = {pool.submit(trials.unchanged, tests): file for file, tests in files.items()}
    found: Dict[str, str] = {}
    with Progress("tests without a mutant", len(files), "files") as bar:
        for future in as_completed(running):
            found[running[future]] = future.result()
            bar.update()
    return found


def _mutants(
    mutants: Sequence[Mutant], trials: Trials, failing: Dict[str, str], pool: Executor
) -> Outcomes:
    running: Dict[Future[Outcome], Mutant] = {}
    for mutant in mutants:
        why = next(filter(None, (failing[_file(test)] for test in mutant.tests)), "")
        if why:
            running[pool.submit(Outcome, ERROR, why)] = mutant
        else:
            running[pool.submit(trials.mutant, mutant)] = mutant
    outcomes: Outcomes = {}
    with Progress("mutants", len(mutants)) as bar:
        for future in as_completed(running):
            mutant, outcome = running[future], future.result()
            outcomes[mutant.name] = outcome
            tell(mutant, outcome)
            bar.update()
    return outcomes


def _file(test: str) -> str:
    return test.partition("::")[0]


def tell(mutant: Mutant, outcome: Outcome) -> None:
    """Print a line above the progress bar."""
    detail = f": {outcome.detail}" if outcome.detail else ""
    tqdm.write(f"{outcome.kind:10}  {mutant.file}: {mutant.name}{detail}")
    sys.stdout.flush()


def summary(outcomes: Outcomes) -> str:
    """How many there are of each kind."""
    kinds = [outcome.kind for outcome in outcomes.values()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in (KILLED, SURVIVED, EQUIVALENT, ERROR)]
    return f"{len(kinds)} mutants: {', '.join(counts)}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
