"""docs/scenes.md: its configuration runs, and its message holds the contract."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.rig import pose2sim
from edge.service.check import check
from tests.edge.scene.drawn_room import ring

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "scenes.md").read_text("utf-8")


def block(kind: str) -> str:
    (text,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S)
    return str(text)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rig = ring(3).renamed(["cam01", "cam02", "cam03"])
    vectors = np.array([cv2.Rodrigues(turn)[0].reshape(3) for turn in rig.turns])
    Path("rig.toml").write_text(pose2sim.text_of(rig, vectors, 0.2), encoding="utf-8")
    models = Path(__file__).resolve().parents[1] / "golden" / "models"
    shutil.copytree(models, tmp_path / "engines")
    text = block("toml") + '\n[detect]\nmodel = "twobox"\n\n[pose]\nmodel = "standing"\n'
    Path("edge.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_configuration_of_the_page_is_valid(place: Path) -> None:
    scene = check(place / "edge.toml").scenes[0]
    assert scene.views == ["cam01", "cam02", "cam03"]


def test_the_daemon_runs_it_and_tells_the_scene(place: Path, contract: Any) -> None:
    from edge.__main__ import main

    video = cv2.VideoWriter("cam01.avi", cv2.VideoWriter.fourcc(*"MJPG"), 25, (1280, 720))
    for _ in range(5):
        video.write(np.full((720, 1280, 3), 90, np.uint8))
    video.release()
    for name in ("cam01", "cam02", "cam03"):
        shutil.copy("cam01.avi", f"{name}.mp4")
    Path("edge.toml").write_text(
        Path("edge.toml").read_text(encoding="utf-8")
        + '\n[publish]\nsinks = ["jsonl:out.jsonl"]\n',
        encoding="utf-8",
    )
    assert main(["run", "--config", "edge.toml"]) == 0
    lines = [
        json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    told = [line for line in lines if "/scene/" in line["topic"]]
    assert [line["payload"]["seq"] for line in told] == [0, 1, 2, 3, 4]
    for line in told:
        assert line["topic"] == "poses/v1/hall/scene/court/frame"
        assert line["payload"]["cameras"] == ["cam01", "cam02", "cam03"]
        contract(line["topic"], line["payload"])


def test_the_message_of_the_page_holds_the_contract(contract: Any) -> None:
    record = json.loads(block("json"))
    contract("poses/v1/hall/scene/court/frame", record)
