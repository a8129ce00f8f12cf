"""`edge-tools verify`: a smaller precision against FP32, on frames held out of the calibration.

The accuracy gate of model.toml decides, by the people whose pose FP32 itself holds. What fails goes
back to floating point network by network, worst first, until it passes; every file gets a record of
what was found.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge.errors import ConfigError, DataError, NoInputError
from edge.loop.assemble import network_file
from edge.models import Gives
from edge.recipe import Recipe, load_recipe
from edge.runtime import SUFFIXES
from edge.settings import config
from tools import places
from tools.calib import selection
from tools.fetch.files import has_sha256, sha256_of
from tools.model_files import candidate_path
from tools.proof import gate as gates
from tools.proof import heldout, picture, record, text_report
from tools.proof.heldout import Files, Held, Results
from tools.proof.noise_floor import Floor, measure
from tools.proof.requantize import Requantizer
from tools.proof.search import Outcome, Trial, search

HELP = "INT8 against FP32 on held-out frames: passes its accuracy gate or steps back"
FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a folder of engines/")
    parser.add_argument("--precision", default="int8", choices=("int8", "fp16", "engine"))
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="[NETWORK=]FILE",
        help="verify this file in place of a network's own",
    )
    parser.add_argument("--set", metavar="NAME", help="of calibration/; else what model.toml says")
    parser.add_argument("--detect", metavar="MODEL", help="whose boxes; else the set's detector")
    parser.add_argument("--models", type=Path, default=places.models(), metavar="DIR")
    parser.add_argument("--sets", type=Path, default=places.sets(), metavar="DIR")
    parser.add_argument("--no-gate", action="store_true", help="figures only, change nothing")
    parser.add_argument("--json", action="store_true", help="machine-readable, no progress")


def run(arguments: argparse.Namespace) -> int:
    """Verify one model."""
    folder = arguments.models / arguments.model
    recipe = load_recipe(folder)
    floats = {n: network_file(folder, net, "fp32") for n, net in recipe.networks.items()}
    candidate = _candidate(arguments, folder, recipe, floats)
    set_folder = _set_folder(arguments, recipe)
    held = heldout.load_held(set_folder)
    truth = _truth(arguments, held, recipe, floats)
    _require_people(arguments.model, set_folder, truth)
    gated = not (arguments.no_gate or arguments.file)

    floor = _floor(arguments, held, recipe, floats, truth)

    def attempt(files: Files) -> Trial:
        label = f"{arguments.model} {_label(files, floats, arguments.precision)}"
        found = heldout.run(held, recipe, files, label, arguments.json)
        figures = heldout.compared(truth, found, floor.sure)
        figures.summary["floor"] = floor.summary
        return Trial(files, found, figures, gates.failures(figures.summary, recipe.gate))

    again = Requantizer(folder, recipe, arguments.sets, set_folder.name, arguments.json)

    def relax(name: str, share: float) -> Optional[Path]:
        return again(name, share) if arguments.precision == "int8" else None

    if gated:
        outcome = search(candidate, floats, recipe.gate, attempt, relax)
    else:
        outcome = Outcome(attempt(candidate))
    proof = _proof(arguments, recipe, outcome, set_folder, len(held.pictures), floats)
    proof["picture"] = str(folder / f"{arguments.model}.verify.png")
    picture.write(Path(proof["picture"]), held, truth, outcome.trial.results, outcome.trial.figures)
    if gated:
        proof["records"] = _settle(folder, recipe, candidate, floats, outcome, proof)
    print(json.dumps(proof, indent=1) if arguments.json else text_report.text(proof))
    return 0 if proof["passed"] or arguments.no_gate else FAILED


def _candidate(arguments: argparse.Namespace, folder: Path, recipe: Recipe, floats: Files) -> Files:
    """The file of each network that is to be verified."""
    if not arguments.file:
        if arguments.precision == "engine":
            raise ConfigError("--precision engine: name its file too: --file [NETWORK=]FILE")
        nets = recipe.networks.items()
        files = {n: network_file(folder, net, arguments.precision) for n, net in nets}
        # One that went back to floating point before is a copy of FP32.
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
            raise ConfigError(f"--file {word}: no network {name!r}; there are: {_list(files)}")
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
        raise ConfigError(f"{arguments.model}: model.toml names no calibration; give --set NAME")
    return Path(arguments.sets) / str(name)


def _truth(arguments: argparse.Namespace, held: Held, recipe: Recipe, floats: Files) -> Results:
    """FP32's answers; a pose model and its candidates all get the FP32 detector's boxes."""
    opened = heldout.Opened(recipe, floats)
    top_down = opened.model.gives is Gives.POSES
    opened.close()
    if top_down:
        detector = arguments.detect or selection.load(held.folder).detect
        if detector == "none":
            detector = config.Detect().model
        heldout.look_for_people(held, arguments.models, detector, arguments.json)
    return heldout.run(held, recipe, floats, f"{arguments.model} fp32", arguments.json)


def _require_people(model: str, set_folder: Path, truth: Results) -> None:
    """Without anybody nothing is proven, and nothing is to blame either.

    Raises:
        DataError: FP32 itself finds no one.
    """
    if not sum(map(len, truth.people if truth.skeleton is None else truth.poses)):
        raise DataError(
            f"{model} in FP32 sees no one in the held-out frames of {set_folder}: nothing can be "
            "compared; `edge-tools calibrate` with other recordings"
        )


def _floor(
    arguments: argparse.Namespace, held: Held, recipe: Recipe, floats: Files, truth: Results
) -> Floor:
    """How far FP32 is from itself."""

    def run_fp32(frames: Held, label: str) -> Results:
        label = f"{arguments.model} fp32 {label}"
        return heldout.run(frames, recipe, floats, label, arguments.json)

    return measure(held, truth, run_fp32)


def _label(files: Files, floats: Files, precision: str) -> str:
    changed = [n for n in files if files[n] != floats[n]]
    if len(changed) == len(files):
        return precision
    return f"{precision} of {', '.join(changed)}" if changed else "fp32 again"


def _proof(
    arguments: argparse.Namespace,
    recipe: Recipe,
    outcome: Outcome,
    set_folder: Path,
    frames: int,
    floats: Files,
) -> Dict[str, Any]:
    """All that was found, as JSON values."""
    trial = outcome.trial
    same = {n: has_sha256(trial.files[n], sha256_of(floats[n])) for n in trial.files}
    floating = [n for n in same if same[n]]
    if len(floating) == len(same):
        result = record.FLOAT
    else:
        mixed = (floating and not arguments.file) or outcome.relaxed
        result = "mixed" if mixed else arguments.precision
    gate = recipe.gate
    return {
        "model": arguments.model,
        "asked": arguments.precision,
        "result": result,
        "passed": not trial.failures,
        "failures": trial.failures,
        "float_networks": floating,
        "relaxed_networks": [n for n in outcome.relaxed if n not in floating],
        "steps": outcome.steps,
        "loss_alone": outcome.alone,
        "gate": {"min_oks": gate.min_oks, "max_px": gate.max_px, "min_recall": gate.min_recall},
        "set": set_folder.name,
        "set_sha256": sha256_of(selection.file_of(set_folder)),
        "frames": frames,
        "figures": trial.figures.summary,
    }


def _settle(
    folder: Path,
    recipe: Recipe,
    candidate: Files,
    floats: Files,
    outcome: Outcome,
    proof: Dict[str, Any],
) -> List[str]:
    """Put networks that went back in their places, and write the records."""
    for name in outcome.floating:
        record.give_back(candidate[name], floats[name])
    written = []
    for name, network in recipe.networks.items():
        path = candidate_path(folder, network, proof["asked"])
        written.append(str(record.write(path, floats[name], name, proof)))
    return written
