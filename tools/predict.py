"""`edge-tools predict`: predict the speed of a model on a Jetson."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge.errors import ConfigError
from tools import places
from tools.prediction import capacity, picture, show
from tools.prediction.boards import BOARDS, MODES, Mode, modes
from tools.prediction.fit import left_out, typical
from tools.prediction.fitted import BAND, MEDIAN
from tools.prediction.layers import macs, weights
from tools.prediction.loop_step import MARGIN_FPS, Case, Step, bound_by, predict, slowest, sparsest
from tools.prediction.networks import Model, find
from tools.prediction.published import measurements
from tools.prediction.roofline import PRECISIONS
from tools.progress import track

HELP = "predict the speed of a model on AGX Xavier and the Orins"
WORKSTATION = True
POSES = ("blazepose", "rtmpose-m-wholebody", "rtmpose-l-wholebody", "rtmw-l-384x288")
EVERYS = (1, 3, 5)
PARTS = ("", "network", "source", "mode")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="model folder, architecture (`export --list`) or F.onnx; without it: a table of the "
        "project's configurations that reach 30 FPS on AGX Xavier and 100 FPS on AGX Orin",
    )
    parser.add_argument(
        "--board", metavar="NAME", help=f"one of {', '.join(BOARDS)}; NAME:MODE for one power mode"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16")
    parser.add_argument(
        "--people",
        type=int,
        nargs="+",
        default=[1, 5, 10, 20],
        metavar="N",
        help="people per camera",
    )
    parser.add_argument("--cameras", type=int, default=1, metavar="N")
    parser.add_argument(
        "--detector", default="yolov4-tiny", metavar="MODEL", help="detector, or none"
    )
    parser.add_argument(
        "--every", type=int, default=3, metavar="N", help="the detector runs on each n-th frame"
    )
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only compare predictions with all published measurements",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="also print the share of arithmetic, memory and launches",
    )
    parser.add_argument(
        "--capacity",
        action="store_true",
        help="print how many people each of 1, 2, 4 and 8 cameras may show, in Markdown",
    )
    parser.add_argument(
        "--fps", type=float, default=30.0, metavar="F", help="of each camera, for --capacity"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="F.png", help="also plot the speed with its error band"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Predict and print."""
    if arguments.check:
        return _check(arguments.json)
    _require_counts(arguments)
    if arguments.model is None:
        if arguments.plot:
            raise ConfigError("--plot: needs a MODEL")
        return _goals(arguments)
    model = find(arguments.model, arguments.models)
    if arguments.capacity:
        return _capacity(model, arguments)
    cases = _cases(model, arguments)
    found = [predict(case) for case in cases]
    if arguments.json:
        print(json.dumps({"prediction": True, **_about(), "steps": [s.row() for s in found]}))
    else:
        print("\n".join(_describe(model)))
        print(show.steps(found))
    if arguments.layers and not arguments.json:
        print("\n".join(_time_shares(model, found[-1])))
    if arguments.plot:
        picture.write(arguments.plot, found)
    return 0


def _require_counts(arguments: argparse.Namespace) -> None:
    counts = {
        "--people": min(arguments.people),
        "--cameras": arguments.cameras,
        "--every": arguments.every,
    }
    for name, value in counts.items():
        if value < 1:
            raise ConfigError(f"{name} {value}: must be 1 or more")


def _boards(name: Optional[str]) -> List[Mode]:
    if name is None:
        return list(MODES.values())
    found = modes(name)
    if not found:
        raise ConfigError(f"--board {name}: unknown; one of {', '.join([*BOARDS, *MODES])}")
    return found


def _detector(arguments: argparse.Namespace, pose: Model) -> Optional[Model]:
    """None for a one-stage model, and if the model is itself a detector."""
    if arguments.detector == "none" or pose.role != "pose":
        return None
    found = find(arguments.detector, arguments.models)
    if found.role != "detector":
        raise ConfigError(f"--detector {arguments.detector}: is not a detector")
    return found


def _cases(model: Model, arguments: argparse.Namespace) -> List[Case]:
    detector = _detector(arguments, model)
    people = sorted(set(arguments.people)) if model.role == "pose" else [0]
    every = arguments.every if detector else 1
    return [
        Case(mode, model, detector, every, arguments.precision, n, arguments.cameras)
        for mode in _boards(arguments.board)
        for n in people
    ]


def _describe(model: Model) -> List[str]:
    return [
        f"{model.name} {part.name}: {sum(la.repeats for la in part.layers)} kernels, "
        f"{macs(part.layers) / 1e9:.3f} GMAC, {weights(part.layers) / 1e6:.2f} M weights"
        for part in model.parts
    ]


def _time_shares(model: Model, step: Step) -> List[str]:
    """Shares of the last row's time, and its slowest layers."""
    case, lines = step.case, [""]
    for part in model.parts:
        batch = max(1, case.people * case.cameras * part.runs)
        shares = bound_by(part, case.mode, case.precision, batch)
        text = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        lines.append(f"{case.mode.key}, batch {batch}, {part.name}: {text}")
        lines += [f"    {t}" for t in slowest(part, case.mode, case.precision, batch, 5)]
    return lines


def _capacity(model: Model, arguments: argparse.Namespace) -> int:
    """Print how many cameras and people each board takes."""
    if not 0 < arguments.fps <= 1000 or arguments.json:
        raise ConfigError("--capacity: needs --fps of at most 1000, and prints no JSON")
    if model.role != "pose":
        raise ConfigError(f"--capacity: {model.name} does not work person by person")
    (case, *_) = _cases(model, arguments)
    print(show.LABEL)
    print("\n".join(capacity.table(case, _boards(arguments.board), arguments.fps)))
    return 0


def _goals(arguments: argparse.Namespace) -> int:
    """Print the configurations that reach each board's target."""
    found: Dict[str, List[List[Step]]] = {}
    for board, target in MARGIN_FPS.items():
        rows = []
        for name in POSES:
            pose = find(name, arguments.models)
            detector = _detector(arguments, pose)
            for precision in ("fp16", "mixed"):
                rows.append(
                    [
                        sparsest(
                            modes(board)[0],
                            pose,
                            detector,
                            EVERYS,
                            precision,
                            n,
                            arguments.cameras,
                            target,
                        )
                        for n in sorted(set(arguments.people))
                    ]
                )
        found[board] = rows
    if arguments.json:
        flat = [
            {**s.row(), "target_fps": MARGIN_FPS[b], "verdict": s.verdict(MARGIN_FPS[b])}
            for b, rows in found.items()
            for row in rows
            for s in row
        ]
        print(json.dumps({"prediction": True, **_about(), "goals": flat}))
    else:
        print(show.goals(found, MARGIN_FPS))
    return 0


def _about() -> Dict[str, Any]:
    return {"error_band": BAND, "error_median": MEDIAN}


def _check(as_json: bool) -> int:
    """Print the error of fits that leave out a measurement, a network, a source or a board."""
    published = measurements()
    compared = {part: left_out(published, part) for part in track(PARTS, "fitting", quiet=as_json)}
    if not as_json:
        print(show.check(compared))
        return 0
    rows = [
        {
            **one.measurement._asdict(),
            "predicted_ms": round(one.predicted_ms, 3),
            "error": round(one.error, 4),
        }
        for one in compared["network"]
    ]
    errors = {part or "measurement": typical(found) for part, found in compared.items()}
    print(json.dumps({"prediction": True, "left_out": errors, "by_network": rows}))
    return 0
