"""The contract of a runner, kept by each runtime that executes ONNX files on the CPU."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError, DataError, EdgeError, InternalError, NoInputError
from edge.runtime import RunnerOptions, open_runner

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SHAPES = {"input": (3, 8, 8)}


def reference(x: np.ndarray) -> np.ndarray:
    """The networks of the golden folder are one 3 x 3 convolution of known weights."""
    w = (np.arange(108).reshape(4, 3, 3, 3) % 7 - 3) / 7
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


@pytest.mark.parametrize("file", ["conv_dynamic.onnx", "conv_batch2.onnx", "conv_open.onnx"])
def test_any_batch_gives_the_same_numbers(onnx: str, file: str) -> None:
    # The side output of conv_open is [4, hits]: it cannot be joined from chunks.
    max_batch = 16 if file == "conv_open.onnx" else 4
    runner = open_runner(
        GOLDEN / file, SHAPES, RunnerOptions(onnx=onnx, threads=1, max_batch=max_batch)
    )
    rng = np.random.default_rng(0)
    for batch in (1, 3, 0, 9, 4, 2):
        x = rng.standard_normal((batch, 3, 8, 8)).astype(np.float32)
        runner.feed(batch)["input"][:] = x
        y = runner.run()["y"]
        assert y.shape == (batch, 4, 8, 8)
        np.testing.assert_allclose(y, reference(x), atol=1e-5)


def test_a_fixed_batch_that_is_no_power_of_two(onnx: str, tmp_path: Path) -> None:
    """Buffers grow by powers of two, and are as long as whole batches of three."""
    data = (GOLDEN / "conv_batch2.onnx").read_bytes()
    two, three = b"\n\x02\x08\x02", b"\n\x02\x08\x03"  # a dimension in a protobuf
    assert data.count(two) == 2, "of the input and of the output"
    (tmp_path / "conv_batch3.onnx").write_bytes(data.replace(two, three))
    runner = open_runner(tmp_path / "conv_batch3.onnx", SHAPES, RunnerOptions(onnx=onnx, threads=1))
    rng = np.random.default_rng(0)
    for batch in (1, 3, 4, 7, 2):
        x = rng.standard_normal((batch, 3, 8, 8)).astype(np.float32)
        fed = runner.feed(batch)["input"]
        fed[:] = x
        assert len(fed.base) % 3 == 0, "a run reads and writes three samples at a time"
        np.testing.assert_allclose(runner.run()["y"], reference(x), atol=1e-5)


def test_chunks_of_varied_length_are_padded(onnx: str) -> None:
    """conv_varied keeps only the channels that are above 0 somewhere in the chunk."""
    runner = open_runner(GOLDEN / "conv_varied.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=1))
    x = np.zeros((2, 3, 8, 8), np.float32)
    x[1] = np.random.default_rng(0).standard_normal((3, 8, 8))
    runner.feed(2)["input"][:] = x
    z = runner.run()["z"]
    kept = reference(x)[1][reference(x)[1].max(axis=(1, 2)) > 0]
    assert z.shape == (2, len(kept), 8, 8)
    assert not z[0].any()
    np.testing.assert_allclose(z[1], kept, atol=1e-5)


def test_output_without_batch_cannot_be_chunked(onnx: str) -> None:
    runner = open_runner(GOLDEN / "conv_open.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=2))
    runner.feed(3)["input"][:] = 1
    with pytest.raises(DataError, match=r"raise runtime\.max_batch above 2"):
        runner.run()


def test_an_output_that_nobody_reads_spoils_no_chunks(onnx: str) -> None:
    """A user's network may give more than its family reads, such as an index of hits."""
    runner = open_runner(GOLDEN / "conv_open.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=2))
    x = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype(np.float32)
    runner.feed(2)["input"][:] = x[:2]
    assert len(runner.run()) > 1
    runner.want("y")
    runner.feed(3)["input"][:] = x
    results = runner.run()
    assert list(results) == ["y"]
    np.testing.assert_allclose(results["y"], reference(x), atol=1e-5)


def test_nothing_may_be_fed_first(onnx: str) -> None:
    runner = open_runner(
        GOLDEN / "conv_dynamic.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=2)
    )
    assert runner.feed(0)["input"].shape == (0, 3, 8, 8)
    assert runner.run()["y"].shape == (0, 4, 8, 8)


def test_executions_are_counted_in_chunks(onnx: str) -> None:
    runner = open_runner(
        GOLDEN / "conv_dynamic.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=4)
    )
    runs = []
    for batch in (0, 1, 4, 5, 9):
        runner.feed(batch)
        runner.run()
        runs.append(runner.runs)
    assert runs == [0, 1, 2, 4, 7]


def test_steady_state_allocates_no_tensor(onnx: str) -> None:
    runner = open_runner(
        GOLDEN / "conv_dynamic.onnx", SHAPES, RunnerOptions(onnx=onnx, max_batch=64)
    )
    first = runner.feed(64)["input"]
    output = runner.run()["y"]
    tracemalloc.start()
    for batch in (64, 10, 64):
        again = runner.feed(batch)["input"]
        assert again.ctypes.data == first.ctypes.data
        assert runner.run()["y"].ctypes.data == output.ctypes.data
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < first.nbytes / 2


def test_wrong_shape_names_the_recipe(onnx: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.toml says .*width, height"):
        open_runner(GOLDEN / "conv_dynamic.onnx", {"input": (3, 9, 8)}, RunnerOptions(onnx=onnx))


def test_unknown_input_lists_those_there_are(onnx: str) -> None:
    with pytest.raises(DataError, match="no input 'image'; there are: input"):
        open_runner(GOLDEN / "conv_dynamic.onnx", {"image": (3, 8, 8)}, RunnerOptions(onnx=onnx))


def test_bad_files_are_one_clear_line(onnx: str, tmp_path: Path) -> None:
    whole = (GOLDEN / "conv_dynamic.onnx").read_bytes()
    cases = {
        "empty.onnx": (b"", "is empty"),
        "cut.onnx": (whole[: len(whole) // 2], "is not an ONNX file .it is cut off"),
        "text.onnx": (b"hello, world\n" * 50, "is not an ONNX file"),
        "side.onnx": ((GOLDEN / "conv_external.onnx").read_bytes(), "weights in another file"),
    }
    for name, (data, message) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=message) as raised:
            open_runner(tmp_path / name, SHAPES, RunnerOptions(onnx=onnx))
        assert "\n" not in str(raised.value)
        assert name in str(raised.value)


def test_side_file_is_not_followed_even_when_present(
    onnx: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(GOLDEN / "conv_external.onnx", tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 1024)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="weights in another file"):
        open_runner(tmp_path / "conv_external.onnx", SHAPES, RunnerOptions(onnx=onnx))


def test_missing_file_tells_the_command(onnx: str, tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"edge-tools get yolo"):
        open_runner(tmp_path / "yolo" / "main.onnx", SHAPES, RunnerOptions(onnx=onnx))


def test_unknown_suffix() -> None:
    with pytest.raises(ConfigError, match=r"no runtime for '\.tflite'"):
        open_runner(Path("a.tflite"), {}, RunnerOptions())


def test_close_twice_and_use_after(onnx: str) -> None:
    runner = open_runner(GOLDEN / "conv_dynamic.onnx", SHAPES, RunnerOptions(onnx=onnx))
    runner.close()
    runner.close()
    with pytest.raises(InternalError):
        runner.feed(1)
    assert issubclass(InternalError, EdgeError)
