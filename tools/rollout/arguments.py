"""The actions `status` and `push` of `edge-tools fleet`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, FrozenSet, List

from edge.bundle.file import open_bundle, read_head
from edge.errors import ConfigError, NoInputError, TempError
from edge.keys.trust import load_key
from tools.mqtt import login
from tools.rollout.boxes import Box, Boxes, newest_version, problems
from tools.rollout.push import Order, push, stages_of
from tools.signing import load_secret

NETWORKS = (".onnx", ".engine")


def add(actions: Any) -> None:
    """Declare the command lines."""
    status_parser = actions.add_parser("status", help="who is online, behind, degraded, blind")
    push_parser = actions.add_parser(
        "push", help="install a bundle on some boxes first, then on the others; halt on failures"
    )
    for one in (status_parser, push_parser):
        one.add_argument("broker", metavar="mqtt[s]://[user@]host[:port]", help="the broker")
    push_parser.add_argument("bundle", type=Path, help="of `edge-tools bundle make`")
    for one in (status_parser, push_parser):
        one.add_argument(
            "--settle",
            type=float,
            default=12.0,
            metavar="S",
            help="most time to wait for what boxes say (default: %(default)g)",
        )
        one.add_argument("--json", action="store_true", help="print JSON")
        login.add_arguments(one)
    _add_push(push_parser)


def _add_push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", type=Path, required=True, help="secret key of `keygen`")
    parser.add_argument("--pub", type=Path, required=True, help="its public key (NAME.pub)")
    parser.add_argument(
        "--canary", default="5%", metavar="N", help="first stage: 5%%, 3 or all (default: 5%%)"
    )
    parser.add_argument(
        "--then",
        action="append",
        metavar="N",
        help="a further stage, with those before in it; may be repeated (default: 50%%, all)",
    )
    parser.add_argument(
        "--devices", nargs="+", metavar="D", help="only these boxes (default: all that are online)"
    )
    parser.add_argument(
        "--copy",
        default="",
        metavar="COMMAND",
        help="brings the file to a box first, such as 'scp {file} {device}:/var/lib/edge/incoming/'"
        "; without it the file lies there already",
    )
    parser.add_argument(
        "--wait", type=float, default=120.0, metavar="S", help="for an answer (%(default)g)"
    )
    parser.add_argument(
        "--watch",
        type=float,
        default=120.0,
        metavar="S",
        help="watch a stage for roll-backs before the next begins (%(default)g)",
    )
    parser.add_argument(
        "--failures", type=int, default=0, metavar="N", help="of a stage that do not halt"
    )


def status(arguments: argparse.Namespace) -> int:
    """Print a line a box; 0 if all are well."""
    _check_time("--settle", arguments.settle)
    with Boxes(login.broker(arguments.broker, arguments)) as boxes:
        boxes.settle(arguments.settle)
        found = boxes.all()
    if not found:
        raise NoInputError("no box has said anything at this broker")
    newest = newest_version(found)
    rows = [_row(box, newest) for box in found]
    if arguments.json:
        print(json.dumps(rows))
    else:
        _print(rows)
    return 0 if not any(row["problems"] for row in rows) else TempError.exit_code


def _row(box: Box, newest: str) -> Dict[str, Any]:
    return {
        "device": box.device,
        "state": box.state,
        "version": box.version,
        "cameras_ok": box.cameras_ok,
        "cameras": len(box.cameras),
        "fps": box.fps,
        "degrade": box.degrade,
        "networks": box.networks_name if box.networks else "",
        "problems": problems(box, newest),
    }


def _print(rows: List[Dict[str, Any]]) -> None:
    print("box                              state    version    cameras    fps  networks")
    for row in rows:
        cameras = f"{row['cameras_ok']}/{row['cameras']}"
        fps = "-" if row["fps"] is None else f"{row['fps']:.1f}"
        line = f"{row['device']:<33}{row['state']:<9}{row['version']:<11}{cameras:>7}{fps:>7}"
        print(f"{line}  {row['networks']:<9} {'; '.join(row['problems'])}".rstrip())
    well = sum(not row["problems"] for row in rows)
    print(f"{well} of {len(rows)} boxes are well")


def run_push(arguments: argparse.Namespace) -> int:
    """Push, and print what became of it."""
    for name in ("settle", "wait", "watch"):
        _check_time(f"--{name}", getattr(arguments, name))
    if arguments.failures < 0:
        raise ConfigError("--failures: must be at least 0")
    order = Order(
        arguments.bundle.name,
        _networks(arguments.bundle, arguments.pub),
        load_secret(arguments.key),
        arguments.copy,
        arguments.bundle.resolve(),
        arguments.wait,
        arguments.watch,
        arguments.failures,
    )
    broker = login.broker(arguments.broker, arguments)
    with Boxes(broker) as boxes:
        boxes.settle(arguments.settle)
        names = arguments.devices or [box.device for box in boxes.all() if box.online]
        if not names:
            raise NoInputError("no box is online at this broker")
        sizes = [arguments.canary, *(arguments.then or ["50%", "all"])]
        stages = stages_of(sorted(names), sizes)
        tell = (lambda line: None) if arguments.json else (lambda line: print(line, flush=True))
        outcomes = push(broker, boxes, stages, order, tell)
    fine = sum(one.fine for one in outcomes)
    asked = sum(len(stage) for stage in stages)
    if arguments.json:
        print(json.dumps([{**vars(one), "fine": one.fine} for one in outcomes]))
    if fine == len(outcomes) == asked:
        return 0
    failed = len(outcomes) - fine
    left = asked - len(outcomes)
    halted = f", so {left} boxes were not asked" if left else ""
    raise TempError(f"{arguments.bundle.name}: {failed} of {len(outcomes)} boxes failed{halted}")


def _networks(path: Path, public: Path) -> FrozenSet[str]:
    """The sha256 of the network files of a bundle, whose signature is checked."""
    with open_bundle(path) as file:
        contents = read_head(file, path, load_key(public))
    return frozenset(h for name, h in contents.files.items() if name.endswith(NETWORKS))


def _check_time(name: str, value: float) -> None:
    if not 0 <= value <= 86400:
        raise ConfigError(f"{name}: must be 0 to 86400 s")
