"""Pairs, OKS, PCK, NME, motion, rig and intervals on people whose figures are known."""

from __future__ import annotations

import dataclasses
from typing import List

import numpy as np
import pytest

from edge import skeletons
from edge.structures import Poses
from tests.tools.evaluation.label_cases import COCO17, found_of, person, seen_of, truth_of
from tools.evaluation import judge, point_sets
from tools.evaluation.figures import accuracy, motion, rig
from tools.evaluation.figures.motion import Walk
from tools.evaluation.figures.pairing import pair
from tools.evaluation.found.record import Translation

WHOLE = point_sets.named("wholebody133")


def seen(marks: np.ndarray, off: float = 0.0) -> np.ndarray:
    """Predictions: the labels moved to the right, all sure."""
    return np.column_stack((marks[:, 0] + off, marks[:, 1], np.full(len(marks), 0.9)))


# Who is found --------------------------------------------------------------------------------


def test_found_missed_and_false() -> None:
    people = [person(0), person(1, at=(300, 100)), person(2, at=(500, 100))]
    strange = seen(person(3, at=(100, 400)))
    found = found_of([seen_of([strange, seen(people[1]), seen(people[0])])])
    counts = accuracy.people(pair(truth_of([people]), found))
    assert (counts["found"], counts["missed"], counts["false"]) == (2, 1, 1)


def test_two_people_in_one_place_are_told_apart_by_their_poses() -> None:
    people = [person(0), person(1)]
    found = found_of([seen_of([seen(people[1], 2), seen(people[0], 2)])])
    assert pair(truth_of([people]), found).found_rows.tolist() == [1, 0]


def test_a_pose_in_a_crowd_is_not_false() -> None:
    truth = truth_of([[person(0)]])
    truth.pictures[0].people.crowd[0] = True
    assert pair(truth, found_of([seen_of([seen(person(0))])])).false.tolist() == [0]
    away = seen_of([seen(person(0, at=(400, 100)))])
    assert pair(truth, found_of([away])).false.tolist() == [1]


def test_a_person_without_labels_is_neither_missed_nor_false() -> None:
    bare = person(0)
    truth = truth_of([[bare]])
    truth.pictures[0].people.visible[0] = 0
    pairs = pair(truth, found_of([seen_of([seen(bare)])]))
    assert (len(pairs.rows), pairs.false.tolist()) == (0, [0])


def test_a_picture_without_predictions_counts_as_missed() -> None:
    figures = judge.judge(truth_of([[person()], [person(1)]]), found_of([seen_of([])])).figures
    assert (figures["people"]["missed"], figures["oks"]["body"]["mean"]) == (2, 0.0)
    assert figures["precision"]["body"]["AP"] == 0.0


# How near ------------------------------------------------------------------------------------


def test_a_missing_person_or_keypoint_counts_zero() -> None:
    people = [person(0), person(1, at=(400, 100))]
    half = seen(people[0])
    half[5:11, 2] = 0
    figures = judge.judge(truth_of([people]), found_of([seen_of([half])])).figures
    assert figures["oks"]["body"]["mean"] == pytest.approx(11 / 17 / 2)
    assert figures["oks"]["body"]["mean_of_found"] == pytest.approx(11 / 17)
    assert figures["pck"]["body"]["0.1"] == pytest.approx(11 / 34)
    assert figures["pictures"][0]["oks"] == [pytest.approx(11 / 17, abs=1e-4), 0.0]


def test_oks_is_that_of_coco() -> None:
    marks = person()
    pairs = pair(truth_of([[marks]]), found_of([seen_of([seen(marks, 3.0)])]))
    want = np.exp(-9 / (2 * pairs.areas[0] * np.square(2 * COCO17.sigmas))).mean()
    assert pairs.oks(COCO17.sigmas, COCO17.all)[0] == pytest.approx(want)


def test_keypoints_that_predictions_cannot_have_are_left_out_and_named() -> None:
    crowdpose = point_sets.named("crowdpose")
    marks = person(0, 14)
    translate = Translation(crowdpose, skeletons.get("coco17").names)
    assert translate.given.tolist() == [True] * 12 + [False, True], "neck: between the shoulders"
    points = np.zeros((1, 17, 2), np.float32)
    for i, name in enumerate(crowdpose.names[:12]):
        points[0, COCO17.index(name)] = marks[i, :2]
    marks[13, :2] = marks[:2, :2].mean(0)
    boxes = np.array([[100, 100, 180, 300]], np.float32)
    ones = np.ones((1, 17), np.float32)
    poses = Poses(points, ones, boxes, np.array([1]), ones[0, :1], "coco17")
    found = found_of([translate(poses)], 14)
    found.given[:] = translate.given
    figures = judge.judge(truth_of([[marks]], crowdpose), found).figures
    assert figures["oks"]["body"]["mean"] == pytest.approx(1, abs=1e-6)
    assert figures["left_out"] == ["head"]
    assert figures["pckh"]["people"] == 1, "the label of the head's top still is a measure"


def test_nme_of_face_and_hands_is_of_those_found() -> None:
    people = [person(0, 133), person(1, 133, at=(400, 100))]
    one, two = seen(people[0]), seen(people[1])
    one[23:91, 0] += 4
    two[23:91, 2] = 0
    pairs = pair(truth_of([people], WHOLE), found_of([seen_of([one, two], 133)], 133))
    nme = accuracy.nmes(pairs, WHOLE)
    side = np.ptp(people[0][23:91, :2], axis=0).max()
    assert nme["face"]["median"] == pytest.approx(4 / side)
    assert (nme["face"]["given"], nme["face"]["labelled"]) == (1, 2)
    assert nme["left hand"]["mean"] == 0
    eyes = np.hypot(*(people[0][59, :2] - people[0][68, :2]))
    assert nme["face, eye to eye"]["mean"] == pytest.approx(4 / eyes)


def test_pckh_is_of_half_a_head() -> None:
    crowdpose = point_sets.named("crowdpose")
    marks = person(0, 14)
    marks[12, :2], marks[13, :2] = (100, 50), (100, 70)
    off = seen(marks)
    off[:7, 0] += 9
    off[7:, 0] += 11
    pairs = pair(truth_of([[marks]], crowdpose), found_of([seen_of([off], 14)], 14))
    assert accuracy.pckh(pairs, crowdpose)["value"] == pytest.approx(7 / 14)


# Motion --------------------------------------------------------------------------------------


def walk(count: int = 40) -> np.ndarray:
    """[T,17,2] somebody who waves and walks."""
    t = np.arange(count)[:, None]
    wave = np.sin(t / 4 + np.arange(17))
    return np.stack((3 * t + 20 * wave, 100 + 10 * wave), -1)


def test_who_stands_still_has_no_jitter() -> None:
    still = np.repeat(walk()[:1], 10, 0)
    found = motion.figures([Walk(still, 100.0)])
    assert (found["jitter_h"], found["jump_share"], found["lag_frames"]) == (0, 0, None)


def test_motion_that_is_labelled_is_no_jitter() -> None:
    assert motion.figures([Walk(walk(), 100.0, walk())])["jitter_h"] == 0
    assert motion.figures([Walk(walk(), 100.0)])["jitter_h"] > 0.005


@pytest.mark.parametrize("lag", [0.0, 0.5, 1.0, 2.0])
def test_lag_is_in_frames(lag: float) -> None:
    truth = walk(60)
    late = np.empty_like(truth)
    for k in range(17):
        for axis in (0, 1):
            late[:, k, axis] = np.interp(np.arange(60) - lag, np.arange(60), truth[:, k, axis])
    found = motion.figures([Walk(late[4:], 100.0, truth[4:])])
    assert found["lag_frames"] == pytest.approx(lag, abs=0.12)


def test_a_jump_is_counted_once_a_pose() -> None:
    path = np.repeat(walk()[:1], 20, 0)
    path[10, 9, 0] += 40
    found = motion.figures([Walk(path, 100.0)])
    # The poses before and after are half as far from the middle of their neighbours.
    assert found["jump_share"] == pytest.approx(3 / 18)
    path[10, 9, 0] -= 15
    assert motion.figures([Walk(path, 100.0)])["jump_share"] == pytest.approx(1 / 18)


def test_missing_frames_cut_a_walk() -> None:
    assert [r.tolist() for r in motion.runs(np.array([3, 4, 5, 8, 9]))] == [[0, 1, 2], [3, 4]]
    assert [r.tolist() for r in motion.runs(np.array([0, 2, 4]))] == [[0, 1, 2]]


# Rig -----------------------------------------------------------------------------------------


def two_views() -> List[rig.View]:
    turn = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
    matrix = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])
    first = rig.View(np.eye(3), np.array([0, 0, 4000.0]), matrix, np.zeros(4), (640, 480))
    return [first, dataclasses.replace(first, turn=turn)]


def seen_from(view: rig.View, points: np.ndarray) -> np.ndarray:
    camera = points @ view.turn.T + view.shift
    px = camera @ view.matrix.T
    return np.column_stack((px[:, :2] / px[:, 2:], np.ones(len(points))))


def test_cameras_that_see_the_same_agree_and_an_error_is_seen() -> None:
    views = two_views()
    body = np.random.default_rng(0).uniform(-500, 500, (17, 3))
    people = [seen_from(v, body)[None] for v in views]
    assert [float(a[0]) for a in rig.disagreement(views, people)] == pytest.approx([0, 0], abs=1e-6)
    people[0][0, :, 1] += 20
    off = rig.disagreement(views, people)
    assert 5 < off[0][0] <= 21
    some = rig.figures(np.array([off[0][0], np.nan]), np.array([200.0, 200.0]))
    assert (some["poses"], some["compared"]) == (2, 1)
    assert some["median_h"] == pytest.approx(off[0][0] / 200)


@pytest.mark.parametrize(("away", "far"), [(2000.0, False), (0.0, True)])
def test_cameras_that_do_not_show_the_place_do_not_count(away: float, far: bool) -> None:
    """Two cameras agree on somebody; two others see somebody else, there or in another room."""
    views = two_views()
    rng = np.random.default_rng(0)
    body = rng.uniform(-400, 400, (17, 3))
    other = rng.uniform(-400, 400, (17, 3)) + (0, 600, 0)
    aside = [dataclasses.replace(v, shift=v.shift + (away * 2 + 50, away, 0)) for v in views]
    people = [seen_from(v, body)[None] for v in views]
    people += [seen_from(v, other)[None] for v in aside]
    for px in rig.disagreement([*views, *aside], people)[:2]:
        assert (px[0] > rig.FAR_PX) == far


def test_nobody_to_compare_with() -> None:
    people = [np.ones((1, 17, 3)), np.zeros((0, 17, 3))]
    off = rig.disagreement(two_views(), people)
    assert np.isnan(off[0]).all()
    assert rig.figures(off[0], np.ones(1)) == {"poses": 1, "compared": 0}


# Against others ------------------------------------------------------------------------------


def test_intervals_hold_the_difference_and_do_not_hold_zero_if_it_is_large() -> None:
    people = [[person(i)] for i in range(40)]
    truth = truth_of(people)
    good = judge.judge(truth, found_of([seen_of([seen(p[0], 1)]) for p in people]))
    bad = judge.judge(truth, found_of([seen_of([seen(p[0], 6)]) for p in people]))
    ours = judge.compared(bad, good, 0.02)
    row = ours["rows"]["mean OKS, body"]
    assert row["low"] <= row["difference"] <= row["high"] < 0
    assert "mean OKS, body" in ours["worse"]
    assert "AP, body" in ours["worse"]
    assert judge.compared(good, bad, 0.02)["worse"] == []
    assert judge.compared(bad, good, 1.0)["worse"] == []


def test_frames_of_a_video_are_drawn_in_blocks() -> None:
    """Ten frames that are all the same say no more than one: the interval must not be narrow."""
    rng = np.random.default_rng(1)
    truth = truth_of([[person(0)] for _ in range(60)], sequence="clip")
    offs = [np.repeat(rng.uniform(0, 8), 30) for _ in range(2)]
    found = found_of([seen_of([seen(person(0), o)]) for o in np.concatenate(offs)])
    still = found_of([seen_of([seen(person(0), 4)]) for _ in range(60)])
    row = judge.compared(judge.judge(truth, found), judge.judge(truth, still), 0.02)["rows"]
    alone = truth_of([[person(0)] for _ in range(60)])
    rows = judge.compared(judge.judge(alone, found), judge.judge(alone, still), 0.02)["rows"]
    name = "mean OKS, body"
    assert row[name]["high"] - row[name]["low"] > 2 * (rows[name]["high"] - rows[name]["low"])
