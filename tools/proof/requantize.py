"""Quantize one network of a model again, with more of its layers in floating point."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import EdgeError
from edge.recipe import Recipe
from tools.model_files import candidate_path, ranges_path
from tools.quant.inputs import crops_folder
from tools.quant.model import QuantizeJob, quantize_model
from tools.quant.network import QuantizeOptions
from tools.quant.sensitivity import best_value

LayerLosses = Tuple[Dict[str, float], Dict[str, int]]  # layer -> output error alone; layer -> MACs


@dataclass
class Requantizer:
    """Quantizes networks of one model again.

    Attributes:
        folder: folder of the model.
        recipe: recipe of the model.
        sets: folder of calibration sets.
        set_name: calibration set with the recorded inputs.
        quiet: show no progress.
    """

    folder: Path
    recipe: Recipe
    sets: Path
    set_name: str
    quiet: bool
    # Of each network, kept between calls: this takes longest to measure.
    _losses: Dict[str, LayerLosses] = field(default_factory=dict)

    def __call__(self, network: str, share: float) -> Optional[Path]:
        """Write `<stem>.int8.onnx` again, with its most sensitive layers in floating point.

        Args:
            network: name of the network.
            share: of its MACs that may be float; the layers that save most error for their cost
                become float.

        Returns:
            The file; None if it could not be quantized again: it is then unchanged.
        """
        path = candidate_path(self.folder, self.recipe.networks[network], "int8")
        before = path.read_bytes()
        try:
            if network not in self._losses:
                self._losses[network] = self._measured(network, ranges_path(path))
            floating = [escape(name) for name in best_value(*self._losses[network], share)]
            self._quantize(
                network, QuantizeOptions(floating=floating, max_float=0, quiet=self.quiet)
            )
        except EdgeError as error:
            name = f"{self.folder.name}/{network}"
            print(f"{name}: cannot be quantized again: {error}", file=sys.stderr)
            write_whole(path, before, READABLE)
            return None
        return path

    def _measured(self, network: str, ranges: Path) -> LayerLosses:
        """Error and MACs of each layer; measured here if `quantize` did not need them."""
        known = _read_losses(ranges)
        if not known[0]:
            self._quantize(network, QuantizeOptions(sensitivity=True, quiet=self.quiet))
            known = _read_losses(ranges)
        return known

    def _quantize(self, network: str, options: QuantizeOptions) -> None:
        crops = crops_folder(self.sets, self.set_name, self.folder.name)
        networks: List[str] = [network]
        quantize_model(QuantizeJob(self.folder, self.recipe, networks, crops, options))


def _read_losses(ranges: Path) -> LayerLosses:
    if not ranges.is_file():
        return {}, {}
    found: Dict[str, Any] = json.loads(ranges.read_text(encoding="utf-8"))
    return found.get("layer_error", {}), found.get("layer_macs", {})
