"""Which networks of a configuration share the cores, and that this is undone afterwards."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import cv2
import pytest

from edge.loop import assemble, engines
from edge.loop.assemble import Models
from edge.models import Gives, load_model
from edge.recipe import Recipe
from edge.runtime import Runner
from edge.settings import config

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


def network_threads() -> List[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("network")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The golden models, and `pair`, whose two networks are one cascade."""
    made = tmp_path / "engines"
    shutil.copytree(GOLDEN, made)
    shutil.copytree(GOLDEN / "standing", made / "pair")
    recipe = (made / "pair" / "model.toml").read_text(encoding="utf-8")
    table = "[networks.main]"
    body = recipe[recipe.index(table) + len(table) :]
    (made / "pair" / "model.toml").write_text(
        recipe.replace(table, "[networks.a]") + f"\n[networks.b]{body}", encoding="utf-8"
    )
    whole = load_model

    def load(recipe: Recipe, runners: Dict[str, Runner], options: Any) -> Any:
        if len(recipe.networks) == 1:
            return whole(recipe, runners, options)
        return SimpleNamespace(gives=Gives.POSES, skeleton="coco17")

    monkeypatch.setattr(assemble, "load_model", load)
    return made


def opened(folder: Path, pose: str, **runtime: Any) -> Models:
    table = {
        "models": {"dir": str(folder)},
        "runtime": {"prefer": "onnx", **runtime},
        "detect": {"model": "twobox"},
        "pose": {"model": pose},
    }
    return Models(config.build(config.Config, table))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_cascade_shares_the_threads_that_are_configured(folder: Path, threads: int) -> None:
    models = opened(folder, "pair", threads=threads)
    assert models.concurrent()
    assert not models.runners["twobox/main"].concurrent, "it has all cores to itself"
    for name in ("pair/a", "pair/b"):
        models.runners[name].feed(4)["input"][:] = 1
        assert models.runners[name].begin(lambda start, count: None)
    assert 0 < len(network_threads()) <= threads
    assert all(len(models.runners[n].run()["simcc_x"]) == 4 for n in ("pair/a", "pair/b"))
    models.close()
    models.close()
    assert network_threads() == []


@pytest.mark.parametrize(
    ("pose", "served", "threads"),
    [("pair", "ort", [1]), ("standing", "ort", []), ("pair", "trt", [])],
)
def test_opencv_leaves_the_cores_to_a_cascade_on_the_cpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, pose: str, served: str, threads: List[int]
) -> None:
    """A camera's picture is still converted by all cores where a GPU executes the networks."""
    set_threads: List[int] = []
    monkeypatch.setattr(cv2, "setNumThreads", set_threads.append)
    chosen = engines.Choice
    monkeypatch.setattr(engines, "Choice", lambda runtime, *rest: chosen(served, *rest))
    opened(folder, pose).close()
    assert set_threads == threads


def test_a_network_alone_has_all_cores(folder: Path) -> None:
    models = opened(folder, "standing", threads=2)
    assert not models.concurrent()
    models.runners["standing/main"].feed(4)["input"][:] = 1
    assert not models.runners["standing/main"].begin(lambda start, count: None)
    assert len(models.runners["standing/main"].run()["simcc_x"]) == 4
    assert network_threads() == []
    models.close()
