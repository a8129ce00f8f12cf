"""edge-tools draw: shapes of a page become tables of the file, and nothing else changes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, DataError, EdgeError, NoInputError
from edge.settings import config
from edge.settings.config import Camera, Config
from tests.waiting import GIVE_UP_S
from tools import draw
from tools.__main__ import main
from tools.drawing import server, shapes, still
from tools.drawing.server import Drawing
from tools.drawing.shapes import Shape
from tools.drawing.still import Still

SIZE = (640, 480)
TEXT = """# my box
device = "hall"  # its name

[[cameras]]  # the door
source = "synthetic://walk"
name = "door"

[[cameras]]
source = "synthetic://walk"
name = "yard"

# who is where
[[rules]]
kind = "zone"
cameras = ["door"]
name = "platform"  # the high one
polygon = [[10, 10], [90, 10], [90, 90]]
dwell_s = 3.0

[[rules]]
kind = "zone"
name = "everywhere"
polygon = [[10, 10], [90, 10], [90, 90]]

[[rules]]
kind = "fall"  # for all

[publish]
sinks = ["jsonl:-"]  # here
"""
ZONE = Shape("zone", "platform", ((20.4, 20.0), (80, 20), (80, 80), (20, 80)))


def parsed(text: str) -> Dict[str, Any]:
    return config.read_toml(Path("x"), lambda path: text.encode())


def written(*drawn: Shape, text: str = TEXT) -> str:
    return shapes.written(Path("x"), text, "door", "synthetic://walk", SIZE, drawn)


def test_a_zone_is_changed_in_its_place_and_comments_stay() -> None:
    made = written(ZONE)
    rule = parsed(made)["rules"][0]
    assert rule["polygon"] == [[20, 20], [80, 20], [80, 80], [20, 80]]
    assert rule["dwell_s"] == 3.0
    for kept in ("# my box", "# its name", "# the door", "# who is where", "# the high one"):
        assert kept in made
    assert len(parsed(made)["rules"]) == 3
    assert [line for line in TEXT.splitlines() if "polygon" not in line] == [
        line for line in made.splitlines() if "polygon" not in line
    ]
    assert written(ZONE, text=made) == made


def test_new_shapes_are_added_and_deleted_ones_removed() -> None:
    line = Shape("line", "gate", ((0, 240), (640, 240)))
    mask = Shape("mask", "", ((0, 0), (320, 0), (320, 480)))
    made = written(line, mask)
    table = parsed(made)
    kinds = [(r["kind"], r.get("name")) for r in table["rules"]]
    assert kinds == [("zone", "everywhere"), ("fall", None), ("line", "gate")]
    assert table["rules"][-1]["cameras"] == ["door"]
    assert table["cameras"][0]["mask"] == [[[0, 0], [0.5, 0], [0.5, 1]]]
    assert "mask" not in table["cameras"][1]
    found = shapes.read(table, "door", SIZE)
    assert [(s.kind, s.name) for s in found] == [("line", "gate"), ("mask", "")]
    assert found[1].points == ((0, 0), (320, 0), (320, 480))
    again = parsed(written(text=made))
    assert "mask" not in again["cameras"][0]
    assert len(again["rules"]) == 2


def test_rules_of_all_cameras_belong_to_a_page_only_where_there_is_one() -> None:
    assert [s.name for s in shapes.read(parsed(TEXT), "door", SIZE)] == ["platform"]
    one = TEXT.replace('[[cameras]]\nsource = "synthetic://walk"\nname = "yard"\n', "")
    names = [s.name for s in shapes.read(parsed(one), "door", SIZE)]
    assert names == ["platform", "everywhere"]


def test_a_zone_in_shares_stays_one() -> None:
    text = TEXT.replace(
        "polygon = [[10, 10], [90, 10], [90, 90]]\ndwell_s",
        "polygon = [[0, 0], [0.5, 0], [0.5, 0.5]]\nwidth = 1920\nheight = 1440\ndwell_s",
    )
    (found, *_) = shapes.read(parsed(text), "door", SIZE)
    assert found.points == ((0, 0), (320, 0), (320, 240))
    moved = Shape("zone", "platform", ((64, 48), (320, 0), (320, 240)))
    rule = parsed(written(moved, text=text))["rules"][0]
    assert rule["polygon"] == [[0.1, 0.1], [0.5, 0], [0.5, 0.5]]


def test_the_ground_becomes_a_matrix_and_stays_where_none_is_drawn() -> None:
    points = ((100, 400), (540, 400), (440, 250), (200, 250))
    ground = Shape("ground", "", points, ((0, 0), (4, 0), (4, 6), (0, 6)))
    made = written(ZONE, ground)
    (table,) = parsed(made)["grounds"]
    assert table["camera"] == "door"
    matrix = np.array(table["matrix"])
    for (x, y), place in zip(points, ground.metres):
        at = matrix @ [x, y, 1]
        np.testing.assert_allclose(at[:2] / at[2], place, atol=1e-4)
    assert parsed(written(ZONE, text=made))["grounds"] == [table]
    flat = Shape("ground", "", ((0, 0), (1, 0), (2, 0), (3, 0)), ground.metres)
    with pytest.raises(ConfigError, match="ground"):
        written(flat)


def test_an_empty_file_gets_a_camera() -> None:
    made = written(ZONE, text="")
    assert parsed(made)["cameras"] == [{"source": "synthetic://walk", "name": "door"}]
    assert parsed(made)["rules"][0]["name"] == "platform"


@pytest.mark.parametrize(
    "shape",
    [
        Shape("zone", "x", ((1, 1), (2, 1), (3, 1))),
        Shape("mask", "", ((0, 0), (100, 100), (100, 0), (0, 100))),
        Shape("line", "x", ((5, 5), (5, 5))),
    ],
)
def test_a_shape_that_the_program_refuses_is_not_written(shape: Shape) -> None:
    with pytest.raises(ConfigError):
        written(shape)


@pytest.mark.parametrize(
    "text", ["rules = 5\n", 'rules = [{kind = "fall"}]\n', "[rules]\nx = 1\n", "not toml"]
)
def test_a_file_that_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(EdgeError):
        written(ZONE, text=text)


@pytest.mark.parametrize(
    "records",
    [
        None,
        {},
        [5],
        [{"kind": "zone"}],
        [{"kind": "star", "points": [[1, 1]] * 3}],
        [{"kind": "zone", "name": "x", "points": [[1, 1]]}],
        [{"kind": "zone", "name": "", "points": [[1, 1], [2, 2], [3, 1]]}],
        [{"kind": "zone", "name": "a\nb", "points": [[1, 1], [2, 2], [3, 1]]}],
        [{"kind": "mask", "points": [[1, 1], [2, "a"], [3, 1]]}],
        [{"kind": "mask", "points": [[1, 1], [2, 1e99], [3, 1]]}],
        [{"kind": "mask", "points": [[1, 1], [2, float("nan")], [3, 1]]}],
        [{"kind": "ground", "points": [[1, 1]] * 4, "metres": [[1, 1]]}],
        [{"kind": "mask", "points": [[1, 1]] * 3}] * 65,
    ],
)
def test_what_a_page_sends_is_checked(records: Any) -> None:
    with pytest.raises(DataError):
        shapes.from_page(records)


# The still ---------------------------------------------------------------------------------------


def test_the_still_hangs_upright_and_has_no_mask(tmp_path: Path) -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 255
    cv2.imwrite(str(tmp_path / "a b.png"), image)
    whole = (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),)
    camera = Camera(still.source_of(str(tmp_path / "a b.png")), "door", 90, mask=whole)
    found = still.of(camera, config.Capture())
    assert (found.width, found.height) == (40, 60)
    shown = cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown[:25].mean() > 200 > 50 > shown[35:].mean()
    with pytest.raises(NoInputError):
        still.source_of(str(tmp_path / "none.png"))
    with pytest.raises(EdgeError):
        still.of(Camera(f"file://{tmp_path}/none.png", "x"), config.Capture(timeout_s=0.5))


def test_which_camera_is_drawn_for(tmp_path: Path) -> None:
    settings = config.complete(config.build(Config, parsed(TEXT)))
    path = tmp_path / "edge.toml"
    assert draw.chosen(settings, "yard", "", path).name == "yard"
    assert draw.chosen(settings, "yard", "rtsp://h/x", path).source == "rtsp://h/x"
    assert draw.chosen(Config(), "", "rtsp://h/x", path) == Camera("rtsp://h/x", "cam0")
    for name, given in (("", ""), ("roof", ""), ("", "rtsp://h/x")):
        with pytest.raises(ConfigError):
            draw.chosen(settings, name, given, path)
    with pytest.raises(ConfigError, match="has no camera"):
        draw.chosen(Config(), "", "", path)


# The page ----------------------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Tuple[Drawing, Path]]:
    path = tmp_path / "edge.toml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o640)
    file = draw.File(path, Camera("synthetic://walk", "door"), SIZE)
    with Drawing(Still(b"jpeg", *SIZE), file.about(), file.save) as made:
        yield made, path


def ask(
    made: Drawing, path: str, data: Optional[bytes] = None, **headers: str
) -> Tuple[int, Dict[str, str], bytes]:
    port = made.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_S)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if data is None else "POST", path, data, given)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def cookie_of(made: Drawing) -> str:
    link = made.guard.link
    status, headers, _ = ask(made, link.partition(str(made.server_address[1]))[2])
    assert (status, headers["Location"]) == (303, "/")
    assert ask(made, link.partition(str(made.server_address[1]))[2])[0] == 403, "works once"
    return headers["Set-Cookie"].partition(";")[0]


def test_a_browser_with_the_link_draws_and_saves(page: Tuple[Drawing, Path]) -> None:
    made, path = page
    cookie, origin = cookie_of(made), f"http://127.0.0.1:{made.server_address[1]}"
    for name in ("/", "/draw.js", "/draw.css", "/still.jpg", "/about.json"):
        status, headers, body = ask(made, name, Cookie=cookie)
        assert status == 200
        assert body
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    about = json.loads(ask(made, "/about.json", Cookie=cookie)[2])
    assert (about["camera"], about["width"], len(about["shapes"])) == ("door", 640, 1)
    drawn = [{"kind": "line", "name": "gate", "points": [[0, 5], [9, 5]], "metres": []}]
    data = json.dumps(drawn).encode()
    status, _, body = ask(made, "/save", data, Cookie=cookie, Origin=origin)
    assert status == 200, body
    assert json.loads(body)["shapes"][0]["name"] == "gate"
    assert shapes.read(parsed(path.read_text(encoding="utf-8")), "door", SIZE)[0].name == "gate"
    assert path.stat().st_mode & 0o777 == 0o640
    bad = json.dumps([{"kind": "line", "name": "x", "points": [[5, 5], [5, 5]]}]).encode()
    before = path.read_text(encoding="utf-8")
    status, _, body = ask(made, "/save", bad, Cookie=cookie, Origin=origin)
    assert status == 422
    assert json.loads(body)["error"]
    assert ask(made, "/save", b"{", Cookie=cookie, Origin=origin)[0] == 422
    assert path.read_text(encoding="utf-8") == before


def test_nobody_else_gets_in(page: Tuple[Drawing, Path]) -> None:
    made, path = page
    origin = f"http://127.0.0.1:{made.server_address[1]}"
    for name in ("/", "/still.jpg", "/about.json", "/?token=x"):
        assert ask(made, name)[0] == 403
    assert ask(made, "/save", b"[]", Origin=origin)[0] == 403
    cookie = cookie_of(made)
    assert ask(made, "/", Cookie=cookie, Host="evil.example")[0] == 421
    assert ask(made, "/", Cookie=cookie, Sec_Fetch_Site="cross-site")[0] == 403
    for wrong in ("http://evil.example", "null", ""):
        assert ask(made, "/save", b"[]", Cookie=cookie, Origin=wrong)[0] == 403
    assert ask(made, "/save", b"[]", Cookie=cookie)[0] == 403, "without an origin"
    for name in ("/../shapes.py", "/%2e%2e/shapes.py", "/etc/passwd", "/other", "/index.html/x"):
        assert ask(made, name, Cookie=cookie)[0] == 404
    assert ask(made, "/other", b"[]", Cookie=cookie, Origin=origin)[0] == 404
    huge = str(server.MOST_BYTES + 1)
    assert ask(made, "/save", b"[]", Cookie=cookie, Origin=origin, Content_Length=huge)[0] == 413
    assert path.read_text(encoding="utf-8") == TEXT


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in sorted(server.PAGE.iterdir()):
        text = file.read_text(encoding="utf-8")
        found: List[str] = re.findall(r"https?://[^\s\"']+", text)
        assert set(found) <= {"http://www.w3.org/2000/svg"}, file.name
        assert not re.search(r"\son\w+=|style=|innerHTML|eval\(", text), file.name


def test_the_command_serves_until_it_is_ended(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 60, 3), np.uint8))
    command = [sys.executable, "-m", "tools", "draw", str(tmp_path / "a.png"), "--config"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*command, str(tmp_path / "new.toml")],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("open http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 0
    assert "has ended" in rest


def test_wrong_command_lines(tmp_path: Path) -> None:
    config_file = str(tmp_path / "edge.toml")
    assert main(["draw", "--config", config_file]) == ConfigError.exit_code
    assert main(["draw", "none.png", "--config", config_file]) == NoInputError.exit_code
    assert main(["draw", "x.png", "--port", "70000"]) == ConfigError.exit_code
