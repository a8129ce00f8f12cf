"""Rules on recorded clips, and the place of their table in the docs; no network runs here."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.settings.config import Config
from tests.edge.rules.acting import FALLS, act
from tools.__main__ import main
from tools.render.motion import bodies as exercising
from tools.ruletests import corpus, recorded
from tools.ruletests.recorded import Clip
from tools.scoreboard import exercise_views, exercises
from tools.scoreboard.table import BEGIN, END, Table, write

FPS, SIZE = 15.0, (1280, 960)
FALL = {"kind": "fall", "start_s": 1.5, "end_s": 2.2}


def drawn(folder: Path, *people_events: list) -> Clip:
    """A clip whose person falls forward; its truth has these events."""
    head = {
        "schema": "edge-truth/1",
        "fps": FPS,
        "people": [{"id": i, "motion": "trip", "events": e} for i, e in enumerate(people_events)],
    }
    lines = [json.dumps(head)]
    for index, (poses, t_ns) in enumerate(act(FALLS["forward"], fps=FPS)):
        seen = np.where(poses.scores[0] > 0, 2, 1)
        points = np.column_stack((poses.keypoints[0], seen)).tolist()
        person = {"id": 0, "box": poses.boxes[0].tolist(), "keypoints": points}
        lines.append(json.dumps({"frame": index, "t_ns": t_ns, "people": [person]}))
    (folder / "c.truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    video = cv2.VideoWriter(str(folder / "c.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    video.write(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    video.release()
    (clip,) = recorded.clips_of(folder, "key")
    recorded.record_truth([clip], Config())
    return clip


def test_a_true_fall_is_found_on_clean_motion(tmp_path: Path) -> None:
    clip = drawn(tmp_path, [FALL])
    found = corpus.outcome([clip], [{"kind": "fall"}], clean=True)
    score = found.judged.scores["fall"]
    assert (score.labels, score.told, score.right) == (1, 1, 1)
    assert corpus.false_an_hour(score, found.hours) == 0
    assert found.hours * 3600 == pytest.approx(8.2, abs=0.3)


def test_misses_and_false_events_are_drawn(tmp_path: Path) -> None:
    clip = drawn(tmp_path, [{"kind": "fall", "start_s": 7.0, "end_s": 7.5}])
    found = corpus.outcome([clip], [{"kind": "fall"}], clean=True)
    assert corpus.false_an_hour(found.judged.scores["fall"], found.hours) > 100
    files = corpus.draw_worst([clip], found.judged, True, tmp_path / "out", 3)
    assert [f.name for f in files] == ["missed-fall-01.png", "false-fall-01.png"]


def test_labels_of_rules_that_are_not_judged_are_left_out(tmp_path: Path) -> None:
    clip = drawn(tmp_path, [FALL, {"kind": "strike", "start_s": 3.0, "end_s": 3.4}])
    found = corpus.outcome([clip], [{"kind": "fall"}], clean=True)
    assert set(found.judged.scores) == {"fall"}


def test_the_key_stands_for_what_poses_depend_on() -> None:
    plain = Config()
    other = dataclasses.replace(plain, track=dataclasses.replace(plain.track, min_hits=7))
    quiet = dataclasses.replace(plain, rules=[{"kind": "fall"}])
    assert recorded.key_of(plain) == recorded.key_of(quiet)
    assert recorded.key_of(plain) != recorded.key_of(other)


def squatting(folder: Path, camera_m: list) -> Clip:
    """A clip of somebody who squats three times, facing along x; the picture is that from -y."""
    t_s = np.arange(0, 10, 1 / FPS)
    bodies = exercising.bodies("squat", np.clip(t_s - 0.5, 0, 9), np.array([0.0, 0.5, 0.5]))
    reps = [{"kind": "rep", "start_s": 0.5 + 3 * i, "end_s": 3.5 + 3 * i} for i in range(3)]
    head = {"schema": "edge-truth/1", "fps": FPS, "frames": len(t_s)}
    head["camera"] = {"position_m": camera_m}
    head["people"] = [{"id": 0, "motion": "squat", "events": reps}]
    lines = [json.dumps(head)]
    for index, body in enumerate(bodies):
        px = np.stack((600 + 300 * body[:, 0], 700 - 300 * body[:, 2], np.full(17, 2.0)), 1)
        box = [*px[:, :2].min(0), *px[:, :2].max(0)]
        person = {"id": 0, "box": box, "keypoints": px.tolist(), "keypoints_m": body.tolist()}
        t_ns = round(index * 1e9 / FPS)
        lines.append(json.dumps({"frame": index, "t_ns": t_ns, "people": [person]}))
    (folder / "s.truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    video = cv2.VideoWriter(str(folder / "s.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    video.write(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    video.release()
    (clip,) = recorded.clips_of(folder, "key")
    recorded.record_truth([clip], Config())
    return clip


def test_repetitions_are_counted_by_how_far_the_camera_is_off_their_plane(tmp_path: Path) -> None:
    clip = squatting(tmp_path, [0.0, -4.0, 1.0])
    assert exercise_views.off_plane_deg(clip.truth, "knee") == pytest.approx(0, abs=3)
    assert exercise_views.off_plane_deg(clip.truth, "shoulder_abduction") > 80
    assert exercise_views.told(clip, "squat", "knee", True, False) == (6, 6, 0)
    assert exercise_views.told(clip, "squat", "shoulder_abduction", True, False).found == 0
    # The last one ends .5 s before the clip does: `action` is not asked for it.
    assert exercises.counted(clip, "squat", True)[:3] == (2, 2, 0)


def test_long_parts_have_a_place_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = "<!-- made by `edge-tools accuracy rules`: begin -->"
    page = tmp_path / "page.md"
    page.write_text(
        f"{BEGIN}\nold\n{END}\n{own}\nold\n{own.replace('begin', 'end')}\n", encoding="utf-8"
    )
    write(page, [Table("Trial", "Done.", ("", "value"))], "made", "accuracy rules")
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"{BEGIN}\nold\n{END}")
    assert "### Trial" in text
    words = ["accuracy", "rules", "smoother", "--write", str(page)]
    assert main(words) == 78
    assert "have a place of their own" in capsys.readouterr().err
