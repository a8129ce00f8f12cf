"""Figures and page of a scene, on drawn people whose truth is known."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Dict, List

import numpy as np
import pytest

from edge import skeletons
from edge.messages import Builder
from edge.scene.pairing import Pairing
from edge.scene.room import Room
from edge.scene_structures import SceneFrame
from tests.edge.scene.drawn_room import people, ring, seen
from tools.cameras import scene_page
from tools.demos import cameras
from tools.evaluation.figures.scene import Labels, Told, figures
from tools.evaluation.rig_run import calibration_of

PLACES = [(0.0, 0.0, 0.3), (0.9, 0.2, 2.0)]


def told(steps: int = 20, noise_px: float = 1.0) -> List[Told]:
    rig = ring()
    room, pair = Room("hall", rig, skeletons.get("coco17")), Pairing(4, 17, 10**8, [0] * 4)
    rng = np.random.default_rng(0)
    found: List[Told] = []
    for step in range(steps):
        poses = seen(rig, people(PLACES, step / 30), noise_px, rng)
        for camera, one in enumerate(poses):
            pair.add(camera, one, round(step * 1e9 / 30) + 1)
        views = pair.instant()
        assert views is not None
        boxes = {
            name: dict(zip(one.ids.tolist(), one.boxes.tolist()))
            for name, one in zip(rig.names, poses)
        }
        found.append(Told(step, room(views), boxes))
    return found


def labels(all_told: List[Told]) -> Labels:
    made: Dict[str, Dict[str, Dict[int, List[float]]]] = {}
    for person, name in enumerate("ab"):
        made[name] = {
            f"cam{c}": {t.frame: list(t.boxes[f"cam{c}"][100 * c + person]) for t in all_told}
            for c in range(4)
        }
    return made


def test_good_people_have_good_figures() -> None:
    instants = told()
    found = figures(instants, labels(instants))
    assert found["instants"] == 20
    assert found["median_px"] < 3
    assert found["three_share"] > 0.97
    assert found["identity_share"] == 1
    assert found["people"] == 2
    assert max(found["bones_percent"].values()) < 4


def test_a_camera_that_shows_somebody_else_is_noticed() -> None:
    instants = told()
    right = labels(instants)
    last = instants[-1]
    mixed = last.scene.seen_as.copy()
    mixed[:, 2] = mixed[::-1, 2]
    instants[-1] = dataclasses.replace(last, scene=dataclasses.replace(last.scene, seen_as=mixed))
    told_at = sum(len(one.scene) > 0 for one in instants)
    assert figures(instants, right)["identity_share"] == pytest.approx(1 - 1 / told_at)


def test_an_id_that_changes_is_noticed() -> None:
    instants = told()
    right = labels(instants)
    last = instants[-1]
    instants[-1] = dataclasses.replace(
        last, scene=dataclasses.replace(last.scene, ids=last.scene.ids + 5)
    )
    found = figures(instants, right)
    assert found["identity_share"] < 1
    assert found["people"] == 4


def test_a_clip_without_people_has_no_figures() -> None:
    found = figures([], {})
    assert np.isnan(found["median_px"])
    assert found["people"] == 0


def test_the_page_holds_people_and_cameras_and_needs_nothing_else(tmp_path: Path) -> None:
    builder = Builder("box")
    payloads = [json.loads(builder.scene(one.scene).json) for one in told(8)]
    assert scene_page.write(tmp_path / "scene.html", payloads, ring())
    text = (tmp_path / "scene.html").read_text("utf-8")
    data = json.loads(re.findall(r"const D=(\{.*\});\n", text)[0])
    assert len(data["frames"]) == 8
    assert [p["id"] for p in data["frames"][-1]["people"]] == [1, 2]
    points = np.array(data["frames"][-1]["people"][0]["points"])
    truth = people(PLACES, 7 / 30) * 1000
    assert np.abs(points - truth[:, None]).max((2, 3)).min() < 60
    assert [c["name"] for c in data["cameras"]] == ["cam0", "cam1", "cam2", "cam3"]
    assert not re.search(r"(src|href)=|https?://", text)


def test_a_scene_of_nobody_makes_no_page(tmp_path: Path) -> None:
    empty: SceneFrame = told(1)[0].scene
    payload = json.loads(Builder("box").scene(empty).json)
    assert not scene_page.write(tmp_path / "scene.html", [payload], ring())
    assert not (tmp_path / "scene.html").exists()


def test_the_demo_has_a_scene_if_a_calibration_lies_beside_its_clips(tmp_path: Path) -> None:
    assert cameras.scene_text(calibration_of(tmp_path)) == ""
    (tmp_path / "Calib.qca.txt").write_text("x", encoding="utf-8")
    assert str(tmp_path / "Calib.qca.txt") in cameras.scene_text(calibration_of(tmp_path))
