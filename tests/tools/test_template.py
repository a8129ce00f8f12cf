"""`edge-tools template`: list, show, record from a recording, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.messages import Builder
from edge.recording.ring import Recorder
from edge.rules import build_rule
from edge.settings import config, templates
from edge.structures import Frame
from tests.tools.exercising import seen, times
from tools.__main__ import main
from tools.templates import shipped

FPS = 30.0


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three squats of one person, recorded as the daemon records."""
    folder = tmp_path_factory.mktemp("recordings")
    record = Recorder(folder, 8 << 20, Builder("box"), config.Config, True)
    picture = np.zeros((720, 1280, 3), np.uint8)
    body = shipped.bodies("squat", times(3.0, 3, 1.0, FPS), 0.5)
    for i, (poses, t_ns) in enumerate(seen(body, FPS, 0.4, seed=3)):
        record([Frame(picture, i, t_ns, "gym")], [poses])
    record.close()
    return folder


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == templates.names()


def test_show(tmp_path: Path) -> None:
    out = tmp_path / "squat.png"
    assert main(["template", "show", "squat", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_recorded_template_finds_the_repetitions(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    spans = ["--repetition", "1-4", "--repetition", "4-7"]
    assert main(["template", "record", "mine", str(recording), *spans, "--out", str(out)]) == 0
    table = templates.resolved({"kind": "action", "template": str(out)}, "rules[0]")
    assert table["template"]["examples"] == 2
    watched, told = build_rule(table, "rules[0]"), []
    for poses, t_ns in seen(
        shipped.bodies("squat", times(3.0, 3, 1.2, FPS), 0.7), FPS, 1.2, seed=4
    ):
        told += watched(poses, "gym", t_ns)
    assert len(told) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--repetition", "50-60"], 65, "has 11.0 s and too few frames at 50.0-60.0 s"),
        (["--repetition", "1-4", "--person", "7"], 65, "person 7 is not seen"),
        (["--repetition", "1-4", "--camera", "hall"], 65, "no camera 'hall'; there are: gym"),
        (["--repetition", "4-1"], 2, "use FROM-TO in seconds"),
        (["--repetition", "1-4", "--out", "/nowhere/x.toml"], 66, "/nowhere: no such folder"),
    ],
)
def test_what_cannot_be_cut_out(
    recording: Path, capsys: pytest.CaptureFixture[str], arguments: list, code: int, words: str
) -> None:
    try:
        got = main(["template", "record", "mine", str(recording), *arguments])
    except SystemExit as error:
        got = int(error.code or 0)
    assert words in capsys.readouterr().err
    assert got == code


def test_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["template", "record", "mine", str(tmp_path), "--repetition", "1-4"]
    assert main(arguments) == 66
    assert "contains no recording" in capsys.readouterr().err
