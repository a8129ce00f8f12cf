"""`edge-tools COMMAND`: find and run a command; an error becomes one line and an exit code.

A command is a file of this folder with `HELP` (one line), `add_arguments(parser)` and
`run(arguments) -> exit code`. The file `engine_info.py` is the command `engine-info`. Only the
chosen file is imported, so a missing library breaks only the command that needs it. The package of
a box brings the libraries of all commands but those of `box.WORKSTATION`.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Optional, Sequence

from edge import __version__
from edge.errors import (
    INTERRUPTED,
    PIPE_CLOSED,
    ConfigError,
    DataError,
    EdgeError,
    UnavailableError,
)
from tools import box

HERE = Path(__file__).parent
ELSEWHERE = (
    "{0} is not on a box: run it on a workstation, in the source of the same version "
    "(make setup, then .venv/bin/edge-tools {0}), and copy the result here"
)
IO_ERROR = 74  # sysexits EX_IOERR


def commands() -> Dict[str, str]:
    """Command name -> its HELP line, read from the files without importing them."""
    found = {}
    for path in sorted(HERE.glob("[a-z]*.py")):
        line = help_line(path)
        if line:
            found[path.stem.replace("_", "-")] = line
    return found


def help_line(path: Path) -> str:
    """The string that a file assigns to HELP at its top level, or ""."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            value = statement.value
            if statement.targets[0].id == "HELP" and isinstance(value, ast.Constant):
                return str(value.value)
    return ""


def load(name: str) -> ModuleType:
    """Import a command's file.

    Raises:
        ConfigError: the command does not exist.
        UnavailableError: a library that the command needs is not installed, or this is a box that
            does not have the command.
    """
    known = commands()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else "`edge-tools --help` lists them"
        raise ConfigError(f"no command called {name}; {hint}")
    if box.on_box() and name in box.WORKSTATION:
        raise UnavailableError(ELSEWHERE.format(name))
    try:
        return importlib.import_module("tools." + name.replace("-", "_"))
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in ("edge", "tools"):
            raise
        raise UnavailableError(
            f"{name} needs the Python package {missing}: pip install {missing}"
        ) from error


def overview() -> str:
    """The output of `edge-tools --help`; on a box, the commands of a workstation come last."""
    lines = ["usage: edge-tools [--version] COMMAND ...", "", "commands:"]
    known = commands()
    elsewhere = box.WORKSTATION if box.on_box() else ()
    width = max([len(name) for name in known] + [1])
    lines += [f"  {n.ljust(width)}  {line}" for n, line in known.items() if n not in elsewhere]
    if elsewhere:
        lines += ["", f"on a workstation, from the source (make setup): {' '.join(elsewhere)}"]
    return "\n".join(lines + ["", "`edge-tools COMMAND --help` prints the options of a command."])


def dispatch(arguments: Sequence[str]) -> int:
    """Run one command line; errors are raised."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print("edge-tools", __version__)
        return 0
    command = load(arguments[0])
    parser = argparse.ArgumentParser("edge-tools " + arguments[0], description=command.HELP)
    command.add_arguments(parser)
    return int(command.run(parser.parse_args(list(arguments[1:]))) or 0)


def main(arguments: Optional[List[str]] = None) -> int:
    """Run a command line and return its exit code; no exception leaves this function."""
    if sys.stdout is None:  # the shell closed it with `>&-`
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    try:
        code = dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except EdgeError as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader has closed the pipe. The interpreter must not try to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except UnicodeEncodeError as error:
        # From a file name: bytes that are not UTF-8 become surrogates (PEP 383).
        around = str(error.object)[max(0, error.start - 20) : error.end + 20]
        return complain(
            f"a file name is not UTF-8, rename the file: ... {around!a} ...", DataError.exit_code
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return complain(f"{where}{error.strerror or error}", IO_ERROR)


def complain(message: str, code: int) -> int:
    """Print one line on stderr; returns the exit code."""
    print("edge-tools:", " ".join(message.split()), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
