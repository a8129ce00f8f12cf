from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, EdgeError, NoInputError
from edge.recipe import load_recipe
from edge.settings import config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[detect]\nmin_scor = 0.5", "detect.min_scor: unknown key; did you mean 'min_score'?"),
        ("[detekt]\n", "detekt: unknown key; did you mean 'detect'?"),
        ("[detect]\nmin_score = 2", "detect.min_score: 2.0 is above the largest"),
        ("[detect]\nevery = -1", "detect.every: -1 is below the smallest"),
        ("[detect]\nevery = 1.5", "detect.every: expected a whole number, got 1.5"),
        ("[detect]\nevery = true", "detect.every: expected a whole number, got True"),
        ("[detect]\nmin_score = true", "detect.min_score: expected a number, got True"),
        ("[detect]\nmin_score = nan", "detect.min_score: nan is not a finite number"),
        ("[detect]\nstill_s = 61", "detect.still_s: 61.0 is above the largest"),
        ('[runtime]\nprecision = "int9"', "did you mean 'int8'? use fp32, fp16, int8"),
        ('device = "../etc"', "device: '../etc': use 1 to 32 of a-z"),
        ('device = "a/#"', "device: 'a/#': use 1 to 32 of a-z"),
        ("[[cameras]]\nname = 'a'", "cameras[0].source: is missing; URI: file://"),
        ("[[cameras]]\nsource = 1", "cameras[0].source: expected a string, got 1"),
        ("[[cameras]]\nsource = 'a'\nrotate = 45", "cameras[0].rotate: 45: use 0, 90, 180 or 270"),
        ("[[cameras]]\nsource = 'a'\nflip = 'x'", 'cameras[0].flip: \'x\': use "h", "v"'),
        ("cameras = 1", "cameras: expected a list, got 1"),
        ("[detect", "not valid TOML"),
        ("a = " + "[" * 5000, "not valid TOML"),
    ],
)
def test_wrong_file_is_one_line_with_key_and_fix(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(write(tmp_path, text))
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "edge.toml"))
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 78


@pytest.mark.parametrize(
    ("section", "name", "low", "high"),
    [
        ("detect", "min_score", 0.0, 1.0),
        ("detect", "every", 1, 300),
        ("outbox", "max_mb", 4, 4096),
        ("degrade", "rate_shares", [0.01], [0.99]),
    ],
)
def test_both_ends_of_a_range_are_allowed(section: str, name: str, low: Any, high: Any) -> None:
    for end in (low, high):
        built = config.build(config.Config, {section: {name: end}})
        assert getattr(getattr(built, section), name) == end


def test_every_default_is_within_its_own_range() -> None:
    def table(section: Any) -> Dict[str, Any]:
        return {k: table(v) if dataclasses.is_dataclass(v) else v for k, v in vars(section).items()}

    assert config.build(config.Config, table(config.Config())) == config.Config()


def test_two_cameras_of_one_name(tmp_path: Path) -> None:
    text = '[[cameras]]\nsource = "file://a"\nname = "cam1"\n[[cameras]]\nsource = "file://b"'
    with pytest.raises(ConfigError, match="'cam1' is taken"):
        config.load(write(tmp_path, text))


def test_rule_for_a_camera_that_is_not_there(tmp_path: Path) -> None:
    text = '[[cameras]]\nsource = "file://a"\n[[rules]]\nkind = "zone"\ncameras = ["hall"]'
    with pytest.raises(ConfigError, match="no camera 'hall'; there are: cam0"):
        config.load(write(tmp_path, text))


@pytest.mark.parametrize("watched", ['"cam0"', "5", "{}"])
def test_the_cameras_of_a_rule_are_a_list(tmp_path: Path, watched: str) -> None:
    text = f'[[cameras]]\nsource = "file://a"\n[[rules]]\nkind = "zone"\ncameras = {watched}'
    with pytest.raises(ConfigError, match=r"rules\[0\].cameras: expected a list of names"):
        config.load(write(tmp_path, text))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        config.load(tmp_path / "none.toml")
    (tmp_path / "edge.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.load(tmp_path / "edge.toml")


def test_what_is_shown_can_be_loaded(tmp_path: Path) -> None:
    text = (
        'device = "hall"\n[[cameras]]\nsource = "file://a b\\"c\\\\d.mp4"\n'
        '[[rules]]\nkind = "zone"\npolygon = [[0, 1], [2.5, 3]]\ndwell_s = 1.5\n'
    )
    loaded = config.load(write(tmp_path, text))
    assert config.load(write(tmp_path, config.show(loaded))) == loaded


def test_every_key_tells_its_meaning_or_is_plain() -> None:
    bare: List[str] = [
        f"{section.name}.{field.name}"  # type: ignore[attr-defined]
        for section in dataclasses.fields(config.Config)
        if section.default_factory is not dataclasses.MISSING
        if dataclasses.is_dataclass(section.default_factory)
        for field in dataclasses.fields(section.default_factory)
        if not field.metadata["help"]  # type: ignore[attr-defined]
    ]
    assert not bare, f"keys without help: {bare}"


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_keys = st.sampled_from([f.name for f in dataclasses.fields(config.Config)]) | st.text(max_size=6)


@given(st.dictionaries(_keys, _values, max_size=4))
def test_any_table_is_built_or_refused(table: Dict[str, Any]) -> None:
    with contextlib.suppress(EdgeError):
        config.complete(config.build(config.Config, table))


RECIPE = """
family = "simcc"
[networks.main]
file = "model.onnx"
width = 192
height = 256
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("model.onnx", "../other/model.onnx"), "plain file name inside"),
        (("width = 192", "width = 1"), "networks.main.width: 1 is below"),
        (("width = 192", ""), "networks.main.width: is missing"),
        (("height = 256", "height = 256\nstd = [1.0, 0.0, 1.0]"), "std: contains 0"),
        (("height = 256", "height = 256\nmean = [1.0]"), "expected 3 numbers"),
        (('family = "simcc"', 'famly = "simcc"'), "did you mean 'family'"),
    ],
)
def test_wrong_recipe_names_file_and_key(tmp_path: Path, change: Any, message: str) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.toml").write_text(RECIPE, encoding="utf-8")
    assert load_recipe(folder).networks["main"].sample_shape == (3, 256, 192)
    (folder / "model.toml").write_text(RECIPE.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_recipe(folder)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(folder / "model.toml"))


def test_unknown_model_lists_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model.toml").write_text(RECIPE, encoding="utf-8")
    with pytest.raises(NoInputError, match="there are: a in"):
        load_recipe(tmp_path / "b")


@pytest.mark.parametrize("name", ["cmd", "answer", "ack", "device", "status", "metrics"])
def test_a_camera_has_no_name_that_topics_need(name: str) -> None:
    table = {"cameras": [{"source": "synthetic://walk", "name": name}]}
    with pytest.raises(ConfigError, match=rf"cameras\[0\]\.name: '{name}' has another meaning"):
        config.complete(config.build(config.Config, table))


def test_a_file_that_windows_saved(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_bytes(b'\xef\xbb\xbfdevice = "hall"\r\n')
    assert config.read_toml(path) == {"device": "hall"}
