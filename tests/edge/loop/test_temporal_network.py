"""The committed temporal network in the runtime, beside an LSTM written out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge.errors import EdgeError
from edge.loop.assemble import build_stages
from edge.loop.temporal_network import FILE, TemporalNetwork
from edge.people.temporal import FEATURES, MOST_H, UNITS
from edge.settings import config


def test_the_file_is_small_and_its_corrections_are_bounded() -> None:
    assert FILE.stat().st_size < 1 << 20
    network = TemporalNetwork()
    rng = np.random.default_rng(0)
    told = rng.uniform(-3, 3, (500, FEATURES)).astype(np.float32)
    h = c = np.zeros((500, UNITS), np.float32)
    for _ in range(20):
        add, h, c = (a.copy() for a in network(told, h, c))
    assert add.shape == (500, 2)
    assert np.abs(add).max() <= MOST_H
    assert np.abs(h).max() <= 1
    assert len(network(told[:0], h[:0], c[:0])[0]) == 0


def test_rows_hardly_depend_on_each_other() -> None:
    """The scale of INT8 inputs is that of the whole batch."""
    network = TemporalNetwork()
    rng = np.random.default_rng(1)
    told = rng.normal(0, 1, (64, FEATURES)).astype(np.float32)
    h, c = rng.normal(0, 0.5, (2, 64, UNITS)).astype(np.float32)
    told[0] = 3
    together = network(told, h, c)[0].copy()
    alone = network(told[7:8], h[7:8], c[7:8])[0].copy()
    np.testing.assert_allclose(together[7:8], alone, atol=2e-3)


def test_more_rows_than_one_execution_takes() -> None:
    network = TemporalNetwork()
    rows = 133 * 130
    told = np.zeros((rows, FEATURES), np.float32)
    zeros = np.zeros((rows, UNITS), np.float32)
    add, _, _ = network(told, zeros, zeros)
    assert add.shape == (rows, 2)
    np.testing.assert_allclose(add, np.broadcast_to(add[0], add.shape), atol=1e-6)


def test_a_damaged_file_is_told_in_one_line(tmp_path: Path) -> None:
    damaged = tmp_path / "temporal.onnx"
    damaged.write_bytes(FILE.read_bytes()[:500])
    with pytest.raises(EdgeError, match=r"temporal\.onnx"):
        TemporalNetwork(damaged)


def test_the_configuration_decides() -> None:
    camera = {"source": "synthetic://walk", "name": "a"}
    for table, there in (
        ({"temporal": True}, True),
        ({"temporal": False}, False),
        ({"temporal": True, "enabled": False}, False),
    ):
        settings = config.build(config.Config, {"cameras": [camera], "smooth": table})
        smooth = build_stages(dataclasses.replace(settings), "coco17")["a"].smooth
        assert (getattr(smooth, "_refine", None) is not None) == there
