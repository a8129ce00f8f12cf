"""Which output of a graph is what a family expects, by name, else by shape."""

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


def _rows(shape: Shape, _: Network) -> bool:
    return len(shape) == 2 and shape[1] >= 6


_DETS: List[Dict[str, Fits]] = [
    {"dets": _last(5, 2), "labels": _rank(1)},
    {"dets": _last(5, 2)},
    {"boxes": _last(4, 2), "scores": _rank(1, 2)},
]
# What each family understands, in the order in which it looks.
WANTED: Dict[str, List[Dict[str, Fits]]] = {
    "yolov4": [{"stride32": _stride(32), "stride16": _stride(16)}],
    "yolox": [*_DETS, {"output": _rows}],
    "rtmdet": _DETS,
    "simcc": [
        {"keypoints": _last(2, 2), "keypoint_scores": _rank(1)},
        {"simcc_x": _bins("x"), "simcc_y": _bins("y")},
    ],
    "heatmap": [{"heatmap": _rank(3)}],
    "movenet": [{"people": _last(56, 2)}],
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
    """Family names -> graph names, for those that differ.

    Args:
        family: a key of WANTED.
        shapes: of the graph's outputs, one sample each.
        network: the size of the input.
        given: what the user says; only checked.

    Raises:
        ConfigError: the user names an output that is not there.
        DataError: several ways to read the graph; asks the user.
    """
    for name, graph in given.items():
        if graph not in shapes:
            raise ConfigError(f"--output {name}={graph}: there is no {graph!r}: {listed(shapes)}")
    if given:
        return dict(given)
    for wanted in WANTED[family]:
        if all(name in shapes and fits(shapes[name], network) for name, fits in wanted.items()):
            return {}
    return _by_shape(family, shapes, network)


def _by_shape(family: str, shapes: Mapping[str, Shape], network: Network) -> Dict[str, str]:
    """The first reading that fits; {} if none does, for the family then says what it misses."""
    for wanted in WANTED[family]:
        ways = [
            dict(zip(wanted, chosen))
            for chosen in permutations(shapes, len(wanted))
            if all(fits(shapes[c], network) for c, fits in zip(chosen, wanted.values()))
        ]
        if len(ways) > 1:
            example = " ".join(f"--output {a}={b}" for a, b in ways[0].items())
            raise DataError(
                f"outputs {listed(shapes)} can be read in {len(ways)} ways; say which is which, "
                f"for example {example}"
            )
        if ways:
            return {a: b for a, b in ways[0].items() if a != b}
    return {}


def listed(shapes: Mapping[str, Shape]) -> str:
    """Names and shapes of one sample, for messages."""
    return ", ".join(f"{n} {['batch', *s]}".replace("'", "") for n, s in shapes.items())
