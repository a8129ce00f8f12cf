"""The recipe's entry from three sources: the options, the file's metadata, family defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from edge import skeletons
from edge.errors import ConfigError
from edge.recipe import Network
from tools.importing.graph import ImportedGraph
from tools.importing.outputs import FAMILY_OUTPUTS, Shape
from tools.importing.recipe import PIXELS

FILE = "model.onnx"
DETECTORS = ("yolov4", "yolox", "rtmdet")


@dataclass(frozen=True)
class ImportRequest:
    """The user's options. None or empty = take the value from the file or the family."""

    file: Path
    models: Path
    name: str
    family: Optional[str] = None
    skeleton: Optional[str] = None
    size: Tuple[Optional[int], Optional[int]] = (None, None)  # width, height px
    pixels: Dict[str, Any] = field(default_factory=dict)  # channels, mean, std
    outputs: Dict[str, str] = field(default_factory=dict)
    options: Dict[str, Any] = field(default_factory=dict)
    licence: str = ""
    force: bool = False


def network_of(request: ImportRequest, graph: ImportedGraph) -> Network:
    """The recipe's entry, still without its outputs.

    Raises:
        ConfigError: an option contradicts the graph, or a needed option is missing.
    """
    image, family = graph.image, family_of(request, graph)
    width = _side("width", image.width, request.size[0])
    height = _side("height", image.height, request.size[1])
    pixels = dict(PIXELS[family])
    if image.dtype != "float32":
        pixels.update(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0])
    pixels.update(_noted_pixels(graph.notes))
    pixels.update(request.pixels)
    if 0 in pixels["std"]:
        raise ConfigError("--std: 0 is not allowed, pixels are divided by it")
    return Network(
        file=FILE,
        width=width,
        height=height,
        input=image.name,
        layout=image.layout,
        dtype=image.dtype,
        **pixels,
    )


def family_of(request: ImportRequest, graph: ImportedGraph) -> str:
    """The family from the options, else from the file's metadata.

    Raises:
        ConfigError: neither names a family.
    """
    family = request.family or graph.notes.get("family", "")
    if family not in FAMILY_OUTPUTS:
        raise ConfigError(f"--family: is missing; give one of {', '.join(sorted(FAMILY_OUTPUTS))}")
    return family


def _side(name: str, fixed: Optional[int], asked: Optional[int]) -> int:
    if fixed is not None and asked is not None and fixed != asked:
        raise ConfigError(f"--{name}: the network's input has {fixed} px, not {asked}")
    side = fixed or asked
    if side is None:
        raise ConfigError(f"--{name}: the network leaves it open; give the size used in training")
    if not 8 <= side <= 8192:
        raise ConfigError(f"--{name}: {side} px is outside 8 .. 8192")
    return side


def _noted_pixels(notes: Dict[str, str]) -> Dict[str, Any]:
    """channels, mean and std from the metadata that our exports write; other values are ignored."""
    found: Dict[str, Any] = {}
    if notes.get("channels") in ("rgb", "bgr"):
        found["channels"] = notes["channels"]
    for key in ("mean", "std"):
        try:
            values = [float(v) for v in notes.get(key, "").split()]
        except ValueError:
            continue
        if len(values) == 3:
            found[key] = values
    return found


def skeleton_of(
    family: str,
    request: ImportRequest,
    graph: ImportedGraph,
    names: Dict[str, str],
    shapes: Dict[str, Shape],
) -> str:
    """The skeleton from the options, else the metadata, else the only one with that many keypoints.

    Args:
        family: of the network.
        request: the user's options.
        graph: the file.
        names: the family's output names -> the graph's output names.
        shapes: the shape of each output of the graph, for one sample.

    Returns:
        The skeleton's name; empty for a detector, or if several skeletons fit.

    Raises:
        ConfigError: no such skeleton, or --skeleton for a network without keypoints.
    """
    if family in DETECTORS:
        if request.skeleton:
            raise ConfigError(
                f"--skeleton: {family} finds boxes and has no keypoints; leave it out"
            )
        return ""
    if request.skeleton or graph.notes.get("skeleton"):
        return skeletons.get(request.skeleton or graph.notes["skeleton"]).name
    counts = {"simcc_x": 0, "heatmap": 0, "keypoints": -2}
    known = [shapes[names[n]][at] for n, at in counts.items() if n in names]
    count = 17 if family == "movenet" else known[0] if known else 0
    fitting = [n for n in skeletons.names() if len(skeletons.get(n)) == count]
    return fitting[0] if len(fitting) == 1 else ""
