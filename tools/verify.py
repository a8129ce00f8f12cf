"""`edge-tools verify`: compare a model in a smaller precision with FP32 on held-out frames.

The accuracy gate of model.toml decides. If a model fails, its networks become more float one by
one, worst first, until it passes. A record of the result is written beside each network.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge import plug
from edge.errors import ConfigError, DataError, NoInputError, UnavailableError
from edge.loop.assemble import network_file
from edge.models import Gives
from edge.recipe import Gate, Recipe, load_recipe
from edge.runtime import SUFFIXES, RunnerOptions
from edge.settings import config
from tools import places
from tools.calib import selection
from tools.fetch.files import has_sha256, sha256_of
from tools.model_files import candidate_path
from tools.proof import gate as gates
from tools.proof import heldout, picture, record, text_report
from tools.proof.heldout import Files, HeldOutFrames, How, Predictions
from tools.proof.noise_floor import NoiseFloor, measure
from tools.proof.requantize import Requantizer
from tools.proof.search import Attempt, SearchResult, search

HELP = "compare INT8 with FP32 on held-out frames; make it more float until its gate passes"
FAILED = 1
BF16_MIN_OKS = 0.995


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("model", metavar="MODEL", help="a folder in the models folder")
    parser.add_argument(
        "--precision",
        default="int8",
        choices=("int8", "fp16", "bf16", "engine"),
        help="what to verify; bf16 = the FP32 files in OpenVINO, float layers in BF16",
    )
    parser.add_argument(
        "--runtime",
        choices=("onnxruntime", "openvino"),
        help="what executes the files on the CPU; default: onnxruntime, for bf16 openvino",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="[NETWORK=]FILE",
        help="verify this file instead of the network's own; may be repeated; changes nothing",
    )
    parser.add_argument("--set", metavar="NAME", help="calibration set; default: from model.toml")
    parser.add_argument(
        "--detect", metavar="MODEL", help="detector that gives the boxes; default: the set's"
    )
    parser.add_argument(
        "--models", type=Path, default=places.models(), metavar="DIR", help="models folder"
    )
    parser.add_argument(
        "--sets", type=Path, default=places.sets(), metavar="DIR", help="folder of sets"
    )
    parser.add_argument("--no-gate", action="store_true", help="print figures, change nothing")
    parser.add_argument("--json", action="store_true", help="print JSON, show no progress")


def run(arguments: argparse.Namespace) -> int:
    """Verify one model."""
    places.require_owner(arguments.models)
    folder = arguments.models / arguments.model
    recipe = load_recipe(folder)
    floats = {n: network_file(folder, net, "fp32") for n, net in recipe.networks.items()}
    candidate = _candidate(arguments, folder, recipe, floats)
    set_folder = _set_folder(arguments, recipe)
    held = heldout.load_frames(set_folder)
    fp32 = _run_fp32(arguments, held, recipe, floats)
    _require_people(arguments.model, set_folder, fp32)
    gated = not (arguments.no_gate or arguments.file or arguments.precision == "bf16")
    gate = _gate(arguments, recipe)
    how = _how(arguments, recipe)
    floor = _noise_floor(arguments, held, recipe, floats, fp32)

    def attempt(files: Files) -> Attempt:
        label = f"{arguments.model} {_label(files, floats, arguments.precision)}"
        found = heldout.run(held, recipe, files, label, arguments.json, how)
        figures = heldout.compared(fp32, found, floor.stable)
        figures.summary["floor"] = floor.summary
        return Attempt(files, found, figures, gates.failures(figures.summary, gate))

    requantizer = Requantizer(folder, recipe, arguments.sets, set_folder.name, arguments.json)

    def requantize(name: str, share: float) -> Optional[Path]:
        return requantizer(name, share) if arguments.precision == "int8" else None

    if gated:
        result = search(candidate, floats, gate, attempt, requantize)
    else:
        result = SearchResult(attempt(candidate))
    proof = _proof(arguments, gate, result, set_folder, len(held.pictures), floats)
    proof["picture"] = str(folder / f"{arguments.model}.verify.png")
    last = result.attempt
    picture.write(Path(proof["picture"]), held, fp32, last.predictions, last.figures)
    if gated:
        proof["records"] = _write_records(folder, recipe, candidate, floats, result, proof)
    print(json.dumps(proof, indent=1) if arguments.json else text_report.text(proof))
    return 0 if proof["passed"] or arguments.no_gate else FAILED


def _gate(arguments: argparse.Namespace, recipe: Recipe) -> Gate:
    """The model's gate; BF16 has to lose less, because it serves where FP32 is asked for."""
    if arguments.precision != "bf16":
        return recipe.gate
    return dataclasses.replace(recipe.gate, min_oks=max(recipe.gate.min_oks, BF16_MIN_OKS))


def _how(arguments: argparse.Namespace, recipe: Recipe) -> How:
    """What executes the candidate's networks: as the daemon would in that runtime.

    Raises:
        ConfigError: BF16 in another runtime than OpenVINO.
    """
    bf16 = arguments.precision == "bf16"
    if bf16 and arguments.runtime == "onnxruntime":
        raise ConfigError("--precision bf16: ONNX Runtime has no BF16 on a CPU; --runtime openvino")
    if not bf16 and arguments.runtime != "openvino":
        return {}
    library = plug.load("runtime", "openvino")
    if bf16 and not library.computes_bf16():
        raise UnavailableError("--precision bf16: this CPU does not compute in BF16")
    able = library.computes_bf16()
    return {
        name: RunnerOptions(onnx="openvino", bf16=bf16 or (able and network.bf16))
        for name, network in recipe.networks.items()
    }


def _candidate(arguments: argparse.Namespace, folder: Path, recipe: Recipe, floats: Files) -> Files:
    """Network -> file to verify."""
    if not arguments.file:
        if arguments.precision == "bf16":
            return dict(floats)
        if arguments.precision == "engine":
            raise ConfigError("--precision engine: also name the file: --file [NETWORK=]FILE")
        nets = recipe.networks.items()
        files = {n: network_file(folder, net, arguments.precision) for n, net in nets}
        # A network that went back to FP32 before is a copy of the FP32 file.
        same = {n: has_sha256(files[n], sha256_of(floats[n])) for n in files}
        return {n: floats[n] if same[n] else files[n] for n in files}
    files = dict(floats)
    for word in arguments.file:
        name, mark, path = word.partition("=")
        name, path = (name, path) if mark else ("", word)
        if not name and len(files) > 1:
            raise ConfigError(f"--file {word}: of which network? NETWORK=FILE, of {_list(files)}")
        name = name or next(iter(files))
        if name not in files:
            raise ConfigError(f"--file {word}: no network {name!r}; the model has: {_list(files)}")
        if not Path(path).is_file():
            raise NoInputError(f"{path}: no such file")
        if Path(path).suffix not in SUFFIXES:
            raise ConfigError(f"{path}: expected a file of kind {', '.join(SUFFIXES)}")
        files[name] = Path(path)
    return files


def _list(names: Files) -> str:
    return ", ".join(names)


def _set_folder(arguments: argparse.Namespace, recipe: Recipe) -> Path:
    name = arguments.set or recipe.calibration
    if not name:
        raise ConfigError(f"{arguments.model}: model.toml names no calibration set; add --set NAME")
    return Path(arguments.sets) / str(name)


def _run_fp32(
    arguments: argparse.Namespace, held: HeldOutFrames, recipe: Recipe, floats: Files
) -> Predictions:
    """What FP32 finds; a top-down model and its candidates get the boxes of the FP32 detector."""
    opened = heldout.OpenedModel(recipe, floats)
    top_down = opened.model.gives is Gives.POSES
    opened.close()
    if top_down:
        detector = arguments.detect or selection.load(held.folder).detect
        if detector == "none":
            detector = config.Detect().model
        heldout.detect_people(held, arguments.models, detector, arguments.json)
    return heldout.run(held, recipe, floats, f"{arguments.model} fp32", arguments.json)


def _require_people(model: str, set_folder: Path, fp32: Predictions) -> None:
    """Refuse frames in which FP32 finds no person: they prove nothing about a candidate.

    Raises:
        DataError: FP32 finds no person.
    """
    if not sum(map(len, fp32.people if fp32.skeleton is None else fp32.poses)):
        raise DataError(
            f"{model} in FP32 finds no person in the held-out frames of {set_folder}, so nothing "
            "can be compared; run `edge-tools calibrate` with other recordings"
        )


def _noise_floor(
    arguments: argparse.Namespace,
    held: HeldOutFrames,
    recipe: Recipe,
    floats: Files,
    fp32: Predictions,
) -> NoiseFloor:
    def run_fp32(frames: HeldOutFrames, label: str) -> Predictions:
        label = f"{arguments.model} fp32 {label}"
        return heldout.run(frames, recipe, floats, label, arguments.json)

    return measure(held, fp32, run_fp32)


def _label(files: Files, floats: Files, precision: str) -> str:
    changed = [n for n in files if files[n] != floats[n]]
    if len(changed) == len(files) or precision == "bf16":
        return precision
    return f"{precision} of {', '.join(changed)}" if changed else "fp32 again"


def _runtime(arguments: argparse.Namespace) -> str:
    named = "openvino" if arguments.precision == "bf16" else "onnxruntime"
    return str(arguments.runtime or named)


def _proof(
    arguments: argparse.Namespace,
    gate: Gate,
    result: SearchResult,
    set_folder: Path,
    frames: int,
    floats: Files,
) -> Dict[str, Any]:
    """The result as JSON values."""
    last = result.attempt
    same = {n: has_sha256(last.files[n], sha256_of(floats[n])) for n in last.files}
    floating = [n for n in same if same[n]]
    if arguments.precision == "bf16":
        precision, floating = "bf16", []
    elif len(floating) == len(same):
        precision = record.FLOAT
    else:
        mixed = (floating and not arguments.file) or result.requantized
        precision = "mixed" if mixed else arguments.precision
    return {
        "model": arguments.model,
        "runtime": _runtime(arguments),
        "asked": arguments.precision,
        "result": precision,
        "passed": not last.failures,
        "failures": last.failures,
        "float_networks": floating,
        "relaxed_networks": [n for n in result.requantized if n not in floating],
        "steps": result.steps,
        "loss_alone": result.alone,
        "gate": {"min_oks": gate.min_oks, "max_px": gate.max_px, "min_recall": gate.min_recall},
        "set": set_folder.name,
        "set_sha256": sha256_of(selection.file_of(set_folder)),
        "frames": frames,
        "figures": last.figures.summary,
    }


def _write_records(
    folder: Path,
    recipe: Recipe,
    candidate: Files,
    floats: Files,
    result: SearchResult,
    proof: Dict[str, Any],
) -> List[str]:
    """Replace networks that went back to FP32, then write the record of each network."""
    for name in result.floating:
        record.restore_fp32(candidate[name], floats[name])
    written = []
    for name, network in recipe.networks.items():
        path = candidate_path(folder, network, proof["asked"])
        written.append(str(record.write(path, floats[name], name, proof)))
    return written
