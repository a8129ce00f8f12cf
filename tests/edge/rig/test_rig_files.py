"""Calibration files: each format gives the same cameras, and what is wrong is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError, NoInputError
from edge.rig import pose2sim
from edge.rig.files import read_rig
from edge.scene.rig import Rig
from tests.edge.scene.drawn_room import ring

MATRIX = [[800.0, 0.0, 640.0], [0.0, 800.0, 360.0], [0.0, 0.0, 1.0]]


def vectors(rig: Rig) -> np.ndarray:
    return np.array([cv2.Rodrigues(turn)[0].reshape(3) for turn in rig.turns])


def same(found: Rig, wanted: Rig) -> None:
    assert np.allclose(found.turns, wanted.turns, atol=1e-9)
    assert np.allclose(found.shifts, wanted.shifts, atol=1e-9)
    assert np.allclose(found.matrices, wanted.matrices)
    assert np.allclose(found.lenses, wanted.lenses)


def toml(path: Path, rig: Rig) -> Path:
    path.write_text(pose2sim.text_of(rig, vectors(rig), 0.3), encoding="utf-8")
    return path


def qualisys(rig: Rig) -> str:
    flip = np.diag([1.0, -1.0, -1.0])
    cameras = []
    for i, name in enumerate(rig.names):
        turn, place = flip @ rig.turns[i], rig.centres[i] * 1000
        rows = " ".join(f'r{r + 1}{c + 1}="{turn[r, c]!r}"' for r in range(3) for c in range(3))
        rows = rows.replace("np.float64(", "").replace(")", "")
        k, d = rig.matrices[i] * 64, rig.lenses[i]
        cameras.append(
            f'<camera active="1" serial="{name}">'
            '<fov_video left="0" top="0" right="1279" bottom="719"/>'
            f'<transform {rows} x="{place[0]}" y="{place[1]}" z="{place[2]}"/>'
            f'<intrinsic focalLengthU="{k[0, 0]}" focalLengthV="{k[1, 1]}" skew="0" '
            f'centerPointU="{k[0, 2]}" centerPointV="{k[1, 2]}" radialDistortion1="{d[0]}" '
            f'radialDistortion2="{d[1]}" radialDistortion3="0" '
            f'tangentalDistortion1="{d[2]}" tangentalDistortion2="{d[3]}"/></camera>'
        )
    head = "<?xml version='1.0' encoding='ASCII'?>\n"
    return f"{head}<calibration><cameras>{''.join(cameras)}</cameras></calibration>"


def test_pose2sims_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    rig = ring()
    found = read_rig(toml(tmp_path / "rig.toml", rig))
    same(found, rig)
    assert found.names == rig.names
    assert (found.sizes == [1280, 720]).all()


def test_qualisys_file_has_mm_and_axes_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "Calib.qca.txt"
    path.write_text(qualisys(ring()), encoding="utf-8")
    found = read_rig(path)
    same(found, ring())
    assert (found.sizes == [1280, 720]).all()
    shutil.copy(path, tmp_path / "Calib.xml")
    same(read_rig(tmp_path / "Calib.xml"), ring())


def test_the_unit_can_be_stated(tmp_path: Path) -> None:
    rig = ring()
    assert np.allclose(read_rig(toml(tmp_path / "a.toml", rig), 0.0254).shifts, rig.shifts * 0.0254)


@pytest.mark.parametrize("ending", ["yml", "xml", "json"])
def test_files_with_a_suffix_for_each_camera(tmp_path: Path, ending: str) -> None:
    rig, path = ring(), tmp_path / f"rig.{ending}"
    file = cv2.FileStorage(str(path), cv2.FileStorage_WRITE)
    for i, name in enumerate(rig.names):
        file.write(f"K_{name}", rig.matrices[i])
        file.write(f"dist_{name}", rig.lenses[i][:5].reshape(1, 5))
        file.write(f"R_{name}", cv2.Rodrigues(rig.turns[i])[0])
        file.write(f"Rot_{name}", rig.turns[i])
        file.write(f"T_{name}", rig.shifts[i].reshape(3, 1))
    file.release()
    found = read_rig(path)
    same(found, rig)
    assert found.names == rig.names


def test_intrinsics_and_extrinsics_in_two_files_of_a_folder(tmp_path: Path) -> None:
    rig = ring()
    inner = cv2.FileStorage(str(tmp_path / "intri.yml"), cv2.FileStorage_WRITE)
    outer = cv2.FileStorage(str(tmp_path / "extri.yml"), cv2.FileStorage_WRITE)
    for i, name in enumerate(rig.names):
        inner.write(f"K_{name}", rig.matrices[i])
        inner.write(f"dist_{name}", rig.lenses[i][:5].reshape(1, 5))
        outer.write(f"R_{name}", cv2.Rodrigues(rig.turns[i])[0])
        outer.write(f"T_{name}", rig.shifts[i].reshape(3, 1))
    inner.release(), outer.release()
    same(read_rig(tmp_path), rig)


def test_a_folder_with_one_file_a_camera(tmp_path: Path) -> None:
    rig = ring()
    for i, name in enumerate(rig.names):
        file = cv2.FileStorage(str(tmp_path / f"{name}.yaml"), cv2.FileStorage_WRITE)
        file.write("image_width", 1280)
        file.write("image_height", 720)
        file.write("camera_matrix", rig.matrices[i])
        file.write("distortion_coefficients", rig.lenses[i][:5].reshape(5, 1))
        file.write("R", rig.turns[i])
        file.write("T", rig.shifts[i])
        file.release()
    found = read_rig(tmp_path)
    same(found, rig)
    assert found.names == rig.names
    assert (found.sizes == [1280, 720]).all()


def test_a_map_for_each_camera_in_plain_yaml(tmp_path: Path) -> None:
    rig, path = ring(2), tmp_path / "rig.yaml"
    lines = []
    for i, name in enumerate(rig.names):
        lines += [
            f"{name}:",
            f"  K: {rig.matrices[i].tolist()}",
            f"  D: {rig.lenses[i][:4].tolist()}",
            f"  R: {rig.turns[i].tolist()}  ",
            f"  t: {rig.shifts[i].tolist()}",
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_rig(path)
    same(found, rig)
    assert found.names == rig.names


def test_a_stereo_pair_has_its_first_camera_at_the_origin(tmp_path: Path) -> None:
    rig, path = ring(2), tmp_path / "stereo.yml"
    turn = rig.turns[1] @ rig.turns[0].T
    shift = rig.shifts[1] - turn @ rig.shifts[0]
    file = cv2.FileStorage(str(path), cv2.FileStorage_WRITE)
    for i in (0, 1):
        file.write(f"M{i + 1}", rig.matrices[i])
        file.write(f"D{i + 1}", rig.lenses[i][:4].reshape(1, 4))
    file.write("R", turn)
    file.write("T", shift.reshape(3, 1))
    file.release()
    found = read_rig(path)
    assert np.allclose(found.turns, [np.eye(3), turn])
    assert np.allclose(found.shifts[1], shift)


def one_camera(**changes: object) -> str:
    camera = {
        "matrix": MATRIX,
        "distortions": [0.0] * 4,
        "rotation": [0.1, 0.2, 0.3],
        "translation": [0.0, 0.0, 3.0],
        **changes,
    }
    return "\n".join(f"{k} = {json.dumps(v)}" for k, v in camera.items() if v is not None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"matrix": None}, r"\[b\] has no matrix"),
        ({"matrix": [[0, 0, 1], [0, 1, 1], [0, 0, 1]]}, "camera 'b': its matrix is no camera matr"),
        ({"matrix": [[1, 2], [3, 4]]}, "camera 'b': expected 9 numbers, got 4"),
        ({"distortions": [0.1] * 12}, "camera 'b': its lens has 12 terms; 8 are supported"),
        ({"distortions": [0.1] * 5, "fisheye": True}, "its lens has 5 terms; 4 are supported"),
        ({"rotation": [1, 0, 0, 0, 1, 0, 0, 0, 2]}, "its rotation matrix is no rotation"),
        ({"rotation": [1, 2]}, "camera 'b': expected 9 or 3 numbers, got 2"),
        ({"translation": ["x", 0, 0]}, "camera 'b': could not convert"),
        ({"name": "a"}, "two cameras called 'a'; rename one"),
    ],
)
def test_a_wrong_camera_is_one_line(tmp_path: Path, change: dict, line: str) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(f"[a]\n{one_camera()}\n[b]\n{one_camera(**change)}\n", encoding="utf-8")
    with pytest.raises(DataError, match=line) as refused:
        read_rig(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.toml", "[a\n", "not valid TOML"),
        ("a.toml", f"[a]\n{one_camera()}", "has 1 calibrated cameras; a scene needs two or more"),
        ("a.toml", "", "has 0 calibrated cameras"),
        ("a.qca.txt", "<calibration><cameras>", "is no calibration of Qualisys"),
        ("a.qca.txt", "<calibration><camera serial='x'><transform/></camera></calibration>", "r11"),
        ("a.txt", "hello", "is no calibration of cameras; expected"),
        ("a.yml", "%YAML:1.0\n---\nx: 1\n", "has no camera that is known"),
        ("a.yml", "K_a: !!opencv-matrix\n  rows: 3\n  cols: 3\n  data: [1, 2", "has no end"),
        (
            "a.yml",
            "K_a: !!opencv-matrix\n  rows: 3\n  cols: 3\n  data: [1]\n",
            "1 numbers for 3 x 3",
        ),
        ("a.json", '{"K_a": ', "is no file of OpenCV"),
        ("a.xml", "<opencv_storage><a>", "is no file of OpenCV"),
        ("a.yml", "K_a: [1,0,0,0,1,0,0,0,1]\nK_b: [1,0,0,0,1,0,0,0,1]\n", "'a' has no rotation"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str, text: str, line: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=line) as refused:
        read_rig(path)
    assert "\n" not in str(refused.value)


def test_no_file_and_no_text_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        read_rig(tmp_path / "none.toml")
    with pytest.raises(NoInputError, match="has no file of OpenCV"):
        read_rig(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no text"):
        read_rig(tmp_path / "a.toml")


def test_entities_of_xml_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.qca.txt"
    path.write_text(
        '<!DOCTYPE c [<!ENTITY a "1">]><calibration><camera serial="&a;"/></calibration>',
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="undefined entity"):
        read_rig(path)
