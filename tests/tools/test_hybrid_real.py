"""The default networks on a real picture: two people who overlap are two, each with a pose."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import cv2
import numpy as np
import pytest

from tests.waiting import GIVE_UP_S
from tools.fetch.by_name import ensure_model, ensure_set

AT = 48  # the athlete bends over; the trainer stands half behind him


def poses(place: Path, picture: Path, detector: str) -> List[np.ndarray]:
    """Keypoints [133,3] px and score of everybody in a picture, by the program itself."""
    models = ensure_model(detector, quiet=True).parent
    ensure_model("blazepose", quiet=True)
    out = place / f"{detector}.jsonl"
    config = place / "edge.toml"
    config.write_text(
        f'[[cameras]]\nsource = "file://{picture}"\n[models]\ndir = "{models}"\n'
        f'[detect]\nmodel = "{detector}"\n[publish]\nsinks = ["jsonl:{out}"]\n'
        '[runtime]\nprefer = "onnx"\n',
        encoding="utf-8",
    )
    run = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=GIVE_UP_S, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    people: List[Dict[str, List[int]]] = []
    for line in out.read_text(encoding="utf-8").splitlines():
        message = json.loads(line)
        if message["topic"].endswith("/frame"):
            people = message["payload"]["people"]
    return [np.array(p["keypoints"], float).reshape(133, 3) / (10, 10, 100) for p in people]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frame AT of the rig's third camera, a quarter of its size: people of 200 px."""
    video = cv2.VideoCapture(str(ensure_set("multiperson", quiet=True) / "cam03.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, AT)
    found, image = video.read()
    assert found
    path = tmp_path_factory.mktemp("hybrid") / "picture.png"
    cv2.imwrite(str(path), cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA))
    return path


def test_both_people_have_a_body_of_their_own(picture: Path) -> None:
    found = poses(picture.parent, picture, "hybrid")
    assert len(found) == 2
    hips = sorted(float(p[[11, 12], 0].mean()) for p in found)
    # By eye in the full picture: the trainer's hips at x = 290, the athlete's at x = 530.
    assert hips == pytest.approx([72, 132], abs=12)
    for person in found:
        assert (person[5:17, 2] > 0.3).sum() >= 10, "shoulders to ankles"
