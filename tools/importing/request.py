"""What the user asks for, what the file says of itself, and the defaults for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from edge import skeletons
from edge.errors import ConfigError
from edge.recipe import Network
from tools.importing.graph import Graph
from tools.importing.outputs import WANTED, Shape
from tools.importing.recipe import PIXELS

FILE = "model.onnx"
DETECTORS = ("yolov4", "yolox", "rtmdet")


@dataclass(frozen=True)
class Request:
    """What the user asks for; None and empty = find out."""

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


def network_of(request: Request, graph: Graph) -> Network:
    """The recipe's entry, before its outputs are known.

    Raises:
        ConfigError: a wish that the graph does not allow, or one that is missing.
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
        raise ConfigError("--std: 0 cannot be divided by")
    return Network(
        file=FILE,
        width=width,
        height=height,
        input=image.name,
        layout=image.layout,
        dtype=image.dtype,
        **pixels,
    )


def family_of(request: Request, graph: Graph) -> str:
    """The family asked for, else noted in the file.

    Raises:
        ConfigError: neither.
    """
    family = request.family or graph.notes.get("family", "")
    if family not in WANTED:
        raise ConfigError(f"--family: is missing; say one of {', '.join(sorted(WANTED))}")
    return family


def _side(name: str, fixed: Optional[int], asked: Optional[int]) -> int:
    if fixed is not None and asked is not None and fixed != asked:
        raise ConfigError(f"--{name}: the network's input has {fixed} px, not {asked}")
    side = fixed or asked
    if side is None:
        raise ConfigError(f"--{name}: the network leaves it open; give the size it was trained for")
    if not 8 <= side <= 8192:
        raise ConfigError(f"--{name}: {side} px is outside 8 .. 8192")
    return side


def _noted_pixels(notes: Dict[str, str]) -> Dict[str, Any]:
    """What the file says of itself, as our own exports do; anything odd is not believed."""
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
    family: str, request: Request, graph: Graph, names: Dict[str, str], shapes: Dict[str, Shape]
) -> str:
    """The one asked for, else noted in the file, else the only one with as many keypoints.

    Args:
        family: of the network.
        request: what the user asks for.
        graph: the file.
        names: family names -> graph names.
        shapes: of the graph's outputs, one sample each.

    Raises:
        ConfigError: there is no such skeleton, or the network has no keypoints.
    """
    if family in DETECTORS:
        if request.skeleton:
            raise ConfigError(f"--skeleton: {family} finds boxes, it has no keypoints")
        return ""
    if request.skeleton or graph.notes.get("skeleton"):
        return skeletons.get(request.skeleton or graph.notes["skeleton"]).name
    counts = {"simcc_x": 0, "heatmap": 0, "keypoints": -2}
    known = [shapes[names[n]][at] for n, at in counts.items() if n in names]
    count = 17 if family == "movenet" else known[0] if known else 0
    fitting = [n for n in skeletons.names() if len(skeletons.get(n)) == count]
    return fitting[0] if len(fitting) == 1 else ""
