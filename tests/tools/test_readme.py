"""The commands that README and docs mark as tested are run here.

`make soak` runs them word for word. `make test` runs them with fewer frames, and keeps all layers
in INT8, because the search for layers to keep in float takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from edge.recipe import load_recipe
from tests.waiting import GIVE_UP_S, SOAK
from tools.fetch.by_name import ensure_model, ensure_set
from tools.fetch.files import sha256_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Words of the pages, and what `make test` runs in their place.
SHORTER = {
    "--frames 12 --heldout 6": "--frames 4 --heldout 2",
    "--method mse": "--method mse --max-float 0 --target 0.9",
}
# So few frames give no good ranges: what is tested then is the chain, and that it measures.
LOOSE = "\n[gate]\nmin_oks = 0.5\nmax_px = 100.0\nmin_recall = 0.3\n"

pytestmark = pytest.mark.long


def commands_marked() -> List[str]:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    blocks = re.findall(r"<!-- tested -->\n```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def of_this_length(command: str) -> str:
    for words, fewer in ({} if SOAK else SHORTER).items():
        command = command.replace(words, fewer)
    return command


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
        if not SOAK:
            with (folder / "engines" / name / "model.toml").open("a", encoding="utf-8") as recipe:
                recipe.write(LOOSE)
    shutil.copytree(ensure_set("multiperson", quiet=True), folder / "calibration" / "multiperson")
    return folder


def run(command: str, place: Path) -> subprocess.CompletedProcess[str]:
    command = of_this_length(command)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        encoding="utf-8",
        # Minutes on two busy cores: a network is quantized and proven.
        timeout=3 * GIVE_UP_S,
    )


def works(command: str, place: Path) -> str:
    done = run(command, place)
    assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def test_the_walk_from_video_to_signed_int8(place: Path) -> None:
    commands = commands_marked()
    assert len(commands) >= 7
    assert all(any(words in command for command in commands) for words in SHORTER)
    for command in commands:
        works(command, place)
    is_proven(place, "blazepose")
    daemon = (
        "edge run --source file://calibration/multiperson/cam01.mp4 --max-frames 12"
        " --config int8.toml"
    )
    (place / "int8.toml").write_text(
        '[detect]\nmodel = "yolov4-tiny"\n[runtime]\nprecision = "int8"\n'
        f'[models]\ndir = "{place}/engines"\n'
        f'[trust]\nkey_file = "{place}/operator.pub"\n',
        encoding="utf-8",
    )
    # The detector has no INT8 file yet: the daemon says what makes it.
    refused = run(daemon, place)
    assert refused.returncode == 66
    assert "edge-tools quantize yolov4-tiny" in refused.stderr
    works("edge-tools quantize yolov4-tiny --set gym --method mse", place)
    works("edge-tools sign --key operator.key", place)
    said = works(daemon, place)
    assert '"people":[{"id":1' in said, "INT8 networks find people in real video"
    if not SOAK:  # test_int8_chain.py does it then
        detector_is_proven(place)


def detector_is_proven(place: Path) -> None:
    proof = json.loads(works("edge-tools verify yolov4-tiny --set gym --json", place))
    assert (proof["result"], proof["passed"]) == ("int8", True)
    assert proof["figures"]["people"] >= 3
    assert 0.7 < proof["figures"]["mean_iou"] < 1, "INT8 differs, and not much"
    is_proven(place, "yolov4-tiny")


def is_proven(place: Path, model: str) -> None:
    """Each network has a file of INT8, and a record that it passed its gate on held-out frames."""
    folder = place / "engines" / model
    for network in load_recipe(folder).networks.values():
        file = (folder / network.file).with_suffix(".int8.onnx")
        record: Dict[str, Any] = json.loads(
            file.with_suffix(".gate.json").read_text(encoding="utf-8")
        )
        assert record["sha256"] == sha256_of(file) != record["fp32_sha256"]
        assert (record["precision"], record["passed"]) == ("int8", True)
        assert record["frames"] == (6 if SOAK else 2)
