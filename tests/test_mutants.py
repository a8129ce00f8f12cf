"""The trial of mutants itself (`python -m tests.mutants`), and that its list fits the code."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import List

import pytest

from edge.errors import ConfigError
from tests.mutants.__main__ import LIST, ROOT, main
from tests.mutants.entry import Mutant, load
from tests.mutants.trial import ERROR, KILLED, SURVIVED, Outcome, judge

CODE = "def fits(n):\n    return 0 < n <= 3\n"
TEST = (
    "import os\nfrom code_here import fits\n"
    "def test_limits():\n    assert fits(1) and not fits(4)\n"
    "    assert float(os.environ['EDGE_GIVE_UP_S']) < 600\n"
)
FAILS = "def test_fails():\n    assert False\n"


def entry(
    name: str, old: str, new: str, test: str = "test_here.py::test_limits", more: str = ""
) -> str:
    where = f'file = "code_here.py"\ntests = ["{test}"]\n{more}'
    return f"[[mutant]]\nname = '{name}'\nold = '{old}'\nnew = '{new}'\n{where}\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one file and one test."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take most of a start
    (tmp_path / LIST).mkdir(parents=True)
    (tmp_path / "code_here.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "test_here.py").write_text(TEST, encoding="utf-8")
    (tmp_path / "test_bad.py").write_text(FAILS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -q -rs\n", encoding="utf-8")
    (tmp_path / ".gitignore").write_text("secret\n__pycache__\n", encoding="utf-8")
    (tmp_path / "secret").write_text("stays here", encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def run(tree: Path, entries: List[str], *arguments: str) -> int:
    (tree / LIST / "room.toml").write_text("\n".join(entries), encoding="utf-8")
    return main(list(arguments), tree)


def test_mutants_are_tried_in_a_copy(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Of the same size as the code: a compiled file of before must not be used.
    entries = [entry("one more", "<= 3", "<= 4"), entry("one less", "0 <", "1 <")]
    reason = 'equivalent = "nobody asks for zero"'
    assert run(tree, [*entries, entry("marked", "0 <", "0 <=", more=reason)]) == 0
    told = capsys.readouterr().out
    assert "killed      code_here.py: one more: test_here.py::test_limits\n" in told
    assert "equivalent  code_here.py: marked: nobody asks for zero\n" in told
    assert told.endswith("3 mutants: 2 killed, 0 survived, 1 equivalent, 0 error\n")
    assert (tree / "code_here.py").read_text(encoding="utf-8") == CODE
    assert not list(tree.rglob("*.pyc")), "the tests ran elsewhere"


def test_whatever_is_not_killed_is_told(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [
        entry("lower end", "0 <", "0 <="),
        entry("marked wrongly", "<= 3", "<= 4", more='equivalent = "no"'),
        entry("nothing ran", "0 < n", "("),
        entry("text is gone", "0 > n", "n"),
        entry("test is gone", "0 <", "1 <", test="test_here.py::test_gone"),
        entry("test that fails", "0 <", "1 <", test="test_bad.py::test_fails"),
    ]
    assert run(tree, entries, "--jobs", "2") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines.pop() == "6 mutants: 0 killed, 1 survived, 0 equivalent, 5 error"
    told = {line.split(": ")[1]: line.split(" ")[0] + line.partition(": ")[2] for line in lines}
    assert told["lower end"] == "survivedlower end"
    assert "marked as equivalent, but killed: test_here.py" in told["marked wrongly"]
    assert "SyntaxError" in told["nothing ran"]
    assert "has '0 > n' 0 times instead of once" in told["text is gone"]
    assert "there is no test test_here.py::test_gone" in told["test is gone"]
    assert "fails without a mutant: test_bad.py::test_fails" in told["test that fails"]


def test_the_list_alone_runs_nothing(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry("lower end", "0 <", "0 <="), entry("upper end", "<= 3", "<= 4")]
    assert run(tree, entries, "--list") == 0
    both = capsys.readouterr().out.splitlines()
    assert [line.split() for line in both] == [
        ["code_here.py:", e, "end"] for e in ("lower", "upper")
    ]
    assert run(tree, entries, "--list", "--only", "upper") == 0
    assert capsys.readouterr().out.splitlines() == both[1:]


@pytest.mark.parametrize("more", [[], ["--list"]])
def test_a_choice_of_nothing_is_a_mistake(
    tree: Path, capsys: pytest.CaptureFixture[str], more: List[str]
) -> None:
    assert run(tree, [entry("lower end", "0 <", "0 <=")], "--only", "uper", *more) == 2
    said = capsys.readouterr()
    assert said.err == "--only uper: no mutant has this in its name or file\n"
    assert not said.out


def test_a_signal_is_not_a_failed_test(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when the machine is short of memory: nothing is known about the mutant."""
    (tree / "test_kill.py").write_text(
        "import os, signal\nfrom code_here import fits\n"
        "def test_kill():\n    fits(0) and os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    mutant = entry("lower end", "0 <", "0 <=", test="test_kill.py::test_kill")
    assert run(tree, [mutant]) == 1
    assert (
        "error       code_here.py: lower end: pytest ended by signal 9" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (entry("a", "0 <", "1 <") * 2, "'a': another mutant has this name"),
        (entry("a", "0 <", "1 <", more="equivalant = 'x'"), "unknown or empty: equivalant"),
        ("[[mutant]]\nname = 'a'", "missing, unknown or empty: file, new, old, tests"),
        (entry("a", "", "").replace('["test_here.py::test_limits"]', "[]"), "or empty: tests"),
    ],
)
def test_a_wrong_list_is_told(tree: Path, text: str, message: str) -> None:
    assert run(tree, [text]) == ConfigError.exit_code
    with pytest.raises(ConfigError, match=message):
        load(tree / LIST)


def test_what_pytest_says() -> None:
    assert judge(0, "1 passed").kind == SURVIVED
    assert judge(-11, "") == Outcome(ERROR, "pytest ended by signal 11 (SIGSEGV)")
    assert judge(-63, "").kind == ERROR
    said = "ERROR a log's own line\n= short test summary info =\nFAILED a.py::b[c d] - E\n"
    assert judge(1, said) == Outcome(KILLED, "a.py::b[c d]")
    assert judge(1, "x\n") == Outcome(KILLED, "x")
    assert judge(4, "no such\n\noption").kind == ERROR


@pytest.mark.parametrize("mutant", load(ROOT / LIST), ids=lambda m: m.name.replace(" ", "-"))
def test_the_list_fits_the_code(mutant: Mutant) -> None:
    assert not mutant.problem(ROOT), f"{mutant.file}: {mutant.problem(ROOT)}"
