"""`edge-tools ground`: the floor of a camera in metres."""

import json

import cv2
import numpy as np
import pytest

from edge.capture._synthetic.body import STATURE_M
from edge.errors import ConfigError, DataError, NoInputError
from edge.loop.grounds import ground_of
from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import Ring
from edge.scene.ground import Ground
from edge.settings import config
from tests.edge.test_lens import lens_of, shown
from tools.__main__ import main
from tools.benches._mocap import looking, pixels, played, poses_of, turned
from tools.floor import from_points, from_walkers, walkers

SIZE, FOCAL_PX = (1280, 720), 900.0
CAMERA = looking(SIZE, FOCAL_PX, 9.0, 25.0)  # 4.7 m high
SQUARE = np.array([[-2.0, -2, 0], [2, -2, 0], [2, 4, 0], [-2, 4, 0]])
PLACES = SQUARE[:, 0] + 1j * SQUARE[:, 1]


def complexes(points):
    return points[..., 0] + 1j * points[..., 1]


def words(points):
    return [f"{x:.3f},{y:.3f}" for x, y in points]


def lengths_of(ground, camera=CAMERA):
    """Ratios of lengths on the floor as the ground has them to what they are."""
    rng = np.random.default_rng(1)
    floor = np.column_stack((rng.uniform(-3, 3, 200), rng.uniform(-3, 6, 200), np.zeros(200)))
    found = ground.metres(complexes(pixels(camera, floor)))
    true = np.abs(np.diff(complexes(floor)))
    return (np.abs(np.diff(found)) / true)[true > 0.5]


def walking(people=12, statures_m=(1.7,), camera=CAMERA, at_m=(-2.5, 4.0)):
    """Upright people on the ways of a hall."""
    rng, t_s, found = np.random.default_rng(0), np.arange(0, 12, 0.5), []
    for who in range(people):
        tall = statures_m[who % len(statures_m)]
        body, speed = played(None, "gait:walk", t_s + rng.uniform(0, 9))
        heading = rng.uniform(0, 2 * np.pi)
        place = np.array([rng.uniform(-2.5, 2.5), rng.uniform(*at_m), 0])
        way = np.outer((t_s - 6) * speed * 0.25, [np.cos(heading), np.sin(heading), 0])
        body = turned(body, heading) * tall / STATURE_M + (place + way)[:, None]
        seen = pixels(camera, body)
        for frame, t in zip(seen, t_s):
            found.append((who, float(t), frame))
    return found


def observations(rows):
    parts = []
    for who, _, frame in rows:
        part = walkers.upright(poses_of(frame[None], np.ones((1, 17)), 200.0), SIZE)
        parts.append(part._replace(ids=part.ids + who))
    return walkers.join(parts)


def recording(folder, rows):
    head = json.dumps({"boot_id": "b", "config": "", "numbers": {}}).encode()
    ring = Ring(folder, 1 << 24, lambda: head)
    ring.begin()
    for index, (who, t_s, frame) in enumerate(rows):
        poses = poses_of(frame[None], np.ones((1, 17)), 200.0)
        poses.ids[:] = who
        t_ns = round((who * 100 + t_s) * 1e9)
        ring.write("P", pack(RecordedFrame("hall", index, t_ns, 0, SIZE, poses)))
    ring.close()
    return folder


def test_four_corners_of_a_rectangle_give_the_floor(tmp_path, capsys):
    out, corners = tmp_path / "door.toml", pixels(CAMERA, SQUARE)
    wanted = ["points", "--px", *words(corners), "--size", "4x6", "--camera", "door"]
    assert main(["ground", *wanted, "--out", str(out)]) == 0
    assert "2 px off" in capsys.readouterr().out
    text = '[[cameras]]\nname = "door"\nsource = "synthetic://walk"\n' + out.read_text(
        encoding="utf-8"
    )
    (tmp_path / "all.toml").write_text(text, encoding="utf-8")
    ground = ground_of(config.load(tmp_path / "all.toml"), "door")
    assert lengths_of(ground) == pytest.approx(1, abs=2e-3)
    picture = cv2.imread(str(tmp_path / "door.png"))
    assert (picture == (80, 220, 80)).all(-1).sum() > 500  # lines


def test_places_may_be_given_and_more_than_four(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    floor = np.concatenate((SQUARE, [[0, 0, 0], [1, 3, 0]]))
    wanted = ["--px", *words(pixels(CAMERA, floor)), "--m", *words(floor[:, :2])]
    wanted = [w if w.startswith("--") else f" {w}" for w in wanted]  # argparse: -2,.. is no option
    assert main(["ground", "points", *wanted, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["points"] == 6
    assert told["error_m"] < 1e-3
    assert lengths_of(Ground(tuple(np.ravel(told["matrix"]).tolist()))) == pytest.approx(
        1, abs=2e-3
    )


def test_small_rectangles_far_away_are_said_to_be_unsure():
    near = from_points.fit(complexes(pixels(CAMERA, SQUARE)), PLACES)
    small = SQUARE * 0.1 + np.array([0, 12.0, 0])
    far = from_points.fit(complexes(pixels(CAMERA, small)), complexes(small))
    assert near.unsure < 0.03
    assert far.unsure > 0.2


@pytest.mark.parametrize(
    ("px", "said"),
    [
        ([100 + 100j, 200 + 200j, 300 + 300j, 400 + 400j], "one line"),
        ([100 + 100j, 100 + 100j, 300 + 300j, 100 + 400j], "one line|crossed"),
        ([100 + 500j, 900 + 100j, 900 + 500j, 100 + 100j], "crossed"),
    ],
)
def test_points_that_are_no_floor_are_refused(px, said):
    with pytest.raises(DataError, match=said):
        from_points.fit(np.array(px), np.array([0, 1, 1 + 1j, 1j]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--px", "1,2", "3,4", "--size", "1x1"], "--size: a rectangle"),
        (["--px", "1,2", "3,4", "--m", "1,2", "3,4"], "--px: 2 points"),
        (["--px", "1,2", "3,4", "5,6", "7,8", "--m", "1,2"], "--m: 1 places"),
        (["--px", "1,2", "3,4", "5,6", "7,9"], "give the --size"),
    ],
)
def test_a_wrong_command_names_the_option(arguments, said, capsys):
    assert main(["ground", "points", *arguments]) == ConfigError.exit_code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("pitch_deg", "fov_deg"), [(8.0, 70.8), (25.0, None), (45.0, None)])
def test_people_who_walk_give_height_pitch_and_lengths(pitch_deg, fov_deg):
    camera = looking(SIZE, FOCAL_PX, 9.0, pitch_deg)
    rows = walking(30, (1.6, 1.7, 1.8), camera, at_m=(-2, 3.5))
    seen = observations(rows)
    found = from_walkers.fit(seen, 1.70, fov_deg=fov_deg)
    assert found.pitch_deg[0] == pytest.approx(pitch_deg, abs=3)
    assert found.height_m[0] == pytest.approx(camera.position[2], rel=0.15)
    off = np.abs(lengths_of(found.ground, camera) - 1)
    assert np.median(off) < 0.08
    assert np.percentile(off, 90) < 0.16


def test_what_is_given_is_kept():
    seen = observations(walking())
    found = from_walkers.fit(seen, 1.70, pitch_deg=20.0, fov_deg=70.0)
    assert found.pitch_deg == pytest.approx((20.0, 0.0))
    assert found.fov_deg == pytest.approx((70.0, 0.0))


def test_lengths_are_in_proportion_to_the_stature():
    seen = observations(walking())
    a, b = (from_walkers.fit(seen, tall).ground.metres(seen.ankles) for tall in (1.5, 1.8))
    assert np.median(np.abs(np.diff(b)) / np.abs(np.diff(a))) == pytest.approx(1.2, abs=0.02)


def test_people_at_one_distance_do_not_give_a_floor():
    with pytest.raises(DataError, match="one distance"):
        from_walkers.fit(
            observations(walking(people=20, at_m=(0, 0.1)))._replace(size=(1280, 7200)), 1.7
        )
    with pytest.raises(DataError, match="record for longer"):
        from_walkers.fit(observations(walking(people=1)[:20]), 1.7)


def test_only_upright_people_with_their_whole_body_count():
    frame = pixels(CAMERA, played(None, "gait:stand", np.zeros(1))[0])[0]
    lies = frame[:, ::-1].copy()
    cut = frame - [0, frame[:, 1].min() + 20]
    for points, count in ((frame, 1), (lies, 0), (cut, 0)):
        found = walkers.upright(poses_of(points[None], np.ones((1, 17)), 200.0), SIZE)
        assert len(found.ids) == count
    scores = np.ones((1, 17))
    scores[0, 15] = 0
    assert not len(walkers.upright(poses_of(frame[None], scores, 200.0), SIZE).ids)


def test_a_recording_becomes_a_table_and_a_picture(tmp_path, capsys):
    folder = recording(tmp_path / "r", walking())
    out = tmp_path / "hall.toml"
    wanted = ["walkers", str(folder), "--camera", "hall", "--out", str(out)]
    assert main(["ground", *wanted]) == 0
    assert "pitch 2" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "hall.png")).shape == (720, 1280, 3)
    settings = tmp_path / "all.toml"
    settings.write_text(
        '[[cameras]]\nname = "hall"\nsource = "synthetic://walk"\n'
        + out.read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    still, grid = tmp_path / "still.png", tmp_path / "grid.png"
    cv2.imwrite(str(still), np.zeros((720, 1280, 3), np.uint8))
    drawn = ["--still", str(still), "--picture", str(grid)]
    assert main(["ground", "show", str(settings), *drawn]) == 0
    assert cv2.imread(str(grid)).any()
    assert main(["ground", "walkers", str(folder), "--camera", "door"]) == ConfigError.exit_code
    assert "the recording has: hall" in capsys.readouterr().err
    assert main(["ground", *wanted, "--still", "/nowhere.png"]) == NoInputError.exit_code


def test_a_lens_of_pictures_of_another_shape_is_told(tmp_path, capsys):
    folder = recording(tmp_path / "r", walking())
    settings = tmp_path / "edge.toml"
    settings.write_text(
        '[[cameras]]\nname = "hall"\nsource = "synthetic://walk"\n[cameras.lens]\n'
        "matrix = [[500, 0, 250], [0, 500, 250], [0, 0, 1]]\ndistortion = [0, 0, 0, 0]\n"
        "size = [500, 500]\n",
        encoding="utf-8",
    )
    words = ["walkers", str(folder), "--camera", "hall", "--config", str(settings)]
    assert main(["ground", *words]) == ConfigError.exit_code
    assert "lens: pictures of 1280 x 720 px have another shape" in capsys.readouterr().err


def test_the_lens_of_the_camera_is_undone_first(tmp_path, capsys):
    lens = lens_of((0.05, -0.015, 0.004, -0.001), True)
    flat = np.array([[-0.9, 0.4], [0.9, 0.4], [0.5, 0.1], [-0.5, 0.1]])
    pixels = shown(flat, lens.terms, True)
    path = tmp_path / "edge.toml"
    rows = np.reshape(lens.matrix, (3, 3)).tolist()
    path.write_text(
        '[[cameras]]\nsource = "synthetic://walk"\nname = "hall"\n[cameras.lens]\n'
        f"matrix = {rows}\ndistortion = {list(lens.terms)}\nfisheye = true\nsize = [1200, 900]\n",
        encoding="utf-8",
    )
    places = ["0,0", "4,0", "4,8", "0,8"]
    px = [f"{x:.6f},{y:.6f}" for x, y in pixels]
    words = ["ground", "points", "--px", *px, "--m", *places]
    out = tmp_path / "ground.toml"
    assert main([*words, "--config", str(path), "--out", str(out)]) == 0
    capsys.readouterr()
    text = out.read_text(encoding="utf-8")
    assert text.endswith("lens = true\n")
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    ground = ground_of(config.load(path), "hall")
    assert ground is not None
    found = ground.metres(pixels[:, 0] + 1j * pixels[:, 1])
    assert found == pytest.approx(np.array([0, 4, 4 + 8j, 8j]), abs=1e-3)
