"""Labels of other programs, with what such files do that their formats do not say."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from edge import skeletons
from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from tests.tools.evaluation.label_cases import (
    annotation,
    person,
    picture,
    results,
    table,
    wholebody,
    write,
)
from tools.evaluation import judge, point_sets
from tools.evaluation.found import networks, results_file
from tools.evaluation.read import open_truth

# Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("L_Shoulder", "left_shoulder"),
        ("Left Shoulder", "left_shoulder"),
        ("LShoulder", "left_shoulder"),
        ("lshoulder", "left_shoulder"),
        ("shoulder-left", "left_shoulder"),
        ("RBigToe", "right_big_toe"),
        ("Head top", "head"),
        ("Thorax", "neck"),
        ("Pelvis", "hip"),
        ("nose", "nose"),
        ("face-12", "face-12"),
        ("left_thumb3", "left_thumb3"),
        ("mouth_left", "mouth_left"),
    ],
)
def test_a_point_is_known_by_many_names(theirs: str, ours: str) -> None:
    assert point_sets.plain_name(theirs) == ours


@pytest.mark.parametrize("name", skeletons.names())
def test_our_own_sets_are_recognised_by_their_names(name: str) -> None:
    assert point_sets.of_names(skeletons.get(name).names).name == name


def test_an_unknown_set_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no keypoint set called 'cocoo'.* coco17"):
        point_sets.named("cocoo")


def test_halpe_says_which_sigmas() -> None:
    halpe = point_sets.named("halpe136")
    assert "AlphaPose" in halpe.sigma_source
    assert halpe.sigmas[-1] == 0.015


# COCO ----------------------------------------------------------------------------------------


def read(tmp_path: Path, content: Any, points: str = "") -> Any:
    path = write(tmp_path / "labels.json", content)
    return open_truth(path, None, point_sets.named(points) if points else None)


def test_coco(tmp_path: Path) -> None:
    marks = person()
    marks[3] = 0
    truth = read(tmp_path, table([annotation(marks)]))
    assert (truth.kind, truth.points.name, truth.people) == ("COCO", "coco17", 1)
    people = truth.pictures[0].people
    assert np.array_equal(people.keypoints[0], marks[:, :2])
    assert people.labelled[0].tolist() == [i != 3 for i in range(17)]
    assert np.isclose(people.areas[0], 0.6 * np.prod(people.boxes[0, 2:] - people.boxes[0, :2]))


def test_ids_may_be_text_or_numbers(tmp_path: Path) -> None:
    content = table([annotation(person(), image="1")])
    truth = read(tmp_path, content)
    assert truth.people == 1
    rows = results([person()], image="1")
    assert len(results_file.read(rows, Path("r"), truth).of(truth.pictures[0].key)) == 1


def test_only_the_category_with_keypoints_counts(tmp_path: Path) -> None:
    content = table([annotation(person()), annotation(person(1), category_id=2, keypoints=...)])
    content["categories"].append({"id": 2, "name": "car"})
    truth = read(tmp_path, content)
    assert truth.people == 1
    assert truth.notes == ["1 annotations without keypoints are left out"]


@pytest.mark.parametrize("area", [0, ..., None])
def test_without_an_area_it_is_a_share_of_the_box(tmp_path: Path, area: Any) -> None:
    truth = read(tmp_path, table([annotation(person(), bbox=[0, 0, 100, 200], area=area)]))
    assert truth.pictures[0].people.areas[0] == pytest.approx(0.53 * 100 * 200)
    assert "1 people have no area: .53 of the box is taken" in truth.notes


def test_two_level_points_of_cvat_get_a_box_with_height(tmp_path: Path) -> None:
    marks = np.zeros((17, 3))
    marks[5], marks[6] = (100, 50, 2), (140, 50, 2)
    truth = read(tmp_path, table([annotation(marks, bbox=[100, 50, 40, 0], area=0)]))
    x1, y1, x2, y2 = truth.pictures[0].people.boxes[0]
    assert x1 < 100 < 140 < x2
    assert y1 < 50 < y2


def test_crowds_and_people_without_labels_are_read_as_such(tmp_path: Path) -> None:
    rows = [annotation(person(), iscrowd=1), annotation(person() * 0, bbox=[0, 0, 9, 9])]
    truth = read(tmp_path, table([*rows, annotation(person(2))]))
    assert truth.pictures[0].people.crowd.tolist() == [True, False, False]
    assert truth.pictures[0].people.labelled.any(1).tolist() == [True, False, True]


def test_wholebody_has_four_more_lists(tmp_path: Path) -> None:
    marks = person(0, 133)
    truth = read(tmp_path, table([wholebody(marks)]))
    assert (truth.kind, truth.points.name) == ("COCO-WholeBody", "wholebody133")
    assert np.allclose(truth.pictures[0].people.keypoints[0], marks[:, :2])


def test_an_invalid_part_of_wholebody_is_not_labelled(tmp_path: Path) -> None:
    marks = person(0, 133)
    row = wholebody(marks, face_valid=False)
    labelled = read(tmp_path, table([row])).pictures[0].people.labelled[0]
    assert not labelled[23:91].any()
    assert labelled[91:].all()


def test_face_points_with_a_share_as_third_value_are_labelled(tmp_path: Path) -> None:
    marks = person(0, 133)
    marks[23:91, 2] = 0.3
    assert read(tmp_path, table([wholebody(marks)])).pictures[0].people.labelled.all()


def test_halpe_136_without_names(tmp_path: Path) -> None:
    content = table([annotation(person(0, 136))])
    content["categories"] = [{"id": 1, "name": "person"}]
    assert read(tmp_path, content).points.name == "halpe136"


def test_crowdpose_is_known_by_its_names(tmp_path: Path) -> None:
    names = list(point_sets.FOREIGN["crowdpose"])
    content = table([annotation(person(0, 14))])
    content["categories"][0]["keypoints"] = names
    truth = read(tmp_path, content)
    assert truth.points.name == "crowdpose"
    assert truth.points.sigmas[-1] == 0.079


def test_points_without_names_ask_for_them(tmp_path: Path) -> None:
    content = table([annotation(person(0, 14))])
    content["categories"] = [{"id": 1, "name": "person"}]
    with pytest.raises(DataError, match=r"14 keypoints without names; give --keypoints"):
        read(tmp_path, content)
    assert read(tmp_path, content, "aic").points.name == "aic"


@pytest.mark.parametrize("name", ["deep/er/1.jpg", "deep\\er\\1.jpg", "C:\\data\\er\\1.jpg"])
def test_file_names_with_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    picture(tmp_path / "deep/er/1.jpg")
    content = table([annotation(person())])
    content["images"][0]["file_name"] = name
    found = read(tmp_path, content).pictures[0].path
    assert found == tmp_path / "deep/er/1.jpg"


def test_pictures_beside_a_folder_of_annotations(tmp_path: Path) -> None:
    """COCO's own layout: annotations/person_keypoints_val2017.json and val2017/1.jpg."""
    (tmp_path / "val2017").mkdir()
    picture(tmp_path / "val2017/1.jpg")
    path = write(tmp_path / "annotations/person.json", table([annotation(person())]))
    assert open_truth(path).pictures[0].path == tmp_path / "val2017/1.jpg"
    (tmp_path / "val2017").rename(tmp_path / "elsewhere")
    assert open_truth(path, tmp_path / "elsewhere").pictures[0].path is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keypoints": [1, 2, 3]}, "annotation 7: keypoints has 3 numbers, 51 expected"),
        ({"keypoints": [[1], [2, 3]]}, "annotation 7: keypoints is not a list of numbers"),
        ({"image_id": 99}, "image_id 99, which no image has"),
        ({"keypoints": ...}, "no annotation has keypoints; CVAT exports them of skeletons only"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path: Path, change: Dict[str, Any], words: str) -> None:
    rows = [annotation(person(), **{"id": 7, **change})]
    if words.startswith("annotation"):
        rows += [annotation(person()), annotation(person())]
    with pytest.raises(DataError, match=words):
        read(tmp_path, table(rows))


def test_frames_of_a_video_are_a_sequence_in_order(tmp_path: Path) -> None:
    rows = [annotation(person(), image=i, track_id=5) for i in (1, 2)]
    content = table(rows, 2, videos=[{"id": 3, "file_name": "a.mp4", "fps": 25}])
    for image, index in zip(content["images"], (1, 0)):
        image.update(video_id=3, frame_index=index)
    truth = read(tmp_path, content)
    assert [p.index for p in truth.sequences()["3"]] == [0, 1]
    assert truth.rates_hz == {"3": 25.0}
    assert truth.pictures[0].people.ids.tolist() == [5]


def test_a_folder_with_one_label_file(tmp_path: Path) -> None:
    write(tmp_path / "annotations/person.json", table([annotation(person())]))
    write(tmp_path / "notes.json", {"by": "me"})
    assert open_truth(tmp_path).people == 1
    write(tmp_path / "other.json", table([annotation(person())]))
    with pytest.raises(DataError, match=r"several label files.* other\.json"):
        open_truth(tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("{", DataError, "is not JSON"),
        ("[]", DataError, "a file of results, not of labels"),
        ("{}", DataError, "is no labelled data that is known: COCO"),
    ],
)
def test_what_is_no_labels(tmp_path: Path, text: str, error: type, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=words):
        open_truth(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="no such file or folder; expected COCO"):
        open_truth(tmp_path / "none")
    with pytest.raises(NoInputError, match="has no labelled data"):
        open_truth(tmp_path)


# Pictures ------------------------------------------------------------------------------------


def turned(path: Path) -> Path:
    """A picture of 40 x 20 px that its EXIF turns by 90 degrees."""
    from PIL import Image

    image = Image.new("RGB", (40, 20), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    return path


def test_labels_of_coco_belong_to_the_stored_picture(tmp_path: Path) -> None:
    turned(tmp_path / "1.jpg")
    content = table([annotation(person())])
    content["images"][0].update(width=40, height=20)
    found = networks.read_picture(read(tmp_path, content).pictures[0])
    assert found.shape == (20, 40, 3)


def test_labels_of_labelme_belong_to_the_turned_picture(tmp_path: Path) -> None:
    turned(tmp_path / "1.jpg")
    write(tmp_path / "1.json", labelme([shape("nose", 3, 4)], size=(20, 40)))
    found = networks.read_picture(open_truth(tmp_path).pictures[0])
    assert found.shape == (40, 20, 3)


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "1.jpg", 64, 48)
    with pytest.raises(DataError, match=r"is 64x48, its labels are of a picture of 640x480"):
        networks.read_picture(read(tmp_path, table([annotation(person())])).pictures[0])


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"1\.jpg: no such picture; --pictures DIR"):
        networks.read_picture(read(tmp_path, table([annotation(person())])).pictures[0])


# Labelme -------------------------------------------------------------------------------------


def shape(label: str, *numbers: float, group: Any = None, kind: str = "point", **more: Any) -> Any:
    points = np.array(numbers, float).reshape(-1, 2).tolist()
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, **more}


def labelme(shapes: List[Any], size: Any = (640, 480), path: str = "1.jpg") -> Dict[str, Any]:
    return {
        "version": "5.4",
        "imagePath": path,
        "imageData": None,
        "imageWidth": size[0],
        "imageHeight": size[1],
        "shapes": shapes,
    }


def test_labelme(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    picture(tmp_path / "pictures/1.jpg")
    shapes = [
        shape("nose", 10, 20, group=1),
        shape("left_eye-occluded", 11, 19, group=1),
        shape("person", 60, 90, 5, 10, group=1, kind="rectangle"),
        shape("nose", 110, 20, group=2, description="hidden behind a chair"),
        shape("left_ankle", 111, 90, group=2, flags={"occluded": True}),
    ]
    write(tmp_path / "labels/1.json", labelme(shapes, path="..\\pictures\\1.jpg"))
    truth = open_truth(tmp_path)
    assert (truth.kind, truth.points.name) == ("Labelme", "coco17")
    people = truth.pictures[0].people
    assert people.boxes[0].tolist() == [5, 10, 60, 90]
    assert people.visible[0, :2].tolist() == [2, 1]
    assert people.visible[1, [0, 15]].tolist() == [1, 1]
    assert truth.pictures[0].path is not None


def test_labelme_without_groups_is_one_person(tmp_path: Path) -> None:
    write(tmp_path / "1.json", labelme([shape("nose", 1, 2), shape("neck", 3, 4)]))
    truth = open_truth(tmp_path)
    assert truth.people == 1
    assert truth.points.name == "openpose25", "the smallest set with a neck"


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (shape("nose", 3, 4, group=1), "'nose' is there twice in group 1"),
        (shape("noze", 3, 4, group=1), "'noze' is no keypoint of coco17; see --keypoints"),
        ({"label": "nose"}, "a shape needs label, points and shape_type"),
    ],
)
def test_a_wrong_shape_is_named_with_its_line(tmp_path: Path, second: Any, words: str) -> None:
    content = labelme([shape("nose", 1, 2, group=1), second])
    path = tmp_path / "1.json"
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    line = (
        path.read_text(encoding="utf-8")[
            : path.read_text(encoding="utf-8").rindex('"label"')
        ].count("\n")
        + 1
    )
    with pytest.raises(DataError, match=rf"1\.json: line {line}: {words}"):
        open_truth(tmp_path, None, point_sets.named("coco17"))


# CVAT ----------------------------------------------------------------------------------------

IMAGES = """<annotations><version>1.1</version>
<image id="0" name="deep/1.jpg" width="640" height="480">
 <skeleton label="person" group_id="3" occluded="0">
  <points label="left_eye" outside="0" occluded="1" points="11,19"/>
  <points label="nose" outside="0" occluded="0" points="10,20"/>
  <points label="right_eye" outside="1" occluded="0" points="0,0"/>
 </skeleton>
 <box label="person" group_id="3" xtl="5" ytl="6" xbr="60" ybr="90"/>
</image></annotations>"""

VIDEO = """<annotations><meta><task><start_frame>10</start_frame>
<frame_filter>step=2</frame_filter></task><source>walk.mp4</source></meta>
<track id="4" label="person">
 <skeleton frame="0" keyframe="1" outside="0">
  <points label="nose" outside="0" occluded="0" points="10,20"/>
  <points label="left_eye" outside="0" occluded="0" points="1,1"/></skeleton>
 <skeleton frame="4" keyframe="1" outside="0">
  <points label="nose" outside="0" occluded="1" points="18,40"/>
  <points label="left_eye" outside="1" occluded="0" points="9,9"/></skeleton>
 <skeleton frame="6" keyframe="1" outside="1">
  <points label="nose" outside="1" occluded="0" points="18,40"/></skeleton>
</track></annotations>"""


def test_cvat_for_images_goes_by_names(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(IMAGES, encoding="utf-8")
    truth = open_truth(tmp_path)
    people, points = truth.pictures[0].people, truth.points
    nose, eye = points.index("nose"), points.index("left_eye")
    assert people.keypoints[0, nose].tolist() == [10, 20]
    assert people.visible[0, [nose, eye, points.index("right_eye")]].tolist() == [2, 1, 0]
    assert people.boxes[0].tolist() == [5, 6, 60, 90]


def test_cvat_for_video_is_played_between_keyframes(tmp_path: Path) -> None:
    (tmp_path / "annotations.xml").write_text(VIDEO, encoding="utf-8")
    truth = open_truth(tmp_path)
    nose = truth.points.index("nose")
    frames = {p.index: p for p in truth.sequences()["walk"]}
    assert list(frames) == [10, 12, 14, 16, 18, 20], "frames of the video, until it is outside"
    places = [frames[i].people.keypoints[0, nose].tolist() for i in (10, 14, 18, 20)]
    assert places == [[10, 20], [14, 30], [18, 40], [18, 40]]
    assert frames[14].people.ids.tolist() == [4]
    eye = truth.points.index("left_eye")
    assert [int(frames[i].people.visible[0, eye]) for i in (10, 14, 18)] == [2, 2, 0]


def test_cvat_points_that_are_numbers_count_from_one(tmp_path: Path) -> None:
    points = "".join(f'<points label="{i + 1}" points="{i},5"/>' for i in range(17))
    text = f'<annotations><image id="0" name="1.jpg"><skeleton>{points}</skeleton></image>'
    (tmp_path / "annotations.xml").write_text(f"{text}</annotations>", encoding="utf-8")
    truth = open_truth(tmp_path)
    assert truth.points.name == "coco17"
    assert truth.pictures[0].people.keypoints[0, :, 0].tolist() == list(range(17))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotations>", "is not XML"),
        ("<a/>", "is no annotation file of CVAT"),
        ('<annotations><image id="0"><points label="nose"/></image></annotations>', "no skeleton"),
        (IMAGES.replace("10,20", "ten"), "a point of nose has no x,y"),
    ],
)
def test_what_is_no_export_of_cvat(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        open_truth(tmp_path)


# Clips of synth ------------------------------------------------------------------------------


def clip(tmp_path: Path, people: Any) -> Path:
    head = {
        "schema": "edge-truth/1",
        "video": "a.mp4",
        "fps": 25.0,
        "skeleton": "coco17",
        "camera": {"width": 640, "height": 480},
    }
    lines = [head, *({"frame": i, "t_ns": i, "people": people} for i in range(3))]
    path = tmp_path / "a.truth.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_clips_of_synth(tmp_path: Path) -> None:
    marks = person()
    marks[4, 2] = 0
    row = {"id": 7, "box": [1, 2, 30, 40], "area_px": 99.0, "keypoints": marks.tolist()}
    path = clip(tmp_path, [row])
    (tmp_path / "a.mp4").write_bytes(b"")
    for given in (path, tmp_path):
        truth = open_truth(given)
        frames = truth.sequences()["a"]
        assert [f.index for f in frames] == [0, 1, 2]
        people = frames[0].people
        assert (people.ids.tolist(), people.areas.tolist()) == ([7], [99.0])
        assert people.labelled[0].tolist() == [i != 4 for i in range(17)]
        assert truth.videos == {"a": tmp_path / "a.mp4"}
        assert truth.rates_hz == {"a": 25.0}


def test_a_wrong_line_of_a_clip_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: a person needs id, box and 17 keypoints"):
        open_truth(clip(tmp_path, [{"id": 1}]))
    path = tmp_path / "a.truth.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match="its first line has no schema 'edge-truth/1'"):
        open_truth(path)


# Damaged files -------------------------------------------------------------------------------

WEIRD: List[Any] = [None, True, -1, 1e308, float("nan"), "x", [], {}, [None], [[1, 2]], {"a": 1}]


def damaged(content: Any, rng: random.Random) -> Any:
    """The same content with up to three values that are something else, or gone."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3) if content else 0):
        at, key = content, rng.choice(list(content))
        while isinstance(at[key], (dict, list)) and at[key] and rng.random() < 0.8:
            at = at[key]
            key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        if isinstance(at, dict) and len(at) > 1 and rng.random() < 0.3:
            del at[key]
        else:
            at[key] = copy.deepcopy(rng.choice(WEIRD))
    return content


@pytest.mark.parametrize("kind", ["coco", "wholebody", "labelme", "results"])
def test_a_damaged_file_is_read_or_refused_in_words(tmp_path: Path, kind: str) -> None:
    rng = random.Random(kind)
    video = [{"id": 1, "file_name": "a.mp4", "fps": 25}]
    contents = {
        "coco": table([annotation(person(), track_id=1), annotation(person(1), image=2)], 2),
        "wholebody": table([wholebody(person(0, 133))], videos=video),
        "labelme": labelme([shape("nose", 1, 2), shape("p", 1, 2, 3, 4, kind="rectangle")]),
        "results": {"rows": results([person(), person(1)])},
    }
    truth = read(tmp_path, table([annotation(person())]))
    refused = 0
    for _ in range(150):
        content = damaged(contents[kind], rng)
        try:
            if kind == "results":
                found = results_file.read(content.get("rows"), Path("r"), truth)
                judge.judge(truth, found)
            else:
                open_truth(write(tmp_path / "damaged.json", content))
        except EdgeError:
            refused += 1
    assert 0 < refused < 150


# Results -------------------------------------------------------------------------------------


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    truth = read(tmp_path, table([annotation(person())]))
    first = results_file.read(results([person(3)]), Path("r"), truth)
    first.given[2] = False
    again = results_file.read(results_file.rows_of(first, truth), Path("r"), truth)
    one, two = first.of("1"), again.of("1")
    assert np.allclose(one.keypoints, two.keypoints, atol=1e-3)
    assert np.allclose(one.boxes, two.boxes)
    assert again.given.tolist() == first.given.tolist()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, "is no result file: a list of objects"),
        ([{"image_id": 1}], "result 0 needs image_id and keypoints"),
        (results([person()], image=99), "none of its pictures is in labels; .* image_id 99"),
        (results([person(0, 16)]), "has 16 keypoints, coco17 has 17"),
        ([{"image_id": 1, "keypoints": "x"}], "keypoints of image 1 are no numbers"),
    ],
)
def test_wrong_results_are_named(tmp_path: Path, rows: Any, words: str) -> None:
    truth = read(tmp_path, table([annotation(person())]))
    with pytest.raises(EdgeError, match=words):
        results_file.read(rows, Path("r.json"), truth)
