"""`edge-tools evaluate` as a user calls it: files in, figures and a page out, errors in a line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List
from xml.etree.ElementTree import Element, SubElement, tostring

import cv2
import numpy as np
import pytest

from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import Ring
from edge.structures import Poses
from tests.tools.evaluation.label_cases import annotation, person, picture, results, table, write
from tools.__main__ import main
from tools.evaluation import point_sets
from tools.fetch.by_name import ensure_model, ensure_set


def evaluate(tmp_path: Path, *words: Any) -> int:
    return main(["evaluate", *map(str, words), "--out", str(tmp_path / "out")])


def labels(tmp_path: Path, images: int = 2, **more: Any) -> Path:
    rows = [annotation(person(i), image=i + 1, id=i) for i in range(images)]
    for i in range(images):
        picture(tmp_path / f"{i + 1}.jpg")
    return write(tmp_path / "labels.json", table(rows, images, **more))


def found(tmp_path: Path, off_px: float = 0.0, images: int = 2, name: str = "found.json") -> Path:
    rows: List[Dict[str, Any]] = []
    for i in range(images):
        marks = person(i)
        marks[:, 0] += off_px
        rows += results([marks], image=i + 1)
    return write(tmp_path / name, rows)


def test_figures_as_text_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path, labels(tmp_path), found(tmp_path, 3)) == 0
    shown = capsys.readouterr().out
    assert "2 pictures, 2 people: 2 found, 0 missed, 0 false" in shown
    assert re.search(r"body +\.9\d\d", shown)
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 2
    assert "sigmas: COCO" in shown
    assert "2 pictures with 2 labelled people" in page


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    assert evaluate(tmp_path, labels(tmp_path), found(tmp_path, 3)) == 0
    page = (tmp_path / "out/page.html").read_text(encoding="utf-8")
    places = re.findall(r'(?:src|href)="([^"]{0,40})|url\(([^)]*)', page)
    assert places
    assert all(src.startswith("data:image/jpeg;base64,") for src, _ in places)
    assert "<script" not in page
    assert "<svg " in page


def test_a_name_with_markup_does_not_become_markup(tmp_path: Path) -> None:
    path = labels(tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["images"][0]["file_name"] = "<b>1.jpg"
    picture(tmp_path / "<b>1.jpg")
    assert evaluate(tmp_path, write(path, content), found(tmp_path, 9)) == 0
    assert "<b>1.jpg" not in (tmp_path / "out/page.html").read_text(encoding="utf-8")


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path, labels(tmp_path), found(tmp_path), "--json") == 0
    out, err = capsys.readouterr()
    figures = json.loads(out)
    assert err == ""
    assert figures["oks"]["body"]["mean"] == pytest.approx(1, abs=1e-6)
    assert figures["precision"]["body"]["AP"] == pytest.approx(1, abs=1e-6)
    assert figures == json.loads((tmp_path / "out/figures.json").read_text(encoding="utf-8"))


def test_against_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = labels(tmp_path)
    good, bad = found(tmp_path, 1), found(tmp_path, 8, name="bad.json")
    assert evaluate(tmp_path, truth, bad, "--against", good) == 1
    assert "against found.json: worse by more than 0.02" in capsys.readouterr().out
    assert "Against found.json" in (tmp_path / "out/page.html").read_text(encoding="utf-8")
    assert evaluate(tmp_path, truth, good, "--against", bad) == 0
    assert evaluate(tmp_path, truth, bad, "--against", good, "--margin", "1") == 0
    assert "nothing is worse by more than 1" in capsys.readouterr().out


def test_what_it_found_can_be_given_again(tmp_path: Path) -> None:
    truth = labels(tmp_path)
    assert evaluate(tmp_path, truth, found(tmp_path, 2)) == 0
    kept = (tmp_path / "out/found.json").rename(tmp_path / "kept.json")
    assert evaluate(tmp_path, truth, kept, "--against", kept, "--margin", "0") == 0


def test_other_sigmas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sigmas = write(tmp_path / "sigmas.json", [0.5] * 17)
    truth = labels(tmp_path)
    assert evaluate(tmp_path, truth, found(tmp_path, 8), "--sigmas", sigmas, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["oks"]["body"]["mean"] > 0.99
    assert figures["sigmas"] == str(sigmas)


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["none.json"], 66, "none.json: no such file or folder; expected COCO"),
        (["labels.json", "none.json"], 66, "none.json: No such file or directory"),
        (["labels.json", "labels.jpg"], 78, "is no result file (.json), no recording"),
        (["labels.json", "labels.json"], 65, "is no result file: a list of objects"),
        (["labels.json", "found.json", "--frames", "0"], 78, "--frames 0: must be 1 or more"),
        (["labels.json", "found.json", "--margin", "2"], 78, "--margin 2.0: must be 0 to 1"),
        (["labels.json", "--keypoints", "coco"], 66, "no such picture"),
        (["labels.json", "--keypoints", "coc"], 78, "no keypoint set called 'coc'"),
        (["labels.json", "--keypoints", "aic"], 65, "keypoints has 51 numbers, 42 expected"),
        (["labels.json", "found.json", "--sigmas", "found.json"], 78, "a list of numbers"),
        (["labels.json", "found.json", "--sigmas", "few.json"], 78, "expected 17 sigmas above 0"),
        (["nobody.json", "found.json"], 78, "nobody is labelled in it"),
        (["Calib.qca.txt"], 65, "is no calibration of Qualisys"),
        (["labels.json", "--detect", "nothing"], 66, "nothing"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: List[str],
    code: int,
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    labels(tmp_path)
    found(tmp_path)
    if line != "nothing":
        for image in tmp_path.glob("*.jpg"):
            image.unlink()
    write(tmp_path / "few.json", [0.1])
    write(tmp_path / "nobody.json", table([annotation(person(), iscrowd=1)]))
    (tmp_path / "Calib.qca.txt").write_text("<a>", encoding="utf-8")
    assert evaluate(tmp_path, *words) == code
    error = capsys.readouterr().err.strip()
    assert line in error
    assert error.splitlines()[-1].startswith("edge-tools: ")
    assert "Traceback" not in error


# Recordings ----------------------------------------------------------------------------------


def poses(index: int, off_px: float) -> Poses:
    marks = person(index)
    keypoints = (marks[None, :, :2] + (off_px, 0)).astype(np.float32)
    ones = np.ones((1, 17), np.float32)
    low, high = keypoints[0].min(0), keypoints[0].max(0)
    boxes = np.concatenate((low, high))[None]
    return Poses(keypoints, ones, boxes, np.array([7]), ones[0, :1], "coco17")


def recording(folder: Path, camera: str, frames: int, off_px: float = 0.0) -> Path:
    ring = Ring(folder, 1 << 20, lambda: b"{}")
    for i in range(frames):
        frame = RecordedFrame(camera, i, i * 10**8, 0, (640, 480), poses(i, off_px))
        ring.write("P", pack(frame))
    ring.close()
    return folder


def test_a_recording_of_a_folder_of_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frame 9 is the tenth picture by name, 10.jpg after 9.jpg."""
    folder = recording(tmp_path / "poses", "any", 12)
    assert evaluate(tmp_path, labels(tmp_path, 11), folder, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["oks"]["body"]["mean"] == pytest.approx(1, abs=1e-6)
    assert "1 recorded frames have no labels and are left out" in figures["notes"]


def test_a_recording_of_a_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = labels(tmp_path, 5)
    content = json.loads(path.read_text(encoding="utf-8"))
    for i, image in enumerate(content["images"]):
        image.update(video="hall", frame_index=i)
    for row in content["annotations"]:
        row["track_id"] = 1
    write(path, content)
    folder = recording(tmp_path / "poses", "hall", 5, 2.0)
    assert evaluate(tmp_path, path, folder, "--json") == 0
    video = json.loads(capsys.readouterr().out)["video"]
    assert (video["identities"]["switches"], video["identities"]["frames"]) == (0, 5)
    assert video["motion"]["jitter_h"] == pytest.approx(0, abs=1e-5)
    assert evaluate(tmp_path, path, tmp_path / "none.poses") == 66
    assert "no recording here" in capsys.readouterr().err


def test_a_recording_of_another_camera_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(tmp_path, 4)
    content = json.loads(path.read_text(encoding="utf-8"))
    for i, image in enumerate(content["images"]):
        image.update(video=f"hall{i // 2}", frame_index=i)
    write(path, content)
    assert evaluate(tmp_path, path, recording(tmp_path / "poses", "door", 4)) == 65
    assert "cameras must be called as the videos of the data: hall0, hall1" in (
        capsys.readouterr().err
    )


# Calibrated cameras --------------------------------------------------------------------------


def calibrated(folder: Path) -> Path:
    """A file of Qualisys with two cameras at a right angle, and a video for each."""
    folder.mkdir()
    lens = {"focalLengthU": 800, "focalLengthV": 800, "centerPointU": 320, "centerPointV": 240}
    numbers = {name: str(value * 64) for name, value in lens.items()}
    curves = {f"{k}Distortion{i}": "0" for k in ("radial", "tangental") for i in (1, 2)}
    root = Element("calibration")
    for turn in (np.eye(3), TURN):
        camera = SubElement(root, "camera")
        rows = np.diag([1.0, -1.0, -1.0]) @ turn
        place = -turn.T @ (0, 0, 4000.0)
        words = {f"r{i + 1}{j + 1}": str(rows[i, j]) for i in range(3) for j in range(3)}
        SubElement(camera, "transform", {**words, **dict(zip("xyz", map(str, place)))})
        SubElement(camera, "intrinsic", {**numbers, **curves})
        SubElement(camera, "fov_video", {"left": "0", "top": "0", "right": "639", "bottom": "479"})
    path = folder / "Calib.qca.txt"
    path.write_bytes(tostring(root))
    for name in ("a.mp4", "b.mp4"):
        (folder / name).touch()
    return path


TURN = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])


def rig_recording(folder: Path, off_px: float) -> Path:
    body = np.random.default_rng(0).uniform(-600, 600, (17, 3))
    ring = Ring(folder, 1 << 20, lambda: b"{}")
    for i in range(6):
        for camera, turn in (("a", np.eye(3)), ("b", TURN)):
            seen = (body + (20 * i, 0, 0)) @ turn.T + (0, 0, 4000.0)
            px = 800 * seen[:, :2] / seen[:, 2:] + (320, 240 + off_px * (camera == "a"))
            points = px[None].astype(np.float32)
            boxes = np.concatenate((points[0].min(0), points[0].max(0)))[None]
            ones = np.ones((1, 17), np.float32)
            poses = Poses(points, ones, boxes, np.array([3]), ones[0, :1], "coco17")
            ring.write("P", pack(RecordedFrame(camera, i, i * 10**8, 0, (640, 480), poses)))
    ring.close()
    return folder


def test_cameras_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = calibrated(tmp_path / "rig")
    right, wrong = (rig_recording(tmp_path / f"poses{off}", off) for off in (0, 30))
    assert evaluate(tmp_path, path.parent, right, "--json") == 0
    agree = json.loads(capsys.readouterr().out)
    assert (agree["poses"], agree["compared"], agree["ids"]) == (12, 12, {"a": 1, "b": 1})
    assert agree["median_px"] == pytest.approx(0, abs=0.01)
    assert evaluate(tmp_path, path, wrong) == 0
    shown = capsys.readouterr().out
    assert "the cameras disagree by 2" in shown or "the cameras disagree by 3" in shown
    assert "do the cameras agree?" in (tmp_path / "out/page.html").read_text(encoding="utf-8")


def test_a_rig_that_lacks_something_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calibrated(tmp_path / "rig")
    assert evaluate(tmp_path, path, "--against", path) == 78
    assert "--against: needs labels" in capsys.readouterr().err
    assert evaluate(tmp_path, path, recording(tmp_path / "poses", "a", 2)) == 78
    assert "has no frames of a camera 'b'" in capsys.readouterr().err
    (path.parent / "b.mp4").unlink()
    assert evaluate(tmp_path, path) == 66
    assert "1 videos beside a calibration of 2 cameras" in capsys.readouterr().err


# The networks --------------------------------------------------------------------------------


def test_the_networks_run_over_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the networks find is labelled truth for a second run, which must find it again."""
    clip = ensure_set("singleperson", quiet=True) / "cam03.mp4"
    models = ensure_model("yolov4-tiny", quiet=True).parent
    ensure_model("blazepose", quiet=True)
    capture = cv2.VideoCapture(str(clip))
    frame = np.asarray(capture.read()[1])
    capture.release()
    cv2.imwrite(str(tmp_path / "1.png"), frame)
    content = table([annotation(person(0, 133)[:17])])
    content["images"][0].update(file_name="1.png", width=frame.shape[1], height=frame.shape[0])
    path = write(tmp_path / "labels.json", content)
    settings = tmp_path / "edge.toml"  # two runs are compared: both by the same runtime
    settings.write_text('[runtime]\nprefer = "onnx"\n', encoding="utf-8")
    run = ["--models", models, "--detect", "yolov4-tiny", "--frames", "3", "--json"]
    run += ["--config", settings]
    assert evaluate(tmp_path, path, *run) == 0
    capsys.readouterr()
    rows = json.loads((tmp_path / "out/found.json").read_text(encoding="utf-8"))
    assert rows
    content["annotations"] = [
        {**annotation(np.array(r["keypoints"]).reshape(-1, 3)), "bbox": r["bbox"], "id": i}
        for i, r in enumerate(rows)
    ]
    assert evaluate(tmp_path, write(path, content), *run) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["people"]["found"] == len(rows)
    assert figures["oks"]["body"]["mean"] == pytest.approx(1, abs=1e-3)
    assert "each picture is a still of 3 frames, the last is scored" in figures["notes"]


def test_a_configuration_runs_and_what_its_model_lacks_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ensure_model("yolov4-tiny", quiet=True).parent
    ensure_model("blazepose", quiet=True)
    settings = tmp_path / "edge.toml"
    settings.write_text(
        '[[cameras]]\nsource = "rtsp://nowhere/x"\n[detect]\nmodel = "yolov4-tiny"\n'
        '[pose]\nskeleton = "halpe26"\n[publish]\nsinks = ["mqtt://nowhere"]\n',
        encoding="utf-8",
    )
    picture(tmp_path / "1.jpg")
    content = table([annotation(person(0, 14))])
    content["categories"][0]["keypoints"] = list(point_sets.FOREIGN["crowdpose"])
    path = write(tmp_path / "labels.json", content)
    words = ["--models", models, "--frames", "2", "--json"]
    assert evaluate(tmp_path, path, settings, *words) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["predictions"] == "yolov4-tiny + blazepose"
    assert figures["left_out"] == ["head"]
