"""Engines of the TensorRT that is here: built, held against ONNX Runtime, graphs, chunks, soak."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import pytest

from edge.errors import EdgeError
from edge.health import memory_mb
from edge.loop.engines import Engines
from edge.models import input_shapes
from edge.recipe import load_recipe
from edge.runtime import Runner, RunnerOptions, open_runner
from tests.device.place import Place
from tools.__main__ import main as tools

NEEDS = ("pycuda", "tensorrt")
MODELS = ("blazepose", "yolov4-tiny")
# Largest error of an output against FP32 on ONNX Runtime, as a share of the output's range.
ALLOWED = {"fp32": 2e-3, "fp16": 3e-2, "int8": 0.5}
MB = 1 << 20
Network = Tuple[str, str, Path, Dict[str, Tuple[int, ...]]]  # model, name, ONNX file, shapes


def networks(place: Place, precision: str) -> Iterator[Network]:
    """Those whose file is here."""
    for model in MODELS:
        folder = place.models / model
        if not (folder / "model.toml").is_file():
            continue
        recipe = load_recipe(folder)
        for name, network in recipe.networks.items():
            if place.quick and name != "hand":
                continue
            path = folder / network.file
            needed = path.with_suffix(".int8.onnx") if precision == "int8" else path
            if needed.is_file():
                yield model, name, path, input_shapes(recipe)[name]


def opened(place: Place, model: str, name: str, precision: str, **options: Any) -> Any:
    """The engine, built if need be."""
    folder = place.models / model
    recipe = load_recipe(folder)
    path = folder / f"{Path(recipe.networks[name].file).stem}.{precision}.engine"
    if not path.is_file():
        line = ["build", model, "--network", name, "--precision", precision]
        code = tools([*line, "--models", str(place.models)])
        assert code == 0, f"edge-tools {' '.join(line)} ended with {code}"
    return open_runner(path, input_shapes(recipe)[name], RunnerOptions(**options))


def pictures(runner: Runner, batch: int, seed: int) -> Dict[str, np.ndarray]:
    """Smooth inputs, as pictures are, in the range of most networks."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, spec in runner.inputs.items():
        coarse = rng.random((batch, *spec.shape[1:]), np.float32)
        found[name] = np.sort(coarse, axis=-1).astype(spec.dtype)
    return found


def execute(runner: Runner, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """One run; the outputs are the caller's own."""
    batch = len(next(iter(inputs.values())))
    fed = runner.feed(batch)
    for name, values in inputs.items():
        fed[name][:] = values
    return {name: values.copy() for name, values in runner.run().items()}


def error_of(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest error as a share of the output's range."""
    spread = float(np.ptp(wanted)) or 1.0
    return float(np.abs(found.astype(np.float64) - wanted).max()) / spread


def compare(place: Place, precision: str) -> None:
    """Every network that is here, in a precision, against FP32 on ONNX Runtime."""
    seen = 0
    for model, name, onnx, shapes in networks(place, precision):
        engine = opened(place, model, name, precision)
        plain = open_runner(onnx, shapes, RunnerOptions())
        worst = 0.0
        for seed, batch in enumerate((1, 3) if place.quick else (1, 3, 8, 11)):
            inputs = pictures(plain, batch, seed)
            wanted, found = execute(plain, inputs), execute(engine, inputs)
            worst = max([worst] + [error_of(found[n], wanted[n]) for n in wanted])
        engine.close()
        plain.close()
        seen += 1
        place.say(f"          {model}/{name} {precision}: error {worst:.2g} of the range")
        assert worst < ALLOWED[precision], f"{model}/{name} {precision}: {worst}"
    assert seen, f"no network for {precision} is here: `edge-tools get yolov4-tiny blazepose`" + (
        ", then calibrate and quantize them" if precision == "int8" else ""
    )


def check_fp32_engines_agree(place: Place) -> None:
    """Built here, by `edge-tools build`."""
    compare(place, "fp32")


def check_fp16_engines_agree(place: Place) -> None:
    """Built here, by `edge-tools build`."""
    compare(place, "fp16")


def check_int8_engines_agree(place: Place) -> None:
    """From networks that `edge-tools quantize` made before."""
    compare(place, "int8")


def check_graphs_change_no_number(place: Place) -> None:
    """Shapes that repeat are captured, and give what they gave before."""
    with_graphs = opened(place, "blazepose", "hand", "fp16")
    without = opened(place, "blazepose", "hand", "fp16", cuda_graphs=False)
    for turn in range(2 if place.quick else 10):
        for batch in (1, 2, 2, 2):
            inputs = pictures(without, batch, batch + turn)
            wanted, found = execute(without, inputs), execute(with_graphs, inputs)
            assert max(error_of(found[n], wanted[n]) for n in wanted) < 1e-5
    place.say(f"          {with_graphs.graphs} graphs")
    assert with_graphs.graphs, "nothing was captured; the log says why"
    with_graphs.close()
    without.close()


def check_a_crowd_runs_in_chunks(place: Place) -> None:
    """More people than the engine takes at once."""
    runner = opened(place, "blazepose", "hand", "fp16")
    inputs = pictures(runner, 40, 0)
    together = execute(runner, inputs)
    for row in (0, 31, 32, 39):
        alone = execute(runner, {name: values[row : row + 1] for name, values in inputs.items()})
        for name, values in alone.items():
            assert error_of(values[0], together[name][row]) < 0.02, (name, row)
    runner.close()


def check_loaded_there_run_here_closed_elsewhere(place: Place) -> None:
    """As when an engine takes over from ONNX Runtime."""
    made: List[Any] = []
    steps = [
        lambda: made.append(opened(place, "blazepose", "hand", "fp16")),
        lambda: execute(made[0], pictures(made[0], 2, 0)),
        lambda: made[0].close(),
    ]
    for step in steps:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert made, "could not be loaded in a thread"


def check_the_record_fits_this_machine(place: Place) -> None:
    """What was built here is what the daemon takes here."""
    from edge.runtime import read_plain
    from edge.settings.config import Runtime

    opened(place, "blazepose", "hand", "fp16").close()
    choosing = Engines(Runtime(precision="fp16", prefer="engine"), read_plain)
    recipe = load_recipe(place.models / "blazepose")
    choosing.open(
        place.models / "blazepose", "hand", recipe.networks["hand"], input_shapes(recipe)["hand"]
    ).close()
    assert choosing.choices["blazepose/hand"].runtime == "trt"


def check_an_engine_that_is_none_is_refused(place: Place) -> None:
    """One line, and the process lives."""
    path = place.folder / "broken.engine"
    for data in (b"garbage" * 1000, b""):
        path.write_bytes(data)
        with pytest.raises(EdgeError, match=r"^.*build it again.*$"):
            open_runner(path, {}, RunnerOptions())


def check_a_long_run_needs_no_more_memory(place: Place) -> None:
    """The soak: crowds of every size, the memory of host and GPU at a tenth and at the end."""
    from edge.runtime._cuda.context import drv

    runner = opened(place, "blazepose", "hand", "fp16")
    inputs = pictures(runner, 40, 0)
    rng, used = np.random.default_rng(0), []
    marks = (max(place.frames // 10, 1), place.frames)
    for frame in range(1, place.frames + 1):
        batch = int(rng.integers(1, 12)) if frame % 100 > 1 else 40
        fed = runner.feed(batch)
        for name, values in inputs.items():
            fed[name][:] = values[:batch]
        runner.run()
        if frame in marks:
            with runner.device.active("asking"):
                free, whole = drv.mem_get_info()
            used.append((memory_mb(), (whole - free) / MB))
    runner.close()
    host, gpu = (used[-1][i] - used[0][i] for i in (0, 1))
    place.say(f"          {place.frames} frames: host {host:+.1f} MB, GPU {gpu:+.1f} MB")
    assert host < 16, f"the host's memory grew by {host} MB"
    assert gpu < 16, f"the GPU's memory grew by {gpu} MB"
