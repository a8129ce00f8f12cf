"""The list of mutants: TOML files beside this one, one for each family of rooms."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Dict, List, Tuple

from edge.errors import ConfigError
from edge.settings.config import read_toml


@dataclass(frozen=True)
class Mutant:
    """One small change that makes the code wrong, and the tests that must fail then."""

    name: str  # what is wrong with the code then
    file: str  # below the root of the tree
    old: str  # text of the file that stands there exactly once
    new: str  # its replacement
    tests: Tuple[str, ...]  # node ids of pytest; one of them must fail
    equivalent: str = ""  # why no test can notice the change; empty = a test must

    def problem(self, root: Path) -> str:
        """Why it does not fit a tree; empty when it does."""
        path = root / self.file
        count = path.read_text("utf-8").count(self.old) if path.is_file() else 0
        if count != 1:
            return f"has {self.old!r} {count} times instead of once; correct the list"
        missing = [test for test in self.tests if not _is_there(root, test)]
        return f"there is no test {missing[0]}; correct the list" if missing else ""


def _is_there(root: Path, test: str) -> bool:
    """Whether a node id names a file and, in it, a function; parameters are not looked at."""
    file, _, function = test.partition("::")
    name = function.partition("[")[0]
    path = root / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text("utf-8"))


def load(folder: Path, only: str = "") -> List[Mutant]:
    """The mutants of all files of a folder whose name or source file holds a text.

    Raises:
        ConfigError: an entry lacks a key, has an unknown one, or has the name of another.
    """
    found: Dict[str, Mutant] = {}
    for path in sorted(folder.glob("*.toml")):
        for table in read_toml(path).get("mutant", []):
            mutant = _read(path, table)
            if mutant.name in found:
                raise ConfigError(f"{path}: {mutant.name!r}: another mutant has this name")
            found[mutant.name] = mutant
    return [m for m in found.values() if only in f"{m.file} {m.name}"]


def _read(path: Path, table: Dict[str, Any]) -> Mutant:
    known = {field.name for field in fields(Mutant)}
    wrong = (set(table) - known) | (known - {"equivalent"} - set(table))
    if wrong or not table["tests"]:
        keys = ", ".join(sorted(wrong)) or "tests"
        name = table.get("name", "a mutant without a name")
        raise ConfigError(f"{path}: {name!r}: missing, unknown or empty: {keys}")
    return Mutant(**{**table, "tests": tuple(table["tests"])})
