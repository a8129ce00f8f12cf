"""What `edge run PATH ...` takes, and the annotated files that it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, List

import cv2
import numpy as np
import pytest

from edge.__main__ import main
from edge.capture._source import CaptureOptions, parse
from edge.capture.file import open_reel
from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.service import paths
from edge.service.mark import MARK, is_marked, mark_mp4, marked_jpeg, marked_png

MODELS = Path(__file__).parents[1] / "golden" / "models"
NOISE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)


def save(path: Path, image: np.ndarray = NOISE) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def video(path: Path, frames: int = 6) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120))
    for shift in range(frames):
        writer.write(np.roll(NOISE, shift, 1))
    writer.release()
    return path


def configured(folder: Path) -> Path:
    path = folder / "edge.toml"
    path.write_text(
        f'[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
        '[publish]\nsinks = ["jsonl:out.jsonl"]\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: Any) -> int:
    return main(["run", "--config", str(configured(Path.cwd())), *map(str, arguments)])


def outputs(plan: paths.Plan) -> List[str]:
    found = [o for part in plan.rounds for o in part.outputs.values()]
    pictures = [out.name for o in found for _, out in o.pictures]
    return pictures + [o.video.name for o in found if o.video]


def test_the_mark_is_found_and_files_stay_readable(tmp_path: Path) -> None:
    for suffix, marked in ((".jpg", marked_jpeg), (".png", marked_png)):
        plain = cv2.imencode(suffix, NOISE)[1].tobytes()
        path = tmp_path / f"a{suffix}"
        path.write_bytes(plain)
        assert not is_marked(path)
        path.write_bytes(marked(plain))
        assert is_marked(path)
        assert (cv2.imread(str(path)) == cv2.imdecode(np.frombuffer(plain, np.uint8), 1)).all()
    film = video(tmp_path / "a.avi")
    assert not is_marked(film)
    mark_mp4(film)
    assert is_marked(film)
    assert film.read_bytes().endswith(b"\0\0\0\x1efree" + MARK)


def test_pictures_and_videos_get_an_annotated_one_beside_them(place: Path) -> None:
    (place / "in").mkdir()
    first = save(place / "in" / "photo.jpg")
    second = save(place / "in" / "photo.png", np.ascontiguousarray(NOISE[:, ::-1]))
    video(place / "in" / "clip.avi")
    before = {p.name: p.read_bytes() for p in (first, second)}
    assert run("in") == 0
    made = {p.name for p in (place / "in").iterdir()} - {"photo.jpg", "photo.png", "clip.avi"}
    assert made == {"photo.poses.jpg", "photo.poses.png", "clip.poses.mp4"}
    assert {p.name: p.read_bytes() for p in (first, second)} == before
    drawn = cv2.imread("in/photo.poses.png")
    assert drawn.shape == NOISE.shape
    changed = (drawn != NOISE[:, ::-1]).any(2).mean()
    assert 0.02 < changed < 0.9, "skeletons are drawn into the picture itself"
    film = cv2.VideoCapture("in/clip.poses.mp4")
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    lines = [
        json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    frames = [m["payload"]["camera"] for m in lines if m["topic"].endswith("/frame")]
    assert sorted(frames) == ["cam0"] * 2 + ["cam1"] * 6


def test_a_second_run_replaces_its_own_files_and_reads_none_of_them(place: Path) -> None:
    save(place / "a.jpg")
    video(place / "b.avi")
    for _ in range(2):
        assert run(".") == 0
    assert run("a.jpg", "a.poses.jpg", "b.avi", "b.poses.mp4") == 0
    assert sorted(p.name for p in place.iterdir() if p.suffix in (".jpg", ".avi", ".mp4")) == [
        *("a.jpg", "a.poses.jpg", "b.avi", "b.poses.mp4")
    ]
    with pytest.raises(DataError, match="give its original"):
        paths.plan(["a.poses.jpg"])


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_file_of_somebody_else_is_never_replaced(place: Path, capsys: Any, kind: str) -> None:
    save(place / "a.jpg")
    there = place / "a.poses.jpg"
    if kind == "file":
        save(there)
    elif kind == "folder":
        there.mkdir()
    else:
        there.symlink_to(place / "elsewhere")
    before = there.read_bytes() if kind == "file" else None
    assert run("a.jpg") == DataError.exit_code
    assert "this program did not write it" in capsys.readouterr().err
    assert kind != "file" or there.read_bytes() == before
    (place / "out").mkdir()
    assert run("a.jpg", "--output", "out") == 0
    assert [p.name for p in (place / "out").iterdir()] == ["a.poses.jpg"]


def test_one_bad_picture_does_not_stop_the_others(place: Path, caplog: Any) -> None:
    save(place / "a.jpg")
    (place / "b.jpg").write_text("no picture", encoding="utf-8")
    with caplog.at_level("ERROR"):
        assert run("a.jpg", "b.jpg") == DataError.exit_code
    assert "b.jpg: is text, not a picture" in caplog.text
    assert Path("a.poses.jpg").exists()
    with pytest.raises(DataError, match="is text"):
        paths.plan(["b.jpg"])


@pytest.mark.parametrize(
    ("typed", "kind", "words"),
    [
        ("nothing.jpg", NoInputError, "nothing.jpg: no such file or folder"),
        ("photo.jgp", ConfigError, "no such file; for a camera write rtsp://photo.jgp"),
        ("*.png", NoInputError, "no such file"),
        ("", NoInputError, "is empty"),
        ("empty", NoInputError, "no pictures and no videos"),
        ("u:secret@10.0.0.7/s", ConfigError, r"\*\*\*@10.0.0.7"),
    ],
)
def test_a_wrong_path_is_one_plain_line(place: Path, typed: str, kind: Any, words: str) -> None:
    (place / "empty").mkdir()
    with pytest.raises(kind, match=words) as told:
        paths.plan([typed])
    assert "secret" not in str(told.value)


def test_names_of_outputs_are_never_given_twice(place: Path) -> None:
    for name in ("a.png", "a.bmp", "a.webp"):
        save(place / name)
    (place / "b").mkdir()
    save(place / "b" / "a.png")
    made = outputs(paths.plan(["*.png", "*.bmp", "*.webp", "b"], place))
    assert made == ["a.poses.png", "a.bmp.poses.png", "a.webp.poses.png", "a.png.poses.png"]


def test_pages_of_one_file_are_pictures_of_their_own(place: Path) -> None:
    assert cv2.imwritemulti("scan.tif", [NOISE, NOISE])
    assert outputs(paths.plan(["scan.tif"])) == ["scan.1.poses.png", "scan.2.poses.png"]


def test_cameras_addresses_and_files_run_together(place: Path) -> None:
    save(place / "a.jpg")
    clips = [video(place / f"{n}.avi", 1) for n in range(6)]
    plan = paths.plan(["0", "rtsp://u@h/s", "a.jpg", *map(str, clips)])
    names = [[c.name for c in part.cameras] for part in plan.rounds]
    assert names == [["cam0", "cam1", "cam2", "cam3"], ["cam4", "cam5", "cam6", "cam7"], ["cam8"]]
    assert [c.source for c in plan.cameras][:2] == ["rtsp://u@h/s", "v4l2:///dev/video0"][::-1]
    assert not plan.only_files
    assert paths.plan(["a.jpg"]).only_files


def test_several_pictures_are_one_source(place: Path) -> None:
    first, second = save(place / "b 1%.png"), save(place / "a?.png", NOISE[:60])
    uri = paths.plan([str(first), str(second)]).cameras[0].source
    reel = open_reel(parse(uri), 25.0, CaptureOptions())
    assert reel.still
    assert [reel.next_ns() is None for _ in range(3)] == [False, False, True]
    with pytest.raises(EdgeError, match=r"gone\.png: no such file"):
        open_reel(parse(uri + "%0A/gone.png"), 25.0, CaptureOptions())


def test_a_folder_that_may_not_be_written_is_told(place: Path, monkeypatch: Any) -> None:
    save(place / "a.jpg")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(NoInputError, match="may not be written; give --output DIR"):
        paths.plan(["a.jpg"])
    with pytest.raises(NoInputError, match="no such folder"):
        paths.plan(["a.jpg"], place / "nowhere")


def test_output_needs_a_path(place: Path, capsys: Any) -> None:
    assert main(["run", "--source", "synthetic://walk", "--output", "x"]) == ConfigError.exit_code
    assert "--output" in capsys.readouterr().err


def test_a_disk_that_fills_ends_no_run(place: Path, monkeypatch: Any, caplog: Any) -> None:
    save(place / "a.jpg")

    def full(path: Path, *rest: Any) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("edge.durable.write_whole", full)
    with caplog.at_level("ERROR"):
        assert run("a.jpg") == 75
    assert "a.poses.jpg: No space left on device; make room" in caplog.text
