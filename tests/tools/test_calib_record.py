"""What is recorded is what the daemon feeds, byte for byte, and lies on the disk whole or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import DataError, InternalError
from edge.loop.assemble import Models
from edge.recipe import Network, load_recipe
from edge.runtime import Runner
from edge.settings import config
from tools.calib.record import detect_and_pose, from_pixels, load_pixels, record, to_pixels
from tools.calib.sample_file import open_sample_file

MODELS = Path(__file__).resolve().parents[1] / "edge/golden/models"
TABLE = {
    "models": {"dir": str(MODELS)},
    "detect": {"model": "twobox"},
    "pose": {"model": "standing"},
}
SETTINGS = config.build(config.Config, TABLE)


def pictures(count: int, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (120, 160, 3), np.uint8) for _ in range(count)]


def fed_by_the_daemon(images: list) -> dict:
    """The last input of each network for each picture, as float, through its own assembly."""
    last: dict = {}

    class Spy(Runner):
        runs = 0

        def __init__(self, name: str, runner: Runner) -> None:
            self.name, self.runner = name, runner
            self.inputs, self.outputs, self.sha256 = runner.inputs, runner.outputs, runner.sha256

        def feed(self, batch: int) -> dict:
            self.fed = self.runner.feed(batch)
            return self.fed

        def run(self) -> dict:
            last[self.name] = next(iter(self.fed.values())).copy()
            return self.runner.run()

        def close(self) -> None:
            self.runner.close()

    models = Models(SETTINGS, Spy)
    found: dict = {}
    for index, image in enumerate(images):
        detect_and_pose(models, SETTINGS, image, index)
        for name, value in last.items():
            found.setdefault(name, []).append(value)
    models.close()
    return {name: np.concatenate(values) for name, values in found.items()}


def test_recorded_is_what_was_fed(tmp_path: Path) -> None:
    images = pictures(3)
    counts = record(SETTINGS, iter(images), tmp_path)
    assert counts == {"twobox/main": 3, "standing/main": 6}
    for name, fed in fed_by_the_daemon(images).items():
        model, _, part = name.partition("/")
        network = load_recipe(MODELS / model).networks[part]
        pixels = load_pixels(tmp_path / f"{name}.npy")
        np.testing.assert_array_equal(from_pixels(pixels, network), fed)


def test_a_crowd_counts_no_more_than_it_may(tmp_path: Path) -> None:
    counts = record(SETTINGS, iter(pictures(5)), tmp_path, ".heldout.npy", per_frame=1, seed=1)
    assert counts == {"twobox/main": 5, "standing/main": 5}
    again = tmp_path / "again"
    record(SETTINGS, iter(pictures(5)), again, ".heldout.npy", per_frame=1, seed=1)
    one, two = (f / "standing/main.heldout.npy" for f in (tmp_path, again))
    assert one.read_bytes() == two.read_bytes()


def test_nothing_to_record(tmp_path: Path) -> None:
    assert record(SETTINGS, iter([]), tmp_path) == {"twobox/main": 0, "standing/main": 0}
    assert load_pixels(tmp_path / "standing/main.npy").shape == (0, 3, 64, 48)


def test_an_interrupted_recording_leaves_nothing(tmp_path: Path) -> None:
    def breaks() -> object:
        yield pictures(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(SETTINGS, breaks(), tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("count", [0, 1, 12345])
def test_store_is_what_numpy_writes(tmp_path: Path, count: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (count, 2, 3, 1), np.uint8)
    with open_sample_file(tmp_path / "a.npy", (2, 3, 1)) as store:
        for chunk in np.array_split(values, 4):
            store.add(chunk)
    np.save(tmp_path / "b.npy", values)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_pixels_there_and_back(layout: str) -> None:
    network = Network(
        "a.onnx", 8, 8, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], layout=layout
    )
    pixels = np.random.default_rng(0).integers(0, 256, (4, *network.sample_shape), np.uint8)
    np.testing.assert_array_equal(to_pixels(from_pixels(pixels, network), network), pixels)
    with pytest.raises(InternalError, match="mean and std"):
        to_pixels(from_pixels(pixels, network) + np.float32(0.004), network)


@pytest.mark.parametrize("damage", ["missing", "cut", "float", "flat"])
def test_damaged_recordings(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "main.npy"
    values = np.zeros((4, 3, 8, 8), np.float32 if damage == "float" else np.uint8)
    if damage != "missing":
        np.save(path, values[0, 0] if damage == "flat" else values)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"main\.npy"):
        load_pixels(path)
