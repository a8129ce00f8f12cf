"""Training of the temporal network: its data, its file, and the command as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import numpy as np
import onnxruntime
import pytest
import torch

from edge.people.temporal import FEATURES, UNITS
from edge.settings.config import Smooth
from tools import fit_temporal
from tools.__main__ import main
from tools.benches import _mocap
from tools.refining import judging, network, quantizing, residuals, sequences


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """PyTorch's threads spin where others work."""
    network.use_threads(1)


def walk(steps: int = 60, people: int = 2) -> np.ndarray:
    """People [T,N,17,2] px who swing."""
    rng = np.random.default_rng(0)
    still = rng.uniform((-200, -500), (200, 500), (people, 17, 2)) + 960
    swing = 60 * np.sin(np.arange(steps) / 5)[:, None, None, None] * rng.normal(0, 1, (17, 2))
    return still + swing


def track(steps: int = 20) -> residuals.Track:
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.4, 1, (steps, 17)).astype(np.float32)
    scores[3:6, 9] = 0
    return residuals.Track(rng.normal(0, 0.02, (steps, 17, 2)).astype(np.float32), scores)


def data(steps: int = 60) -> sequences.Sequences:
    truth = walk(steps)
    rng = np.random.default_rng(2)
    found, scores = sequences.seen(truth, 30, [track()], rng)
    return sequences.sequences(truth, found, scores, 30, Smooth())


def test_the_wanted_answer_makes_the_filter_right() -> None:
    truth = walk()
    found, scores = sequences.seen(truth, 30, [], np.random.default_rng(3))
    smooth, told = sequences.filtered(found, scores, 30, Smooth())
    made = sequences.sequences(truth, found, scores, 30, Smooth())
    tall = np.stack([one.heights_px for one in told])[:, :, None, None]
    right = smooth + made.wanted_h.reshape(truth.shape) * tall
    np.testing.assert_allclose(right, truth, atol=1e-2)
    assert made.told.shape == (60, 34, FEATURES)


def test_residuals_keep_their_size_their_scores_and_their_gaps() -> None:
    truth = walk(300)
    found, scores = residuals.drawn(truth, 1000.0, 30, [track()], np.random.default_rng(4))
    off = (found - truth) / 1000
    assert off.std() == pytest.approx(0.02, rel=0.15)
    assert (scores[:, :, 9] == 0).mean() == pytest.approx(3 / 20, abs=0.06)
    assert (scores[:, :, 8] >= 0.4).all()
    slow, _ = residuals.drawn(truth, 1000.0, 10, [track()], np.random.default_rng(4))
    assert np.isfinite(slow).all()
    single = residuals.Track(track().off_h[:1], track().scores[:1])
    assert np.isfinite(residuals.drawn(truth, 1.0, 30, [single], np.random.default_rng(4))[0]).all()


def test_tracks_are_read_back(tmp_path: Path) -> None:
    residuals.save(tmp_path / "r.npz", [track(), track(5)])
    back = residuals.read(tmp_path / "r.npz")
    assert [len(t.scores) for t in back] == [20, 5]
    np.testing.assert_array_equal(back[0].off_h, track().off_h)


def test_training_lowers_the_loss_and_begins_with_the_filter() -> None:
    made = data()
    assert not network.added(network.TemporalNet(), made).any()
    losses: List[float] = []
    net = network.train([made], 12, 0, lambda step, loss: losses.append(loss))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert network.added(net, made).any()


def test_the_file_gives_what_pytorch_gives_and_int8_nearly() -> None:
    net = network.train([data()], 5, 0)
    rng = np.random.default_rng(5)
    told = rng.normal(0, 1, (40, FEATURES)).astype(np.float32)
    h, c = rng.normal(0, 0.5, (2, 40, UNITS)).astype(np.float32)
    with torch.no_grad():
        wanted = [a.numpy() for a in net(*map(torch.from_numpy, (told, h, c)))]
    plain = network.to_onnx(net, {"steps": "5"}).SerializeToString()
    for file, allowed in ((plain, 1e-5), (quantizing.dynamic(plain), 0.1)):
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = session.run(None, {"told": told, "h": h, "c": c})
        for one, other in zip(found, wanted):
            np.testing.assert_allclose(one, other, atol=allowed)
        assert len(file) < 100_000


def test_the_command_trains_judges_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (fit_temporal, judging):
        monkeypatch.setattr(module, "RATES_HZ", (15,))
        monkeypatch.setattr(module, "LONG_S", 3.0)
        monkeypatch.setattr(module, "SIDES_DEG", (0,))
    monkeypatch.setattr(judging, "REPORT", ("run",))
    monkeypatch.setattr(fit_temporal, "TUNE", ("walk",))
    monkeypatch.setattr(fit_temporal, "FRAME", (3, 17))
    residuals.save(tmp_path / "r.npz", [track()])
    words = ["fit-temporal", "--out", str(tmp_path / "t.onnx"), "--steps", "3"]
    words += ["--clips", str(tmp_path / "r.npz"), "--report", str(tmp_path / "r.npz")]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    sides = {(row["noise"], row["side"]) for row in result["rows"]}
    assert len(sides) == 6
    assert set(result["costs"]) == {"fp32", "int8 dynamic"}
    assert (tmp_path / "t.onnx").stat().st_size > 10_000
    assert not set(_mocap.TUNE) & set(_mocap.REPORT)


def test_a_folder_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit-temporal", "--out", str(tmp_path / "no" / "t.onnx")]) == 78
    assert "its folder does not exist" in capsys.readouterr().err
