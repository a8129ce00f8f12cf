"""The commands that README and docs mark as tested are run here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from tests.waiting import GIVE_UP_S
from tools.fetch.by_name import ensure_model, ensure_set

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

pytestmark = pytest.mark.long


def commands_marked() -> List[str]:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    blocks = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the user's own with what `get` would bring, linked from what is here."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("yolov4-tiny", "blazepose"):
        source = ensure_model(name, quiet=True)
        (folder / "engines" / name).mkdir(parents=True)
        for file in source.iterdir():
            if ".int8" not in file.name and file.name[0] != ".":
                shutil.copy(file, folder / "engines" / name)
    shutil.copytree(ensure_set("multiperson", quiet=True), folder / "calibration" / "multiperson")
    return folder


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=3 * GIVE_UP_S,  # minutes on two busy cores: a network is quantized and proven
    )


def test_the_walk_from_video_to_signed_int8(place: Path) -> None:
    commands = commands_marked()
    assert len(commands) >= 7
    for command in commands:
        done = run(command, place)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    daemon = (
        "edge run --source file://calibration/multiperson/cam01.mp4 --max-frames 12"
        " --config int8.toml"
    )
    (place / "int8.toml").write_text(
        '[detect]\nmodel = "yolov4-tiny"\n[runtime]\nprecision = "int8"\n'
        f'[models]\ndir = "{place}/engines"\n'
        f'[trust]\nkey_file = "{place}/operator.pub"\n'
    )
    # The detector has no INT8 file yet: the daemon says what makes it.
    refused = run(daemon, place)
    assert refused.returncode == 66
    assert "edge-tools quantize yolov4-tiny" in refused.stderr
    for command in (
        "edge-tools quantize yolov4-tiny --set gym --method mse",
        "edge-tools sign --key operator.key",
    ):
        done = run(command, place)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    done = run(daemon, place)
    assert done.returncode == 0, done.stderr
    assert '"people":[{"id":1' in done.stdout, "INT8 networks find people in real video"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_make_goal_and_command_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text()
    for goal in re.findall(r"\bmake ([a-z-]+)", text):
        assert re.search(rf"^{goal}:", makefile, re.MULTILINE), f"make {goal}"
    tools = {p.stem.replace("_", "-") for p in (ROOT / "tools").glob("[a-z]*.py")}
    for command in re.findall(r"edge-tools ([a-z][a-z-]+)", text):
        assert command in tools, f"edge-tools {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert not [link for link in links if not (page.parent / link).exists()]


def test_readme_is_short_and_its_map_names_every_room() -> None:
    text = PAGES[0].read_text("utf-8")
    assert len(text.splitlines()) <= 150
    rooms = {p.parent.name for p in (ROOT / "edge").glob("*/__init__.py")}
    assert not {room for room in rooms if f"{room}/" not in text}
