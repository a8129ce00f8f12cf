"""The demo as a whole: real broker, real daemon, real video files; two tiny networks."""

from __future__ import annotations

import base64
import http.client
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, List
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from edge.errors import DataError, InternalError, UnavailableError
from edge.settings import config
from tests.waiting import GIVE_UP_S, until
from tools import demo
from tools.__main__ import main
from tools.demos import Plan, cameras, moments
from tools.demos import settings as texts
from tools.demos.child import Daemon
from tools.demos.ending import count_frames, verdict, write_sheet
from tools.demos.files import Files
from tools.mqtt.broker import Broker, install_mosquitto
from tools.mqtt.figures import Figures
from tools.viewer import opening

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/edge/golden/models"
FRAMES = 15
SIZE = (160, 120)
RULES = '\n[[rules]]\nkind = "presence"\nenter_s = 0.1\n'


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cameras of noise: the tiny networks see people in anything."""
    folder = tmp_path_factory.mktemp("a set's folder")
    rng = np.random.default_rng(0)
    for name in ("cam01", "cam02", "cam03", "cam04"):
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(folder / f"{name}.mp4"), fourcc, 25, SIZE)
        for _ in range(FRAMES):
            writer.write(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8))
        writer.release()
    return folder


@pytest.fixture
def tiny(monkeypatch: Any, clips: Path) -> Path:
    assert install_mosquitto(), "these tests need mosquitto: apt install mosquitto"
    for name, value in (("DETECT", "twobox"), ("POSE", "standing"), ("RULES", RULES)):
        monkeypatch.setattr(cameras, name, value)
    monkeypatch.setattr(cameras, "ensure_model", lambda name, folder: MODELS / name)
    monkeypatch.setattr(cameras, "ensure_set", lambda name, folder: clips)
    return clips


@pytest.mark.parametrize("kind", ["mosquitto", "amqtt"])
def test_everything_is_shown_and_left_behind(
    tiny: Path, tmp_path: Path, capsys: Any, contract: Any, kind: str
) -> None:
    out = tmp_path / "the results"
    assert main(["demo", "--out", str(out), "--broker", kind]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"broker: {kind}, MQTT ")
    assert any("cam03  presence  person 1" in line for line in said)
    assert "demo is offline (stopped)" in said
    assert f"contact sheet:   {out / 'sheet.png'}" in said
    assert said[-1].startswith(f"{FRAMES * 4} frames of 4 cameras at ")
    assert "up to 8 people, 8 events, latency p50 " in said[-1]
    assert "dropped 0, gaps 0; " in said[-1]
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet.shape[:2] == (2 * SIZE[1], 4 * 2 * SIZE[0])
    assert count_frames(out / "poses.mp4") == FRAMES
    records = [
        json.loads(line)
        for line in (out / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert sum(r["topic"].endswith("/frame") for r in records) == FRAMES * 4
    for record in records:
        contract(record["topic"], record["payload"])
    settings = config.load(out / "edge.toml")
    assert [c.name for c in settings.cameras] == ["cam01", "cam02", "cam03", "cam04"]
    assert settings.mqtt.protocol == ("5" if kind == "mosquitto" else "3.1.1")


def test_the_rules_of_the_demo_are_rules_of_the_program(tiny: Path, tmp_path: Path) -> None:
    from edge.loop.assemble import build_rules
    from edge.settings.config import build, complete

    clips = [(f"cam0{i}", tmp_path / "x.mp4") for i in range(5)]
    plan = Plan((), "a", "b", tmp_path, clips, ORIGINAL_RULES, lambda files: {})
    broker = Broker("amqtt")
    (tmp_path / "c.toml").write_text(
        texts.config_text(broker, plan, Files(tmp_path), "fp32"), encoding="utf-8"
    )
    settings = complete(build(config.Config, config.read_toml(tmp_path / "c.toml")))
    assert [table["kind"] for table in settings.rules] == ["presence", "zone", "fall"]
    assert len(build_rules(settings, "cam02")) == 3
    assert len(build_rules(settings, "cam01")) == 2


ORIGINAL_RULES = cameras.RULES


def look(links: List[str], seen: List[str]) -> None:
    """A browser: live, then the recording; then Ctrl-C."""
    until(lambda: links, "the link")
    host = urlsplit(links[0]).netloc
    connection = http.client.HTTPConnection(host)
    connection.request("GET", links[0])
    answer = connection.getresponse()
    answer.read()
    connection.close()
    headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    while not any('"mode":"replay"' in line for line in seen):
        stream = http.client.HTTPConnection(host)
        stream.request("GET", "/stream", headers=headers)
        with stream.getresponse() as lines:  # it ends when the recording comes
            for line in iter(lines.readline, b""):
                seen.append(line.decode())
                if '"mode":"replay"' in seen[-1]:
                    break
        stream.close()
    os.kill(os.getpid(), signal.SIGINT)


def test_it_is_seen_live_and_then_as_a_recording(
    tiny: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    links: List[str] = []
    seen: List[str] = []
    monkeypatch.setattr(opening, "show", lambda link, in_browser: links.append(link))
    looking = threading.Thread(target=look, args=(links, seen))
    looking.start()
    code = main(["demo", "--out", str(tmp_path), "--broker", "mosquitto", "--view"])
    looking.join()
    assert code == 0
    told = "".join(seen)
    assert "/demo/cam01/frame" in told
    assert told.index('"mode":"live"') < told.index('"mode":"replay"')
    assert "the page shows the recording now" in capsys.readouterr().out


def test_the_demo_of_four_cameras_needs_no_package_that_draws_people() -> None:
    code = "import sys, tools.demo, tools.demos.cameras; print('numba' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert said.stdout == "False\n"


@pytest.mark.parametrize("field", ["sports", "rehab", "safety"])
def test_the_tables_of_each_field_are_rules_of_the_program(
    field: str, tmp_path: Path, monkeypatch: Any
) -> None:
    from edge.loop.assemble import build_rules

    owner = "safety" if field == "safety" else "exercises"
    module = importlib.import_module(f"tools.demos.{owner}")

    def drawn(demo: str, name: str, *more: Any, **view: Any) -> Path:
        return tmp_path / f"{name}-000.mp4"

    monkeypatch.setattr(module, "ensure_model", lambda name, folder: MODELS / name)
    monkeypatch.setattr(module, "ensure_clip", drawn)
    monkeypatch.setattr(module, "ensure_set", lambda name, folder: tmp_path, raising=False)
    plan = demo.plan_of(field, None, None)
    (tmp_path / "c.toml").write_text(
        texts.config_text(Broker("amqtt"), plan, Files(tmp_path), "fp32"), encoding="utf-8"
    )
    settings = config.load(tmp_path / "c.toml")
    for camera in settings.cameras:
        assert build_rules(settings, camera.name), f"nothing is told of {camera.name}"
    assert plan.pages(Files(tmp_path)) == {}, "there are no messages yet"
    assert any("drawn" in line for line in plan.said)


def test_a_page_of_moments_has_a_picture_and_a_reason_for_each_event(tmp_path: Path) -> None:
    clip = tmp_path / "ward.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    for shade in range(20):
        writer.write(np.full((240, 320, 3), 12 * shade, np.uint8))
    writer.release()
    head = {"device": "demo", "camera": "ward", "boot_id": "0" * 16}
    person = {"id": 7, "score": 90, "box": [100, 100, 900, 1900], "keypoints": [500, 500, 90] * 17}
    lines = []
    for seq in range(20):
        frame = {**head, "t_mono_ns": seq * 40_000_000, "skeleton": "coco17", "people": [person]}
        lines.append({"topic": "poses/v1/demo/ward/frame", "payload": frame})
    for seq, level in ((5, "alarm"), (12, "info")):
        event = {**head, "t_mono_ns": seq * 40_000_000, "kind": "fall", "person": 7, "level": level}
        event.update(why=f"down <fast> {seq}", data={"action": "fall"})
        lines.append({"topic": "poses/v1/demo/ward/event/fall", "payload": event})
    lines.append({"topic": "poses/v1/demo/status", "payload": {}})
    messages = tmp_path / "messages.jsonl"
    messages.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    page = tmp_path / "page.html"
    assert moments.write(page, messages, {"ward": clip}, "Safety", "drawn people") == 2
    text = page.read_text("utf-8")
    assert "1 alarm, 1 info" in text
    assert "down &lt;fast&gt; 5" in text
    assert "ward, 0.2 s, person 7" in text
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    decoded = [cv2.imdecode(np.frombuffer(base64.b64decode(p), np.uint8), 1) for p in pictures]
    shades = [int(picture[5, 5, 0]) for picture in decoded if picture is not None]
    assert shades == [pytest.approx(60, abs=9), pytest.approx(144, abs=9)], "the event's own frames"
    assert "://" not in text, "nothing from outside"


def test_a_second_run_shows_nothing_of_the_first(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    for name in ("poses.mp4", "sheet.png", "messages.jsonl"):
        (out / name).write_text("old", encoding="utf-8")
    assert main(["demo", "--out", str(out), "--max-frames", "3"]) == 0
    assert count_frames(out / "poses.mp4") == 3
    lines = (out / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum("/frame" in line for line in lines) == 12


def test_a_daemon_that_fails_gives_its_line_and_its_code(
    tiny: Path, tmp_path: Path, capsys: Any
) -> None:
    assert main(["demo", "--out", str(tmp_path), "--precision", "int8"]) == 66
    said = capsys.readouterr()
    assert "edge run ended with 66: edge: " in said.err
    assert "int8" in said.err
    assert f"daemon's log:    {tmp_path / 'daemon.log'}" in said.out
    assert "Traceback" not in said.err + said.out


def test_a_time_limit_ends_it_in_order(
    tiny: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    text = texts.CONFIG.replace("metrics_s = 1.0", "metrics_s = 0.5")
    monkeypatch.setattr(texts, "CONFIG", text)
    real = texts.config_text

    def endless(*arguments: Any) -> str:
        return real(*arguments).replace("rate=max", "rate=native&loop=1")

    monkeypatch.setattr(demo, "config_text", endless)
    assert main(["demo", "--out", str(tmp_path), "--seconds", "4"]) == 0
    said = capsys.readouterr().out
    assert "demo is offline (stopped)" in said
    assert (tmp_path / "sheet.png").exists()


INTERRUPTED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tools import demo
from tools.__main__ import main
from tools.demos import cameras
cameras.DETECT, cameras.POSE, cameras.RULES = "twobox", "standing", ""
cameras.ensure_model = lambda name, folder: Path({models!r}) / name
cameras.ensure_set = lambda name, folder: Path({clips!r})
from tools.demos import settings as texts
real = texts.config_text
demo.config_text = lambda *a: real(*a).replace("rate=max", "rate=native&loop=1")
sys.exit(main(["demo", "--out", {out!r}]))
"""


def children(pid: int) -> List[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [int(child) for child in found]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_every_child(tiny: Path, tmp_path: Path, number: int) -> None:
    code = INTERRUPTED.format(
        root=str(ROOT), models=str(MODELS), clips=str(tiny), out=str(tmp_path)
    )
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        assert child.stdout is not None
        while "is ok" not in child.stdout.readline():
            assert child.poll() is None
        started = children(child.pid)
        assert len(started) == 2, "a broker and a daemon"
        os.kill(child.pid, number)
        _, errors = child.communicate(timeout=GIVE_UP_S)
    assert (child.returncode, errors) == (130, "edge-tools: interrupted\n")
    for pid in started:
        assert not Path(f"/proc/{pid}").exists()
    last = json.loads((tmp_path / "messages.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["payload"]["state"] == "offline", "the daemon ended in order"


def test_no_broker_at_all_is_one_line(
    tiny: Path, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    def none() -> str:
        raise UnavailableError("no MQTT broker: `apt install mosquitto`, or `pip install amqtt`")

    monkeypatch.setattr(demo, "choose", none)
    assert main(["demo", "--out", str(tmp_path)]) == 69
    assert capsys.readouterr().err.startswith("edge-tools: no MQTT broker: ")


def test_a_verdict_is_good_only_when_all_is_there(tmp_path: Path) -> None:
    files, figures = Files(tmp_path), Figures()
    daemon = Daemon(files, 0)
    daemon.code = 0
    with pytest.raises(InternalError, match="no frame arrived over MQTT"):
        verdict(daemon, figures, files, True)
    figures.frames = 1
    with pytest.raises(DataError, match="no picture could be read"):
        verdict(daemon, figures, files, False)
    assert verdict(daemon, figures, files, True) == 0
    files.log.write_text("one\nKilled\n", encoding="utf-8")
    daemon.code = -signal.SIGKILL
    assert verdict(daemon, figures, files, True) == 137


def test_a_video_without_pictures_gives_no_sheet(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.video.write_bytes(b"no video")
    assert not write_sheet(files)
    assert not files.sheet.exists()
