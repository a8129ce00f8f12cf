"""The whole-body student: its trunk, its head, its file, and its bars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator

import numpy as np
import onnxruntime
import pytest
import torch

from edge.errors import ConfigError, DataError
from tests.tools.training.training_cases import drawn
from tools.__main__ import main
from tools.evaluation import point_sets
from tools.fetch.by_name import ensure_model
from tools.training.fit.recipe import named, trunk_factor
from tools.training.judging import bars
from tools.training.judging.looks import opened_pose
from tools.training.networks.model_folder import FILE
from tools.training.networks.student import Student
from tools.training.networks.trainee import Goal


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> Path:
    return ensure_model("blazepose")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (2, 3, 256, 256))).float()


def half_labelled() -> Goal:
    """The first of two people is labelled."""
    first = torch.zeros(2, 133)
    first[0] = 1
    return Goal(torch.full((2, 133, 2), 100.0), first, first, first, torch.tensor([1.0, 0.0]))


def test_the_file_computes_what_was_trained(
    model: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    student = Student(model)
    student.module.eval()
    with torch.no_grad():
        wanted = student.forward(images)
    student.write(tmp_path, {"made_by": "a test"})
    session = onnxruntime.InferenceSession(str(tmp_path / FILE))
    places, scores = session.run(None, {"input": images.numpy()})
    np.testing.assert_allclose(places, wanted["places"].numpy(), atol=0.02)
    np.testing.assert_allclose(scores, torch.sigmoid(wanted["visible"]).numpy(), atol=1e-3)
    assert (tmp_path / FILE).stat().st_size < 16e6
    with opened_pose(tmp_path) as pose:
        assert pose.skeleton == "wholebody133"


def test_the_trunk_is_still_while_the_head_learns_alone(model: Path, images: torch.Tensor) -> None:
    student, old = Student(model), Student(model)
    for network in (student, old):
        network.freeze_stem()
    goal, first = half_labelled(), named("student").head_first
    for still in (True, False):
        student.hold_trunk(still)
        student.module.zero_grad(set_to_none=True)
        outputs, before = student.both(old, images, goal)
        assert before["landmarks"].shape[0] == 1
        torch.testing.assert_close(before["landmarks"], outputs["landmarks"][1:].detach())
        total = torch.stack(list(student.losses(outputs, before, goal).values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        moved = [p.grad is not None for p in student.graph.parameters() if p.requires_grad]
        assert not any(moved) if still else all(moved)
        assert all(p.grad is not None for p in student.head.parameters())
    recipe = named("student")
    assert [trunk_factor(recipe, s) for s in (0, first - 1)] == [0, 0]
    assert 0 < trunk_factor(recipe, first) < trunk_factor(recipe, first + 50)
    assert trunk_factor(recipe, 10**5) == trunk_factor(named("tune"), 0) == 1


def test_far_points_do_not_decide_alone(model: Path, images: torch.Tensor) -> None:
    student = Student(model)
    goal = half_labelled()
    gains = []
    for px in (10.0, 150.0):
        outputs = student.forward(images)
        outputs["places"] = (goal.points + px).requires_grad_()
        (loss,) = [student.losses(outputs, {}, goal)["places"]]
        (slope,) = torch.autograd.grad(loss, outputs["places"])
        gains.append(float(slope.abs().max()))
    assert gains[1] < gains[0] / 3


def test_another_network_is_no_trunk(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not blazepose"):
        Student(ensure_model("yolov4-tiny"))
    for file in ("model.toml", "face.onnx", "hand.onnx"):
        (tmp_path / file).write_bytes((model / file).read_bytes())
    (tmp_path / "body.onnx").write_bytes((model / "face.onnx").read_bytes())
    with pytest.raises(DataError, match=r"computes no .*; it is another network"):
        Student(tmp_path)


def test_figures_of_the_bars() -> None:
    points = np.tile(np.linspace(20, 220, 133)[None, :, None], (3, 1, 2))
    some = np.ones((3, 133), bool)
    area = np.full(3, 1e4)
    moved = points + 5
    one = bars.Read(points, some, some, area, points, np.zeros((3, 133)), moved[:, :23])
    sigmas = np.asarray(point_sets.named("wholebody133").sigmas)
    assert bars.oks(one.student, one, sigmas, bars.BODY) == pytest.approx([1, 1, 1])
    gap = np.exp(-50 / (2 * np.square(2 * sigmas[bars.FEET]) * 1e4)).mean()
    assert bars.oks(one.old, one, sigmas, bars.FEET) == pytest.approx([gap] * 3)
    side = points[0, 90, 0] - points[0, 23, 0]
    shifted = one._replace(student=points + [3, 4])
    assert bars.part_errors(shifted, bars.FACE) == pytest.approx([5 / side] * 3)
    hidden = one._replace(seen=np.zeros((3, 133), bool))
    assert not len(bars.part_errors(hidden, bars.FACE))
    none = one._replace(labelled=~some)
    assert np.isnan(bars.oks(one.student, none, sigmas, bars.BODY)).all()


def test_auc_and_interval() -> None:
    assert bars.auc(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])) == 1
    assert bars.auc(np.array([1.0, 1, 1]), np.array([False, True, True])) == 0.5
    assert np.isnan(bars.auc(np.array([1.0]), np.array([True])))
    low, high = bars.interval(np.random.default_rng(0).normal(0.1, 1, 400))
    assert low < 0.1 < high
    assert high - low == pytest.approx(2 * 1.645 / 20, rel=0.15)


def test_from_labels_to_a_student_and_its_bars(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = drawn(tmp_path / "labels", ("a", "b"), 2)
    out, models = tmp_path / "run", tmp_path / "models"
    models.mkdir()
    (models / model.name).symlink_to(model)
    words = ["train", str(coco), "--name", "whole", "--arch", "student", "--threads", "1"]
    words += ["--models", str(models), "--out", str(out), "--batch", "2", "--steps", "1"]
    assert main(words) == ConfigError.exit_code
    assert "--recipe student go together" in capsys.readouterr().err
    # Nothing may be lost, so one step of a new head is refused: nothing is installed.
    words += ["--recipe", "student", "--hold", "--reference", str(coco), "--most-lost", "0"]
    assert main(words) == 1
    assert (out / "model" / FILE).is_file()
    capsys.readouterr()
    judge = ["train", str(coco), "--bars", "--arch", "student", "--models", str(models)]
    assert main(judge) == ConfigError.exit_code
    assert "--checkpoint RUN/state.pt" in capsys.readouterr().err
    judge += ["--checkpoint", str(out / "state.pt"), "--reference", str(coco), "--json"]
    assert main(judge) == 1
    table = json.loads(capsys.readouterr().out)
    assert {row["name"].split(",")[0] for row in table} >= {"labelled", "reference"}
