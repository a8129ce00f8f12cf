"""Depth images of rendered people, and keypoints that they lift to metres."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.sensors import depth
from tools.__main__ import main
from tools.benches import lifting

WORDS = ["synth", "rendered-exercises", "--lens", "pinhole", "--count", "1", "--seconds", "0.4"]
SMALL = ["--size", "160", "120", "--fps", "10", "--motions", "squat", "--workers", "1"]


def test_a_clip_has_depth_images_that_the_program_reads(tmp_path: Path) -> None:
    words = [*WORDS, *SMALL, "--depth", "--out", str(tmp_path)]
    assert main(words) == 0
    folder = tmp_path / "rendered-exercises-000.depth"
    assert sorted(p.name for p in folder.glob("*.png")) == [f"{i:06d}.png" for i in range(4)]
    source = depth.open_depth(depth.check(f"file://{folder}", "x"))
    truth = (
        (tmp_path / "rendered-exercises-000.truth.jsonl").read_text(encoding="utf-8").splitlines()
    )
    camera = json.loads(truth[0])["camera"]
    assert source.camera.fx == pytest.approx(camera["focal_px"])
    image = source.image(2, 0)
    assert image is not None
    assert image.shape == (120, 160)
    person = json.loads(truth[3])["people"][0]
    nose_px = np.rint(np.array(person["keypoints"][0][:2])).astype(int)
    place = np.array(person["keypoints_m"][0]) - np.array(camera["position_m"])
    z_m = float(np.array(camera["rotation"])[2] @ place)
    near = image[nose_px[1] - 1 : nose_px[1] + 2, nose_px[0] - 1 : nose_px[0] + 2] * 0.001
    assert np.abs(near - z_m).min() < 0.15
    (tmp_path / "rendered-exercises-000.depth" / "old.png").write_bytes(b"")
    assert main([*WORDS, *SMALL, "--out", str(tmp_path)]) == 0
    assert not folder.exists()  # a set that is made again leaves nothing of the old one


@pytest.mark.parametrize("words", [["rendered-exercises"], ["rendered-clean"]])
def test_depth_needs_a_clip_and_a_pinhole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list
) -> None:
    assert main(["synth", *words, "--depth", "--out", str(tmp_path / "a")]) == 78
    told = capsys.readouterr().err
    assert "--depth: is for clips of a pinhole" in told


def test_lifted_keypoints_are_right_within_millimetres() -> None:
    found = lifting.judged("tune", 8, 3)
    assert len(found.mm) > 100
    assert np.median(found.mm) < 30
    assert np.percentile(found.mm, 90) < 110
    assert found.missing < 0.05
