"""The command line of `edge`: what it accepts, what it says of itself."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List

import pytest

import edge.__main__ as command_line
from edge.errors import INTERRUPTED, PIPE_CLOSED, EdgeError


def subcommands() -> Dict[str, argparse.ArgumentParser]:
    actions = command_line.parser()._actions
    found = next(a for a in actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def test_every_command_is_in_the_docstring_and_every_option_has_a_help() -> None:
    assert set(subcommands()) == {"run", "check", "session", "provision", "doctor"}
    for name, parser in subcommands().items():
        assert name in (command_line.__doc__ or "")
        assert parser.description
        assert not [action.dest for action in parser._actions if not action.help]


def test_the_exit_codes_of_the_help_are_those_of_the_errors() -> None:
    def kinds(cls: type) -> List[Any]:
        return [cls, *(k for sub in cls.__subclasses__() for k in kinds(sub))]

    ours = {k.exit_code for k in kinds(EdgeError) if k.__module__ == "edge.errors"} - {1}
    told = {int(word) for word in command_line.EPILOG.split() if word.isdigit()}
    assert told == ours | {0, 2, INTERRUPTED, PIPE_CLOSED}


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141), (EdgeError("x"), 1)]
)
def test_what_ends_a_command_is_an_exit_code(
    monkeypatch: Any, capsys: Any, error: BaseException, code: int
) -> None:
    def fail(arguments: Any, handler: Any) -> int:
        raise error

    monkeypatch.setattr(command_line, "_dispatch", fail)
    monkeypatch.setattr("edge.service.logs.start", lambda level, form: None)
    assert command_line.main(["check", "x.toml"]) == code
    assert capsys.readouterr().err == ("edge: x\n" if code == 1 else "")


@pytest.mark.parametrize(
    ("words", "sinks"),
    [
        (["rtsp://h/live"], []),
        (["--source", "rtsp://h/live"], []),
        (["--source", "rtsp://h/live", "--sink", "jsonl:-"], ["jsonl:-"]),
        (["--config", "{file}", "--source", "rtsp://h/live"], ["jsonl:-"]),
    ],
)
def test_a_terminal_gets_messages_only_if_somebody_asks(
    tmp_path: Path, monkeypatch: Any, words: List[str], sinks: List[str]
) -> None:
    file = tmp_path / "edge.toml"
    file.write_text("", encoding="utf-8")
    arguments = command_line.parser().parse_args(["run", *(w.format(file=file) for w in words)])
    plan = command_line._planned(arguments)
    assert command_line.merged(arguments, plan).publish.sinks == ["jsonl:-"]
    monkeypatch.setattr("edge.service.stdout.is_terminal", lambda stream: True)
    assert command_line.merged(arguments, plan).publish.sinks == sinks


def test_a_negative_number_of_steps_is_refused(capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["run", "--max-frames", "-1"])
    assert ended.value.code == 2
    assert "must not be negative" in capsys.readouterr().err
