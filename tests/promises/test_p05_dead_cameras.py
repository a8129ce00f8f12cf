"""Many cameras are dead in different ways; a healthy one that drops is back soon all the same."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from tests.promises.test_p05_stalled_camera import BACK_S, Watch
from tests.promises.whole_daemon import Daemon, settings
from tests.rtsp_by_hand import FAULTS, HandCamera
from tests.waiting import Slowness, until

DEAD = 15
AWAY_S = 3.0
LEAVE_S = 5.0


@pytest.fixture
def hall() -> Iterator[List[HandCamera]]:
    """A healthy camera, then dead ones of every kind."""
    cameras = [HandCamera()] + [HandCamera(FAULTS[i % len(FAULTS)]) for i in range(DEAD)]
    yield cameras
    for camera in cameras:
        camera.close()


def tables(hall: List[HandCamera]) -> List[Dict[str, Any]]:
    dead = [{"name": f"dead{i}", "source": c.url} for i, c in enumerate(hall[1:])]
    walk = {"name": "walk", "source": "synthetic://walk?width=160&height=120&fps=10"}
    return [{"name": "door", "source": hall[0].url}, walk, *dead]


def descendants(pid: int) -> List[int]:
    found: List[int] = []
    for one in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in one.read_text(encoding="utf-8").split():
            found += [int(child), *descendants(int(child))]
    return found


def test_a_healthy_camera_is_back_beside_fifteen_dead_ones(
    hall: List[HandCamera], tmp_path: Path, soak: bool, figures: Any, slowness: Slowness
) -> None:
    """P5: back within 10 s of its return; no other camera pauses or is blamed; it leaves with 0."""
    watch, back = Watch(tmp_path / "out"), []
    with Daemon(tmp_path, settings(tmp_path, [f"jsonl:{watch.path}"], cameras=tables(hall))) as box:
        until(watch.path.exists, "the output")
        until(lambda: watch.of("door", "frame") and watch.of("walk", "frame"), "both cameras")
        for _ in range(10 if soak else 1):
            hall[0].drop()
            time.sleep(AWAY_S)
            returned_ns = time.monotonic_ns()
            hall[0].away = False
            until(lambda since=returned_ns: watch.first("door", "frame", since) < 1e9, "frames")  # type: ignore[misc]
            back.append(watch.first("door", "frame", returned_ns))
        assert box.process is not None
        family = descendants(box.process.pid)
        assert box.stop() == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "no process left")
    assert "stalled" not in {s["state"] for s in watch.of("walk", "state")}
    for blame in ("driver hangs", "driver does not", "Traceback", "WARNING walk"):
        assert blame not in box.text()
    figures("P5", dead_cameras=DEAD, away_s=AWAY_S, back_s=[round(b, 1) for b in back])
    assert max(back) <= BACK_S * slowness.worst


@pytest.mark.parametrize("fault", ["header", "drip", "accept", "stop DESCRIBE", "slow"])
def test_leaving_while_a_camera_answers_slowly(
    fault: str, tmp_path: Path, soak: bool, slowness: Slowness
) -> None:
    """P5: SIGTERM ends the program with 0 within 5 s, at whatever stage the camera is."""
    camera = HandCamera("", rate_hz=1.0) if fault == "slow" else HandCamera(fault)
    source = {"name": "slow", "source": camera.url}
    for turn in range(20 if soak else 2):
        out = tmp_path / f"out{turn}"
        table = settings(tmp_path, [f"jsonl:{out}"], cameras=[*tables([camera]), source])
        before = camera.connections
        with Daemon(tmp_path, table) as box:
            until(lambda n=before: camera.connections > n, "a connection")  # type: ignore[misc]
            until(out.exists, "the output")
            begun = time.monotonic()
            assert box.stop() == 0
            assert time.monotonic() - begun < LEAVE_S * slowness.worst
        assert "left behind" not in box.text()
    camera.close()


def test_max_frames_beside_a_camera_of_one_frame_a_second(tmp_path: Path, soak: bool) -> None:
    """P5: --max-frames ends with 0 although the decoder waits for its next frame."""
    camera = HandCamera("", rate_hz=1.0)
    table = settings(tmp_path, ["jsonl:/dev/null"])
    table["cameras"] = [{"name": "slow", "source": camera.url}]
    for count in range(1, 11 if soak else 3):
        box = Daemon(tmp_path, table, "--max-frames", str(count))
        box.start()
        try:
            assert box.wait() == 0
        finally:
            box.kill()
    camera.close()


def test_decoders_die_with_the_program_and_know_no_secret(tmp_path: Path) -> None:
    """P5: after kill -9 of the program no process is left; no command line has the password."""
    camera = HandCamera()
    source = camera.url.replace("rtsp://", "rtsp://viewer:s3cretword@")
    out = tmp_path / "out"
    table = settings(tmp_path, [f"jsonl:{out}"], cameras=[{"name": "door", "source": source}])
    with Daemon(tmp_path, table) as box:
        until(lambda: out.exists() and "/frame" in out.read_text(encoding="utf-8"), "frames")
        assert box.process is not None
        family = descendants(box.process.pid)
        assert len(family) == 2, "the fork server and a decoder"
        for pid in family:
            for name in ("cmdline", "environ", "comm"):
                assert b"s3cretword" not in Path(f"/proc/{pid}/{name}").read_bytes()
            os.kill(pid, 15)  # as systemd does with the whole group
        handles = {h.readlink().as_posix() for h in Path(f"/proc/{family[1]}/fd").iterdir()}
        kinds = sorted(h.partition(":")[0].replace("/memfd", "memfd") for h in handles)
        assert set(kinds) <= {"/dev/null", "socket", "memfd", "pipe"}, kinds
        seen = out.read_text(encoding="utf-8").count("/frame")
        until(
            lambda: out.read_text(encoding="utf-8").count("/frame") > seen + 5,
            "frames after SIGTERM to decoders",
        )
        box.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "no process left")
    camera.close()
