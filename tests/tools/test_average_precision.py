"""AP and AR against recorded figures of xtcocotools (MIT) and mmpose, to the last digits."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from edge.skeletons import get
from tools import metrics
from tools.average_precision import (
    FIELDS,
    Found,
    Truth,
    average_precision,
    found_of,
    truth_of,
)

GOLDEN = Path(__file__).parent / "golden" / "metrics"
NAMES = [a + b for a in ("AP", "AR") for b in ("", "50", "75", "_medium", "_large")]
# In the tables' own digits: float32 would move an OKS by 1e-8.
SIGMAS = np.round(get("wholebody133").sigmas.astype(np.float64), 4)
PARTS = {
    "body": slice(0, 17),
    "foot": slice(17, 23),
    "face": slice(23, 91),
    "lefthand": slice(91, 112),
    "righthand": slice(112, 133),
    "wholebody": slice(0, 133),
}
SINGLE = ("body", "foot", "face", "lefthand", "righthand")


def golden(name):
    return json.loads(gzip.decompress((GOLDEN / name).read_bytes()))


def figures(case, part):
    return average_precision(
        truth_of(case["annotations"], part), found_of(case["results"], part), SIGMAS[PARTS[part]]
    )


def recorded_wholebody():
    """A result file of mmpose as its lines, and what it was made of: truth and predictions."""
    case = golden("wholebody_case1.json.gz")
    with np.load(GOLDEN / "wholebody_case1_predictions.npz") as z:
        z = dict(z.items())
    case["results"] = []
    for row, score in zip(z["result_rows"], z["result_scores"].tolist()):
        points = np.column_stack((z["keypoints"][row], z["keypoint_scores"][row])).astype(float)
        parts = {FIELDS[p][0]: points[s].ravel().tolist() for p, s in PARTS.items() if p in SINGLE}
        case["results"].append({"image_id": int(z["image_id"][row]), "score": score, **parts})
    return case


def test_body():
    case = golden("coco_ap.json.gz")
    got = figures(case, "body")
    assert list(got) == NAMES
    assert got == pytest.approx(case["expected"]["per_part"]["keypoints"], abs=1e-9)


@pytest.mark.parametrize("part", sorted(FIELDS))
def test_wholebody_parts(part):
    """Drawn case: crowds, people without labels, both sizes; figures of xtcocotools 1.14.3."""
    case = golden("wholebody_ap.json.gz")
    want = dict(zip(NAMES, case["expected"][part]))
    assert figures(case, part) == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("part", sorted(FIELDS))
def test_wholebody_parts_of_a_result_file(part):
    case = recorded_wholebody()
    want = case["expected"]["per_part"][f"keypoints_{part}"]
    assert figures(case, part) == pytest.approx(want, abs=1e-9)


def predictions(path, sigmas):
    """Rescored and suppressed per image, as before a result file is written."""
    with np.load(path) as z:
        z = dict(z.items())
    scores = metrics.rescore(z["keypoint_scores"], z["bbox_scores"])
    areas = np.prod(z["bbox_scales_wh"], 1)
    kept = []
    for image in np.unique(z["image_id"]):
        rows = np.flatnonzero(z["image_id"] == image)
        best = metrics.suppress(z["keypoints"][rows], scores[rows], areas[rows], sigmas)
        kept += rows[best].tolist()
    body = z["keypoints"][kept, :17].astype(float)
    return Found(
        z["image_id"][kept],
        z["keypoints"][kept].astype(float),
        scores[kept],
        np.prod(body.max(1) - body.min(1), 1),
    )


@pytest.mark.parametrize(
    ("name", "part", "recorded_part", "count"),
    [
        ("coco_ap", "body", "keypoints", 23),
        ("wholebody_case1", "wholebody", "keypoints_wholebody", 36),
    ],
)
def test_from_raw_predictions(name, part, recorded_part, count):
    case, sigmas = golden(f"{name}.json.gz"), SIGMAS[PARTS[part]]
    found = predictions(GOLDEN / f"{name}_predictions.npz", sigmas)
    assert len(found.images) == case["expected"]["predictions_after_nms"] == count
    got = average_precision(truth_of(case["annotations"], part), found, sigmas)
    assert got == pytest.approx(case["expected"]["per_part"][recorded_part], abs=1e-9)


def people(n, area=5000.0, seed=0):
    keypoints = np.random.default_rng(seed).random((n, 17, 2)) * 100
    boxes = np.tile([0.0, 0, 100, 100], (n, 1))
    return Truth(
        np.arange(n),
        keypoints,
        np.ones((n, 17), bool),
        np.full(n, area),
        boxes,
        np.zeros(n, bool),
    )


def as_found(truth, scores=0.9):
    n = len(truth.images)
    return Found(truth.images, truth.keypoints, np.broadcast_to(scores, n).copy(), truth.areas)


def test_the_perfect_and_the_useless():
    truth = people(5)
    assert average_precision(truth, as_found(truth), SIGMAS[:17]) == pytest.approx(
        {**dict.fromkeys(NAMES, 1.0), "AP_large": -1, "AR_large": -1}
    )
    nothing = as_found(people(0))
    assert average_precision(truth, nothing, SIGMAS[:17])["AP"] == 0
    assert set(average_precision(people(0), as_found(truth), SIGMAS[:17]).values()) == {-1}
    far = Found(truth.images, truth.keypoints + 500, np.ones(5), truth.areas)
    assert average_precision(truth, far, SIGMAS[:17])["AR"] == 0


def test_a_crowd_takes_any_number_and_costs_nothing():
    one = people(1)
    crowd = Truth(one.images, one.keypoints, one.labelled, one.areas, one.boxes, np.array([True]))
    both = Truth(  # type: ignore[call-arg]
        *(
            np.concatenate((getattr(one, f), getattr(people(1, seed=3), f)))
            for f in ("images", "keypoints", "labelled", "areas", "boxes")
        ),
        np.array([True, False]),
    )
    three = as_found(Truth(*(np.repeat(v, 3, 0) for v in vars(one).values())))
    assert average_precision(crowd, three, SIGMAS[:17])["AP"] == -1
    found = Found(
        np.zeros(4, int),
        np.concatenate((three.keypoints, people(1, seed=3).keypoints)),
        np.array([0.9, 0.9, 0.9, 0.5]),
        np.full(4, 5000.0),
    )
    assert average_precision(both, found, SIGMAS[:17])["AP"] == pytest.approx(1.0)


def test_false_positives_before_the_right_one_cost_precision():
    truth = people(1)
    wrong = truth.keypoints + 300
    found = Found(
        np.zeros(2, int),
        np.concatenate((wrong, truth.keypoints)),
        np.array([0.9, 0.8]),
        np.full(2, 5000.0),
    )
    assert average_precision(truth, found, SIGMAS[:17])["AP"] == pytest.approx(0.5)


def test_only_the_twenty_best_of_an_image_count():
    truth = people(1)
    n = 25
    keypoints = np.concatenate((np.repeat(truth.keypoints + 300, n - 1, 0), truth.keypoints))
    scores = np.linspace(1, 0.1, n)
    found = Found(np.zeros(n, int), keypoints, scores, np.full(n, 5000.0))
    assert average_precision(truth, found, SIGMAS[:17])["AR"] == 0
    found = Found(np.zeros(n, int), keypoints, scores[::-1], np.full(n, 5000.0))
    assert average_precision(truth, found, SIGMAS[:17])["AP"] == pytest.approx(1)
