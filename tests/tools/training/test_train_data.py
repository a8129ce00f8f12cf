"""Labels as samples: recordings, the split, partial labels, crops, augmentation."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edge.errors import ConfigError, DataError
from tests.tools.training.training_cases import Tiny, labels, people, picture, standing
from tools.evaluation import point_sets
from tools.training.check import leaks
from tools.training.data import crops, samples
from tools.training.data.sources import open_all, recordings_of
from tools.training.fit.augment import PLAIN, Augmentation, cut
from tools.training.fit.batches import Batches, gathered


def coco_of(folder: Path, files: List[str]) -> Path:
    box = [60, 20, 80, 200]
    marks = standing((60, 20)).ravel().tolist()
    content = {
        "images": [
            {"id": i, "file_name": f, "width": 320, "height": 240} for i, f in enumerate(files)
        ],
        "annotations": [
            {"id": i, "image_id": i, "bbox": box, "keypoints": marks} for i in range(len(files))
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "labels.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize(
    ("files", "recordings"),
    [
        (["a/1.jpg", "a/2.jpg", "b\\1.jpg"], ["a", "a", "b"]),
        (
            ["ward-12_0007.jpg", "ward-12_0008.jpg", "hall frame 3.png"],
            ["ward-12", "ward-12", "hall"],
        ),
        (["images/hall/1.jpg", "images/hall/2.jpg"], ["hall", "hall"]),
        (["train2017/hall/1.jpg", "val2017/ward/1.jpg"], ["hall", "ward"]),
        (["images/cam1_1.jpg", "images/cam2_1.jpg"], ["cam1", "cam2"]),
        (["000001.jpg", "frame_000002.jpg"], ["ward", "ward"]),
    ],
)
def test_the_recording_of_a_picture(
    files: List[str], recordings: List[str], tmp_path: Path
) -> None:
    truth = open_all([coco_of(tmp_path / "ward" / "annotations", files)])[0]
    assert recordings_of(truth) == recordings


def test_a_pattern_names_recordings(tmp_path: Path) -> None:
    truth = open_all([coco_of(tmp_path, ["p3_s1_9.jpg", "p4_s1_9.jpg"])])[0]
    assert recordings_of(truth, re.compile(r"^p\d+")) == ["p3", "p4"]
    assert recordings_of(truth, re.compile(r"^p(\d+)")) == ["3", "4"]
    with pytest.raises(DataError, match="does not match --recording"):
        recordings_of(truth, re.compile("^p3"))


def test_no_recording_is_in_two_parts(tmp_path: Path) -> None:
    some = people(labels(tmp_path, tuple("abcde"), 3), Tiny())
    parts = samples.split(some, [])
    names = [{s.recording for s in part} for part in (parts.train, parts.stop, parts.test)]
    assert names == [{"a", "b", "c"}, {"d"}, {"e"}]
    parts = samples.split(some, ["b", "[ac]"])
    assert {s.recording for s in parts.test} == {"a", "b", "c"}
    with pytest.raises(ConfigError, match="--hold-out x: no such recording; there are: a, b"):
        samples.split(some, ["x"])
    with pytest.raises(ConfigError, match="all labels are of one recording"):
        samples.split([s for s in some if s.recording == "a"], [])
    with pytest.raises(ConfigError, match="none can be held out"):
        samples.split(some, ["*"])


def test_labels_of_other_points_and_partial_ones_count_by_name(tmp_path: Path) -> None:
    names = ["LAnkle", "Right Ankle", "bar_end"]

    def ankles(points: Any, number: int) -> Any:
        return np.array([points[15], points[16], [5, 5, 2]])

    path = labels(tmp_path, frames=1, change=ankles, names=names)
    some = samples.gather(open_all([path]), point_sets.named("blazepose33"))
    known = point_sets.named("blazepose33").names
    labelled = [known[i] for i in np.flatnonzero(some[0].points[:, 2])]
    assert labelled == ["left_ankle", "right_ankle"]
    whole = standing((60, 20), seed=1)
    assert some[0].points[known.index("left_ankle"), :2] == pytest.approx(whole[15, :2], abs=1e-3)


def test_small_toes_and_crowds_are_no_samples_of_a_network_without_them(tmp_path: Path) -> None:
    path = labels(tmp_path, frames=1, names=["left_small_toe"], change=lambda p, n: p[:1])
    assert samples.gather(open_all([path]), point_sets.named("blazepose33")) == []
    path = labels(tmp_path / "crowd", frames=1, iscrowd=1)
    with pytest.raises(ConfigError, match="nobody is labelled"):
        open_all([path])


def test_the_same_recording_in_both_is_found_by_content(tmp_path: Path) -> None:
    one = labels(tmp_path / "one", ("a", "b"), 2)
    other = labels(tmp_path / "two", ("c",), 1)
    train, test = people(one, Tiny()), people(other, Tiny())
    (tmp_path / "two" / "c" / "000.jpg").write_bytes(b"another picture")
    leaks.require_apart(train, test)
    shutil.copyfile(tmp_path / "one" / "a" / "001.jpg", tmp_path / "two" / "c" / "000.jpg")
    with pytest.raises(DataError, match=r"share the picture c/000\.jpg"):
        leaks.require_apart(train, people(other, Tiny()))
    with pytest.raises(DataError, match="share the recording a"):
        leaks.require_apart(train, train)


def test_crops_are_made_once_and_again_if_labels_change(tmp_path: Path) -> None:
    path = labels(tmp_path, ("a",), 2)
    some = people(path, Tiny())
    there = crops.ensure(tmp_path / "c", "train", some, 32, quiet=True)
    made = (tmp_path / "c" / "train.jpegs").stat().st_mtime_ns
    crops.ensure(tmp_path / "c", "train", some, 32, quiet=True)
    assert (tmp_path / "c" / "train.jpegs").stat().st_mtime_ns == made
    some[0].points[0, 0] += 3
    again = crops.ensure(tmp_path / "c", "train", some, 32, quiet=True)
    assert again.points[0, 0, 0] == there.points[0, 0, 0] + 3
    assert len(crops.ensure(tmp_path / "c", "none", [], 32, quiet=True)) == 0


@pytest.fixture
def wide(tmp_path: Path) -> crops.Crops:
    trainee = Tiny()
    trainee.size = (256, 256)
    some = people(labels(tmp_path, ("a",), 3), trainee)
    return crops.ensure(tmp_path / "c", "train", some, 256, quiet=True)


def dot_distance(crop: Any, place: int) -> float:
    """Distance from a labelled point to the middle of what has its colour."""
    colour = np.random.default_rng(place).integers(0, 256, 3)
    near = np.abs(crop.image.astype(int) - colour).max(-1) < 40
    y, x = np.nonzero(near)
    gap = np.hypot(x - crop.points[place, 0], y - crop.points[place, 1])
    return float(np.median(np.sort(gap)[:20])) if len(gap) else 99.0


def test_points_stay_on_the_picture_whatever_the_warp(wide: crops.Crops) -> None:
    trainee = Tiny()
    trainee.size = (256, 256)
    how = Augmentation(colour=0, occluder=0, half_body=0, turned=1.0, flip=0.0)
    for seed in range(6):
        crop = cut(wide, seed % 3, trainee, how, np.random.default_rng(seed))
        for place in (9, 13, 16):  # dots that no other dot touches
            if crop.inside[place]:
                assert dot_distance(crop, place) < 4


def test_a_mirrored_crop_swaps_left_and_right(wide: crops.Crops) -> None:
    trainee = Tiny()
    trainee.size = (256, 256)
    plain = cut(wide, 0, trainee, PLAIN, np.random.default_rng(0))
    how = Augmentation(0, 0, (1, 1), 0, 1.0, 0, 0, 0, 0)
    turned = cut(wide, 0, trainee, how, np.random.default_rng(0))
    assert turned.points[trainee.flip][:, 0] == pytest.approx(255 - plain.points[:, 0], abs=0.01)
    assert turned.points[trainee.flip][:, 1] == pytest.approx(plain.points[:, 1], abs=0.01)
    assert np.abs(turned.image[:, ::-1].astype(int) - plain.image).mean() < 2


def test_zoom_turn_and_shift_keep_their_limits(wide: crops.Crops) -> None:
    trainee = Tiny()
    trainee.size = (256, 256)
    plain = cut(wide, 0, trainee, PLAIN, np.random.default_rng(0)).points
    how = Augmentation(colour=0, occluder=0, half_body=0, flip=0, turned=1.0)
    zooms, turns = [], []
    for seed in range(40):
        points = cut(wide, 0, trainee, how, np.random.default_rng(seed)).points
        spine = [complex(*(p[11] - p[0])) for p in (plain, points)]
        zooms.append(abs(spine[1]) / abs(spine[0]))
        turns.append(np.degrees(np.angle(spine[1] / spine[0])))
    assert 1 / 1.21 < min(zooms) < 0.9
    assert 1.1 < max(zooms) < 1 / 0.79
    assert -30.1 < min(turns) < -15
    assert 15 < max(turns) < 30.1


def test_half_a_body_fills_the_crop(wide: crops.Crops) -> None:
    trainee = Tiny()
    trainee.size = (256, 256)
    how = Augmentation(0, 0, (1, 1), 0, 0, 1.0, 0, 0, 0)
    spans = [
        np.ptp(cut(wide, 0, trainee, how, np.random.default_rng(s)).points[:, 1]) for s in range(6)
    ]
    plain = np.ptp(cut(wide, 0, trainee, PLAIN, np.random.default_rng(0)).points[:, 1])
    assert min(spans) > 1.3 * plain


def test_occluders_and_colour_change_pixels_only(wide: crops.Crops) -> None:
    trainee = Tiny()
    trainee.size = (256, 256)
    plain = cut(wide, 0, trainee, PLAIN, np.random.default_rng(0))
    for how in (
        Augmentation(0, 0, (1, 1), 0, 0, 0, 1.0, 0, 0),
        Augmentation(0, 0, (1, 1), 0, 0, 0, 0, 1.0, 0.5),
    ):
        changed = cut(wide, 0, trainee, how, np.random.default_rng(1))
        assert (changed.points == plain.points).all()
        assert (changed.image != plain.image).mean() > 0.01


def test_a_step_gives_the_same_batch_whenever_it_is_asked(tmp_path: Path) -> None:
    trainee = Tiny()
    some = people(labels(tmp_path, ("a", "b"), 3), trainee)
    there = crops.ensure(tmp_path / "c", "train", some, 32, quiet=True)
    feed = Batches(trainee, there, there, 0.25, 4, Augmentation(), 1)
    assert feed.steps == 2
    again = Batches(trainee, there, there, 0.25, 4, Augmentation(), 1)
    first, goal = feed(7)
    feed(8)
    assert (first == again(7)[0]).all()
    assert (first != feed(9)[0]).any()
    assert goal.weights[-1].sum() == 0  # a person whose old answers are held has no label


def test_labels_outside_the_crop_do_not_count() -> None:
    from tools.training.fit.augment import _labels

    points = np.array([[5, 5, 2], [15, 20, 1], [90, 5, 2], [5, 5, 0]], np.float32)
    crop = _labels(points, np.eye(2, 3), (32, 32), picture([]))
    goal = gathered(Tiny(), [crop], 1)[1]
    assert goal.weights[0].tolist() == [1, 1, 0, 0]
    assert goal.inside[0].tolist() == [1, 1, 0, 0]
    assert goal.seen[0].tolist() == [1, 0, 0, 0]
    assert goal.people[0] == 0  # two points do not say that a person is there
