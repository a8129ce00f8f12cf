"""The whole program on real files: `edge run` as a user starts it, with two tiny networks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import cv2
import numpy as np
import pytest

from edge.__main__ import main
from tests.waiting import GIVE_UP_S

MODELS = Path(__file__).parents[1] / "golden" / "models"
SIZE = (160, 120)
Lines = List[Dict[str, Any]]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of noise: the tiny networks see people in anything."""
    path = tmp_path_factory.mktemp("media") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE)
    rng = np.random.default_rng(0)
    for _ in range(12):
        writer.write(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8))
    writer.release()
    return path


def write_config(folder: Path, *cameras: str, extra: str = "") -> Path:
    tables = "".join(f'[[cameras]]\nsource = "{uri}"\n' for uri in cameras)
    text = (
        f'{extra}\n{tables}\n[models]\ndir = "{MODELS}"\n[detect]\nmodel = "twobox"\n'
        '[pose]\nmodel = "standing"\n[[rules]]\nkind = "presence"\nenter_s = 0.1\n'
    )
    path = folder / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return path


def edge(*arguments: Any, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        **options,
        encoding="utf-8",
    )


def messages(text: str) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


def of_kind(lines: Lines, end: str) -> Lines:
    return [m["payload"] for m in lines if m["topic"].endswith(end)]


def test_a_recording_gives_every_frame_people_and_events(video: Path, tmp_path: Path) -> None:
    done = edge("run", "--config", write_config(tmp_path, f"file://{video}"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = messages(done.stdout)
    frames = of_kind(lines, "/frame")
    assert [f["seq"] for f in frames] == list(range(12))
    assert [len(f["people"]) for f in frames[2:]] == [2] * 10
    assert {p["id"] for f in frames for p in f["people"]} == {1, 2}
    times = np.diff([f["t_mono_ns"] for f in frames]) / 1e6
    np.testing.assert_allclose(times, 40, atol=1)
    assert [e["data"]["action"] for e in of_kind(lines, "/event/presence")] == ["enter"] * 2
    assert of_kind(lines, "/status")[0]["state"] == "online"
    assert of_kind(lines, "/status")[-1]["state"] == "offline"
    runs = of_kind(lines, "/metrics")[-1]["runs"]
    assert runs["standing/main"] == 12, "one execution per network and step"
    assert runs["twobox/main"] == 2, "everybody is followed: the detector rests from the second on"


def test_four_cameras_are_one_batch_and_stay_in_step(video: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, *[f"file://{video}"] * 4)
    done = edge("run", "--config", config, "--max-frames", 6, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = messages(done.stdout)
    order = [m["payload"]["camera"] for m in lines if m["topic"].endswith("/frame")]
    assert order == ["cam0", "cam1", "cam2", "cam3"] * 6
    metrics = of_kind(lines, "/metrics")[-1]
    assert metrics["runs"]["standing/main"] == 6
    assert metrics["steps"] == 6
    assert metrics["frame_memory"] == {f"cam{i}": "decoded" for i in range(4)}
    assert set(metrics["filter_nis"]) == set(metrics["outlier_share"]) == set(metrics["people"])
    assert metrics["host_copies"] == {f"cam{i}": 0 for i in range(4)}


def test_one_bad_camera_never_stops_the_others(video: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, f"file://{video}", "file:///nowhere/none.mp4")
    done = edge("run", "--config", config, cwd=tmp_path)
    lines = messages(done.stdout)
    assert len(of_kind(lines, "cam0/frame")) == 12
    assert of_kind(lines, "cam1/state")[-1]["state"] == "failed"
    assert done.returncode == 66, "it did its work, and says that an input was missing"
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def read_one_line(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`edge run ... | head -n 1` of a camera that never ends."""
    config = write_config(folder, "synthetic://walk?people=1&width=160&height=120&rate=native")
    command = [sys.executable, "-m", "edge", "run", "--config", str(config), "--sink", "jsonl:-"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with (folder / "told").open("w+b") as told, subprocess.Popen(
        [*command, *arguments], env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=told
    ) as child:
        assert child.stdout is not None
        head = child.stdout.readline()
        child.stdout.close()
        code = child.wait(GIVE_UP_S)
        told.seek(0)
        return subprocess.CompletedProcess(command, code, head.decode(), told.read().decode())


def test_it_ends_when_the_only_reader_has_gone(tmp_path: Path) -> None:
    done = read_one_line(tmp_path)
    assert of_kind(messages(done.stdout), "/status")[0]["state"] == "online"
    assert done.returncode == 141
    assert done.stderr.count("its reader is gone") == 1
    assert "Traceback" not in done.stderr


def test_it_goes_on_for_the_other_sinks_when_a_reader_has_gone(tmp_path: Path) -> None:
    done = read_one_line(tmp_path, "--sink", f"jsonl:{tmp_path}/all", "--max-frames", "40")
    assert done.returncode == 0
    assert done.stderr.count("its reader is gone") == 1
    assert len(of_kind(messages((tmp_path / "all").read_text(encoding="utf-8")), "/frame")) == 40


def test_a_thread_that_dies_ends_the_program_which_says_so(tmp_path: Path) -> None:
    """As one sink's writer does here; the other sink still hears that the box is offline."""
    code = (
        "import sys\nfrom edge.__main__ import main\nfrom edge.publish.jsonl import JsonlSink\n"
        "write = JsonlSink._write\n"
        "def bug(self, data):\n"
        "    write(self, data if not self.name.endswith('dies') else 1 / 0)\n"
        "JsonlSink._write = bug\nsys.exit(main(sys.argv[1:]))"
    )
    config = write_config(tmp_path, "synthetic://walk?people=1&width=160&height=120")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            "run",
            "--config",
            str(config),
            "--sink",
            "jsonl:-",
            "--sink",
            f"jsonl:{tmp_path}/dies",
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
        cwd=tmp_path,
        encoding="utf-8",
    )
    assert done.returncode == 70
    assert "ZeroDivisionError" in done.stderr, "the traceback is for whoever mends it"
    assert "the thread 'jsonl' died of a bug in this program" in done.stderr.splitlines()[-1]
    assert of_kind(messages(done.stdout), "/status")[-1]["state"] == "offline"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 78, "--source"),
        (("--source", "file:///nowhere/none.mp4"), 66, "none.mp4"),
        (("--source", "teleport://x"), 78, "teleport"),
        (("--source", "no-scheme"), 78, "scheme"),
        (("--source", "file://{video}", "--sink", "pigeon:coop"), 78, "pigeon"),
        (("--source", "file://{video}", "--models", "/nowhere"), 66, "/nowhere"),
        (("--source", "file://{video}", "--annotate", "{folder}/none/a.mp4"), 66, "/none"),
        (("--config", "/nowhere.toml"), 66, "/nowhere.toml"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    arguments: Any, code: int, words: str, video: Path, tmp_path: Path
) -> None:
    given = [a.format(video=video, folder=tmp_path) for a in arguments]
    if "--config" not in given and "--source" in given:
        given = ["--config", str(write_config(tmp_path)), *given]
    done = edge("run", *given, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert words in errors[-1]
    assert "Traceback" not in done.stderr
    assert len(errors) <= 2


def test_interrupt_ends_it_cleanly(video: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, f"file://{video}?loop=1")
    command = [sys.executable, "-m", "edge", "run", "--config", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    with (tmp_path / "out").open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            encoding="utf-8",
        )
        until = time.monotonic() + GIVE_UP_S
        while (tmp_path / "out").stat().st_size < 20000 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=GIVE_UP_S)[1]
    assert process.returncode == 0, errors
    lines = messages((tmp_path / "out").read_text(encoding="utf-8"))
    assert lines[-1]["payload"]["state"] == "offline"
    assert "Traceback" not in errors


def test_annotated_video_has_a_picture_for_each_step(video: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, *[f"file://{video}"] * 2)
    done = edge("run", "--config", config, "--annotate", tmp_path / "a.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    capture = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 12
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * SIZE[0]
    assert abs(capture.get(cv2.CAP_PROP_FPS) - 25) < 1


def test_print_config_can_be_run_again(video: Path, tmp_path: Path) -> None:
    shown = edge("run", "--source", f"file://{video}", "--print-config", cwd=tmp_path)
    assert shown.returncode == 0
    (tmp_path / "shown.toml").write_text(shown.stdout, encoding="utf-8")
    again = edge("run", "--config", "shown.toml", "--print-config", cwd=tmp_path)
    assert again.stdout == shown.stdout


@pytest.mark.one_python
def test_check_accepts_and_refuses(video: Path, tmp_path: Path) -> None:
    fine = edge("check", write_config(tmp_path, f"file://{video}"), cwd=tmp_path)
    assert (fine.returncode, fine.stderr) == (0, "")
    done = edge("check", wrong(tmp_path, "[smooth]\nq = -1"), cwd=tmp_path)
    assert done.returncode == 78
    assert "smooth.q" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def wrong(folder: Path, bad: str) -> Path:
    path = folder / "bad.toml"
    rest = '[detect]\nmodel = "twobox"\n[pose]\nmodel = "standing"\n'
    path.write_text(f'{bad}\n[models]\ndir = "{MODELS}"\n{rest}', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ('[[rules]]\nkind = "presense"', "did you mean 'presence'"),
        ('[[rules]]\nkind = "presence"\nenter = 1', "rules[0].enter: unknown key; did you mean"),
        ('[[cameras]]\nsource = "flie://a"', "flie"),
        ('[[cameras]]\nsource = "file://a?lop=1"', "unknown option 'lop'"),
        ('[[cameras]]\nsource = "file://a?loop=yes"', "loop=yes: use one of"),
        ('[[cameras]]\nsource = "rtsp://"', "expected rtsp://HOST:554/PATH"),
        ('[[cameras]]\nsource = "rtsps://h/a?transport=tpc"', "transport=tpc: use one of"),
        ('[[cameras]]\nsource = "v4l2:///dev/video0?widht=640"', "unknown option 'widht'"),
        ('[[cameras]]\nsource = "csi://0?fps=0"', "fps=0: use a number"),
        ('[publish]\nsinks = ["mqt://h"]', "mqt"),
        ('[publish]\nsinks = ["mqtt://h", "mqtt://u@h"]', "publish.sinks[1] (mqtt://h:1883) are"),
        ('[publish]\nsinks = ["mqtt://h"]\n[outbox]\npath = "/nope/o.db"', "outbox.path: /nope"),
        (
            '[publish]\nsinks = ["mqtt://h"]\n[outbox]\nack = "consumer"\n'
            '[mqtt]\nprotocol = "3.1.1"',
            "mqtt.protocol",
        ),
    ],
)
def test_check_names_a_mistake_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: str, words: str
) -> None:
    assert main(["check", str(wrong(tmp_path, bad))]) == 78
    told = capsys.readouterr().err
    assert words in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("detect", "pose", "words"),
    [
        ("none", "standing", "needs a detector"),
        ("standing", "standing", "gives poses, not boxes"),
        ("twobox", "twobox", "finds boxes, not poses"),
        ("twobox", "none", "finds boxes, not poses"),
    ],
)
def test_check_refuses_models_in_the_wrong_place_as_run_does(
    tmp_path: Path, detect: str, pose: str, words: str
) -> None:
    models = f'[detect]\nmodel = "{detect}"\n[pose]\nmodel = "{pose}"\n'
    text = f'[[cameras]]\nsource = "file://a"\n[models]\ndir = "{MODELS}"\n{models}'
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    for command in (("check", "c.toml"), ("run", "--config", "c.toml")):
        done = edge(*command, cwd=tmp_path)
        assert (done.returncode, words in done.stderr) == (78, True)


def test_doctor_tells_what_is_there(video: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, f"file://{video}")
    done = edge("doctor", "--json", "--config", config, cwd=tmp_path)
    found = {f["what"]: f for f in json.loads(done.stdout)["findings"]}
    assert found["model twobox"]["state"] == "ok"
    assert found["numpy"]["state"] == "ok"
    assert done.returncode == 0, done.stdout
    config.write_text('[models]\ndir = "/nowhere"\n', encoding="utf-8")
    broken = edge("doctor", "--config", config, cwd=tmp_path)
    assert broken.returncode == 69
    assert "edge-tools get" in broken.stdout
