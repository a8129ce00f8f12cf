"""Lenses of the configuration: refused in one line, and used by crops, rules and grounds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError, DataError, NoInputError
from edge.loop.grounds import ground_of
from edge.loop.lenses import CameraLens, build_lenses
from edge.models._preprocess.lenses import local_views
from edge.rules._posture import body_of, limbs_of, straight_body_of
from edge.settings import config
from edge.structures import Frame, Poses
from tests.edge.test_lens import FISHEYE, SIZE, lens_of

GOOD = """
matrix = [[420.0, 0, 599.5], [0, 415.0, 449.5], [0, 0, 1]]
distortion = [-0.22, 0.045, 0.0008, -0.0005, -0.0025]
size = [1200, 900]
"""
CAMERA = '[[cameras]]\nsource = "synthetic://walk"\nname = "hall"\n'
TABLE = f"{CAMERA}[cameras.lens]\n"


def loaded(folder: Path, text: str) -> config.Config:
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_a_lens_of_numbers_is_that_of_a_file(tmp_path: Path) -> None:
    written = build_lenses(loaded(tmp_path, TABLE + GOOD))["hall"].lens
    (tmp_path / "rig.toml").write_text(
        f"[one]\n{GOOD.replace('distortion', 'distortions')}", encoding="utf-8"
    )
    path = tmp_path / "rig.toml"
    read = build_lenses(loaded(tmp_path, f'{TABLE}file = "{path}"\n'))["hall"].lens
    assert np.allclose(read.matrix, written.matrix)
    assert np.allclose(read.terms[:5], written.terms[:5])
    assert read.size == written.size == SIZE
    assert build_lenses(loaded(tmp_path, CAMERA)) == {}


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (GOOD.replace(", -0.0025", ""), ""),
        (GOOD.replace("-0.22", "nan"), "distortion[0]: nan is not a finite number"),
        (GOOD.replace("-0.0005, -0.0025", "-0.0005, 0, 0"), "has 6 coefficients; a pinhole lens"),
        (GOOD + "fisheye = true", "has 5 coefficients; a fisheye lens has 4"),
        (GOOD.replace("-0.22, 0.045", "-0.4, 0.0"), "it turns back"),
        (GOOD.replace("size = [1200, 900]", ""), "lens.size: is missing"),
        (GOOD.replace("[1200, 900]", "[600, 450]"), ""),
        (GOOD.replace("[1200, 900]", "[300, 200]"), "its centre 600, 450 lies outside"),
        (GOOD.replace("[1200, 900]", "[1200]"), "lens.size: use [width, height]"),
        (GOOD.replace("420.0, 0, 599.5", "-420.0, 0, 599.5"), "no camera matrix"),
        (GOOD.replace("420.0, 0, 599.5", "4.2, 0, 599.5"), "do not fit to 1200 x 900 px"),
        (GOOD.replace(", [0, 0, 1]]", "]"), "lens.matrix: use three rows"),
        ('view = "a"\n' + GOOD, "lens.view: is of a file"),
        ('file = "rig.toml"\n' + GOOD, "lens.matrix: the file has it"),
        ("fisheye = true", "lens.matrix: is missing"),
    ],
)
def test_wrong_numbers_are_answered_in_one_line(tmp_path: Path, table: str, line: str) -> None:
    if not line:
        build_lenses(loaded(tmp_path, TABLE + table))
        return
    with pytest.raises(ConfigError) as caught:
        build_lenses(loaded(tmp_path, TABLE + table))
    assert line in str(caught.value)
    assert "cameras[0].lens" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_without_the_camera_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    text = f'{TABLE}file = "{path}"\n'
    with pytest.raises(NoInputError, match=r"cameras\[0\].lens.file: .*rig.toml"):
        build_lenses(loaded(tmp_path, text))
    one = GOOD.replace("distortion", "distortions")
    path.write_text(f"[a]\n{one}[b]\n{one}", encoding="utf-8")
    with pytest.raises(ConfigError, match="has no camera 'hall'; there are: a, b"):
        build_lenses(loaded(tmp_path, text))
    assert build_lenses(loaded(tmp_path, text + 'view = "b"'))["hall"].lens.size == SIZE
    path.write_text(f"[a]\n{one.replace('size = [1200, 900]', '')}", encoding="utf-8")
    with pytest.raises(ConfigError, match="does not say of what picture size"):
        build_lenses(loaded(tmp_path, text))
    path.write_text("[a]\nmatrix = [[1]]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"\[a\] has no distortions"):
        build_lenses(loaded(tmp_path, text))


def person(x: float, y: float) -> Poses:
    rng = np.random.default_rng(0)
    keypoints = (rng.uniform(-80, 80, (1, 17, 2)) + (x, y)).astype(np.float32)
    box = np.concatenate((keypoints.min(1), keypoints.max(1)), 1)
    one = np.ones((1, 17), np.float32)
    return Poses(keypoints, one, box, np.zeros(1, np.int64), one[:, 0], "coco17")


def test_posture_is_judged_without_the_lens_and_places_with_it() -> None:
    lens = CameraLens("hall", lens_of(FISHEYE, True))
    seen = person(1000, 200)
    people = lens.straighten(seen, SIZE)
    assert people.keypoints is seen.keypoints
    assert body_of(people)[0] == pytest.approx(body_of(seen)[0])
    off = np.abs(straight_body_of(people)[0] - body_of(people)[0])
    assert off.max() > 3
    assert not np.allclose(
        limbs_of(people).points["left_knee"], limbs_of(seen).points["left_knee"], atol=0.5
    )
    assert people.take(np.array([True])).straight is not None
    assert straight_body_of(seen)[0] is body_of(seen)[0]


def test_pictures_of_another_shape_are_left_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    lens = CameraLens("hall", lens_of(FISHEYE, True))
    for _ in range(3):
        assert lens.straighten(person(300, 300), (640, 640)).straight is None
    assert len(caplog.records) == 1
    assert "camera hall: its lens is not corrected: pictures of 640 x 640" in caplog.text


def test_crops_undo_the_lens_at_their_middle() -> None:
    frame = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 0, 0, "hall")
    places = np.array([[1000.0, 200.0]])
    which = np.zeros(1, np.int64)
    assert local_views([frame], which, places) is None
    with_lens = dataclasses.replace(frame, lens=lens_of(FISHEYE, True))
    views = local_views([with_lens], which, places)
    assert views is not None
    points = (places[:, None] + [[[0, 0], [9, 0], [0, 9]]]).astype(np.float32)
    straight = lens_of(FISHEYE, True).straight(points, places)
    assert views.seen(points) == pytest.approx(straight, abs=0.15)
    # A crop of the view is the same crop of the picture.
    crop = np.array([[[0.5, 0.1, 3], [-0.1, 0.5, 4]]])
    seen = views.seen(points)[0] @ crop[0, :, :2].T + crop[0, :, 2]
    of_picture = views.of_pictures(crop)[0]
    assert points[0] @ of_picture[:, :2].T + of_picture[:, 2] == pytest.approx(seen, abs=1e-3)


def test_a_ground_must_say_whether_it_is_of_the_lens(tmp_path: Path) -> None:
    ground = '[[grounds]]\ncamera = "hall"\nmatrix = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]\n'
    with pytest.raises(ConfigError, match=r"grounds\[0\].lens: is missing"):
        loaded(tmp_path, TABLE + GOOD + ground)
    with pytest.raises(ConfigError, match="camera 'hall' has no lens"):
        loaded(tmp_path, CAMERA + ground + "lens = true\n")
    place = np.array([1100 + 800j])
    seen = ground_of(loaded(tmp_path, TABLE + GOOD + ground + "lens = false\n"), "hall")
    undone = ground_of(loaded(tmp_path, TABLE + GOOD + ground + "lens = true\n"), "hall")
    assert seen is not None
    assert undone is not None
    assert seen.metres(place) == pytest.approx(place / 100)
    lens = build_lenses(loaded(tmp_path, TABLE + GOOD))["hall"].lens
    assert undone.metres(place) == pytest.approx(lens.undistorted(place) / 100)
    assert abs(undone.metres(place) - seen.metres(place))[0] > 1
