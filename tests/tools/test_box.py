"""edge-tools on a box: its commands, its folders, and what it says about the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, List

import pytest

from edge.loop import assemble
from edge.recipe import INSTALLED_MODELS, tool_line
from tests.test_rooms import ROOT
from tools import box, places
from tools.__main__ import commands, main
from tools.fetch import by_name

CARRIED = [
    *("broker", "build", "bundle", "calibrate", "command", "contract", "engine-info", "get", "imu"),
    *("keygen", "land", "listen", "recordings", "replay", "report"),
    *("sign", "verify"),
]


@pytest.fixture
def on_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box, "on_box", lambda: True)


def test_every_command_is_for_a_box_or_for_a_workstation() -> None:
    assert sorted([*CARRIED, *box.WORKSTATION]) == sorted(commands())


@pytest.mark.parametrize("name", box.WORKSTATION)
def test_what_a_box_does_not_carry_is_one_line_with_the_way(
    name: str, on_box: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 69
    said = capsys.readouterr().err
    assert said.startswith(f"edge-tools: {name} is not on a box: run it on a workstation")
    assert f"make setup, then .venv/bin/edge-tools {name}" in said
    assert len(said.splitlines()) == 1


def test_the_overview_of_a_box_has_its_own_commands_first(
    on_box: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = lines[3].split()[0], lines[2 + len(CARRIED)].split()[0]
    assert first == ("broker", "verify")
    (elsewhere,) = [line for line in lines if line.startswith("on a workstation")]
    assert "quantize" in elsewhere
    assert "verify" not in elsewhere


def test_a_box_is_known_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not box.on_box()
    monkeypatch.setattr(sys, "prefix", "/usr/lib/edge/venv")
    assert box.on_box()


def test_folders_of_a_box(on_box: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert places.own_models() == INSTALLED_MODELS
    assert places.own_sets() == places.sets() == Path("/var/lib/edge/calibration")
    assert places.shipped_models() == Path("/usr/share/edge/engines")
    for folder in (tmp_path / "engines", tmp_path / "calibration"):
        folder.mkdir()
    assert (places.own_models(), places.sets()) == (Path("engines"), Path("calibration"))


def test_get_on_a_box_takes_its_recipe_and_its_folder(
    on_box: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped, installed = tmp_path / "share", tmp_path / "installed"
    (shipped / "mine").mkdir(parents=True)
    recipe = 'family = "simcc"\nskeleton = "coco17"\n[networks.main]\nfile = "m.onnx"\n'
    (shipped / "mine/model.toml").write_text(recipe + "width = 48\nheight = 64\n", encoding="utf-8")
    monkeypatch.setattr(by_name, "ENGINES", shipped)
    monkeypatch.setattr(places, "INSTALLED_MODELS", installed)
    assert main(["get", "mine"]) == 78
    said = capsys.readouterr().err
    assert f"{installed}/mine/model.toml: networks.main has no `weights` table" in said
    assert (installed / "mine/model.toml").is_file()


@pytest.mark.parametrize(
    "command",
    [
        ["get", "yolov4-tiny", "--models", "PLACE"],
        ["verify", "yolov4-tiny", "--models", "PLACE"],
        ["calibrate", "hall", "--from", "rtsp://cam/1", "--sets", "PLACE"],
        ["bundle", "install", "x.bundle", "--key", "k.pub", "--state", "PLACE"],
    ],
)
def test_root_does_not_write_where_the_service_could_plant_links(
    command: List[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = tmp_path / "edge" / "folder"
    place.mkdir(parents=True)
    os.chown(place, 1, 1)
    monkeypatch.setattr(places, "INSTALLED", tmp_path / "edge")
    words = [str(place) if word == "PLACE" else word for word in command]
    monkeypatch.setattr(sys, "argv", ["edge-tools", *words])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert main(words) == 78
    said = capsys.readouterr().err
    assert "so root must not write there: runuser -u daemon -- edge-tools" in said
    assert " ".join(words) in said
    os.chown(place, 0, 0)
    places.require_owner(place)


def test_others_and_other_folders_are_not_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places.require_owner(None)
    places.require_owner(tmp_path)
    monkeypatch.setattr(places, "INSTALLED", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    places.require_owner(tmp_path)


def test_a_folder_that_nobody_may_look_into_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`runuser -u edge` keeps root's folder, in which the service's user may not look."""

    def closed(path: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "stat", closed)
    monkeypatch.setattr(box, "on_box", lambda: True)
    found = assemble.default_models(), places.own_models(), places.sets()
    monkeypatch.undo()
    assert found == (Path("engines"), INSTALLED_MODELS, places.INSTALLED_SETS)


def test_messages_name_the_line_that_works_there() -> None:
    assert tool_line("get", Path("engines/blazepose")) == "edge-tools get blazepose"
    there = tool_line("get", INSTALLED_MODELS / "blazepose")
    assert there == "runuser -u edge -- edge-tools get blazepose"


def test_the_package_brings_what_setup_names() -> None:
    """setup.py names what a box's commands import, wheels.sh brings it for every Python."""
    setup, wheels = (
        (ROOT / "setup.py").read_text(encoding="utf-8"),
        (ROOT / "systemd/wheels.sh").read_text(encoding="utf-8"),
    )
    line = next(li for li in setup.splitlines() if li.startswith("BOX = "))
    names = [word.partition(">")[0].strip('[" ') for word in line.partition("=")[2].split(",")]
    libraries = [name for name in names if name and name[0].isalpha()]
    assert libraries == ["onnx", "tflite", "tqdm"]
    assert all(name in wheels for name in libraries)
