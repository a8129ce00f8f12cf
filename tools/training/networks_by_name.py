"""The network that a command line asks for, with the weights that it begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from tools.training.networks.blazepose import BlazePoseBody
from tools.training.networks.trainee import Trainee


def make(
    model: Path,
    arch: Optional[str],
    checkpoint: Optional[Path],
    skeleton: str,
    seed: int,
    teacher: Optional[str] = None,
    teacher_checkpoint: Optional[Path] = None,
    stage: int = 1,
) -> Trainee:
    """Build the network.

    Args:
        model: folder of a model of the family blazepose; counts if `arch` is None.
        arch: name of an architecture.
        checkpoint: its weights; None: random ones.
        skeleton: its keypoints; empty: its own.
        seed: of random weights.
        teacher: architecture whose answers `arch` learns, too; None: there is none.
        teacher_checkpoint: its weights.
        stage: 2: the weights of `checkpoint` teach a new head on their own trunk.

    Raises:
        EdgeError: there is no such network, or its weights do not fit.
    """
    if arch is None:
        return BlazePoseBody(model)
    if arch == "student":
        from tools.training.networks.student import Student

        return Student(model, seed, checkpoint)
    from tools.training.networks.simcc import SimccTrainee

    if stage == 2 and checkpoint is not None:
        from tools.training.networks.distilled import OwnHeadSimcc

        return OwnHeadSimcc(arch, checkpoint, skeleton, seed)
    if teacher is None:
        return SimccTrainee(arch, checkpoint, skeleton, seed)
    from tools.training.networks.distilled import DistilledSimcc

    large = SimccTrainee(teacher, teacher_checkpoint)
    return DistilledSimcc(arch, checkpoint, large, skeleton, seed)
