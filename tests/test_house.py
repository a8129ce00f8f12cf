"""What holds for the whole repository, and no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from edge import __version__

ROOT = Path(__file__).resolve().parent.parent
TESTS = sorted((ROOT / "tests").rglob("*.py"))
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]  # keepachangelog.com 1.1


# CHANGELOG.md --------------------------------------------------------------------------------


def sections(text: str) -> Iterator[Tuple[str, Dict[str, List[str]]]]:
    """(heading, kind -> entries) of each version, as the file has them."""
    for part in re.split(r"(?m)^## ", text)[1:]:
        heading, _, body = part.partition("\n")
        kinds = re.split(r"(?m)^### (.+)\n", body)[1:]
        yield (
            heading,
            {
                kind: re.findall(r"(?ms)^- (.+?)(?=^- |^$|\Z)", entries)
                for kind, entries in zip(kinds[::2], kinds[1::2])
            },
        )


def number(heading: str) -> Tuple[int, ...]:
    found = re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", heading)
    assert found, f"'{heading}' is not '[1.2.3] - 2026-11-30'"
    return tuple(map(int, found.groups()))


def mistakes(text: str, version: str) -> List[str]:
    """What of a changelog is not as it should be."""
    found = list(sections(text))
    wrong = [] if found and found[0][0] == "[Unreleased]" else ["[Unreleased] comes first"]
    numbers = [number(heading) for heading, _ in found if heading != "[Unreleased]"]
    if not numbers or ".".join(map(str, numbers[0])) != version:
        wrong.append(f"the newest version is not edge.__version__, {version}")
    if numbers != sorted(set(numbers), reverse=True):
        wrong.append("versions are not from the newest to the oldest")
    for heading, kinds in found:
        if list(kinds) != [k for k in KINDS if k in kinds]:
            wrong.append(f"{heading}: {list(kinds)} are not of {KINDS} in this order")
        repairs = re.compile(r"\bno longer\b|\bfixed\b|^Fix(es)?\b")
        wrong += [
            f"{heading}: under Added stands a fix: {entry.strip()}"
            for entry in kinds.get("Added", [])
            if repairs.search(entry)
        ]
    return wrong


def test_the_changelog_is_of_this_version_and_in_order() -> None:
    assert mistakes((ROOT / "CHANGELOG.md").read_text("utf-8"), __version__) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("## [0.2.0] - 2026-01-01\n", "[Unreleased] comes first"),
        ("## [Unreleased]\n## [0.1.0] - 2026-01-01\n", "not edge.__version__, 0.2.0"),
        ("## [Unreleased]\n## [0.2.0] - 2026-01-01\n## [0.3.0] - 2026-01-01\n", "newest to the"),
        ("## [Unreleased]\n\n### Fixed\n- a\n\n### Added\n- b\n", "in this order"),
        ("## [Unreleased]\n\n### Improved\n- a\n", "are not of"),
        ("## [Unreleased]\n\n### Added\n- x no longer\n  crashes\n- y\n", "stands a fix: x no"),
    ],
)
def test_a_wrong_changelog_is_seen(text: str, words: str) -> None:
    assert words in "\n".join(mistakes(text, "0.2.0"))


# Commits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "code"), [(72, 0), (73, 1)])
def test_a_commit_subject_is_short(tmp_path: Path, length: int, code: int) -> None:
    (tmp_path / "message").write_text("ä" * length + "\n\n" + "b" * 99 + "\n", "utf-8")
    command = ["bash", str(ROOT / "tests/subjects.sh"), str(tmp_path / "message")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == code, done.stderr


def test_hooks_are_local_and_call_what_make_check_calls() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.+)", text) == ["local"], "no hook is fetched"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(BIN)", ".venv/bin")
    for entry in re.findall(r"entry: (.+)", text):
        assert entry in makefile


# SECURITY.md ---------------------------------------------------------------------------------


def test_the_device_unpickles_and_evaluates_nothing() -> None:
    for path in sorted((ROOT / "edge").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.partition(".")[0] for name in names}
            assert not roots & {"pickle", "marshal", "shelve", "dill", "joblib", "yaml"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


# Tests ---------------------------------------------------------------------------------------

WAITS = {"wait": 10, "join": 3, "communicate": 3, "settimeout": 10}  # seconds; shorter is no guard


def own_limits(source: str) -> List[int]:
    """Lines that wait for a number of seconds of their own, long enough to be a guard."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "")
            given = node.args[:1] if name in WAITS else []
            given = given + [k.value for k in node.keywords if k.arg == "timeout"]
            numbers = [v.value for v in given if isinstance(v, ast.Constant)]
            if any(isinstance(n, (int, float)) and n >= WAITS.get(name, 10) for n in numbers):
                found.append(node.lineno)
    return found


def test_no_test_has_a_time_limit_of_its_own() -> None:
    """tests/waiting.py has the one that guards against hanging."""
    found = [f"{p}:{line}" for p in TESTS for line in own_limits(p.read_text("utf-8"))]
    assert found == []


def test_a_limit_is_seen() -> None:
    text = "a.wait(20)\nb.join(5)\nrun(timeout=60)\nx.run(timeout=60)\na.wait(0.5)\n','.join(c)\n"
    assert own_limits(text) == [1, 2, 3, 4]


def test_tests_import_their_own_modules_by_full_name() -> None:
    """Under two names a module is loaded twice, and mypy finds it under one only."""
    own = {p.stem for p in TESTS if p.stem[:5] != "test_" and p.stem[:2] != "__"} - {"conftest"}
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not own & set(names), f"{path}: import tests....{own & set(names)}"


def test_no_two_test_modules_have_one_name() -> None:
    """pytest imports a test module by its bare name: of two, the second is not collected."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({n for n in names if names.count(n) > 1}) == []
