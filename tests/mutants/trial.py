"""Runs tests on copies of the tree, changed by one mutant at a time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Sequence, Set

from tests.mutants.entry import Mutant

LIMIT_S = 900.0  # for the tests of one mutant: some mutants make a test wait for ever
GIVE_UP_S = "60"  # for one wait of a test (tests/waiting.py); the unchanged code has it, too
KILLED, SURVIVED, EQUIVALENT, ERROR = "killed", "survived", "equivalent", "error"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant, or of tests on the unchanged code."""

    kind: str
    detail: str  # the first test that failed, or why nothing can be said


class Tree:
    """A copy of the files that git tracks or does not ignore, without git's own folder."""

    def __init__(self, root: Path, to: Path) -> None:
        self.root = to
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE).stdout
        for name in filter(None, os.fsdecode(listed).split("\0")):
            if (root / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, to / name, follow_symlinks=False)

    @contextlib.contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """With the mutant applied."""
        path = self.root / mutant.file
        text = path.read_text("utf-8")
        _write(path, text.replace(mutant.old, mutant.new))
        try:
            yield
        finally:
            _write(path, text)


def _write(path: Path, text: str) -> None:
    """Python knows a compiled file by size and whole second: one of before would be used."""
    path.write_text(text, "utf-8")
    with contextlib.suppress(FileNotFoundError):
        Path(importlib.util.cache_from_source(str(path))).unlink()


class Runner:
    """Runs pytest; from any number of threads."""

    def __init__(self) -> None:
        self._running: Set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, root: Path, tests: Sequence[str]) -> Outcome:
        """The tests of a tree, until the first failure.

        Raises:
            InterruptedError: `stop` was called.
        """
        command = [sys.executable, "-m", "pytest", "-x", "-rfE", "--tb=short", "--no-header"]
        process = self._start([*command, "-p", "no:cacheprovider", *tests], root)
        try:
            text, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return Outcome(KILLED, f"no end within {LIMIT_S:.0f} s")
        finally:
            with self._lock:
                self._running.discard(process)
            _end(process)
        return judge(process.returncode, text)

    def _start(self, command: List[str], root: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise InterruptedError
            process = subprocess.Popen(
                command,
                cwd=root,
                env={"EDGE_GIVE_UP_S": GIVE_UP_S, **os.environ, "PYTHONPATH": str(root)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                encoding="utf-8",
            )
            self._running.add(process)
        return process

    def stop(self) -> None:
        """End what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End the process group: tests start processes of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def judge(code: int, text: str) -> Outcome:
    """An outcome from pytest's exit code and output.

    A signal says nothing about the tests: the machine may be short of memory. If the mutant itself
    crashes Python, a test must run it in a process of its own. Codes 2 to 5 say that no test ran.
    """
    lines = [line for line in text.splitlines() if line] or [""]
    if code == 0:
        return Outcome(SURVIVED, "")
    if code < 0:
        return Outcome(ERROR, f"pytest ended by signal {-code} ({_signal_name(-code)})")
    if code == 1:
        told = text.rpartition("short test summary info")[2].splitlines()
        failed = [line for line in told if line.startswith(("FAILED ", "ERROR "))]
        first = failed[0].partition(" ")[2].partition(" - ")[0] if failed else lines[-1]
        return Outcome(KILLED, first)
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    return Outcome(ERROR, f"no test ran: {errors[-1] if errors else lines[-1]}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return "unknown"


class Trials:
    """Mutants on trial, each in a tree that no other uses meanwhile; from any number of threads."""

    def __init__(self, trees: Sequence[Tree], runner: Runner) -> None:
        self._trees: queue.Queue[Tree] = queue.Queue()
        for tree in trees:
            self._trees.put(tree)
        self._runner = runner

    @contextlib.contextmanager
    def _tree(self) -> Iterator[Tree]:
        tree = self._trees.get()
        try:
            yield tree
        finally:
            self._trees.put(tree)

    def unchanged(self, tests: Sequence[str]) -> str:
        """Why tests tell nothing about a mutant; empty when they pass on the unchanged code."""
        with self._tree() as tree:
            outcome = self._runner.run(tree.root, tests)
        return "" if outcome.kind == SURVIVED else f"fails without a mutant: {outcome.detail}"

    def mutant(self, mutant: Mutant) -> Outcome:
        """What becomes of a mutant."""
        with self._tree() as tree, tree.changed(mutant):
            outcome = self._runner.run(tree.root, mutant.tests)
        if not mutant.equivalent:
            return outcome
        if outcome.kind == SURVIVED:
            return Outcome(EQUIVALENT, mutant.equivalent)
        return Outcome(ERROR, f"marked as equivalent, but {outcome.kind}: {outcome.detail}")
