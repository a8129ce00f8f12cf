"""The recipe of a model, engines/<model>/model.toml: networks, inputs, origin, accuracy gate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from edge.errors import ConfigError, NoInputError
from edge.settings.config import read_toml
from edge.settings.schema import build, key, name_problem

INSTALLED = Path("/var/lib/edge")  # of the service on a box
INSTALLED_MODELS = INSTALLED / "engines"


def tool_line(command: str, model: Path) -> str:
    """The command line of `edge-tools` that makes something in a model's folder, for messages.

    Args:
        command: get, quantize ...
        model: folder of the model.
    """
    line = f"edge-tools {command} {model.name}"
    return f"runuser -u edge -- {line}" if model.parent == INSTALLED_MODELS else line


def _file_problem(value: str) -> Optional[str]:
    """Refuse file names that lead out of the model's folder."""
    bad = any(c in value for c in "/\\\0") or value in ("", ".", "..") or len(value) > 200
    return "must be a plain file name inside the model's folder" if bad else None


@dataclass(frozen=True)
class Weights:
    """The origin of a network's weights: a member of a package in a public registry."""

    registry: str = key(help="kind of package registry", choices=("pypi", "npm", "debian"))
    package: str = key(help="name of the package")
    version: str = key(help="exact version of the package")
    archive_sha256: str = key(help="sha256 of the archive")
    member: str = key(help="path inside the archive")
    member_sha256: str = key(help="sha256 of that file")
    convert: str = key(help="converter to ONNX", choices=("tflite", "darknet", "tfjs", "copy"))
    wheel: str = key("", "python-abi-platform tags of the wheel")
    extra: Dict[str, Any] = key({}, "further members or options of the converter")


@dataclass(frozen=True)
class Network:
    """One network of a model and the form of its input."""

    file: str = key(help="ONNX file in the model's folder", check=_file_problem)
    width: int = key(help="width of the input, px", low=8, high=8192)
    height: int = key(help="height of the input, px", low=8, high=8192)
    input: str = key("input", "name of the graph's image input")
    channels: str = key("rgb", "channel order of the input", choices=("rgb", "bgr"))
    mean: List[float] = key([0.0, 0.0, 0.0], "subtracted from pixels 0..255, in channel order")
    std: List[float] = key([1.0, 1.0, 1.0], "divisor after that, in channel order")
    layout: str = key("nchw", "order of the input's axes", choices=("nchw", "nhwc"))
    dtype: str = key("float32", "type of the input", choices=("float32", "int32", "uint8"))
    weights: Optional[Weights] = key(None, "origin; absent for a network of your own")
    sha256: str = key("", "of the ONNX file, if it is fixed")
    bf16: bool = key(
        False,
        "its float layers may be computed in BF16: `edge-tools verify --precision bf16` passes",
    )
    outputs: Dict[str, str] = key({}, "output name of the family -> output name in the graph")

    @property
    def sample_shape(self) -> Tuple[int, int, int]:
        """Shape of one sample of the input, without the batch."""
        if self.layout == "nhwc":
            return (self.height, self.width, 3)
        return (3, self.height, self.width)


@dataclass(frozen=True)
class Gate:
    """Limits of the accuracy that an engine may lose against FP32."""

    min_oks: float = key(0.98, "mean OKS against FP32 on held-out frames", 0, 1)
    max_px: float = key(3.0, "mean px error of any body part", 0, 1000)
    min_recall: float = key(0.97, "share of FP32's detections that are found", 0, 1)


@dataclass(frozen=True)
class Scores:
    """How the scores of a model become probabilities."""

    person: List[List[float]] = key(
        [], "rising pairs [score of a person, probability that the pose is right]"
    )


@dataclass(frozen=True)
class Recipe:
    """The content of a model.toml."""

    family: str = key(help="name of a file in edge/models", check=name_problem)
    networks: Dict[str, Network] = key(help="one [networks.NAME] table each")
    skeleton: str = key("", "keypoint set of a pose model")
    licence: str = key("", "licence of the weights")
    description: str = key("", "one line of text")
    options: Dict[str, Any] = key({}, "settings of the family")
    calibration: str = key("", "name of a folder in calibration/")
    float_layers: List[str] = key([], "name patterns of layers that stay in floating point")
    gate: Gate = key(Gate)
    scores: Scores = key(Scores)


def load_recipe(folder: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Recipe:
    """Read and check the recipe of a model.

    Args:
        folder: folder of the model.
        read: returns the bytes of the file, or refuses it (edge.keys.trust).

    Raises:
        NoInputError: no such model; the message lists all models of the parent folder.
        ConfigError: the recipe is wrong; the message names file and key.
    """
    path = folder / "model.toml"
    if not path.is_file():
        there = sorted(p.parent.name for p in folder.parent.glob("*/model.toml"))
        where = f"there are: {', '.join(there)} in {folder.parent}"
        none = f"{folder.parent} has none; name the folder of models (--models, models.dir)"
        raise NoInputError(f"{path}: no such model; {where if there else none}")
    try:
        recipe = build(Recipe, read_toml(path, read))
        _check(recipe)
        return recipe
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _check(recipe: Recipe) -> None:
    if not recipe.networks:
        raise ConfigError("networks: is empty; add a table [networks.main]")
    _check_map("scores.person", recipe.scores.person)
    for name, net in recipe.networks.items():
        for which in ("mean", "std"):
            if len(getattr(net, which)) != 3:
                raise ConfigError(f"networks.{name}.{which}: expected 3 numbers, one per channel")
        if any(s == 0 for s in net.std):
            raise ConfigError(f"networks.{name}.std: contains 0; pixels are divided by it")


def _check_map(where: str, pairs: List[List[float]]) -> None:
    """Refuse anything but rising pairs of numbers 0..1."""
    if not pairs:
        return
    plain = all(len(pair) == 2 and 0 <= min(pair) <= max(pair) <= 1 for pair in pairs)
    if len(pairs) < 2 or not plain:
        raise ConfigError(f"{where}: expected two or more pairs [score, probability] of 0 to 1")
    if not all(a[0] < b[0] and a[1] < b[1] for a, b in zip(pairs, pairs[1:])):
        raise ConfigError(f"{where}: both numbers must rise from pair to pair")
