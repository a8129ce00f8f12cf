"""`edge-tools train --arch student --bars`: the table of bars, from one command."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import List, Sequence

import numpy as np
import torch

from edge.errors import ConfigError
from tools.evaluation.text_report import aligned
from tools.training.data import samples
from tools.training.data.samples import Sample
from tools.training.data.sources import open_all
from tools.training.judging import bars, pace, reference
from tools.training.judging.bars import Bar
from tools.training.networks.model_folder import FILE
from tools.training.networks.student import Student

WALKER = ("walker",)  # nobody trains on it
MISSED = 1
_LOOKS = (("body.onnx", 1), ("face.onnx", 1), ("hand.onnx", 2))  # of the cascade, for a person


def run(arguments: argparse.Namespace) -> int:
    """Measure the student and print its bars; the exit code is 1 if one does not hold.

    Raises:
        EdgeError: labels, model or state cannot be used.
    """
    if arguments.arch != "student" or not arguments.checkpoint:
        raise ConfigError("--bars: needs --arch student and --checkpoint RUN/state.pt")
    torch.set_num_threads(arguments.threads or 1)
    folder = arguments.models / arguments.model
    student, old = Student(folder, 0, arguments.checkpoint), Student(folder)
    found = _bars(arguments, student, old)
    if arguments.json:
        print(json.dumps([vars(bar) for bar in found]))
    else:
        head = ("bar", "wanted", "BlazePose", "student", "")
        rows = [(b.name, b.wanted, b.before, b.found, "" if b.holds else "missed") for b in found]
        print("\n".join(aligned([head, *rows])))
    return 0 if all(bar.holds for bar in found) else MISSED


def _bars(arguments: argparse.Namespace, student: Student, old: Student) -> List[Bar]:
    sigmas = np.asarray(student.points.sigmas)
    truths = open_all(arguments.labels, arguments.pictures, arguments.keypoints)
    rendered: List[Sample] = []
    labelled: List[Sample] = []
    for sample in samples.gather(truths, student.points):
        whole = len(sample.truth.points) == len(student.points)
        (rendered if whole else labelled).append(sample)
    found: List[Bar] = []
    with tempfile.TemporaryDirectory() as where:
        for name, some, judge in (
            ("labelled", labelled, bars.of_people),
            ("rendered", rendered, bars.of_renders),
            ("reference", _reference(arguments, student), bars.of_reference),
        ):
            if some:
                found += judge(bars.read(student, old, Path(where), name, some), sigmas)
        found.append(_time(student, arguments.models / arguments.model, Path(where)))
    return found


def _reference(arguments: argparse.Namespace, student: Student) -> Sequence[Sample]:
    """People of clips, with the cascade's poses as labels; they need body and feet only."""
    paths = arguments.reference
    if paths is None:
        paths = reference.default_videos(WALKER, arguments.json)
    folder, detector = (arguments.models / n for n in (arguments.model, arguments.detector))
    truths = reference.open_reference(paths, folder, detector, quiet=arguments.json)
    return samples.gather(truths, student.points)


def _time(student: Student, folder: Path, where: Path) -> Bar:
    student.write(where, {})
    files = {
        "student": [(where / FILE, 1)],
        "cascade": [(folder / name, count) for name, count in _LOOKS],
    }
    spent_ms = pace.milliseconds(files)
    share = spent_ms["student"] / spent_ms["cascade"]
    return Bar(
        "CPU time over the cascade's (body, face, two hands)",
        f"<= {bars.TIME_SHARE}",
        f"{spent_ms['cascade']:.1f} ms",
        f"{share:.2f} ({spent_ms['student']:.1f} ms)",
        share <= bars.TIME_SHARE,
    )
