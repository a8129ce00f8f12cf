"""Training of person detectors: assignment, losses, pictures, the loop, the export, the verdict."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.tools.training.training_cases import labels
from tools.arch import build
from tools.training.boxes import augment, batches, judging, samples, start, store
from tools.training.boxes.assign import Assigned, Cells, dynamic_soft, sim_ota
from tools.training.boxes.detector import DetectorTrainee
from tools.training.boxes.overlap import giou, iou_table
from tools.training.data.sources import open_all
from tools.training.fit import loop
from tools.training.fit.recipe import named

SIZE = (64, 64)
STRIDES = (8, 16, 32)


def cells(seed: int, side: int = 64) -> Cells:
    """Answers by lot about the cells of an input."""
    rng = np.random.default_rng(seed)
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: side // stride, : side // stride] * stride
        points.append(np.stack((x, y), -1).reshape(-1, 2))
        strides.append(np.full(x.size, stride))
    at = np.concatenate(points).astype(np.float32)
    step = np.concatenate(strides).astype(np.float32)
    half = rng.uniform(0.5, 3, (len(at), 4)).astype(np.float32) * step[:, None]
    boxes = np.concatenate((at - half[:, :2], at + half[:, 2:]), 1)
    logits = rng.normal(-1, 2, len(at)).astype(np.float32)
    return Cells(*(torch.from_numpy(a) for a in (logits, boxes, at, step)))


def people(seed: int, count: int) -> Tensor:
    rng = np.random.default_rng([seed, 9])
    low = rng.uniform(0, 40, (count, 2))
    boxes = np.concatenate((low, low + rng.uniform(3, 30, (count, 2))), 1)
    return torch.from_numpy(boxes.astype(np.float32))


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(q[2] - q[0]) * (q[3] - q[1]) for q in (a, b)]
    return wide * high / max(sum(areas) - wide * high, 1e-7)


def by_hand(given: Cells, boxes: Tensor, way: str) -> List[int]:
    """The person of each cell, cell by cell and person by person, as the papers say."""
    table: Dict[int, List[Any]] = {}
    wanted: List[int] = []
    most = 13 if way == "soft" else 10
    rows = list(zip(*(t.tolist() for t in given)))
    for g, box in enumerate(boxes.tolist()):
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        near, costs, shares = {}, {}, []
        for n, (logit, mine, (x, y), stride) in enumerate(rows):
            gap = (x - centre[0], y - centre[1])
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            share, sure = overlap(mine, box), 1 / (1 + np.exp(-logit))
            if way == "soft":
                away = min(np.hypot(*gap) / stride, 10)
                told = -share * np.log(sure) - (1 - share) * np.log(1 - sure)
                cost = told * (share - sure) ** 2 - 3 * np.log(share + 1e-7) + 10 ** (away - 3)
                allowed = inside
            else:
                away = max(abs(gap[0]), abs(gap[1])) / stride
                cost = -np.log(sure) - 3 * np.log(share + 1e-7)
                cost += 0 if inside and away < 2.5 else 1e5
                allowed = inside or away < 2.5
            near[n], costs[n] = away, (cost, allowed)
            shares.append(share)
        least = min(near.values())
        fine = {n: c for n, (c, allowed) in costs.items() if allowed or near[n] <= least}
        wanted.append(max(1, int(sum(sorted((shares[n] for n in fine), reverse=True)[:most]))))
        for n in sorted(fine, key=lambda n: fine[n])[: wanted[-1]]:
            table.setdefault(n, []).append((fine[n], g))
    return [min(table[n])[1] if n in table else -1 for n in range(len(rows))]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("way", "count"), [("soft", 3), ("soft", 1), ("ota", 4), ("ota", 1)])
def test_assignment_is_that_of_the_papers(seed: int, way: str, count: int) -> None:
    given, boxes = cells(seed), people(seed, count)
    found: Assigned = (dynamic_soft if way == "soft" else sim_ota)(given, boxes)
    assert found.person.tolist() == by_hand(given, boxes, way)
    there = found.person >= 0
    exact = iou_table(given.boxes, boxes)[there, found.person[there]]
    torch.testing.assert_close(found.overlap[there], exact)
    assert not found.overlap[~there].any()


@pytest.mark.parametrize("way", [dynamic_soft, sim_ota])
def test_nobody_and_a_person_between_all_points(way: Any) -> None:
    given = cells(0)
    assert (way(given, torch.zeros(0, 4)).person == -1).all()
    tiny = torch.tensor([[41.0, 42.0, 43.0, 44.0]])
    assert (way(given, tiny).person == 0).any()


def test_giou_is_negative_when_boxes_are_apart() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    other = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    assert giou(boxes, other).tolist() == pytest.approx([1.0, 1 / 3, -1 / 3])


def pictures(folder: Path, change: Any = lambda points, number: points) -> store.Pictures:
    truth = open_all([labels(folder, ("monday", "tuesday"), 3, change)])
    return store.ensure(folder, "train", samples.gather(truth), SIZE[0], quiet=True)


def test_boxes_follow_the_picture(tmp_path: Path) -> None:
    """A white person on black is where the box is, after every change."""
    there = pictures(tmp_path)
    white = [np.zeros((h, w, 3), np.uint8) for w, h in there.sizes.tolist()]
    for image, boxes in zip(white, there.boxes):
        for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
            image[y1:y2, x1:x2] = 255
    there.image = lambda which: white[which]  # type: ignore[method-assign]
    how = dataclasses.replace(augment.PictureChanges(), colour=0.0, zoom=(0.7, 1.2))
    seen = 0
    for number in range(30):
        shown = augment.show(there, 0, SIZE, how, np.random.default_rng(number))
        for x1, y1, x2, y2 in shown.boxes.tolist():
            inner = shown.image[round(y1) + 2 : round(y2) - 2, round(x1) + 2 : round(x2) - 2]
            assert inner.size == 0 or inner.min() > 200
            seen += 1
    assert seen > 20


def test_crowds_and_hidden_people_do_not_count(tmp_path: Path) -> None:
    path = labels(tmp_path, ("monday",), 3)
    table = json.loads(path.read_text("utf-8"))
    table["annotations"][0]["iscrowd"] = 1
    hidden = np.array(table["annotations"][1]["keypoints"]).reshape(-1, 3)
    hidden[:, 2] = 1
    table["annotations"][1]["keypoints"] = hidden.ravel().tolist()
    path.write_text(json.dumps(table), "utf-8")
    found = samples.gather(open_all([path]))
    assert [(len(s.boxes), len(s.ignored)) for s in found] == [(0, 1), (0, 1), (1, 0)]


def trainee(arch: str = "light-shuffle05") -> DetectorTrainee:
    return start.make(arch, None, None, SIZE, 0)


def run(folder: Path, there: store.Pictures, stop_after: int = 99, steps: int = 4) -> Any:
    """Some steps, perhaps stopped before."""
    network = trainee()
    feed = batches.PictureBatches(network, there, None, 0, 2, augment.PictureChanges(), 0)
    asked: List[int] = []
    recipe = dataclasses.replace(named("rtmdet"), warm_steps=0, average=0.5, rate=2e-3)
    job = loop.Run(network, None, feed, [], recipe, steps, folder, {}, quiet=True)

    def stop() -> bool:
        asked.append(1)
        return len(asked) > stop_after

    return loop.fit(dataclasses.replace(job, stop=stop)), network


def test_steps_learn_and_go_on_bit_for_bit_after_a_stop(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    there = pictures(tmp_path)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole, trained = run(tmp_path / "whole", there)
    part, _ = run(tmp_path / "parts", there, stop_after=2)
    assert (part.step, part.done) == (2, False)
    again, _ = run(tmp_path / "parts", there)
    assert all(torch.equal(whole.best[k], again.best[k]) for k in whole.best)
    assert error(trained, there) < error(trainee(), there)


def error(network: DetectorTrainee, there: store.Pictures) -> float:
    """The loss on pictures without changes."""
    images, goal = batches.plain(network, there, 6)[0]
    network.module.train()
    with torch.no_grad():
        return float(sum(network.losses(network.forward(images), {}, goal).values()))


@pytest.mark.parametrize("arch", ["light-shuffle05", "yolox-nano"])
def test_the_file_computes_what_torch_computes(tmp_path: Path, arch: str) -> None:
    network = trainee(arch)
    images = torch.rand(2, 3, *SIZE) * 200
    # Statistics of some pictures: those of a new network are zeros and ones.
    network.module.train()
    with torch.no_grad():
        for _ in range(3):
            network.forward(images)
    network.write(tmp_path, {"by": "test"})
    session = onnxruntime.InferenceSession(
        str(tmp_path / "network.onnx"), providers=["CPUExecutionProvider"]
    )
    names = [o.name for o in session.get_outputs()]
    got = dict(zip(names, session.run(None, {"input": images.numpy()})))
    with torch.no_grad():
        wanted = network.forward(images)
    assert set(names) == set(wanted)
    for name, value in wanted.items():
        scale = max(float(value.abs().max()), 1.0)
        np.testing.assert_allclose(got[name], value.numpy(), atol=1e-3 * scale)
    with judging.opened(tmp_path) as detect:  # the daemon's own code reads it
        assert detect is not None


def test_a_checkpoint_of_80_classes_keeps_the_person(tmp_path: Path) -> None:
    source = build("rtmdet-tiny", SIZE)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "f.pth")
    made = start.make("rtmdet-tiny", tmp_path / "f.pth", None, SIZE, 0)
    images = torch.randn(1, 3, *SIZE)
    made.module.eval()
    with torch.no_grad():
        old, new = source.raw(images), made.forward(images)
    for level in range(3):
        torch.testing.assert_close(new[f"cls_{level}"], old[f"cls_{level}"][:, :1])
        torch.testing.assert_close(new[f"bbox_{level}"], old[f"bbox_{level}"])
    assert made.trained
