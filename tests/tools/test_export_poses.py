"""Every format of `edge-tools export-poses` is read back by a reader of somebody else."""

from __future__ import annotations

import csv
import dataclasses
import json
import signal
import struct
import tracemalloc
from pathlib import Path
from typing import Any, Iterator, List

import numpy as np
import pytest

from edge import skeletons
from edge.errors import ConfigError, DataError, NoInputError, UnavailableError
from edge.messages import Builder, Clock
from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import Ring
from edge.scene_structures import Joints, SceneFrame
from edge.settings import config
from edge.structures import Frame, Poses
from tools.__main__ import main
from tools.exporting.c3d import header
from tools.exporting.choice import parse_time
from tools.exporting.coco import Writer as Coco
from tools.exporting.markers import markers
from tools.exporting.openpose import Writer as Openpose
from tools.exporting.sight import Sight, of_recording
from tools.exporting.timeline import Timeline, with_rate
from tools.exporting.trc import OPEN_FILES
from tools.exporting.trc import Writer as Trc
from tools.mqtt.subscriber import Received

UTC_NS = 1_790_000_000 * 10**9
PERIOD_NS = 40_000_000
SIZE = (640, 480)


def poses(frame: int, ids: List[int], skeleton: str = "wholebody133") -> Poses:
    """People whose keypoints drift; every 7th keypoint is missing."""
    k = len(skeletons.get(skeleton))
    rng = np.random.default_rng(frame)
    points = rng.uniform(20, 460, (len(ids), k, 2)).astype(np.float32)
    scores = rng.uniform(0.31, 1, (len(ids), k)).astype(np.float32)
    scores[:, 3::7] = 0
    boxes = np.concatenate((points.min(1), points.max(1)), 1)
    sure = np.full(len(ids), 0.87, np.float32)
    return Poses(points, scores, boxes, np.array(ids, np.int64), sure, skeleton)


def frames(count: int, skeleton: str = "wholebody133") -> Iterator[RecordedFrame]:
    """Two cameras in step. Person 2 comes later; frame 5 of cam1 was dropped."""
    for i in range(count):
        for name in ("cam0", "cam1"):
            if (i, name) != (5, "cam1"):
                ids = [1] if i < 3 else [1, 2]
                t_ns = 10**12 + i * PERIOD_NS
                found = poses(i, ids, skeleton)
                yield RecordedFrame(name, i, t_ns, UTC_NS - 10**12, SIZE, found)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "state" / "recordings"
    shown = config.show(config.build(config.Config, {"device": "hall"}))
    head = json.dumps({"boot_id": "0123456789abcdef", "config": shown, "numbers": {}}).encode()
    ring = Ring(folder, 64 << 20, lambda: head)
    for frame in frames(12):
        ring.write("P", pack(frame))
    ring.close()
    return folder.parent


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """The same frames as messages, and a scene."""
    path = tmp_path / "m.jsonl"
    now = [0]
    build = Builder("hall", clock=Clock(lambda: now[0] + UTC_NS - 10**12, lambda: now[0]))
    build.boot_id = "0123456789abcdef"
    with path.open("wb") as file:
        for told in frames(12):
            now[0] = told.t_ns
            image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            message = build.frame(Frame(image, told.index, told.t_ns, told.camera), told.poses)
            file.write(b'{"topic": "%s", "payload": %s}\n' % (message.topic.encode(), message.json))
            if told.camera == "cam1":
                message = build.scene(room(told.t_ns))
                topic = message.topic.encode()
                file.write(b'{"topic": "%s", "payload": %s}\n' % (topic, message.json))
    return path


def room(t_ns: int) -> SceneFrame:
    rng = np.random.default_rng(t_ns % 2**32)
    points = rng.uniform(-2, 2, (1, 17, 3)).astype(np.float32)
    scores = np.full((1, 17), 0.9, np.float32)
    scores[0, 5] = 0
    return SceneFrame(
        "court",
        t_ns,
        "coco17",
        ("cam0", "cam1"),
        np.array([True, True]),
        Joints(points, scores, "views"),
        np.array([4]),
        np.array([[1, 2]]),
        np.full((2, 1, 17), 0.5, np.float32),
    )


def export(source: Any, to: str, out: Path, *more: str) -> Path:
    assert main(["export-poses", str(source), "--to", to, "--out", str(out), *more]) == 0
    return out


def truth(camera: str, count: int = 12) -> List[RecordedFrame]:
    return [f for f in frames(count) if f.camera == camera]


def test_openpose_json_is_as_openpose_and_pose2sim_have_it(recording: Path, tmp_path: Path) -> None:
    out = export(recording, "openpose", tmp_path / "o")
    assert sorted(p.name for p in out.iterdir()) == ["cam0_json", "cam1_json"]
    names = sorted(p.name for p in (out / "cam1_json").iterdir())
    assert names == [f"cam1_{i:012d}_keypoints.json" for i in range(12) if i != 5]
    for told in truth("cam0"):
        body = json.loads(
            (out / "cam0_json" / f"cam0_{told.index:012d}_keypoints.json").read_text(
                encoding="utf-8"
            )
        )
        assert [p["person_id"] for p in body["people"]] == [[i] for i in told.poses.ids.tolist()]
        for row, person in enumerate(body["people"]):
            pose = np.array(person["pose_keypoints_2d"]).reshape(25, 3)
            nose, knee = told.poses.keypoints[row, [0, 14]]
            assert np.abs(pose[0, :2] - nose).max() <= 0.05
            assert np.abs(pose[10, :2] - knee).max() <= 0.05, "right knee is number 10 of BODY_25"
            assert abs(pose[10, 2] - told.poses.scores[row, 14]) <= 0.005
            assert (pose[told_missing()] == 0).all()
            lengths = {k: len(v) for k, v in person.items() if k.endswith("_2d")}
            assert lengths == {
                "pose_keypoints_2d": 75,
                "face_keypoints_2d": 210,
                "hand_left_keypoints_2d": 63,
                "hand_right_keypoints_2d": 63,
            }


def told_missing() -> List[int]:
    """Points of BODY_25 whose source is a missing keypoint of `poses`."""
    ours = skeletons.get("wholebody133").names
    missing = {ours[i] for i in range(3, 133, 7)}
    return [i for i, name in enumerate(skeletons.get("openpose25").names) if name in missing]


def test_openpose_json_with_another_skeleton_has_all_its_points(
    lines: Path, tmp_path: Path
) -> None:
    out = export(lines, "openpose", tmp_path / "o", "--skeleton", "halpe26")
    person = json.loads(
        (out / "cam0_json/cam0_000000000000_keypoints.json").read_text(encoding="utf-8")
    )["people"][0]
    assert len(person["pose_keypoints_2d"]) == 78
    assert person["face_keypoints_2d"] == []


def test_pycocotools_scores_coco_results(recording: Path, tmp_path: Path, capsys: Any) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    out = export(recording, "coco", tmp_path / "c")
    images = json.loads((out / "images.json").read_text(encoding="utf-8"))
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert len(images["images"]) == 23
    assert set(results[0]) >= {"foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"}
    labels = [
        {**r, "id": i, "iscrowd": 0, "area": r["bbox"][2] * r["bbox"][3], "num_keypoints": 14}
        for i, r in enumerate(results, 1)
    ]
    (tmp_path / "truth.json").write_text(
        json.dumps({**images, "annotations": labels}), encoding="utf-8"
    )
    judge = COCOeval(
        coco.COCO(str(tmp_path / "truth.json")),
        coco.COCO(str(tmp_path / "truth.json")).loadRes(str(out / "results.json")),
        "keypoints",
    )
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == pytest.approx(1.0)
    told = truth("cam0")[4].poses
    here = next(i for i in images["images"] if (i["camera"], i["seq"]) == ("cam0", 4))
    found = [r for r in results if r["image_id"] == here["id"]]
    flat = np.array([r["keypoints"] for r in found]).reshape(2, 17, 3)
    assert np.abs(flat[:, 0, :2] - told.keypoints[:, 0]).max() <= 0.05
    assert (flat[:, 3] == 0).all(), "a missing keypoint stays missing"


def read_trc(path: Path) -> Any:
    """As pandas reads it: names and [frames, markers, 3]."""
    pandas = pytest.importorskip("pandas")
    head = path.read_text(encoding="utf-8").split("\n")[:5]
    names = [n for n in head[3].split("\t")[2:] if n]
    table = pandas.read_csv(path, sep="\t", skiprows=5, header=None, skip_blank_lines=False)
    values = table.iloc[:, 2 : 2 + 3 * len(names)].to_numpy(float)
    assert head[2].split("\t")[2:5] == [str(len(table)), str(len(names)), "m"]
    return names, table.iloc[:, 0].tolist(), values.reshape(len(table), len(names), 3)


@pytest.mark.filterwarnings("ignore:No analog data found")
def test_trc_and_c3d_have_the_same_markers_in_the_readers_of_others(
    recording: Path, tmp_path: Path
) -> None:
    ezc3d, c3d = pytest.importorskip("ezc3d"), pytest.importorskip("c3d")
    trc = export(recording, "trc", tmp_path / "t")
    out = export(recording, "c3d", tmp_path / "c")
    names = ["cam0_person1", "cam0_person2", "cam1_person1", "cam1_person2"]
    assert sorted(p.stem for p in trc.iterdir()) == sorted(p.stem for p in out.iterdir()) == names
    marker_names, numbers, values = read_trc(trc / "cam1_person1.trc")
    assert numbers == list(range(1, 13)), "a dropped frame is a row without values"
    assert np.isnan(values[5]).all()
    for told in truth("cam1"):
        points, scores = told.poses.keypoints[0], told.poses.scores[0]
        knee = values[told.index, marker_names.index("RKnee")]
        assert np.abs(knee - [points[14, 0] / 1e3, (480 - points[14, 1]) / 1e3, 0]).max() < 1e-6
        hips = points[[11, 12]].mean(0)
        assert abs(values[told.index, marker_names.index("Hip"), 0] - hips[0] / 1e3) < 1e-6
        missing = [ours for ours in (10, 17) if scores[ours] == 0]
        assert np.isnan(values[told.index, missing]).all()
    foreign = ezc3d.c3d(str(out / "cam1_person1.c3d"))
    theirs = foreign["data"]["points"][:3].transpose(2, 1, 0)
    assert foreign["parameters"]["POINT"]["LABELS"]["value"] == marker_names
    assert foreign["parameters"]["POINT"]["RATE"]["value"][0] == 25.0
    assert np.array_equal(np.isnan(theirs), np.isnan(values))
    assert np.nanmax(np.abs(theirs - values)) < 1e-6
    with (out / "cam0_person2.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        rows = np.stack([points for _, points, _ in reader.read_frames()])
    assert (reader.first_frame, reader.last_frame, reader.point_rate) == (4, 12, 25.0)
    _, _, second = read_trc(trc / "cam0_person2.trc")
    assert np.array_equal(rows[..., 3] < 0, np.isnan(second[..., 0]))


def test_scenes_are_exported_in_metres_with_y_up(lines: Path, tmp_path: Path) -> None:
    out = export(lines, "trc", tmp_path / "z", "--scenes")
    assert [p.name for p in out.iterdir()] == ["court_person4.trc"]
    names, _, values = read_trc(out / "court_person4.trc")
    _, _, as_is = read_trc(
        export(lines, "trc", tmp_path / "y", "--scenes", "--up", "y") / "court_person4.trc"
    )
    given = room(10**12).joints.points[0, 14]
    assert np.abs(as_is[0, names.index("RKnee")] - given).max() <= 0.0005 + 1e-6
    assert np.array_equal(values[0, 14], as_is[0, 14][[1, 2, 0]])
    assert np.isnan(values[:, names.index("LShoulder")]).all()
    assert np.isnan(values[:, names.index("Neck")]).all(), "a mean needs both"
    table = export(lines, "csv", tmp_path / "s.csv", "--scenes")
    row = next(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert row["camera"] == "court"
    assert row["z_right_knee"] != row["z_left_shoulder"] == ""


def test_pandas_reads_the_csv(recording: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(export(recording, "csv", tmp_path / "p.csv"))
    assert len(table) == 40
    assert table["device"].unique().tolist() == ["hall"]
    told = truth("cam0")[8]
    row = table[(table.camera == "cam0") & (table.seq == 8) & (table.person == 2)].iloc[0]
    assert row.t_utc_ns == told.t_ns + told.offset_ns
    for i, name in enumerate(skeletons.get("wholebody133").names):
        if told.poses.scores[1, i] > 0:
            assert abs(row[f"x_{name}"] - told.poses.keypoints[1, i, 0]) <= 0.05
            assert abs(row[f"score_{name}"] - told.poses.scores[1, i]) <= 0.005
        else:
            assert np.isnan([row[f"x_{name}"], row[f"score_{name}"]]).all()


def test_duckdb_and_pandas_read_the_parquet_as_the_messages_have_it(
    lines: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    monkeypatch.setattr("tools.exporting.tables.ROWS", 10)
    path = export(lines, "parquet", tmp_path / "p.parquet")
    sent = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    sent = [m["payload"] for m in sent if m["topic"].split("/")[3] != "scene"]
    expected = [
        (r["camera"], r["seq"], p["id"], p["score"], p["box"], p["keypoints"])
        for r in sent
        for p in r["people"]
    ]
    table = pandas.read_parquet(path)
    columns = ["camera", "seq", "person", "score", "box", "keypoints"]
    found = [
        tuple(v.tolist() if isinstance(v, np.ndarray) else v for v in row)
        for row in table[columns].itertuples(index=False, name=None)
    ]
    assert found == expected
    assert str(table["t_utc_ns"].dtype) == "datetime64[ns, UTC]"
    meta = __import__("pyarrow.parquet").parquet.read_schema(path).metadata
    assert json.loads(meta[b"names"]) == list(skeletons.get("wholebody133").names)


def test_a_recording_and_its_messages_give_the_same(
    recording: Path, lines: Path, tmp_path: Path
) -> None:
    one = export(recording, "csv", tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    two = export(lines, "csv", tmp_path / "b.csv").read_text(encoding="utf-8").splitlines()
    assert one[0] == two[0]
    assert len(one) == len(two)
    left, right = (list(csv.reader(rows[1:])) for rows in (one, two))
    for a, b in zip(left, right):
        assert a[:3] == b[:3]
        assert a[4:7] == b[4:7]
        near = [abs(float(x) - float(y)) <= 0.051 for x, y in zip(a[7:], b[7:]) if x and y]
        assert all(near)
        assert [not x for x in a[7:]] == [not y for y in b[7:]]


def test_frames_of_a_broker_are_exported_until_ctrl_c(
    lines: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """A subscriber that gives the messages of a file, and then is interrupted."""

    class Fake:
        def __init__(self, broker: Any, device: str) -> None:
            assert (broker.host, device) == ("h", "+")

        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *error: Any) -> None:
            pass

        def messages(self, wait_s: float) -> Iterator[Any]:
            for line in lines.read_text(encoding="utf-8").splitlines():
                told = json.loads(line)
                yield None
                yield Received(told["topic"], json.dumps(told["payload"]).encode())
                yield Received("poses/v1/hall/status", b"{}")
            signal.raise_signal(signal.SIGINT)
            while True:
                yield None

    monkeypatch.setattr("tools.exporting.sources.Subscriber", Fake)
    before = signal.getsignal(signal.SIGINT)
    one = export("mqtt://h", "csv", tmp_path / "a.csv").read_text(encoding="utf-8")
    assert one == export(lines, "csv", tmp_path / "b.csv").read_text(encoding="utf-8")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--camera", "cam1"], {("cam1", i) for i in range(12) if i != 5}),
        (["--begin", "0.32"], {(c, i) for c in ("cam0", "cam1") for i in range(8, 12)}),
        (["--end", "0.08", "--camera", "cam0"], {("cam0", 0), ("cam0", 1)}),
        (["--person", "2", "--camera", "cam0"], {("cam0", i) for i in range(3, 12)}),
    ],
)
def test_options_choose(recording: Path, tmp_path: Path, options: List[str], left: Any) -> None:
    text = export(recording, "csv", tmp_path / "x.csv", *options).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {(r["camera"], int(r["seq"])) for r in rows} == left


def test_a_time_is_seconds_or_a_date() -> None:
    assert parse_time("", UTC_NS, -1) == -1
    assert parse_time("1.5", UTC_NS, 0) == UTC_NS + 1_500_000_000
    assert parse_time("2026-09-21T15:33:20+02:00", UTC_NS, 0) == 1_789_997_600 * 10**9
    with pytest.raises(ConfigError, match="seconds since the first frame, or a date"):
        parse_time("yesterday", UTC_NS, 0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{none}", "--to", "csv", "--out", "{new}"], NoInputError, "contains no recording"),
        (["{dir}/gone", "--to", "csv", "--out", "{new}"], NoInputError, "No such file"),
        (["{text}", "--to", "csv", "--out", "{new}"], DataError, "is no file of messages"),
        (["http://x", "--to", "csv", "--out", "{new}"], ConfigError, "give a path, or mqtt"),
        (["{rec}", "--to", "csv", "--out", "{text}"], ConfigError, "exists; give another --out"),
        (["{rec}", "--to", "csv", "--out", "{new}", "--scenes"], DataError, "recordings have none"),
        (["{rec}", "--to", "csv", "--out", "{new}", "--camera", "x"], DataError, "check --camera"),
        (
            ["{rec}", "--to", "coco", "--out", "{new}", "--skeleton", "x"],
            ConfigError,
            "no skeleton",
        ),
        (["mqtt://h", "x", "--to", "csv", "--out", "{new}"], ConfigError, "is the only source"),
    ],
)
def test_a_mistake_is_one_line(
    recording: Path, tmp_path: Path, capsys: Any, arguments: List[str], code: Any, words: str
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "text").write_text("no messages\n", encoding="utf-8")
    places = {n: tmp_path / n for n in ("none", "text", "new")}
    filled = [a.format(dir=tmp_path, rec=recording, **places) for a in arguments]
    assert main(["export-poses", *filled]) == code.exit_code
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1


def test_a_missing_library_is_named(
    recording: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rerun", None)
    out = str(tmp_path / "x.rrd")
    code = main(["export-poses", str(recording), "--to", "rrd", "--out", out])
    assert code == UnavailableError.exit_code
    assert "pip install rerun-sdk" in capsys.readouterr().err


@pytest.mark.parametrize("block", [1, 2, 512])
def test_frames_between_the_numbers_are_interpolated_and_gaps_are_not(
    tmp_path: Path, monkeypatch: Any, block: int
) -> None:
    monkeypatch.setattr("tools.exporting.trc.BLOCK_ROWS", block)
    sights = [moving(t) for t in (0, 0.5, 1.5, 2.5, 6.0, 7.0)]
    writer = Trc(tmp_path, Timeline(25.0), True)
    for sight in sights:
        writer.add(sight)
    writer.close()
    _, numbers, values = read_trc(tmp_path / "cam0_person1.trc")
    assert numbers == list(range(1, 9))
    assert values[:, 0, 0] == pytest.approx(
        [0, 0.01, 0.02, np.nan, np.nan, np.nan, 0.06, 0.07], abs=1e-6, nan_ok=True
    )


def moving(x: float) -> Sight:
    """A person whose keypoints are at 10 px a period."""
    t_ns = 10**12 + round(x * PERIOD_NS)
    points = np.full((1, 17, 2), 10 * x, np.float32)
    told = Poses(
        points,
        np.full((1, 17), 0.9, np.float32),
        np.zeros((1, 4), np.float32),
        np.array([1]),
        np.ones(1, np.float32),
        "coco17",
    )
    return of_recording(RecordedFrame("cam0", 0, t_ns, 0, SIZE, told), "hall", "b")


def test_the_rate_is_that_of_one_camera_and_runs_are_kept_apart() -> None:
    times = [0, 33_300_000, 66_700_000, 100_000_000]
    sights = [dataclasses.replace(moving(0), t_mono_ns=t) for t in times]
    assert with_rate(sights)[0] == 30
    assert with_rate(sights, 12.0)[0] == 12
    timeline = Timeline(30.0)
    other = dataclasses.replace(sights[0], boot_id="c", t_mono_ns=5)
    third = dataclasses.replace(sights[0], device="gym")
    numbers = [timeline.number(s) for s in (*sights, other, third)]
    assert numbers == [0, 1, 2, 3, 0, 0]
    names = [timeline.label(s) for s in (sights[0], other, third)]
    assert names == ["cam0", "cam0-run2", "gym_cam0"]
    timeline.number(sights[0])
    assert timeline.doubled == 0
    timeline.number(sights[0])
    assert timeline.doubled == 1


def test_more_people_than_files_may_be_open(tmp_path: Path) -> None:
    writer = Trc(tmp_path, Timeline(25.0), True)
    count = OPEN_FILES + 5
    for x in (0.0, 1.0):
        for who in range(count):
            writer.add(dataclasses.replace(moving(x), ids=np.array([who])))
    writer.close()
    assert len(list(tmp_path.iterdir())) == count
    assert read_trc(tmp_path / "cam0_person0.trc")[1] == [1, 2]


@pytest.mark.parametrize("to", ["openpose", "coco"])
def test_frames_written_together_are_those_written_alone(
    tmp_path: Path, to: str, monkeypatch: Any
) -> None:
    """Frames without people, with several, and of another skeleton in between."""
    found = [told for told in frames(9) if told.camera == "cam0"]
    sights = [of_recording(told, "hall", "b") for told in found]
    sights.insert(5, dataclasses.replace(moving(4.5), ids=np.array([7])))
    sights[0] = sights[0].of(np.zeros(1, bool))
    sights[3] = sights[3].of(np.zeros(2, bool))
    made = []
    for together in (1, 3, 32):
        monkeypatch.setattr("tools.exporting.together.FRAMES", together)
        out = tmp_path / str(together)
        timeline = Timeline(50.0)
        writer = Openpose(out, timeline, True) if to == "openpose" else Coco(out, timeline)
        for sight in sights:
            writer.add(sight)
        writer.close()
        made.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*.json")})
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == (10 if to == "openpose" else 2)


@pytest.mark.parametrize("skeleton", skeletons.names())
def test_markers_have_distinct_names_that_fit_into_c3d(skeleton: str) -> None:
    names, first, second = markers(skeleton)
    assert len(set(names)) == len(names) == len(first) == len(second)
    assert max(map(len, names)) <= 32
    assert {"LShoulder", "RKnee"} <= set(names)


def test_markers_are_those_of_pose2sim() -> None:
    """Names and numbers of its skeleton COCO_133 (0.10.49)."""
    names, first, _ = markers("wholebody133")
    number = dict(zip(names, first.tolist()))
    text = "RHip 12 RBigToe 20 RSmallToe 21 RHeel 22 LBigToe 17 Nose 0 RThumb1 113 RThumb 114 "
    text += "RIndex 117 RMiddle1 121 RPinky 129 LThumb 93 LIndex 96 Jaw1 23 EyebrowR1 40 Mouth20 90"
    words = text.split()
    theirs = dict(zip(words[::2], map(int, words[1::2])))
    assert {name: number[name] for name in theirs} == theirs
    assert {"Hip", "Neck"} <= set(names)
    assert "CHip" in markers("openpose25")[0]


def test_a_c3d_of_more_than_65535_frames_says_so() -> None:
    head = header(["Nose"], 30.0, 0, 108_000)
    assert struct.unpack_from("<HH", head, 6) == (1, 0xFFFF)
    at = head.index(b"ACTUAL_END_FIELD") + len("ACTUAL_END_FIELD") + 2
    assert struct.unpack_from("<bBBHH", head, at) == (2, 1, 2, 108_000 & 0xFFFF, 1)


@pytest.mark.parametrize("to", ["openpose", "coco", "trc", "c3d", "csv"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, to: str, monkeypatch: Any) -> None:
    """Peaks of a short and a long export; files, not memory, hold what was written."""
    import argparse

    from tools import export_poses

    monkeypatch.setattr("tools.exporting.trc.BLOCK_ROWS", 16)

    def peak(count: int) -> int:
        arguments = argparse.Namespace(out=tmp_path / f"{count}", to=to, up="y", scenes=False)
        arguments.skeleton = ""
        writer = export_poses._writer(arguments, Timeline(25.0))
        tracemalloc.start()
        for i in range(count):
            writer.add(moving(float(i)))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        writer.close()
        return top

    short = peak(60)
    assert peak(240) < 1.5 * short + 50_000
