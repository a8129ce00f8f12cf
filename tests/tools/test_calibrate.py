"""`edge-tools calibrate` on videos, pictures and a camera, good and bad."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, List

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.waiting import GIVE_UP_S
from tools.__main__ import main
from tools.calib import selection
from tools.fetch.files import sha256_of

MODELS = Path(__file__).resolve().parents[1] / "edge/golden/models"
SIZE = (96, 72)


def picture(seed: int) -> np.ndarray:
    """Coarse noise: pictures that differ, and that a codec can follow."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), np.uint8)
    return np.asarray(cv2.resize(small, SIZE, interpolation=cv2.INTER_NEAREST))


def video(path: Path, frames: int, seed: int = 0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
    for index in range(frames):
        writer.write(picture(1000 * seed + index))
    writer.release()
    return path


def folder_of_pictures(path: Path, count: int, seed: int = 50) -> Path:
    path.mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(path / f"p{index}.png"), picture(1000 * seed + index))
    return path


def calibrate(sets: Path, *words: Any, name: str = "gym") -> int:
    fixed = ["--sets", sets, "--models", MODELS, "--detect", "twobox", "--pose", "standing"]
    return main(["calibrate", name, *map(str, [*words, *fixed])])


def few(*words: Any) -> List[Any]:
    return ["--from", *words, "--frames", "10", "--heldout", "4"]


def test_a_set_of_videos_and_pictures(tmp_path: Path, capsys: Any) -> None:
    recordings = tmp_path / "my recordings"
    folder_of_pictures(recordings / "stills", 30)
    clip = video(recordings / "clip.avi", 40)
    assert calibrate(tmp_path, *few(recordings), "--licence", 'our "gym"', "--seed", "5") == 0
    said = capsys.readouterr().out
    assert "10 calibration frames, 4 held out, 28 people, of 70 frames scanned" in said
    assert "standing/main: 20 inputs" in said
    chosen = selection.load(tmp_path / "gym")
    assert (chosen.seed, chosen.licence, chosen.detect) == (5, 'our "gym"', "twobox")
    selection.require_pictures(tmp_path / "gym", chosen.frames)
    hashes = {s.name: s.sha256 for s in chosen.sources}
    assert hashes[str(clip)] == sha256_of(clip)
    for frame in chosen.frames:
        assert sha256_of(Path(frame.source)) == hashes[frame.source]
        if frame.source.endswith(".png"):  # kept as it was, to the last bit
            kept = cv2.imread(str(tmp_path / "gym" / frame.file))
            np.testing.assert_array_equal(kept, cv2.imread(frame.source))
    crops = np.load(tmp_path / "gym/crops/standing/main.heldout.npy")
    assert crops.shape == (8, 3, 64, 48)
    assert cv2.imread(str(tmp_path / "gym/report.png")).shape[1] > 600


def test_without_matplotlib_there_is_no_report_and_that_is_said(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box does not have it. A report of an earlier set does not stay."""
    clip = video(tmp_path / "clip.avi", 60)
    assert calibrate(tmp_path, *few(clip)) == 0
    report = next(tmp_path.rglob("report.png"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    capsys.readouterr()
    assert calibrate(tmp_path, *few(clip)) == 0
    assert "report: not drawn, as matplotlib is not installed" in capsys.readouterr().out
    assert not report.exists()


def test_the_same_again(tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.avi", 60)
    for sets in ("a", "b"):
        assert calibrate(tmp_path / sets, *few(clip), "--json") == 0
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 10 + 4 + 4 + 2 + 1, "pictures, inputs, set.toml, report, lock"
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    assert not list(tmp_path.rglob(".part"))


def test_globs_and_copies(tmp_path: Path, capsys: Any) -> None:
    """The same file under two names, and one picture five hundred times."""
    stills = folder_of_pictures(tmp_path / "stills", 25)
    for index in range(100):
        shutil.copy(stills / "p0.png", stills / f"q{index}.png")
    glob = stills / "*.png"
    assert calibrate(tmp_path, *few(glob, stills / "p1.png", glob), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["looked_at"] <= 125
    sources = [s.sha256 for s in selection.load(tmp_path / "gym").sources]
    assert len(sources) == len(set(sources)) == found["frames"] + found["held_out"]


def test_a_camera(tmp_path: Path, capsys: Any) -> None:
    uri = "synthetic://walk?people=2&width=160&height=120&fps=30"
    assert calibrate(tmp_path, *few(uri), "--seconds", "2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] >= 8
    chosen = selection.load(tmp_path / "gym")
    assert [(s.name, s.sha256) for s in chosen.sources] == [(uri, "")]
    assert {f.source for f in chosen.frames} == {uri}


def test_for_another_model_without_choosing_again(tmp_path: Path, capsys: Any) -> None:
    clip = video(tmp_path / "clip.avi", 60)
    assert calibrate(tmp_path, *few(clip)) == 0
    before = (tmp_path / "gym/set.toml").read_bytes()
    models = tmp_path / "models"
    shutil.copytree(MODELS, models)
    shutil.copytree(MODELS / "standing", models / "other")
    words = ["--models", models, "--detect", "twobox", "--pose", "other", "--sets", tmp_path]
    clip.unlink()
    assert main(["calibrate", "gym", *map(str, words)]) == 0
    assert "other/main: 20 inputs" in capsys.readouterr().out
    one, two = (tmp_path / f"gym/crops/{m}/main.npy" for m in ("standing", "other"))
    assert one.read_bytes() == two.read_bytes()
    assert (tmp_path / "gym/set.toml").read_bytes() == before
    kept = next((tmp_path / "gym/frames").iterdir())
    kept.write_bytes(kept.read_bytes()[:-4])
    assert main(["calibrate", "gym", *map(str, words)]) == 65
    assert "was changed since the set was made" in capsys.readouterr().err


def test_a_fetched_set_keeps_its_own_description(tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.avi", 60)
    (tmp_path / "gym").mkdir()
    fetched = '[[sources]]\nregistry = "pypi"\npackage = "x"\nmembers = []\n'
    (tmp_path / "gym/set.toml").write_text(fetched, encoding="utf-8")
    assert calibrate(tmp_path, *few(clip)) == 0
    assert (tmp_path / "gym/set.toml").read_text(encoding="utf-8") == fetched
    assert len(selection.load(tmp_path / "gym").frames) == 14
    assert (tmp_path / "gym/selection.toml").is_file()


def bomb(path: Path) -> Path:
    """A PNG of a few bytes that promises 3.6 gigapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
    path.write_bytes(data + struct.pack(">I", zlib.crc32(header)))
    return path


def test_bad_files_are_left_out_and_told(tmp_path: Path, capsys: Any) -> None:
    stills = folder_of_pictures(tmp_path / "stills", 30)
    bomb(stills / "bomb.png")
    (stills / "empty.jpg").touch()
    (stills / "letter.png").write_text("Dear Sir", encoding="utf-8")
    whole = (stills / "p1.png").read_bytes()
    (stills / "cut.png").write_bytes(whole[: len(whole) // 2])
    (stills / "empty.mp4").touch()
    (stills / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (stills / "list.mp4").write_text("#EXTM3U\np1.png\n", encoding="utf-8")
    half = video(stills / "half.avi", 40)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    assert calibrate(tmp_path, *few(stills), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    told = "\n".join(found["left_out"])
    for name in ("bomb.png", "empty.jpg", "letter.png", "cut.png", "empty.mp4", "noise.mp4"):
        assert told.count(f"/{name}:") == 1, (name, found["left_out"])
    assert "list.mp4: is text" in told
    assert (found["frames"], found["held_out"]) == (10, 4)
    assert not {"bomb.png", "letter.png"} & {
        Path(s.name).name for s in selection.load(tmp_path / "gym").sources
    }


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (None, 66, "no such file or folder"),
        ("folder", 66, "has no videos or images"),
        ("empty.mp4", 66, "is empty (zero bytes)"),
        ("bomb.png", 66, "max_megapixels"),
        ("one.png", 65, "only 0 people in the 0 frames"),
    ],
)
def test_nothing_to_choose_from(
    tmp_path: Path, capsys: Any, content: Any, code: int, says: str
) -> None:
    place = tmp_path / (content or "nowhere")
    if content == "folder":
        place.mkdir()
    elif content == "one.png":
        cv2.imwrite(str(place), picture(0))
    elif content == "bomb.png":
        bomb(place)
    elif content:
        place.touch()
    assert calibrate(tmp_path, *few(place)) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "gym/set.toml").exists()


def blind(models: Path) -> Path:
    """A copy of the models whose detector sees nobody."""
    shutil.copytree(MODELS, models)
    path = models / "twobox/model.onnx"
    network = onnx.load(path)
    for tensor in network.graph.initializer:
        if tensor.name == "scores_c":
            nothing = np.zeros(list(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(nothing, "scores_c"))
    onnx.save(network, path)
    return models


def test_nobody_to_be_seen_and_the_set_before_stays(tmp_path: Path, capsys: Any) -> None:
    clip = video(tmp_path / "clip.avi", 60)
    assert calibrate(tmp_path, *few(clip)) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "gym").rglob("*") if p.is_file()}
    models = blind(tmp_path / "models")
    words = ["--models", models, "--detect", "twobox", "--pose", "standing", "--sets", tmp_path]
    capsys.readouterr()
    assert main(["calibrate", "gym", *map(str, [*few(clip), *words])]) == 65
    assert "no people in 60 frames scanned" in capsys.readouterr().err
    after = {p: p.read_bytes() for p in (tmp_path / "gym").rglob("*") if p.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--frames", "0"], "--frames: must be at least 1"),
        (["--heldout", "-1"], "--heldout"),
        (["--seconds", "nan"], "--seconds"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_wrong_numbers(tmp_path: Path, capsys: Any, words: list, says: str) -> None:
    assert calibrate(tmp_path, "--from", tmp_path, *words) == 78
    assert says in capsys.readouterr().err


def test_wrong_names(tmp_path: Path, capsys: Any) -> None:
    assert calibrate(tmp_path, name="../up") == 78
    assert calibrate(tmp_path, name="unheard-of") == 66
    assert "name recordings with --from to make it" in capsys.readouterr().err
    assert calibrate(tmp_path, *few("gopher://host/x")) == 78


def test_damaged_selection(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "gym").mkdir()
    (tmp_path / "gym/set.toml").write_text('description = "x"\nseed = -3\n', encoding="utf-8")
    assert calibrate(tmp_path) == 78
    said = capsys.readouterr().err
    assert "gym/set.toml" in said
    assert said.count("\n") == 1


def test_pictures_of_the_user_are_never_replaced(tmp_path: Path, capsys: Any) -> None:
    own = folder_of_pictures(tmp_path / "gym/frames", 30)
    before = {p: p.read_bytes() for p in own.iterdir()}
    assert calibrate(tmp_path, *few(own)) == 78
    assert "move your recordings elsewhere" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in own.iterdir()} == before


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    clips = [video(tmp_path / f"{n}.avi", 40, n) for n in range(2)]
    words = ["--sets", tmp_path, "--models", MODELS, "--detect", "twobox", "--pose", "standing"]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tools", "calibrate", "gym", *map(str, [*words, *few(clip)])],
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for clip in clips
    ]
    told = [one.communicate(timeout=GIVE_UP_S)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0], told
    chosen = selection.load(tmp_path / "gym")
    selection.require_pictures(tmp_path / "gym", chosen.frames)


def test_a_name_that_is_not_utf8_is_left_out(tmp_path: Path, capsys: Any) -> None:
    clip = video(tmp_path / "clip.avi", 40)
    shutil.copy(clip, tmp_path / os.fsdecode(b"caf\xe9.avi"))
    assert calibrate(tmp_path / "sets", *few(tmp_path)) == 0
    assert "not UTF-8" in capsys.readouterr().err
    assert len(selection.load(tmp_path / "sets/gym").sources) == 1


@pytest.mark.parametrize("size", [(5000, 4), (4, 6000), (1, 1)])
def test_pictures_of_any_shape(tmp_path: Path, capsys: Any, size: Any) -> None:
    folder_of_pictures(tmp_path / "stills", 20)
    cv2.imwrite(str(tmp_path / "stills/odd.png"), np.full((*size, 3), 90, np.uint8))
    assert calibrate(tmp_path / "sets", *few(tmp_path / "stills")) == 0
    assert "of 21 frames scanned" in capsys.readouterr().out
