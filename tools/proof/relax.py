"""A network quantized again, with more of its layers in floating point."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path
from typing import Optional

import onnx

from edge.errors import EdgeError, NoInputError
from edge.recipe import Recipe
from tools import quantize
from tools.proof.record import candidate_path
from tools.quant.graph import layers, load_model, wire

SHARE = 0.4  # of a network's layers may become float before it is not worth its INT8 any more
TARGET = 0.005  # relative output error: what quantize reaches by itself did not do


def relax(
    models: Path, model: str, recipe: Recipe, network: str, sets: Path, name: str, quiet: bool
) -> Optional[Path]:
    """Write `<stem>.int8.onnx` again, more carefully.

    Args:
        models: folder of models.
        model: its name.
        recipe: its recipe.
        network: which of its networks.
        sets: folder of calibration sets.
        name: of the set with its recorded inputs.
        quiet: no progress.

    Returns:
        The file; None where the set has no inputs of it, or nothing would change.
    """
    part = recipe.networks[network]
    path = candidate_path(models / model, part, "int8")
    before = path.read_bytes()
    most = int(SHARE * len(layers(wire(load_model(models / model / part.file)))))
    parser = argparse.ArgumentParser()
    quantize.add_arguments(parser)
    words = [model, "--models", str(models), "--set", name, "--sets", str(sets)]
    words += ["--networks", network, "--target", str(TARGET), "--max-float", str(most)]
    try:
        # Its own report belongs to its own command.
        with contextlib.redirect_stdout(io.StringIO()):
            quantize.run(parser.parse_args(words + ["--json"] * quiet))
    except NoInputError:
        return None
    except EdgeError as error:
        print(f"{model}/{network}: cannot be quantized again: {error}", file=sys.stderr)
        return None
    return path if _float_layers(path.read_bytes()) > _float_layers(before) else None


def _float_layers(network: bytes) -> int:
    """Layers with weights whose input is no DequantizeLinear."""
    graph = onnx.load_model_from_string(network).graph
    quantized = {o for n in graph.node if n.op_type == "DequantizeLinear" for o in n.output}
    kinds = ("Conv", "ConvTranspose", "MatMul", "Gemm")
    return sum(n.op_type in kinds and n.input[0] not in quantized for n in graph.node)
