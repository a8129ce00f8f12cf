"""From a key pair to a bundle in a state directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from edge.bundle.slots import Slots
from tools.__main__ import main

MODELS = Path(__file__).resolve().parents[1] / "edge" / "golden" / "models"


@pytest.fixture
def home(tmp_path: Path, capsys: Any) -> Path:
    assert main(["keygen", str(tmp_path / "operator")]) == 0
    capsys.readouterr()
    return tmp_path


def make(home: Path, *models: str, version: str = "4") -> List[str]:
    return [
        "bundle",
        "make",
        *models,
        "--models",
        str(MODELS),
        "--key",
        str(home / "operator.key"),
        "--version",
        version,
        "--name",
        "spring",
        "--out",
        str(home / "x.bundle"),
    ]


def test_make_inspect_install(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(make(home, "standing")) == 0
    assert "version 4 'spring', 2 files" in capsys.readouterr().out
    assert [p.name for p in home.glob(".*.new")] == []
    path, public = str(home / "x.bundle"), str(home / "operator.pub")
    assert main(["bundle", "inspect", path, "--key", public, "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert sorted(table["files"]) == ["standing/model.onnx", "standing/model.toml"]
    (home / "state").mkdir()
    install = ["bundle", "install", path, "--key", public, "--state", str(home / "state")]
    assert main(install) == 0
    assert "version 4 is in slot a" in capsys.readouterr().out
    state = Slots(home / "state" / "bundles").state()
    assert (state.active, state.version, state.confirmed) == ("a", 4, False)
    assert main(install) == 75
    assert "on probation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "instead", "code", "words"),
    [
        ("standing", "nothing", 66, "no such model"),
        ("{home}/operator.key", "none.key", 66, "none.key"),
        ("4", "0", 78, "must be 1 or more"),
        ("{home}/x.bundle", "/nowhere/x", 66, "/nowhere"),
    ],
)
def test_mistakes_are_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], value: str, instead: str, code: int, words: str
) -> None:
    arguments = make(home, "standing")
    arguments[arguments.index(value.format(home=home))] = instead
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_install_without_a_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "install", "x", "--key", "y", "--state", str(home / "none")]) == 66
    assert "no such directory; give the box's state.dir" in capsys.readouterr().err
