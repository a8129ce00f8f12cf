"""The command line of the tools: finds its commands, answers in one line, ends cleanly."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Callable, List

import pytest

import tools.__main__ as tools_main
from edge.errors import DataError, TempError
from tests.test_rooms import ROOT, imports
from tools.__main__ import commands, main

COMMAND = [sys.executable, "-m", "tools"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_the_overview_has_a_line_for_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    known = commands()
    assert "get" in known
    for name, line in known.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.MULTILINE)
    assert "progress" not in known, "a file without HELP is no command"


def test_nothing_shows_the_overview_and_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_keeps_the_contract(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module("tools." + name.replace("-", "_"))
    assert module.HELP
    assert "\n" not in module.HELP
    assert callable(module.run)
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: edge-tools {name}" in capsys.readouterr().out


def test_only_commands_import_commands() -> None:
    """What two commands need lies in a room of its own; calling a command is for the user."""
    names = {"__main__", *(name.replace("-", "_") for name in commands())}
    for path in sorted((ROOT / "tools").glob("*/**/*.py")):
        rooms = {name.split(".")[1] for name in imports(path) if name.startswith("tools.")}
        assert not rooms & names, f"{path} imports a command"


def test_an_unknown_command_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gett"]) == 78
    assert capsys.readouterr().err == "edge-tools: no command called gett; did you mean get?\n"
    assert main(["zzzzz"]) == 78
    assert "`edge-tools --help` lists them" in capsys.readouterr().err


def a_command(monkeypatch: pytest.MonkeyPatch, run: Callable[[Any], Any]) -> None:
    """Let `edge-tools trial` be a command that does `run`."""
    module = types.ModuleType("trial")
    module.__dict__.update(HELP="a trial", run=run, add_arguments=lambda parser: None)
    monkeypatch.setattr(tools_main, "load", lambda name: module)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("small.onnx: cut off"), 65, "small.onnx: cut off"),
        (TempError("a\nb"), 75, "a b"),
        (OSError(28, "No space left on device", "/x/y"), 74, "/x/y: No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    def fail(arguments: Any) -> int:
        raise error

    a_command(monkeypatch, fail)
    assert main(["trial"]) == code
    assert capsys.readouterr().err == f"edge-tools: {line}\n"


def test_our_own_mistakes_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: Any) -> int:
        raise ZeroDivisionError

    a_command(monkeypatch, fail)
    with pytest.raises(ZeroDivisionError):
        main(["trial"])


def test_a_missing_package_is_named_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch.nn")

    monkeypatch.setattr(importlib, "import_module", missing)
    assert main(["get"]) == 69
    shown = capsys.readouterr().err
    assert shown == "edge-tools: get needs the Python package torch: pip install torch\n"


def run(*arguments: str) -> List[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    return done.stdout.splitlines()


def test_the_overview_imports_no_command() -> None:
    code = "import sys, tools.__main__ as m; m.main(['--help']); print('onnx' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_the_version_is_that_of_the_package() -> None:
    assert re.fullmatch(r"edge-tools \d+\.\d+\.\d+", run("--version")[0])


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (tmp_path / "stderr").open("wb") as stderr:
        code = subprocess.run(
            [*COMMAND, "get", "--list"], env=ENVIRONMENT, stdout=writing, stderr=stderr, check=False
        ).returncode
    os.close(writing)
    assert code == 141
    assert (tmp_path / "stderr").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["get", "--list"]])
def test_a_closed_standard_output_is_no_error(words: List[str]) -> None:
    shell = ["sh", "-c", '"$@" >&-', "sh", *COMMAND, *words]
    done = subprocess.run(
        shell, env=ENVIRONMENT, capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    network = Path(__file__).resolve().parents[1] / "edge/golden/models/twobox/model.onnx"
    odd = str(tmp_path / os.fsdecode(b"caf\xe9.onnx"))
    shutil.copy(network, odd)
    words = ["import", odd, "--family", "yolox", "--models", str(tmp_path / "models")]
    done = subprocess.run(
        [*COMMAND, *words], env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 65
    assert "not UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "models").iterdir())
