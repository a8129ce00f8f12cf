"""`edge-tools accuracy`: its tables, and their place in the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import DataError, NoInputError
from tests.tools.evaluation.label_cases import annotation, person, picture, table, truth_of, write
from tools.__main__ import main
from tools.benches import smoothing, tracking
from tools.fetch.by_name import ensure_set
from tools.scoreboard import labelled, rendered
from tools.scoreboard.labelled import Setup
from tools.scoreboard.table import BEGIN, END, Table
from tools.scoreboard.table import write as write_page

ROOT = Path(__file__).resolve().parents[2]
TRIAL = Table("Trial", "What was done.", ("", "value"), [("a", ".5"), ("longer", ".25")])


def test_a_table_as_text_and_as_markdown() -> None:
    assert TRIAL.text().splitlines() == [
        "Trial",
        "What was done.",
        "        value",
        "a          .5",
        "longer    .25",
    ]
    assert TRIAL.markdown().splitlines()[-3:] == [
        "| --- | ---: |",
        "| a | .5 |",
        "| longer | .25 |",
    ]


def test_tables_go_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for _ in range(2):
        write_page(page, [TRIAL], "made today")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("### Trial") == 1
    assert "made today" in text


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        write_page(tmp_path / "none.md", [], "")
    (tmp_path / "page.md").write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="has no place for the tables: add the lines"):
        write_page(tmp_path / "page.md", [], "")


def test_the_docs_hold_the_tables() -> None:
    text = (ROOT / "docs/accuracy.md").read_text("utf-8")
    made = text.partition(BEGIN)[2].partition(END)[0]
    for title in ("Four calibrated cameras", "Smoother", "Tracker", "Fall rule"):
        assert f"### {title}" in made
    assert "`make accuracy`, edge-tools" in made


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nothing"], "no part called 'nothing'; there are: pictures, cameras"),
        (["pictures"], "pictures: none are named; --labels LABELS"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: Any, line: str
) -> None:
    assert main(["accuracy", *words, "--sets", str(tmp_path)]) == 78
    assert capsys.readouterr().err.startswith(f"edge-tools: {line}")


def test_the_motion_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(smoothing, "RATES_HZ", (30,))
    monkeypatch.setattr(smoothing, "LONG_S", 1.5)
    monkeypatch.setattr(tracking, "PEOPLE", (4,))
    monkeypatch.setattr(tracking, "FRAMES", 60)
    sets = ensure_set("motion", quiet=True).parent
    words = ["accuracy", "smoother", "tracker", "--sets", str(sets), "--out", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "accuracy.json").read_text(encoding="utf-8"))
    assert [len(t["rows"]) for t in found] == [6, 3]  # at 30 fps, and at a changing rate
    assert found[1]["rows"][0][0] == "4 people, alone"


def test_labelled_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A grey picture: whoever is labelled in it is missed, and the table says so."""
    monkeypatch.setattr(labelled.table, "__defaults__", ((Setup("yolov4-tiny", "blazepose"),),))
    picture(tmp_path / "1.jpg", 320, 240)
    content = table([annotation(person(0, at=(20, 20)))])
    content["images"][0].update(width=320, height=240)
    labels = write(tmp_path / "own/labels.json", content)
    (tmp_path / "1.jpg").rename(tmp_path / "own/1.jpg")
    words = ["accuracy", "pictures", "--labels", str(labels), "--out", str(tmp_path / "out")]
    assert main([*words, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["title"] == "Real pictures, labelled"
    assert found["rows"][0][:5] == ["labels, yolov4-tiny + blazepose", "1", "0", "0", ".000"]
    assert (tmp_path / "out/labels-yolov4-tiny-blazepose/page.html").is_file()


def test_rendered_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        rendered,
        "SETS",
        {"rendered-clean": {"count": 2}, "rendered-walks": {"count": 1, "seconds": 0.2}},
    )
    monkeypatch.setattr(labelled, "SETUPS", (Setup("yolov4-tiny", "blazepose"),))
    assert main(["accuracy", "rendered", "--out", str(tmp_path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    rows = {row[0]: row for row in found["rows"]}
    assert set(rows) == {f"rendered-{n}, yolov4-tiny + blazepose" for n in ("clean", "walks")}
    assert rows["rendered-clean, yolov4-tiny + blazepose"][1] == "2"


def test_a_long_set_is_cut() -> None:
    truth = truth_of([[person()]] * 5)
    assert len(labelled.limited(truth, 3).pictures) == 3
