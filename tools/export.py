"""`edge-tools export`: convert a PyTorch checkpoint to ONNX and compare it with PyTorch."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import onnx
import onnxruntime
import torch

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError
from tools import checkpoint
from tools.arch import Architecture, Network, describe, names, random_weights, samples
from tools.arch.compare import Difference, differences
from tools.arch.to_onnx import to_onnx
from tools.progress import Progress

HELP = "convert a PyTorch checkpoint to ONNX and compare it with PyTorch"
TOLERANCE = 1e-3  # share of each output's largest value; float32 rounding alone is 1e-5 to 5e-4
CROPS = 4
LARGEST_PX = 2048
FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--list", action="store_true", help="print the architectures and stop")
    parser.add_argument("--arch", metavar="NAME", help="architecture of the checkpoint")
    parser.add_argument("--out", metavar="F.onnx", type=Path, help="file to write")
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--checkpoint", metavar="F.pth", type=Path, help="file with the weights")
    weights.add_argument("--random-seed", metavar="N", type=int, help="random weights instead")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--raw", action="store_true", help="outputs: the head's own maps, not decoded"
    )
    form.add_argument(
        "--fuse",
        action="store_true",
        help="outputs: keypoints instead of SimCC logits, the best people of a detector",
    )
    parser.add_argument("--size", metavar="WxH", help="input size in px (default: the usual size)")
    parser.add_argument(
        "--candidates",
        metavar="N",
        type=int,
        help="people in the output per image, before suppression (rtmo; detectors with --fuse)",
    )
    parser.add_argument(
        "--images",
        metavar="PATH",
        type=Path,
        nargs="+",
        help=f"images or folders to compare on, the first {CROPS} (default: drawn images)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="allowed error, as a share of each output's largest value (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command. Returns 1 if the graph differs from PyTorch by more than the tolerance."""
    if args.list:
        _print_list(args.json)
        return 0
    report = export(args)
    print(json.dumps(report) if args.json else _text(report))
    return 0 if report["ok"] else FAILED


def export(args: argparse.Namespace) -> Dict[str, Any]:
    """Convert and compare; the file is written if the graph computes as PyTorch does.

    Args:
        args: the command line, as `add_arguments` declares it.

    Returns:
        What was made and how far it is off; "ok" says whether it was written.

    Raises:
        EdgeError: an option is wrong, or the weights do not fit.
    """
    architecture = _wanted(args)
    with Progress(f"export {architecture.name}", 3, "steps", quiet=args.json) as bar:
        images = _images(architecture, args.images)
        network = _network(architecture, args, images)
        bar.update()
        form = "raw" if args.raw else "fused" if args.fuse else "decoded"
        data = to_onnx(network, form, _notes(architecture, form, args)).SerializeToString()
        bar.update()
        found = differences(network, form, _session(data), images, args.tolerance)
        bar.update()
    passed = all(difference.ok for difference in found)
    if passed:
        write_whole(args.out, data, READABLE)
    return _report(architecture, form, args, data, found, len(images))


def _print_list(as_json: bool) -> None:
    rows = [_listed(describe(name)) for name in names()]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        width, height = row["input_px"]
        what = row["skeleton"] or f"{len(row['classes'])} classes"
        print(f"{row['name']:<30}{row['family']:<8}{width:>4} x {height:<5}{what}")


def _listed(architecture: Architecture) -> Dict[str, Any]:
    pixels = architecture.pixels
    return {
        "name": architecture.name,
        "family": architecture.family,
        "skeleton": architecture.skeleton,
        "input_px": [architecture.width_px, architecture.height_px],
        "channels": pixels.channels,
        "mean": list(pixels.mean),
        "std": list(pixels.std),
        "classes": list(architecture.classes),
    }


def _wanted(args: argparse.Namespace) -> Architecture:
    """The architecture at the requested size; checks the options."""
    if not args.arch:
        raise ConfigError("--arch: is missing; `edge-tools export --list` prints all architectures")
    architecture = describe(args.arch)
    if args.out is None:
        raise ConfigError("--out: is missing; name the ONNX file to write")
    if args.out.is_dir():
        raise ConfigError(f"--out {args.out}: is a folder; name a file")
    if not args.out.resolve().parent.is_dir():
        raise NoInputError(f"{args.out}: no such folder: {args.out.resolve().parent}")
    if args.checkpoint is None and args.random_seed is None:
        raise ConfigError(
            "--checkpoint: is missing; name the weights file, or use --random-seed N for a bench"
        )
    if args.random_seed is not None and args.random_seed < 0:
        raise ConfigError(f"--random-seed {args.random_seed}: must be 0 or more")
    if not 0 < args.tolerance < 1:
        raise ConfigError(f"--tolerance {args.tolerance}: must be a share between 0 and 1")
    if not args.size:
        return architecture
    width, height = pixels(args.size)
    return dataclasses.replace(architecture, width_px=width, height_px=height)


def pixels(text: str) -> Tuple[int, int]:
    """Width and height of `640x384`. Raises ConfigError: they cannot be an input's."""
    sized = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    width, height = (int(sized[1]), int(sized[2])) if sized else (0, 0)
    if not width or width % 32 or height % 32 or max(width, height) > LARGEST_PX:
        raise ConfigError(
            f"--size {text}: must be WIDTHxHEIGHT, multiples of 32 up to {LARGEST_PX}, as 640x640"
        )
    return width, height


def _images(architecture: Architecture, paths: List[Path]) -> np.ndarray:
    if not paths:
        return samples.inputs(architecture, samples.drawn_images(CROPS))
    found = samples.images_at(paths, CROPS)
    # At least two, because one image alone and a batch are both compared.
    return samples.inputs(architecture, found if len(found) > 1 else found * 2)


def _network(architecture: Architecture, args: argparse.Namespace, images: np.ndarray) -> Network:
    network = architecture.build()
    if args.candidates is not None:
        if not hasattr(network, "candidates") or args.candidates < 1:
            raise ConfigError("--candidates: must be 1 or more, and the network a detector or rtmo")
        network.candidates = args.candidates
    if args.checkpoint is not None:
        checkpoint.load(network, args.checkpoint, architecture.name)
    else:
        random_weights.randomise(network, args.random_seed, torch.from_numpy(images))
    return network


def _notes(architecture: Architecture, form: str, args: argparse.Namespace) -> Dict[str, str]:
    """Metadata of the file: its origin and its input."""
    source = f"random seed {args.random_seed}"
    if args.checkpoint is not None:
        source = "checkpoint sha256 " + hashlib.sha256(args.checkpoint.read_bytes()).hexdigest()
    pixels = architecture.pixels
    return {
        "architecture": architecture.name,
        "family": architecture.family,
        "skeleton": architecture.skeleton,
        "form": form,
        "channels": pixels.channels,
        "mean": " ".join(map(str, pixels.mean)),
        "std": " ".join(map(str, pixels.std)),
        "classes": ",".join(architecture.classes),
        "source": source,
        "exported_by": f"edge-tools {__version__}",
    }


def _session(data: bytes) -> Any:
    """ONNX Runtime without its blocked layouts, whose sums have five times the rounding (measured).

    That error comes from these kernels, not from the graph.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _report(
    architecture: Architecture,
    form: str,
    args: argparse.Namespace,
    data: bytes,
    found: List[Difference],
    crops: int,
) -> Dict[str, Any]:
    graph = onnx.load_from_string(data).graph
    outputs = {d.name: dict(dataclasses.asdict(d), ok=d.ok) for d in found}
    return dict(
        _listed(architecture),
        form=form,
        weights=str(args.checkpoint or f"random seed {args.random_seed}"),
        out=str(args.out),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        nodes=len(graph.node),
        outputs=outputs,
        crops=crops,
        images="given" if args.images else "drawn",
        tolerance=args.tolerance,
        ok=all(d.ok for d in found),
    )


def _text(report: Dict[str, Any]) -> str:
    width, height = report["input_px"]
    lines = [
        f"{report['name']} ({report['form']}) of {report['weights']}",
        f"  input [batch, 3, {height}, {width}] float32 {report['channels']}, "
        f"mean {report['mean']}, std {report['std']}",
        f"  {'output':<18}{'shape':<22}{'largest':>11}{'max error':>11}{'mean error':>11}"
        f"{'rounding':>11}",
    ]
    for name, row in report["outputs"].items():
        shape = "[" + ", ".join(map(str, ["batch", *row["shape"]])) + "]"
        errors = f"{row['largest']:>11.4g}{row['max_error']:>11.2g}{row['mean_error']:>11.2g}"
        errors += f"{row['rounding']:>11.2g}"
        lines.append(f"  {name:<18}{shape:<22}{errors}" + ("" if row["ok"] else "  TOO LARGE"))
    lines.append(
        f"  checked against PyTorch on {report['crops']} crops of {report['images']} images"
    )
    return "\n".join(lines + _conclusion(report))


def _conclusion(report: Dict[str, Any]) -> List[str]:
    if not report["ok"]:
        share = f"{report['tolerance']:g} of the largest value"
        return [f"not written: an error is above {share} (--tolerance)"]
    size = f"{report['bytes'] / 1e6:.1f} MB, {report['nodes']} nodes"
    return [
        f"wrote {report['out']}: {size}, sha256 {report['sha256']}",
        f"next: edge-tools import {report['out']}",
    ]
