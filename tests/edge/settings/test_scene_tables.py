"""[[scenes]] tables: names filled in, and one line for each mistake."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from edge.errors import ConfigError
from edge.settings import config

CAMERAS = [{"source": "synthetic://", "name": n} for n in ("a", "b", "c")]
HALL = {"name": "hall", "calibration": "rig.toml"}


def made(*scenes: Dict[str, Any]) -> config.Config:
    table = {"cameras": CAMERAS, "scenes": [{**HALL, **scene} for scene in scenes]}
    return config.complete(config.build(config.Config, table))


def test_a_scene_has_all_cameras_unless_it_names_some() -> None:
    scene = made({}).scenes[0]
    assert (scene.cameras, scene.views) == (["a", "b", "c"], ["a", "b", "c"])
    assert scene.delays_ms == [0.0] * 3
    scene = made({"cameras": ["c", "a"], "views": ["1", "2"], "delays_ms": [5, -3]}).scenes[0]
    assert (scene.cameras, scene.views, scene.delays_ms) == (["c", "a"], ["1", "2"], [5.0, -3.0])


@pytest.mark.parametrize(
    ("scene", "line"),
    [
        ({"name": "Hall!"}, r"scenes\[0\].name: 'Hall!': use 1 to 32 of"),
        ({"name": "event"}, r"scenes\[0\].name: 'event' has another meaning"),
        ({"cameras": ["a", "d"]}, r"scenes\[0\].cameras: no camera 'd'; there are: a, b, c"),
        ({"cameras": ["a", "a"]}, r"scenes\[0\].cameras: 'a' is there twice"),
        ({"cameras": ["a"]}, r"scenes\[0\].cameras: a scene needs 2 cameras or more, not 1"),
        ({"views": ["a"]}, r"scenes\[0\].views: has 1 entries for 3 cameras; give one each"),
        ({"delays_ms": [1]}, r"scenes\[0\].delays_ms: has 1 entries for 3 cameras"),
        ({"delays_ms": [1, 2, 1e9]}, r"scenes\[0\].delays_ms: 1e\+09 is not within 10000 ms"),
        ({"max_gap_ms": 0}, r"scenes\[0\].max_gap_ms: 0.0 is below"),
        ({"unit": 1}, r"scenes\[0\].unit: unknown key; did you mean 'unit_m'"),
    ],
)
def test_a_mistake_is_one_line(scene: Dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        made(scene)


def test_two_scenes_have_two_names() -> None:
    with pytest.raises(ConfigError, match=r"scenes\[1\].name: 'hall' is taken"):
        made({}, {})


def test_no_camera_is_called_scene() -> None:
    table = {"cameras": [{"source": "synthetic://", "name": "scene"}]}
    with pytest.raises(ConfigError, match=r"cameras\[0\].name: 'scene' has another meaning"):
        config.complete(config.build(config.Config, table))


def test_the_printed_configuration_is_read_again() -> None:
    whole = made({"delays_ms": [1, 2, 3]})
    text = config.show(whole)
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    again = config.complete(config.build(config.Config, tomllib.loads(text)))
    assert again.scenes == whole.scenes
