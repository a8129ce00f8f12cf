"""The daemon with a recording, then the replay: the same events, bit for bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from tests.waiting import GIVE_UP_S

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "edge" / "golden" / "models"
CONFIG = """
device = "hall"
{cameras}
[models]
dir = "{models}"
[detect]
model = "twobox"
[pose]
model = "standing"
{rules}
[state]
dir = "{state}"
[record]
max_mb = {max_mb}
[publish]
sinks = ["jsonl:{out}"]
"""
RULES = """
[[rules]]
kind = "presence"
enter_s = 0.1
dwell_s = 0.5
[[rules]]
kind = "fall"
[[rules]]
kind = "zone"
name = "all"
polygon = [[0, 0], [2000, 0], [2000, 2000], [0, 2000]]
enter_s = 0.1
"""


def call(module: str, *arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        encoding="utf-8",
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def record(folder: Path, frames: int = 200, max_mb: int = 64, rules: str = RULES) -> List[str]:
    cameras = "".join(
        f'[[cameras]]\nsource = "synthetic://walk?people=2&frames={frames}&rate=max&width=320'
        f'&height=240&seed={i}"\nname = "{name}"\n'
        for i, name in enumerate(("door", "hall"))
    )
    text = CONFIG.format(
        cameras=cameras,
        models=MODELS,
        rules=rules,
        state=folder / "state",
        max_mb=max_mb,
        out=folder / "out.jsonl",
    )
    (folder / "edge.toml").write_text(text, encoding="utf-8")
    done = call("edge", "run", "--config", "edge.toml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return events((folder / "out.jsonl").read_text(encoding="utf-8"))


def events(text: str) -> List[str]:
    return [line for line in text.splitlines() if "/event/" in line]


def test_the_same_events_bit_for_bit(tmp_path: Path) -> None:
    lived = record(tmp_path)
    assert len(lived) >= 8
    kinds = {line.split("/event/")[1].split('"')[0] for line in lived}
    assert {"presence", "zone"} <= kinds
    done = call("tools", "replay", "state/recordings", "--frames", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert events(done.stdout) == lived
    live_frames = [
        line
        for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
        if '/frame"' in line
    ]
    assert [line for line in told if '/frame"' in line] == live_frames, "frames, too"


def test_figures_and_other_rules(tmp_path: Path) -> None:
    record(tmp_path, 60)
    (tmp_path / "other.toml").write_text(
        '[[rules]]\nkind = "presence"\nenter_s = 5.0\n', encoding="utf-8"
    )
    done = call(
        "tools",
        "replay",
        "state/recordings",
        "--config",
        "other.toml",
        "--sink",
        "jsonl:re.jsonl",
        "--json",
        cwd=tmp_path,
    )
    figures = json.loads(done.stdout)
    assert figures == {"frames": 120, "events": 0, "runs": 1, "missing_frames": 0}
    assert (tmp_path / "re.jsonl").read_text(encoding="utf-8") == ""


def test_a_ring_that_lost_its_beginning_says_so(tmp_path: Path) -> None:
    record(tmp_path, 950, 1)
    recordings = sorted((tmp_path / "state" / "recordings").iterdir())
    assert sum(p.stat().st_size for p in recordings) <= 1 << 20
    assert not recordings[0].name.endswith("-000000.poses")
    done = call("tools", "replay", "state/recordings", cwd=tmp_path)
    assert done.returncode == 0
    assert "its beginning is gone" in done.stderr
    lived = {
        json.loads(line)["payload"]["seq"]
        for line in events((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    }
    assert lived


@pytest.mark.parametrize("content", [None, b"", b"edge-poses/1\n\0\0\0" + b"\x01" * 40, b"x" * 99])
def test_what_is_no_recording(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "a.poses"
    if content is not None:
        path.write_bytes(content)
    done = call("tools", "replay", path, cwd=tmp_path)
    if content is not None and (not content or content.startswith(b"edge-poses")):
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert done.returncode in (65, 66)
        assert len(done.stderr.splitlines()) == 1


def test_events_that_found_no_room_are_no_success(tmp_path: Path) -> None:
    lived = record(tmp_path, 60)
    words = ("replay", "state/recordings", "--sink", "jsonl:/dev/full")
    done = call("tools", *words, cwd=tmp_path)
    assert done.returncode == 69
    assert f"jsonl:/dev/full: {len(lived)} messages were not delivered" in done.stderr
