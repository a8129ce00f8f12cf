"""Precision and recall of rules on a recording whose truth is known."""

import json

import cv2
import pytest

from edge.errors import ConfigError, DataError
from edge.recording.record import RecordedFrame, pack
from edge.recording.ring import Ring
from edge.structures import PoseEvent
from tests.edge.rules.acting import DAILY, FALLS, act
from tools.__main__ import main
from tools.ruletests.labels import Label, load, named
from tools.ruletests.matching import Told, judge

RULES = '[[cameras]]\nname = "hall"\nsource = "synthetic://walk"\n[[rules]]\nkind = "fall"\n'


def recording(folder, script):
    head = json.dumps({"boot_id": "b", "config": RULES, "numbers": {}}).encode()
    ring = Ring(folder, 1 << 24, lambda: head)
    ring.begin()
    for index, (poses, t_ns) in enumerate(act(script)):
        ring.write("P", pack(RecordedFrame("hall", index, t_ns, 0, (1280, 960), poses)))
    ring.close()
    return folder


def labelled(path, *events):
    path.write_text(
        json.dumps({"schema": "edge-labels/1", "events": list(events)}), encoding="utf-8"
    )
    return path


FALL = {"kind": "fall", "start_s": 1.5, "end_s": 2.2}
EARLY = {"kind": "fall", "start_s": 30.0, "end_s": 31.0}


def test_a_fall_is_right_and_one_that_never_was_is_missed(tmp_path, capsys):
    folder = recording(tmp_path / "r", FALLS["forward"])
    labels = labelled(tmp_path / "l.json", FALL, EARLY)
    assert main(["rules-test", str(folder), str(labels), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)["kinds"]["fall"]
    assert (score["labels"], score["told"], score["right"]) == (2, 1, 1)
    assert (score["precision"], score["recall"]) == (1.0, 0.5)
    assert 0 < score["delay_s"] < 2


def test_misses_are_drawn(tmp_path, capsys):
    folder = recording(tmp_path / "r", DAILY["stand"])
    labels = labelled(tmp_path / "l.json", FALL)
    out = tmp_path / "pictures"
    assert main(["rules-test", str(folder), str(labels), "--out", str(out)]) == 0
    assert "0.00" in capsys.readouterr().out
    (picture,) = out.glob("*missed-fall.png")
    assert cv2.imread(str(picture)).std() > 5


def test_events_of_incidents_have_the_labels_name():
    def name(kind, action):
        return named(PoseEvent(kind, "hall", 1, 0, 1.0, {"action": action}))

    assert name("strike", "punch") == name("strike", "kick") == "strike"
    assert (name("fight", "start"), name("fight", "end")) == ("fight", "fight end")
    assert (name("fall", "lying"), name("zone", "enter")) == ("lying", "zone enter")


def test_each_label_answers_one_event_in_time():
    labels = [Label("fall", 1, 2, ""), Label("fall", 9, 10, "b")]
    told = [Told("fall", t, "a", "") for t in (2.5, 3.0, 10.5)]
    found = judge(labels, told, 2)
    assert [e.t_s for e in found.false] == [3.0, 10.5]
    assert found.missed == [labels[1]]
    assert judge(labels, told, 0).scores["fall"].right == 0


def test_labels_of_a_drawn_clip(tmp_path):
    path = tmp_path / "c.truth.jsonl"
    events = [("fall", 2, 3), ("lying", 3, 9)], [("lie_down", 0, 5), ("lying", 5, 9)]
    people = [
        {"events": [{"kind": k, "start_s": a, "end_s": b} for k, a, b in some]} for some in events
    ]
    path.write_text(
        json.dumps({"schema": "edge-truth/1", "people": people}) + '\n{"frame": 0}\n',
        encoding="utf-8",
    )
    assert load(path) == [Label("fall", 2, 3, ""), Label("lying", 5, 9, "")]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "x"}', '{"schema": "edge-labels/1", "events": [{"kind": "f"}]}']
)
def test_wrong_labels_are_one_error(tmp_path, text):
    path = tmp_path / "l.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"l\.json"):
        load(path)


def test_a_camera_that_is_not_recorded(tmp_path, capsys):
    folder = recording(tmp_path / "r", DAILY["stand"])
    labels = labelled(tmp_path / "l.json", {**FALL, "camera": "yard"})
    assert main(["rules-test", str(folder), str(labels)]) == ConfigError.exit_code
    assert "no camera yard" in capsys.readouterr().err
