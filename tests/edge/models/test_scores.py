"""Scores as probabilities: the map of a recipe, and where families use it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.models import ModelOptions, load_model
from edge.models._scores import ScoreMap
from edge.recipe import Network, Recipe, Scores, load_recipe
from edge.settings import config
from tests.edge.models import blazepose_fakes as fakes
from tests.edge.models.model_fakes import RecordedRunner, frame
from tests.edge.models.test_hybrid import people_of
from tests.test_rooms import ROOT

PAIRS = [[0.0, 0.0], [0.1, 0.2], [0.5, 0.9], [1.0, 1.0]]


def test_a_map_goes_through_its_points_and_rises() -> None:
    told = ScoreMap(PAIRS)
    np.testing.assert_allclose(told(np.float32([0, 0.1, 0.3, 0.5, 1])), [0, 0.2, 0.55, 0.9, 1])
    assert told(np.zeros((2, 3), np.float32)).shape == (2, 3)
    assert told(np.float32([0.3])).dtype == np.float32
    assert told.least(0.55) == pytest.approx(0.3)


def test_without_points_scores_stay() -> None:
    scores = np.float32([0.3])
    assert ScoreMap([])(scores) is scores
    assert ScoreMap([]).least(0.55) == 0.55


def movenet(pairs: List[List[float]], least: float = 0.0) -> Any:
    network = Network(file="n.onnx", width=416, height=416)
    runner = RecordedRunner(network.sample_shape, people_of((60, 0.11), (200, 0.3), (350, 0.08)))
    recipe = Recipe(
        family="movenet",
        networks={"main": network},
        skeleton="coco17",
        scores=Scores(person=pairs),
    )
    return load_model(recipe, {"main": runner}, ModelOptions(min_score=least))


def test_a_one_stage_model_tells_probabilities_and_thresholds_are_for_them() -> None:
    (found,) = movenet(PAIRS)([frame(416, 416)], [])
    assert found.person_scores.tolist() == pytest.approx([0.55, 0.2175], abs=1e-3)
    (found,) = movenet(PAIRS, least=0.3)([frame(416, 416)], [])
    assert found.person_scores.tolist() == pytest.approx([0.55], abs=1e-3)
    (found,) = movenet([], least=0.3)([frame(416, 416)], [])
    assert found.person_scores.tolist() == pytest.approx([0.3], abs=1e-3)


def test_everybody_is_painted_over_from_the_networks_own_floor() -> None:
    (found,) = movenet(PAIRS, least=0.9).everybody([frame(416, 416)], 0.05)
    assert len(found) == 3


def test_the_cascade_tells_probabilities() -> None:
    person = fakes.standing()
    recipe = fakes.recipe(scores=Scores(person=[[0.0, 0.0], [1.0, 0.9]]))
    _, runners = fakes.cascade(person)
    model: Any = load_model(recipe, runners, ModelOptions(min_score=0.0))
    (poses,) = model([fakes.frame()], [fakes.new(person)])
    assert poses.person_scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ("[[0.0, 0.0]]", "two or more pairs"),
        ("[[0.0, 0.0], [0.5]]", "two or more pairs"),
        ("[[0.0, 0.0], [1.5, 1.0]]", "two or more pairs"),
        ("[[0.0, 0.0], [0.5, 0.5], [0.5, 0.6]]", "must rise"),
        ("[[0.0, 0.5], [0.5, 0.4]]", "must rise"),
    ],
)
def test_a_wrong_map_is_named(tmp_path: Path, pairs: str, words: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.toml").write_text(
        f'family = "movenet"\n[networks.main]\nfile = "n.onnx"\nwidth = 64\nheight = 64\n'
        f"[scores]\nperson = {pairs}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=rf"model\.toml: scores\.person: .*{words}"):
        load_recipe(folder)


def test_the_default_thresholds_starve_no_shipped_model() -> None:
    """MoveNet's people have .2 to .5: half of those are right, so they may start a track."""
    told = ScoreMap(load_recipe(ROOT / "engines" / "movenet-multipose").scores.person)
    assert told.least(config.Track().new_score) < 0.2
    assert told.least(config.Pose().min_score) < 0.15


@pytest.mark.parametrize(("certain", "told"), [(0.4, 0.5), (0.8, 1.0), (1.0, 1.0)])
def test_a_newcomer_of_whom_the_detector_is_unsure_scores_less(certain: float, told: float) -> None:
    """The body network finds arms and legs in chairs too; known people keep their score."""
    person = fakes.standing()
    for candidate, wanted in ((fakes.new(person), told), (fakes.known(person), 1.0)):
        unsure = dataclasses.replace(candidate, person_scores=np.float32([certain]))
        model, _ = fakes.cascade(person)
        (poses,) = model([fakes.frame()], [unsure])
        assert poses.person_scores.tolist() == pytest.approx([wanted])
