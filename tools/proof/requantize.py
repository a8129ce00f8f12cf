"""A network quantized again, with more of its layers in floating point."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from glob import escape
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import EdgeError
from edge.recipe import Recipe
from tools import quantize
from tools.proof.record import candidate_path
from tools.quant.sensitivity import cheapest

Losses = Tuple[Dict[str, float], Dict[str, int]]  # of each layer: error alone, MACs
Measured = Dict[str, Losses]


def relax(
    models: Path,
    model: str,
    recipe: Recipe,
    network: str,
    share: float,
    sets: Path,
    name: str,
    quiet: bool,
    measured: Optional[Measured] = None,
) -> Optional[Path]:
    """Write `<stem>.int8.onnx` again, with the layers that lose most in floating point.

    Args:
        models: folder of models.
        model: its name.
        recipe: its recipe.
        network: which of its networks.
        share: of its MACs may be float: the layers that take back most for their cost.
        sets: folder of calibration sets.
        name: of the set with its recorded inputs.
        quiet: no progress.
        measured: what each network's layers lose alone and cost, kept from one call to the next:
            it takes longest to measure.

    Returns:
        The file; None where it cannot be quantized again, and nothing was changed.
    """
    words = [model, "--models", str(models), "--set", name, "--sets", str(sets)]
    words += ["--networks", network] + ["--json"] * quiet
    path = candidate_path(models / model, recipe.networks[network], "int8")
    before = path.read_bytes()
    measured = {} if measured is None else measured
    try:
        losses, macs = measured[network] = measured.get(network) or _losses(path, words)
        chosen = cheapest(losses, macs, share)
        _quantize([*words, "--max-float", "0", *(f"--float={escape(n)}" for n in chosen)])
    except EdgeError as error:
        print(f"{model}/{network}: cannot be quantized again: {error}", file=sys.stderr)
        write_whole(path, before, READABLE)
        return None
    return path


def _losses(path: Path, words: List[str]) -> Losses:
    """What each layer loses alone and its MACs; measured where quantize did not need to."""
    ranges = path.with_name(path.name.replace(".int8.onnx", ".ranges.json"))
    for _ in range(2):
        if ranges.is_file():
            found: Dict[str, Any] = json.loads(ranges.read_text())
            if found.get("layer_error"):
                return found["layer_error"], found.get("layer_macs", {})
        _quantize([*words, "--sensitivity"])
    return {}, {}


def _quantize(words: List[str]) -> None:
    """As its own command does, but for its report."""
    parser = argparse.ArgumentParser()
    quantize.add_arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()):
        quantize.run(parser.parse_args(words))
