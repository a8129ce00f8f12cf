"""`edge-tools report`: figures, curves and skeletons of a recorded session."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from edge.rules._action.features import NAMES
from edge.structures import PoseEvent
from tests.tools.trained import session
from tools.__main__ import main
from tools.playback.player import Player, find
from tools.reports import curves
from tools.reports.drawing import polyline, ticks
from tools.reports.exercises import exercises
from tools.reports.markdown import chart
from tools.reports.recorded import read

Made = Tuple[List[PoseEvent], Path, Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return session(tmp_path_factory.mktemp("trained"))


def report(capsys: pytest.CaptureFixture[str], *arguments: Any) -> Dict[str, Any]:
    assert main(["report", *map(str, arguments), "--json"]) == 0
    figures: Dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


def test_a_recording_keeps_the_session_so_a_replay_gives_the_same_events(trained: Made) -> None:
    told, recording, _ = trained
    player = Player()
    again = [e for path in find(recording) for _, events in player.judged(path) for e in events]
    assert [(e.kind, e.t_ns, e.data) for e in again] == [(e.kind, e.t_ns, e.data) for e in told]
    assert {e.data["session"] for e in told} == {"", "monday"}


def test_the_figures_of_a_session(
    trained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trained[1]
    out = tmp_path / "monday.html"
    figures = report(capsys, path, "--session", "monday", "--out", out)
    squat = next(one for one in figures["exercises"] if one["kind"] == "action")
    assert (squat["repetitions"], squat["good"], squat["session"]) == (5, 4, "monday")
    assert squat["plan"] == {"sets": 2, "reps": 2, "done": 2}
    assert squat["worst"] < 70 < 85 < squat["best"]
    knees = next(one for one in figures["exercises"] if one["kind"] == "rom")
    left = knees["angles"]["left_knee_flexion"]
    assert (left["repetitions"], left["good"]) == (5, 4)
    assert left["worst_deg"] < 90 < 105 < left["best_deg"]
    assert knees["faults"] == {"short": 2}
    page, text = out.read_text(encoding="utf-8"), out.with_suffix(".md").read_text(encoding="utf-8")
    assert "session monday" in page
    assert "Worst: repetition 4" in text
    assert "| 4 | left knee flexion |" in text
    assert page.count("<polyline") > 9 * 5, "every repetition in every limb's field"
    assert page.count("at the worst moment") == page.count("at its peak") // 2 == 1


class Page(HTMLParser):
    """What a page would load, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: List[str] = []
        self.open: List[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset") and v[:1] != "#"]
        self.loads += re.findall(r"url\(", given.get("style") or "")
        if tag == "svg":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "svg":
            self.open.pop()


def test_the_page_needs_nothing_from_elsewhere(
    trained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "all.html"
    title = "<b>Monday & more</b>"
    report(capsys, trained[2], "--session", "", "--out", out, "--title", title)
    page = Page()
    page.feed(out.read_text(encoding="utf-8"))
    assert (page.loads, page.open) == ([], [])
    assert "<script" not in out.read_text(encoding="utf-8")
    assert "@import" not in out.read_text(encoding="utf-8")
    assert "&lt;b&gt;Monday &amp; more" in out.read_text(encoding="utf-8")


def test_the_worst_moment_is_in_the_faulty_phase(trained: Made) -> None:
    found = read(trained[1], None)
    one = next(e for e in exercises(found, "monday", None) if e.kind == "action")
    template = one.template()
    assert template is not None
    reps = curves.aligned(found, one, template)
    assert [rep.told.data["repetition"] for rep in reps] == [1, 2, 3, 4, 5]
    moment, frame, limb = curves.worst_moment(template, reps[3])
    phase = template.phases[template.phase_of()[frame]][0]
    fault = reps[3].told.data["faults"][0]
    assert phase == fault["phase"] == "bottom"
    begin_ns = reps[3].told.t_ns - round(reps[3].told.data["ended_s"] * 1e9) - 3 * 10**9
    assert 0.8 < (moment.t_ns - begin_ns) * 1e-9 < 2.2, "in the middle of the repetition"
    assert "forearm" in fault["limb"]
    assert "forearm" in NAMES[limb]


def test_the_curve_is_that_of_the_rule(trained: Made) -> None:
    found = read(trained[2], None)
    one = next(e for e in exercises(found, "monday", None) if e.kind == "rom")
    shown = curves.angles(found, one)
    assert set(shown) == {"left_knee_flexion", "right_knee_flexion"}
    peaks = [float(t.data["peak_deg"]) for t in one.side("left_knee_flexion")]
    assert max(shown["left_knee_flexion"].degrees) == pytest.approx(max(peaks), abs=1.0)


def test_messages_without_people_give_figures_and_say_so(
    trained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        line for line in trained[2].read_text(encoding="utf-8").splitlines() if "/event/" in line
    ]
    dump = [f"{json.loads(x)['topic']} {json.dumps(json.loads(x)['payload'])}" for x in lines]
    path, out = tmp_path / "dump.txt", tmp_path / "dump.html"
    path.write_text("\n".join([*dump, "noise", "poses/v1/a/b/event/rom {}", ""]), encoding="utf-8")
    figures = report(capsys, path, "--session", "monday", "--out", out)
    assert sum(one["repetitions"] for one in figures["exercises"]) == 15
    assert figures["notes"] == ["1 messages are not of this contract and were left out"]
    assert "people were not recorded" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{folder}/none.jsonl"], 66, "No such file"),
        (["{folder}"], 66, "contains no recording"),
        (["{folder}/empty.jsonl"], 65, "has no events of action or rom"),
        (["{messages}", "--session", "friday"], 65, "sessions with events: '', 'monday'"),
        (["{messages}", "--person", "7"], 65, "no repetition"),
        (["{messages}", "--out", "{folder}/none/r.html"], 66, "none"),
    ],
)
def test_a_wrong_call_is_one_line(
    trained: Made,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: List[str],
    code: int,
    words: str,
) -> None:
    (tmp_path / "empty.jsonl").write_text("nothing\n", encoding="utf-8")
    given = [a.format(folder=tmp_path, messages=trained[2]) for a in arguments]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "report.html")]
    assert main(["report", *given]) == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))


def test_small_drawings() -> None:
    import numpy as np

    assert ticks(0, 100, 4) == [0, 25, 50, 75, 100]
    assert chart([0, 50, 100], 100) == "▁▅█"
    broken = polyline(np.arange(6.0), np.array([1, 2, np.nan, 3, 4, 5]), "red")
    assert broken.count("<polyline") == 2
    assert polyline(np.arange(2.0), np.full(2, np.nan), "red") == ""
