"""`edge-tools synth`: sets of pictures and clips, the same from the same seed; wrong use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np
import pytest

from edge import skeletons
from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Frame, Poses
from tests.test_rooms import ROOT
from tests.waiting import GIVE_UP_S
from tools.__main__ import main
from tools.calib import media
from tools.fetch.by_name import ensure_model
from tools.render import make, recipe
from tools.render.paint.floor import ray_grid
from tools.render.scene import environment
from tools.render.scene.camera import PINHOLE, Camera, focal_px, towards
from tools.render.sets import ensure_rendered

SMALL = ["--size", "128", "128", "--workers", "1"]


def synth(*words: object) -> int:
    return main(["synth", *(str(w) for w in words)])


def content(folder: Path) -> Dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "set"
    assert synth("rendered-people", "--count", 6, "--people", 1, 2, "--out", folder, *SMALL) == 0
    return folder


def test_a_folder_is_coco_wholebody(pictures: Path) -> None:
    document = json.loads((pictures / "annotations.json").read_text(encoding="utf-8"))
    assert len(document["images"]) == 6
    assert document["categories"][0]["keypoints"] == list(skeletons.get("coco17").names)
    ids = [a["id"] for a in document["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    images = {i["id"]: i for i in document["images"]}
    for row in document["annotations"]:
        image = images[row["image_id"]]
        picture = cv2.imread(str(pictures / image["file_name"]))
        assert picture.shape == (image["height"], image["width"], 3)
        sizes = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68}
        sizes.update(lefthand_kpts=21, righthand_kpts=21)
        for name, count in sizes.items():
            points = np.array(row[name]).reshape(count, 3)
            assert set(points[:, 2]) <= {0, 1, 2}
            assert (points[points[:, 2] == 0] == 0).all()
        x, y, w, h = row["bbox"]
        assert x >= 0
        assert x + w <= 128
        assert y >= 0
        assert y + h <= 128
        assert 0 < row["area"] <= w * h
        assert row["num_keypoints"] == (np.array(row["keypoints"][2::3]) > 0).sum()
    assert (pictures / "sheet.png").is_file()


def test_truth_in_space_reprojects_to_the_truth_in_pixels(pictures: Path) -> None:
    """By the camera as it is written, and nothing of ours."""
    document = json.loads((pictures / "annotations.json").read_text(encoding="utf-8"))
    lines = (pictures / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
    errors: List[float] = []
    for image, line in zip(document["images"], lines):
        scene = json.loads(line)
        rows = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        assert scene["file_name"] == image["file_name"]
        assert len(rows) == len(scene["people"])
        for row, person in zip(rows, scene["people"]):
            pixels = written_projection(scene["camera"], np.array(person["keypoints_m"][:17]))
            told = np.array(row["keypoints"]).reshape(17, 3)
            errors += np.abs(pixels - told[:, :2])[told[:, 2] > 0].ravel().tolist()
    assert len(errors) > 50
    assert max(errors) < 0.5


def written_projection(camera: Dict[str, Any], points: np.ndarray) -> np.ndarray:
    seen = (points - camera["position_m"]) @ np.array(camera["rotation"]).T
    flat = seen[:, :2] / seen[:, 2:]
    r2 = (flat**2).sum(1, keepdims=True)
    if camera["lens"] == "radial":
        flat = flat * (1 + camera["k1"] * r2)
    assert camera["lens"] != "fisheye"
    out: np.ndarray = flat * camera["focal_px"] + camera["centre_px"]
    return out


def test_the_same_seed_gives_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    again = tmp_path / "set"
    command = [
        "rendered-people",
        "--count",
        6,
        "--people",
        1,
        2,
        "--out",
        again,
        "--size",
        128,
        128,
    ]
    assert synth(*command, "--workers", 2) == 0
    assert content(again) == content(pictures), "whatever the number of processes"


def test_a_longer_run_begins_with_the_same_pictures(pictures: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "set"
    assert synth("rendered-people", "--count", 2, "--people", 1, 2, "--out", fewer, *SMALL) == 0
    for name in ("images/000000.jpg", "images/000001.jpg"):
        assert (fewer / name).read_bytes() == (pictures / name).read_bytes()


@pytest.mark.parametrize("other", [["--seed", "1"], ["--split", "report"]])
def test_another_seed_or_split_gives_other_people(
    other: List[str], pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    common = ["rendered-people", "--count", 1, "--people", 1, 2, "--out", folder]
    assert synth(*common, *SMALL, *other) == 0
    name = "images/000000.jpg"
    assert (folder / name).read_bytes() != (pictures / name).read_bytes()


def test_closeups_show_head_and_shoulders(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert synth("rendered-closeups", "--count", 4, "--out", folder, *SMALL) == 0
    rows = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))["annotations"]
    body = np.array([row["keypoints"] for row in rows], np.float64).reshape(-1, 17, 3)
    inside = body[..., 2] > 0
    assert len(rows) == 4
    assert inside[:, 0].all()  # noses
    assert inside[:, [5, 6]].any(1).all()  # a shoulder
    assert not inside[:, [13, 14, 15, 16]].any()  # knees and ankles
    assert (np.ptp(body[:, :7, 1], 1) > 0.25 * 128).mean() >= 0.75


def test_nobody_is_in_an_empty_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    assert synth("rendered-empty", "--count", 2, "--out", folder, *SMALL) == 0
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    assert len(document["images"]) == 2
    assert document["annotations"] == []


def test_a_set_is_made_again_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for count in (2, 1):
        assert synth("rendered-clean", "--count", count, "--out", folder, *SMALL) == 0
        assert len(list((folder / "images").iterdir())) == count
    assert json.loads((folder / "synth.json").read_text(encoding="utf-8"))["recipe"]["count"] == 1


def test_files_of_others_are_not_taken_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    assert synth("rendered-clean", "--count", 1, "--out", tmp_path, *SMALL) == 65
    assert "is not empty, and no set of synth" in capsys.readouterr().err
    assert (tmp_path / "holiday.mp4").read_bytes() == b"mine"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "falls"
    words = ["rendered-falls", "--motions", "trip", "--people", 2, "--count", 1, "--seconds", 4]
    assert synth(*words, "--fps", 10, "--out", folder, *SMALL) == 0
    return folder


def test_a_clip_plays_like_any_recording(clip: Path) -> None:
    video = clip / "rendered-falls-000.mp4"
    recording = media.find([str(video)])[0]
    assert media.length(recording) == 40
    frames = [(t, image.copy()) for _, t, image in media.read(recording, lambda i: True)]
    assert len(frames) == 40
    assert frames[0][1].shape == (128, 128, 3)
    assert [t for t, _ in frames] == pytest.approx([i / 10 for i in range(40)], abs=0.02)
    assert recording.problems == []


def test_a_clip_has_the_truth_of_each_frame(clip: Path) -> None:
    lines = [
        json.loads(x)
        for x in (clip / "rendered-falls-000.truth.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    head, frames = lines[0], lines[1:]
    assert head["schema"] == "edge-truth/1"
    assert head["video"] == "rendered-falls-000.mp4"
    assert head["frames"] == len(frames) == 40
    assert [f["t_ns"] for f in frames] == [i * 100_000_000 for i in range(40)]
    assert [p["id"] for p in head["people"]] == [0, 1]
    for person in head["people"]:
        fall, lying = person["events"]
        assert (fall["kind"], lying["kind"]) == ("fall", "lying")
        assert 0 < fall["start_s"] < fall["end_s"] == lying["start_s"]
    seen = [p for f in frames for p in f["people"]]
    assert len(seen) > 60
    for person in seen:
        assert np.array(person["keypoints"]).shape == (133, 3)
        assert np.array(person["keypoints_m"]).shape == (133, 3)
        assert person["box"][2] > person["box"][0]
    down = [f for f in frames if f["t_ns"] / 1e9 > head["people"][0]["events"][1]["start_s"]]
    assert down
    for frame in down:
        heights = [np.array(p["keypoints_m"])[[11, 12], 2].mean() for p in frame["people"]]
        assert min(heights) < 0.4


def test_people_of_a_clip_keep_their_bodies(clip: Path) -> None:
    lines = [
        json.loads(x)
        for x in (clip / "rendered-falls-000.truth.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    thighs: Dict[int, List[float]] = {0: [], 1: []}
    for frame in lines[1:]:
        for person in frame["people"]:
            points = np.array(person["keypoints_m"])
            thighs[person["id"]].append(float(np.linalg.norm(points[11] - points[13])))
    for lengths in thighs.values():
        assert np.ptp(lengths) < 0.12
    assert abs(np.median(thighs[0]) - np.median(thighs[1])) > 1e-3


def test_the_user_s_own_room_is_the_backdrop(tmp_path: Path) -> None:
    room = np.zeros((120, 160, 3), np.uint8)
    room[:] = (40, 160, 90)
    cv2.imwrite(str(tmp_path / "room.png"), room)
    words = ["rendered-clean", "--count", 2, "--background", tmp_path / "room.png"]
    assert synth(*words, "--out", tmp_path / "set", *SMALL) == 0
    for path in sorted((tmp_path / "set/images").iterdir()):
        corner = cv2.imread(str(path))[:12, :12].reshape(-1, 3).mean(0)  # type: ignore[index]
        assert corner == pytest.approx([40, 160, 90], abs=30), "its colours, as bright as it is"


def test_a_video_is_a_backdrop_that_moves(tmp_path: Path) -> None:
    path = tmp_path / "hall.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (128, 128))
    for i in range(8):
        writer.write(np.full((128, 128, 3), 30 + 25 * i, np.uint8))
    writer.release()
    words = ["rendered-walks", "--count", 1, "--people", 1, "--seconds", 0.6, "--fps", 10]
    assert synth(*words, "--background", path, "--out", tmp_path / "set", *SMALL) == 0
    frames = media.read(
        media.find([str(tmp_path / "set/rendered-walks-000.mp4")])[0], lambda i: True
    )
    corners = [float(image[:10, :10].mean()) for _, _, image in frames]
    assert len(corners) == 6
    assert min(np.abs(np.diff(corners))) > 8


def test_the_shipped_recipes_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert synth("--list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    names = {f"rendered-{n}" for n in ("walks", "falls", "exercises", "crowds", "clinic", "clean")}
    assert names <= {r["name"] for r in told["recipes"]}
    motions = {m["name"]: m["split"] for m in told["motions"]}
    for name in recipe.names():
        for motion in recipe.load(name).motions:
            assert motion == "captured" or motions[motion] == "both"


def test_a_panorama_gives_light_from_where_it_is_bright() -> None:
    table = np.full((64, 128, 3), 0.2, np.float32)
    table[10:14, 30:34] = 60.0
    for turn in (0.0, 1.3):
        light = environment.lights_in(table)
        cos, sin = np.cos(turn), np.sin(turn)
        towards_lamp = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ light.towards
        image = np.zeros((200, 200, 3), np.uint8)
        eye = np.array([0.0, 0, 1.5])
        seen_by = Camera(
            200, 200, focal_px(200, 90), towards(eye, eye + towards_lamp), eye, PINHOLE
        )
        environment.paint_environment(image, ray_grid(seen_by), table, turn)
        rows, columns = np.nonzero(image[..., 0] > 250)
        assert abs(rows.mean() - 99.5) < 8, "the lamp stands where its picture is"
        assert abs(columns.mean() - 99.5) < 8
        assert light.key.mean() > light.sky.mean()


def test_environments_are_photographs_of_places(tmp_path: Path) -> None:
    assert len(environment.files()) == 18
    own = tmp_path / "mine.toml"
    own.write_text('description = "x"\ncount = 2\nbackdrops = ["environment"]\n', encoding="utf-8")
    assert synth(own, "--out", tmp_path / "set", *SMALL) == 0
    for path in (tmp_path / "set/images").iterdir():
        assert cv2.imread(str(path)).std() > 5


def test_a_missing_openexr_is_said_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.panorama.cache_clear()
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    assert synth("rendered-clean", "--count", 1, "--out", tmp_path / "set", *SMALL) == 69
    told = capsys.readouterr().err
    assert "pip install 'OpenEXR>=3.3,<4'" in told
    assert not (tmp_path / "set").exists()


def test_a_set_by_name_is_made_once(tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    text = 'description = "x"\ncount = 2\n[view]\nwidth = 96\nheight = 96\n'
    (own / "recipe.toml").write_text(text, encoding="utf-8")
    folder = ensure_rendered("mine", "tune", tmp_path, quiet=True)
    assert folder == own / "tune"
    first = content(folder)
    stamp = (folder / "annotations.json").stat().st_mtime_ns
    assert ensure_rendered("mine", "tune", tmp_path, quiet=True) == folder
    assert (folder / "annotations.json").stat().st_mtime_ns == stamp, "it was all there"
    record = folder / "synth.json"
    record.write_text(
        record.read_text(encoding="utf-8").replace('"finished": true', '"finished": false'),
        encoding="utf-8",
    )
    ensure_rendered("mine", "tune", tmp_path, quiet=True)
    assert content(folder) == first, "an unfinished set is made again"
    (own / "recipe.toml").write_text(text.replace("count = 2", "count = 1"), encoding="utf-8")
    ensure_rendered("mine", "tune", tmp_path, quiet=True)
    assert len(list((folder / "images").iterdir())) == 1
    assert ensure_rendered("mine", "report", tmp_path, quiet=True) == own / "report"


def test_an_interrupted_set_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(make, "labels_of", fail)
    assert synth("rendered-clean", "--count", 1, "--out", tmp_path / "set", *SMALL) == 130
    assert (
        json.loads((tmp_path / "set/synth.json").read_text(encoding="utf-8"))["finished"] is False
    )


def test_a_crowd_is_drawn_and_hides_itself(tmp_path: Path) -> None:
    words = ["rendered-crowds", "--count", 1, "--people", 30, "--size", 320, 240, "--workers", 1]
    assert synth(*words, "--out", tmp_path / "set") == 0
    rows = json.loads((tmp_path / "set/annotations.json").read_text(encoding="utf-8"))[
        "annotations"
    ]
    assert 12 <= len(rows) <= 30
    visible = np.array([row["keypoints"][2::3] for row in rows])
    assert (visible == 1).mean() > 0.1


def test_a_recipe_of_one_s_own(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    own.write_text(
        'description = "x"\ncount = 1\nmotions = ["sit"]\n[view]\nwidth = 96\nheight = 64\n',
        encoding="utf-8",
    )
    assert synth(own, "--out", tmp_path / "set", "--workers", 1) == 0
    assert cv2.imread(str(tmp_path / "set/images/000000.jpg")).shape == (64, 96, 3)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 78, "name a recipe"),
        (["rendered-wolks"], 66, "did you mean rendered-walks?"),
        (["rendered-clean", "--motions", "flying"], 78, "no motion called flying"),
        (["rendered-clean", "--background", "/no/hall.mp4"], 66, "--background /no/hall.mp4: no"),
        (["rendered-clean", "--people", "-1"], 78, "people[0]: -1 is below"),
        (["rendered-clean", "--people", "31"], 78, "above the largest allowed value, 30"),
        (["rendered-clean", "--people", "3", "2"], 78, "must be [least, most]"),
        (["rendered-clean", "--people", "30"], 78, "30 people have no room within 1.5 m"),
        (["rendered-clean", "--count", "0"], 78, "count: 0 is below"),
        (["rendered-walks", "--seconds", "nan"], 78, "seconds: nan is not a finite number"),
        (["rendered-walks", "--fps", "1e9"], 78, "fps: 1000000000.0 is above"),
        (["rendered-clean", "--fov-deg", "500"], 78, "view.fov_deg[0]: 500.0 is above"),
        (["rendered-clean", "--size", "1", "1"], 78, "view.width: 1 is below"),
        (["rendered-clean", "--lens", "wide"], 78, "'wide' is not one of pinhole"),
        (["rendered-clean", "--lights", "moon"], 78, "'moon' is not one of day"),
        (["rendered-clean", "--seed", "-1"], 78, "--seed: must be at least 0"),
        (["rendered-clean", "--workers", "-2"], 78, "--workers: 0 to 256"),
        (["rendered-clean", "--camera-m", "1", "2", "3"], 78, "--camera-m: one number, or"),
        (["/no/recipe.toml"], 66, "/no/recipe.toml: no such recipe"),
    ],
)
def test_a_mistake_is_one_line(
    words: List[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert synth(*words, "--out", out, "--json") == code
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not out.exists(), "nothing is written"


@pytest.mark.parametrize("text", ["not a picture", ""])
def test_a_background_that_is_no_picture_is_named(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hall.png").write_text(text, encoding="utf-8")
    words = ["rendered-clean", "--background", tmp_path / "hall.png", "--out", tmp_path / "set"]
    assert synth(*words, "--json") in (65, 66)
    told = capsys.readouterr().err
    assert "hall.png" in told
    assert len(told.splitlines()) == 1


def test_a_wrong_recipe_names_file_and_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, said in (
        ('description = "x"\npeople = [1]\n', "people: must be [least, most]"),
        ('description = "x"\nmotion = ["walk"]\n', "motion: unknown key; did you mean 'motions'"),
        ('description = "x"\nmotions = []\n', "motions: is empty"),
        ('description = "x"\nbackdrops = ["moon"]\n', "'moon' is not one of room"),
        ('description = "x"\n[view]\npitch_deg = [5]\n', "view.pitch_deg: must be"),
        ("description = ", "recipe.toml"),
    ):
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        assert synth(path, "--out", tmp_path / "set") == 78
        told = capsys.readouterr().err
        assert said in told
        assert str(path) in told


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools", "synth", "rendered-clinic", "--count", "3"]
    command += ["--size", "96", "96", "--out", str(tmp_path / "set"), "--workers", "2", "--json"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=GIVE_UP_S, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pictures"] == 3
    assert told["people"] >= 2
    assert "CC0" in told["licence"]
    assert done.stderr == ""


SIGMAS = skeletons.get("coco17").sigmas


def oks(found: np.ndarray, row: Dict[str, Any]) -> float:
    """Of 17 points; the area is the silhouette's, as COCO's is."""
    told = np.array(row["keypoints"]).reshape(17, 3)
    labelled = told[:, 2] > 0
    gap = ((found[:17] - told[:, :2]) ** 2).sum(1)
    return float(np.exp(-gap / (2 * row["area"] * (2 * SIGMAS) ** 2))[labelled].mean())


def test_our_networks_read_clean_renders_as_they_read_photographs(tmp_path: Path) -> None:
    """The bar of the renders: what people wear and how they stand must look like people."""
    folder = tmp_path / "set"
    assert synth("rendered-clean", "--count", 16, "--split", "report", "--out", folder) == 0
    place = ensure_model("blazepose", quiet=True)
    model = load_recipe(place)
    shapes = input_shapes(model)
    runners = {
        name: open_runner(place / network.file, shapes[name], RunnerOptions(1, 1))
        for name, network in model.networks.items()
    }
    document = json.loads((folder / "annotations.json").read_text(encoding="utf-8"))
    scores = []
    for image, row in zip(document["images"], document["annotations"]):
        pose: Any = load_model(model, runners, ModelOptions(0.0))
        picture = cv2.imread(str(folder / image["file_name"]))
        x, y, w, h = row["bbox"]
        box = np.array([[x, y, x + w, y + h]], np.float32)
        points, seen = np.zeros((1, 133, 2), np.float32), np.zeros((1, 133), np.float32)
        ones = np.ones(1, np.float32)
        for step in range(1, 4):
            known = Poses(points, seen, box, np.array([7]), ones, "wholebody133")
            found = pose([Frame(picture, step, step * 33_000_000, "a")], [known])[0]
            if len(found):
                points, seen, ones = (
                    found.keypoints.copy(), found.scores.copy(), found.person_scores.copy(),
                )  # fmt: skip
        scores.append(oks(points[0].astype(float), row))
    assert np.mean(scores) >= 0.8
    assert np.median(scores) >= 0.8
