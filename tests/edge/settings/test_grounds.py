"""The [[grounds]] tables, and which floor a camera has."""

import pytest

from edge.errors import ConfigError
from edge.loop.assemble import build_rules, rule_tables
from edge.loop.grounds import ground_of
from edge.service import check
from edge.settings import config

UNIT = [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]
CAMERAS = [{"source": "synthetic://walk", "name": n} for n in ("door", "yard")]


def made(*grounds, rules=()):
    table = {"cameras": CAMERAS, "grounds": list(grounds), "rules": list(rules)}
    return config.complete(config.build(config.Config, table))


def test_the_ground_of_a_camera_reaches_its_rules():
    loiter = {"kind": "loiter", "radius_m": 2.0, "cameras": ["door"]}
    settings = made({"camera": "door", "matrix": UNIT}, rules=[loiter, {"kind": "fall"}])
    assert ground_of(settings, "door").metres(200 + 300j) == pytest.approx(2 + 3j)
    assert ground_of(settings, "yard") is None
    assert len(build_rules(settings, "door")) == 2
    assert ["ground" in table for _, table in rule_tables(settings, "door")] == [True, False]


def test_metres_without_a_ground_are_refused_by_the_check():
    settings = made({"camera": "door", "matrix": UNIT}, rules=[{"kind": "loiter", "radius_m": 2.0}])
    with pytest.raises(ConfigError, match=r"rules\[0\]\.radius_m: the ground"):
        check.look_up(settings)


@pytest.mark.parametrize(
    ("grounds", "said"),
    [
        ([{"camera": "gate", "matrix": UNIT}], r"grounds\[0\]\.camera: no camera 'gate'"),
        ([{"camera": "door", "matrix": UNIT}] * 2, r"grounds\[1\]\.camera: 'door' has a ground"),
        ([{"camera": "door", "matrix": UNIT[:2]}], r"grounds\[0\]\.matrix: use three rows"),
        ([{"camera": "door", "matrix": [UNIT[0]] * 3}], r"grounds\[0\]\.matrix: its rows depend"),
        ([{"camera": "door", "matrix": [[float("inf")] * 3] * 3}], r"matrix.*not a finite"),
        ([{"camera": "door"}], r"grounds\[0\]\.matrix: is missing"),
    ],
)
def test_a_wrong_table_is_named(grounds, said):
    with pytest.raises(ConfigError, match=said):
        made(*grounds)
