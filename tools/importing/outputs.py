"""Match the outputs of a graph to the outputs of a model family: by name, else by shape."""

from __future__ import annotations

from itertools import permutations
from typing import Callable, Dict, List, Mapping, Tuple

from edge.errors import ConfigError, DataError
from edge.recipe import Network

Shape = Tuple[int, ...]  # of one sample
Fits = Callable[[Shape, Network], bool]


def _last(count: int, rank: int) -> Fits:
    return lambda shape, _: len(shape) == rank and shape[-1] == count


def _rank(*ranks: int) -> Fits:
    return lambda shape, _: len(shape) in ranks


def _stride(px: int) -> Fits:
    return lambda shape, net: (
        len(shape) == 3
        and (shape[1] * px, shape[2] * px)
        == (
            net.height,
            net.width,
        )
    )


def _bins(axis: str) -> Fits:
    def fits(shape: Shape, net: Network) -> bool:
        length = net.width if axis == "x" else net.height
        return len(shape) == 2 and shape[1] >= length and shape[1] % length == 0

    return fits


def _maps_over(px: int) -> Fits:
    """Maps of one px for `px` of the input."""
    return lambda shape, net: len(shape) == 3 and shape[1] * px == net.height


def _rows(shape: Shape, _: Network) -> bool:
    return len(shape) == 2 and shape[1] >= 6


_DETS: List[Dict[str, Fits]] = [
    {"dets": _last(5, 2), "labels": _rank(1)},
    {"dets": _last(5, 2)},
    {"boxes": _last(4, 2), "scores": _rank(1, 2)},
]
# The sets of outputs that each family reads, in the order in which it tries them.
FAMILY_OUTPUTS: Dict[str, List[Dict[str, Fits]]] = {
    "yolov4": [{"stride32": _stride(32), "stride16": _stride(16)}],
    "yolox": [*_DETS, {"output": _rows}],
    "rtmdet": _DETS,
    "simcc": [
        {"keypoints": _last(2, 2), "keypoint_scores": _rank(1)},
        {"simcc_x": _bins("x"), "simcc_y": _bins("y")},
    ],
    "heatmap": [{"heatmap": _rank(3)}],
    "movenet": [{"people": _last(56, 2)}],
    "bottomup": [
        {"low": _maps_over(4), "high": _maps_over(2)},
        {"heatmaps": _rank(3), "pafs": _rank(3)},
        {"heatmaps": _rank(3), "tags": _rank(3)},
    ],
    "rtmo": [
        {"dets": _last(5, 2), "keypoints": _last(3, 3)},
        {
            "boxes": _last(4, 2),
            "scores": _rank(1, 2),
            "keypoints": _last(2, 3),
            "visibility": _rank(2),
        },
    ],
}


def names_of(
    family: str, shapes: Mapping[str, Shape], network: Network, given: Mapping[str, str]
) -> Dict[str, str]:
    """The family's output names -> the graph's output names, where the two differ.

    Args:
        family: a key of FAMILY_OUTPUTS.
        shapes: the shape of each output of the graph, for one sample.
        network: the recipe's entry, for the size of the input.
        given: the user's --output options; they are checked and returned.

    Raises:
        ConfigError: an --output names an output that the graph does not have.
        DataError: several assignments fit. The message asks for --output.
    """
    for name, graph in given.items():
        if graph not in shapes:
            raise ConfigError(
                f"--output {name}={graph}: no output {graph!r}; the network has {listed(shapes)}"
            )
    if given:
        return dict(given)
    for wanted in FAMILY_OUTPUTS[family]:
        if all(name in shapes and fits(shapes[name], network) for name, fits in wanted.items()):
            return {}
    return _by_shape(family, shapes, network)


def _by_shape(family: str, shapes: Mapping[str, Shape], network: Network) -> Dict[str, str]:
    """The first set that fits by shape, or {}: then the family names the missing output."""
    for wanted in FAMILY_OUTPUTS[family]:
        ways = [
            dict(zip(wanted, chosen))
            for chosen in permutations(shapes, len(wanted))
            if all(fits(shapes[c], network) for c, fits in zip(chosen, wanted.values()))
        ]
        if len(ways) > 1:
            example = " ".join(f"--output {a}={b}" for a, b in ways[0].items())
            raise DataError(
                f"outputs {listed(shapes)} can be assigned in {len(ways)} ways; name them, "
                f"for example {example}"
            )
        if ways:
            return {a: b for a, b in ways[0].items() if a != b}
    return {}


def listed(shapes: Mapping[str, Shape]) -> str:
    """The outputs with their shapes as text for messages."""
    return ", ".join(f"{n} {['batch', *s]}".replace("'", "") for n, s in shapes.items())
