"""Compare our quantizer with ONNX Runtime's and modelopt's: same crops, same network."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from edge.recipe import load_recipe
from edge.settings import config
from tools.benches import Row, duel, row
from tools.benches.peer import Peer
from tools.calib.make import SetRequest, make_set
from tools.fetch.by_name import ensure_model, ensure_set
from tools.quant import inputs, network
from tools.quant.collect import Feeds, session
from tools.quant.graph import load_model
from tools.quant.reference import Reference, open_reference

NETWORKS = [
    ("blazepose", "body"),
    ("blazepose", "hand"),
    ("blazepose", "face"),
    ("yolov4-tiny", "main"),
]
SET, CLIPS = "quantizers", ("multiperson", "singleperson")
GOAL = 1.0  # our error / theirs
CALIBRATION, HELD_OUT, BATCH = 48, 24, 4
MODELOPT = ["torch==2.13.0", "nvidia-modelopt[onnx]==0.47.0"]


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """For each network: the output error on held-out crops, and the time of INT8 against FP32."""
    _ensure_crops(models, sets)
    return [r for model, part in NETWORKS for r in _network(models, sets, model, part, rounds)]


def _ensure_crops(models: Path, sets: Path) -> None:
    """Record the networks' inputs on the clips, if this was not done yet."""
    for name in ("yolov4-tiny", "blazepose"):
        ensure_model(name, models)
    clips = [str(p) for n in CLIPS for p in sorted(ensure_set(n, sets).glob("cam0*.mp4"))]
    if (sets / SET / "crops").is_dir():
        return
    table = {"models": {"dir": str(models)}, "runtime": {"prefer": "onnx"}}
    request = SetRequest(clips, frames=CALIBRATION, held_out=HELD_OUT, quiet=True)
    make_set(sets / SET, request, config.build(config.Config, table))


def _network(models: Path, sets: Path, model: str, part: str, rounds: int) -> List[Row]:
    recipe = load_recipe(models / model)
    folder = inputs.crops_folder(sets, SET, model)
    file = models / model / recipe.networks[part].file
    floating = load_model(file)
    crops = inputs.open_crops(folder / f"{part}.npy", recipe.networks[part]).subset(CALIBRATION)
    held = inputs.open_crops(folder / f"{part}.heldout.npy", recipe.networks[part]).subset(HELD_OUT)
    name = network.network_input(floating, crops)
    reference = open_reference(floating, list(held.batches(name)))
    theirs = {"ONNX Runtime defaults": reference.error(_defaults(file, crops.batches(name)))}
    for method, candidate in _modelopt(file, name, crops).items():
        theirs[f"modelopt {method}"] = reference.error(candidate)
    rows, ours = _ours(reference, floating, crops, f"{model}/{part}", min(theirs.values()))
    times = duel(_timer(ours, reference.feeds[0]), _timer(floating, reference.feeds[0]), rounds)
    label = f"quantizers: {model}/{part}"
    return [
        *(row(f"{label}: {who}", [error], "relative error") for who, error in theirs.items()),
        *rows,
        row(f"{label}: INT8 / FP32 time", times["ratio"], "x"),
    ]


def _ours(
    reference: Reference, floating: onnx.ModelProto, crops: inputs.Crops, name: str, theirs: float
) -> Tuple[List[Row], onnx.ModelProto]:
    """Each method with all layers in INT8 and without correction, then what `quantize` writes."""
    made = network.quantize_network(floating, crops, network.QuantizeOptions(quiet=True), name)
    label = f"quantizers: {name}"
    rows = [
        row(f"{label}: {method}, all layers", [error], "relative error", crops="calibration")
        for method, error in made.methods.items()
    ]
    errors = reference.errors(made.model)
    error = reference.overall(errors)
    rows.append(
        row(
            f"{label}: as written",
            [error],
            "relative error",
            outputs=errors,
            method=made.method,
            float_layers=len(made.placement.floating),
        )
    )
    rows.append(row(f"{label}: as written / best of theirs", [error / theirs], "x", GOAL))
    return rows, made.model


class _Reader(CalibrationDataReader):
    """Feeds crops, one batch at a time."""

    def __init__(self, batches: Iterator[Feeds]) -> None:
        self._batches = batches

    def get_next(self) -> Optional[Feeds]:
        """The next batch, or None at the end."""
        return next(self._batches, None)


def _defaults(file: Path, batches: Iterator[Feeds]) -> onnx.ModelProto:
    """The network that `quantize_static` makes without any option."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "defaults.onnx"
        quantize_static(str(file), str(made), _Reader(batches))
        return onnx.load(str(made))


def _modelopt(file: Path, name: str, crops: inputs.Crops) -> Dict[str, onnx.ModelProto]:
    """The networks that modelopt makes, one for each of its calibration methods."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "inputs.npy"
        np.save(samples, np.concatenate([feeds[name] for feeds in crops.batches(name)]))
        with Peer("modelopt", MODELOPT, str(file), name, str(samples)) as peer:
            for method in ("entropy", "max"):
                made = Path(folder) / f"{method}.onnx"
                peer.ask({"method": method, "out": str(made)})
                found[method] = onnx.load(str(made))
    return found


def _timer(model: onnx.ModelProto, feeds: Feeds) -> Callable[[], float]:
    runner = session(model, 2)

    def once() -> float:
        start = time.perf_counter()
        runner.run(None, feeds)
        return (time.perf_counter() - start) * 1e3 / BATCH

    return once
