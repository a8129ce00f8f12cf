"""A network quantized again, with more of its layers in floating point."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import sys
from glob import escape
from pathlib import Path
from typing import Dict, List, Optional

from edge.errors import EdgeError
from edge.recipe import Recipe
from tools import quantize
from tools.fetch.files import write_atomically
from tools.proof.record import candidate_path


def relax(
    models: Path,
    model: str,
    recipe: Recipe,
    network: str,
    share: float,
    sets: Path,
    name: str,
    quiet: bool,
) -> Optional[Path]:
    """Write `<stem>.int8.onnx` again, with the layers that lose most in floating point.

    Args:
        models: folder of models.
        model: its name.
        recipe: its recipe.
        network: which of its networks.
        share: of its layers become float, those that lose most.
        sets: folder of calibration sets.
        name: of the set with its recorded inputs.
        quiet: no progress.

    Returns:
        The file; None where it cannot be quantized again, and nothing was changed.
    """
    words = [model, "--models", str(models), "--set", name, "--sets", str(sets)]
    words += ["--networks", network] + ["--json"] * quiet
    path = candidate_path(models / model, recipe.networks[network], "int8")
    before = path.read_bytes()
    try:
        losses = _losses(path, words)
        worst = list(losses)[: math.ceil(share * len(losses))]
        _quantize([*words, "--max-float", "0", *(f"--float={escape(n)}" for n in worst)])
    except EdgeError as error:
        print(f"{model}/{network}: cannot be quantized again: {error}", file=sys.stderr)
        write_atomically(path, before)
        return None
    return path


def _losses(path: Path, words: List[str]) -> Dict[str, float]:
    """What each layer loses alone, worst first; measured where quantize did not need to."""
    ranges = path.with_name(path.name.replace(".int8.onnx", ".ranges.json"))
    for _ in range(2):
        if ranges.is_file():
            losses: Dict[str, float] = json.loads(ranges.read_text()).get("layer_error", {})
            if losses:
                return losses
        _quantize([*words, "--sensitivity"])
    return {}


def _quantize(words: List[str]) -> None:
    """As its own command does, but for its report."""
    parser = argparse.ArgumentParser()
    quantize.add_arguments(parser)
    with contextlib.redirect_stdout(io.StringIO()):
        quantize.run(parser.parse_args(words))
