"""`edge-tools command`: what is typed becomes a command's values."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import ConfigError
from tools.__main__ import main
from tools.command import values


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("--5", "--5"),
        ("-", "-"),
        ("", ""),
        ("0.5", "0.5"),
        ("1" * 5000, "1" * 5000),
        ("\u00b2", "\u00b2"),
        ("a=b", "a=b"),
    ],
)
def test_only_whole_numbers_are_numbers(typed: str, meant: Any) -> None:
    assert values([f"key={typed}"]) == {"key": meant}


@pytest.mark.parametrize("pair", ["key", "=5", ""])
def test_what_is_no_pair_is_told(pair: str) -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        values([pair])


@pytest.mark.parametrize("seconds", ["inf", "nan", "-1", "0", "1e30"])
def test_a_wait_without_end_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["restart", "--device", "hall", "--key", "none.key", "--wait", seconds]
    assert main(["command", *words]) == 78
    assert "--wait" in capsys.readouterr().err
