"""What a command line of `evaluate` asks for, opened and checked."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Dict, Optional

from edge.errors import ConfigError
from edge.recording.ring import SUFFIX
from edge.settings import config
from tools.evaluation import point_sets
from tools.evaluation.found import networks, recordings, results_file
from tools.evaluation.found.record import Found
from tools.evaluation.point_sets import PointSet
from tools.evaluation.read import open_truth, read_json
from tools.evaluation.truth import Truth


def settings_of(arguments: argparse.Namespace) -> config.Config:
    """The daemon's configuration to run the networks with.

    Raises:
        ConfigError: it is wrong.
    """
    settings = config.load(arguments.config) if arguments.config else config.Config()
    return configured(
        settings,
        arguments.detect,
        arguments.pose,
        str(arguments.models) if arguments.models else "",
    )


def configured(settings: config.Config, detect: str, pose: str, models: str) -> config.Config:
    """A configuration with other models; empty = as it is."""
    tables: Dict[str, Any] = {
        "detect": {"model": detect} if detect else {},
        "pose": {"model": pose} if pose else {},
        "models": {"dir": models} if models else {},
    }
    changed = {
        name: dataclasses.replace(getattr(settings, name), **table)
        for name, table in tables.items()
    }
    return dataclasses.replace(settings, **changed)


def points_of(arguments: argparse.Namespace) -> Optional[PointSet]:
    """The keypoint set that `--keypoints` names; None: the data say it."""
    return point_sets.named(arguments.keypoints) if arguments.keypoints else None


def truth_of(arguments: argparse.Namespace) -> Truth:
    """The labelled data, with the sigmas that are asked for.

    Raises:
        EdgeError: they cannot be read.
    """
    truth = open_truth(arguments.truth, arguments.pictures, points_of(arguments))
    if not truth.people:
        raise ConfigError(f"{arguments.truth}: nobody is labelled in it, so nothing can be judged")
    if not arguments.sigmas:
        return truth
    values = read_json(arguments.sigmas)
    if not isinstance(values, list) or not all(isinstance(v, (int, float)) for v in values):
        raise ConfigError(f"{arguments.sigmas}: a list of numbers is expected, one a keypoint")
    points = point_sets.with_sigmas(truth.points, values, str(arguments.sigmas))
    return Truth(
        truth.name, truth.kind, points, truth.pictures, truth.notes, truth.videos, truth.rates_hz
    )


def predictions(path: Path, truth: Truth, arguments: argparse.Namespace, label: str) -> Found:
    """Predictions of a file, a recording, or a configuration whose networks are run.

    Args:
        path: a result file (.json), a recording, or a configuration (.toml).
        truth: the data.
        arguments: of the command line.
        label: of the option, for messages.

    Raises:
        EdgeError: it is none of these, or cannot be used.
    """
    if path.suffix.lower() == ".json":
        return results_file.read(read_json(path), path, truth)
    if path.suffix.lower() == ".toml":
        models = str(arguments.models) if arguments.models else ""
        settings = configured(config.load(path), "", "", models)
        return networks.run(settings, truth, arguments.frames, arguments.json)
    if path.is_dir() or path.suffix == SUFFIX:
        return recordings.read(path, truth)
    raise ConfigError(
        f"{label} {path}: is no result file (.json), no recording (folder or {SUFFIX}) and no "
        "configuration (.toml)"
    )
