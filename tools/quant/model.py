"""Quantize networks of one model and write their files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Dict, List, Sequence

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from edge.recipe import Recipe
from tools.model_files import candidate_path, gate_record_path
from tools.quant import inputs, network, ranges_file, report
from tools.quant.cache import write_cache
from tools.quant.graph import layers, load_model, wire
from tools.quant.network import QuantizeOptions
from tools.quant.quantized_network import QuantizedNetwork


@dataclass(frozen=True)
class QuantizeJob:
    """What to quantize.

    Attributes:
        folder: folder of the model.
        recipe: recipe of the model.
        networks: names of the networks to quantize.
        crops: folder of the recorded inputs of this model, one `<network>.npy` each.
        options: options of the quantization; `floating` is added to the recipe's `float_layers`.
        cache_version: TensorRT version to also write a calibration cache for; 0 = none.
    """

    folder: Path
    recipe: Recipe
    networks: Sequence[str]
    crops: Path
    options: QuantizeOptions
    cache_version: int = 0


@dataclass(frozen=True)
class Written:
    """One quantized network, the content of its ranges file and the files written."""

    outcome: QuantizedNetwork
    content: Dict[str, Any]
    files: List[Path]


def quantize_model(job: QuantizeJob) -> Dict[str, Written]:
    """Quantize each network; files are written only after all networks succeeded.

    Raises:
        ConfigError: a float pattern matches no layer.
        DataError, NoInputError: a network or its recorded inputs cannot be used.
    """
    _check_patterns(job)
    outcomes = {name: _quantize(job, name) for name in job.networks}
    # A gate record is about the whole model, so it is void once one network changes.
    for part in job.recipe.networks.values():
        gate_record_path(candidate_path(job.folder, part, "int8")).unlink(missing_ok=True)
    return {name: _write(job, name, outcome) for name, outcome in outcomes.items()}


def _check_patterns(job: QuantizeJob) -> None:
    """A pattern that matches no layer is a typing error."""
    patterns = job.options.floating
    if not patterns:
        return
    there = [
        layer.name
        for name in job.networks
        for layer in layers(wire(load_model(job.folder / job.recipe.networks[name].file)))
    ]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise ConfigError(
                f"--float {pattern!r}: no layer matches; a layer is named {there[0]!r}"
                if there
                else f"--float {pattern!r}: there are no layers"
            )


def _quantize(job: QuantizeJob, name: str) -> QuantizedNetwork:
    part = job.recipe.networks[name]
    model = load_model(job.folder / part.file)
    floating = [*job.recipe.float_layers, *job.options.floating]
    recorded = inputs.open_crops(job.crops / f"{name}.npy", part)
    options = replace(job.options, floating=floating)
    return network.quantize_network(model, recorded, options, f"{job.folder.name}/{name}")


def _write(job: QuantizeJob, name: str, outcome: QuantizedNetwork) -> Written:
    """Write the INT8 network last: where it is, its other files are complete."""
    file = job.folder / job.recipe.networks[name].file
    content = ranges_file.describe(outcome, file, job.crops / f"{name}.npy")
    files = {
        ".ranges.json": json.dumps(content, indent=1).encode(),
    }
    picture = report.picture(outcome, f"{job.folder.name}/{name}")
    if picture is not None:
        files[".quant.png"] = picture
    if job.cache_version:
        files[".trt-cache"] = write_cache(outcome.ranges, job.cache_version).encode()
    equal = file.with_suffix(".equal" + file.suffix)
    if outcome.equal is not None:
        files[".equal" + file.suffix] = outcome.equal.SerializeToString()
    elif equal.exists():
        equal.unlink()
    files[".int8" + file.suffix] = outcome.model.SerializeToString()
    for suffix, data in files.items():
        write_whole(file.with_suffix(suffix), data, READABLE)
    return Written(outcome, content, [file.with_suffix(suffix) for suffix in files])
