"""`edge-tools distill`: a student learns from its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import numpy as np
import onnxruntime
import pytest
import torch

from edge.errors import ConfigError
from tests.tools.training.training_cases import drawn
from tools.__main__ import main
from tools.training.fit import loop, state
from tools.training.networks.distilled import DistilledSimcc, OwnHeadSimcc
from tools.training.networks.simcc import SimccTrainee
from tools.training.networks.trainee import Goal

STUDENT, TEACHER = "rtmpose-t-body17", "rtmpose-t-wholebody"


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_student_comes_nearer_to_its_teacher_without_labels(tmp_path: Path) -> None:
    student = DistilledSimcc(STUDENT, None, SimccTrainee(TEACHER, None, seed=5), seed=1)
    student.module.train()
    crops = np.random.default_rng(0).integers(0, 256, (2, 256, 192, 3), np.uint8)
    image = student.input_of(crops)
    none = Goal(*(torch.zeros(s) for s in ((2, 17, 2), (2, 17), (2, 17), (2, 17), (2,))))
    optimiser = torch.optim.Adam(
        [p for g in student.groups(1.0) for p in g["params"] if p.requires_grad], 1e-3
    )
    losses = []
    for _ in range(5):
        parts = student.losses(student.forward(image), {}, none)
        assert float(parts["places"].detach()) == 0
        losses.append([float(parts[n].detach()) for n in ("features", "outputs")])
        optimiser.zero_grad()
        (parts["features"] + parts["outputs"]).backward()
        optimiser.step()
    assert losses[-1][0] < losses[0][0]
    assert losses[-1][1] < losses[0][1]
    student.write(tmp_path, {})
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    assert [o.name for o in session.get_outputs()] == ["simcc_x", "simcc_y"]


def test_a_teacher_must_read_the_same_crops() -> None:
    with pytest.raises(ConfigError, match="reads 288x384 px, rtmpose-t-body17 192x256"):
        DistilledSimcc(STUDENT, None, SimccTrainee("rtmpose-m-body17-384x288", None))


def test_in_the_second_stage_a_new_head_learns_from_the_old_one(tmp_path: Path) -> None:
    first = SimccTrainee(STUDENT, None, seed=3)
    # As a first stage saves it: beside the student there is the projection.
    weights = {f"network.{k}": v for k, v in first.module.state_dict().items()}
    state.save(tmp_path, state.State({}, average={**weights, "projection.bias": torch.ones(1)}))
    student = OwnHeadSimcc(STUDENT, tmp_path / state.FILE, seed=4)
    loop.training(student)
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 192, 3), np.uint8)
    image = student.input_of(crops)
    goal = Goal(*(torch.zeros(s) for s in ((1, 17, 2), (1, 17), (1, 17), (1, 17), (1,))))
    some = [p for p in student.module.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(some, 1e-3)
    losses = []
    for _ in range(4):
        (loss,) = student.losses(student.forward(image), {}, goal).values()
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0]
    now = student.module.state_dict()
    trunk = {k: v for k, v in first.module.state_dict().items() if not k.startswith("head.")}
    head = [k for k in now if k.startswith("head.")]
    assert all(torch.equal(now[k], v) for k, v in trunk.items() if "num_batches" not in k)
    assert not all(torch.equal(now[k], first.module.state_dict()[k]) for k in head)


def test_distill_goes_from_labels_to_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = drawn(tmp_path / "labels", ("a", "b"), 2)
    weights = tmp_path / "teacher.pth"
    torch.save(SimccTrainee(TEACHER, None).module.state_dict(), str(weights))
    words = ["distill", str(coco), "--name", "small", "--arch", STUDENT, "--steps", "1"]
    words += ["--models", str(tmp_path), "--out", str(tmp_path / "run"), "--batch", "2"]
    assert main(words) == ConfigError.exit_code
    assert "--teacher: is missing" in capsys.readouterr().err
    assert main([*words, "--stage", "2"]) == ConfigError.exit_code
    assert "--checkpoint: is missing" in capsys.readouterr().err
    more = ["--teacher", TEACHER, "--teacher-checkpoint", str(weights), "--threads", "1"]
    assert main([*words, *more]) in (0, 1)
    assert (tmp_path / "run" / "model" / "network.onnx").is_file()
