"""AP and AR of `evaluate` are those of faster-coco-eval, on files that both read."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from tests.tools.evaluation.label_cases import annotation, results, table, wholebody, write
from tools.evaluation.figures import precision
from tools.evaluation.found import results_file
from tools.evaluation.read import open_truth

NAMES = [a + b for a in ("AP", "AR") for b in ("", "50", "75", "_medium", "_large")]
GOLDEN = Path(__file__).resolve().parents[1] / "golden/metrics"
PARTS = {"body": (0, 17), "feet": (17, 23), "face": (23, 91), "left hand": (91, 112)}


def theirs(labels: Any, found: Any, sigmas: Sequence[float]) -> Dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(labels)
        judge = COCOeval_faster(
            truth, truth.loadRes(found), "keypoints", kpt_oks_sigmas=np.array(sigmas)
        )
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {name: None if v < 0 else float(v) for name, v in zip(NAMES, judge.stats)}


def ours(tmp_path: Path, labels: Any, found: Any) -> Any:
    truth = open_truth(write(tmp_path / "labels.json", labels))
    return truth, precision.figures(truth, results_file.read(found, Path("found"), truth))


def scene(seed: int, count: int) -> Any:
    """Pictures with people, crowds, people without labels, duplicates, misses and nobody."""
    rng = np.random.default_rng(seed)
    rows: List[Dict[str, Any]] = []
    found: List[Dict[str, Any]] = []
    for image in range(1, 13):
        for _ in range(rng.integers(0, 5)):
            size = rng.uniform(0.2, 2)
            marks = rng.uniform(0, 1, (count, 2)) * (80 * size, 200 * size)
            marks = np.column_stack((marks + rng.uniform(0, 300, 2), rng.integers(0, 3, count)))
            marks[marks[:, 2] == 0] = 0
            if rng.random() < 0.1:
                marks[:] = 0
            make = wholebody if count == 133 else annotation
            # Without an area, theirs is 0 and ours a share of the box: not the same question.
            more = {"iscrowd": int(rng.random() < 0.1), "bbox": [*marks[0, :2].tolist(), 90, 200]}
            more["area"] = 10_000 * size**2
            rows.append(make(marks, image=image, id=len(rows) + 1, **more))
            for _ in range(rng.integers(0, 3)):
                seen = marks[:, :2] + rng.normal(0, rng.uniform(1, 15), (count, 2))
                seen = np.column_stack((seen, rng.uniform(0.1, 1, count)))
                found += results([seen], image=image, score=float(rng.random()))
    return table(rows, 14), found


@pytest.mark.parametrize("seed", range(8))
def test_body(tmp_path: Path, seed: int) -> None:
    labels, found = scene(seed, 17)
    truth, figures = ours(tmp_path, labels, found)
    want = theirs(labels, found, truth.points.sigmas)
    assert figures["body"] == pytest.approx(want, abs=1e-9)
    assert want["AP"] > 0


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_parts_of_a_whole_body(tmp_path: Path, seed: int, part: str) -> None:
    labels, found = scene(seed, 133)
    for row in found:
        flat = np.array(row["keypoints"]).reshape(133, 3)
        for name, start, end in (
            ("keypoints", 0, 17),
            ("foot_kpts", 17, 23),
            ("face_kpts", 23, 91),
            ("lefthand_kpts", 91, 112),
            ("righthand_kpts", 112, 133),
        ):
            row[name] = flat[start:end].ravel().tolist()
    truth, figures = ours(tmp_path, labels, found)
    field = {"body": "keypoints", "feet": "foot_kpts", "face": "face_kpts"}
    name, (start, end) = field.get(part, "lefthand_kpts"), PARTS[part]
    only = [{**a, "keypoints": a[name], "num_keypoints": _count(a[name])} for a in _rows(labels)]
    want = theirs(
        {**labels, "annotations": only},
        [{**r, "keypoints": r[name]} for r in found],
        truth.points.sigmas[start:end],
    )
    mine = figures[part]
    # The size of a found person is that of the body here, of the part there: only AP counts it.
    for key in ("AP", "AP50", "AP75", "AR", "AR50", "AR75"):
        assert mine[key] == pytest.approx(want[key], abs=1e-9), key


def _rows(labels: Any) -> Any:
    return labels["annotations"]


def _count(flat: List[float]) -> int:
    return int((np.array(flat)[2::3] > 0).sum())


def test_the_recorded_case_of_mmpose(tmp_path: Path) -> None:
    """The figures of xtcocotools, which tests/tools/golden has, come out of the command's path."""
    case = json.loads(gzip.decompress((GOLDEN / "coco_ap.json.gz").read_bytes()))
    labels = {
        "images": [{"id": i} for i in sorted({a["image_id"] for a in case["annotations"]})],
        "annotations": case["annotations"],
        "categories": [],
    }
    _, figures = ours(tmp_path, labels, case["results"])
    want = case["expected"]["per_part"]["keypoints"]
    assert set(want) == set(NAMES)
    assert {n: figures["body"][n] for n in want} == pytest.approx(want, abs=1e-6)
