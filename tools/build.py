"""`edge-tools build`: build TensorRT engines of a model on this machine, with a build record."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, NoInputError, UnavailableError
from edge.recipe import Network, Recipe
from tools import places
from tools.engines import names, show
from tools.engines import trt as tensorrt
from tools.engines.build_progress import BuildProgress
from tools.engines.fp16 import name_nodes, to_fp16
from tools.engines.machine import Gpu, Machine, has_libraries, read_machine
from tools.engines.plan import BuildPlan, plan_build
from tools.engines.record import describe, record_path
from tools.engines.request import (
    WORKSPACE_MB,
    BuildRequest,
    OnnxFile,
    default_batch,
    parse_batch,
    read_onnx,
    read_onnx_file,
    select,
)

HELP = "build a model's TensorRT engines on this machine"
PRECISIONS = ("fp16", "int8", "fp32")
Job = Tuple[BuildRequest, OnnxFile, Network]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("model", help="a folder in the models folder")
    parser.add_argument("--network", default="", metavar="NAME", help="build only this network")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="fp16", help="default: %(default)s"
    )
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument(
        "--batch", metavar="MIN,OPT,MAX", help="smallest, usual and largest batch; or one number"
    )
    parser.add_argument(
        "--workspace-mb",
        type=int,
        default=WORKSPACE_MB,
        metavar="MB",
        help="memory for kernels (%(default)s)",
    )
    parser.add_argument("--dla", type=int, metavar="CORE", help="run on a DLA core (Xavier, Orin)")
    parser.add_argument("--sparse", action="store_true", help="use 2:4 sparse weights if pruned")
    parser.add_argument("--timing-cache", type=Path, metavar="FILE", help="kernel timings to reuse")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, build nothing")
    parser.add_argument(
        "--tensorrt", metavar="VERSION", help="with --dry-run: plan for this version only"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Plan the engines, and build them unless --dry-run is given."""
    if arguments.tensorrt and not arguments.dry_run:
        raise ConfigError("--tensorrt: needs --dry-run; a build uses the installed TensorRT")
    jobs = _jobs(arguments)
    if arguments.dry_run:
        versions = (arguments.tensorrt,) if arguments.tensorrt else names.KNOWN
        plans = [plan_build(*job, version) for job in jobs for version in versions]
        found = [p.as_json() for p in plans]
        print(json.dumps(found, indent=1) if arguments.json else show.plans(plans))
        return 0
    places.require_owner(arguments.models)
    machine = read_machine()
    gpu = require_gpu(machine)
    trt = tensorrt.load()
    records = [build(trt, job, arguments.models, machine, gpu, arguments.json) for job in jobs]
    if arguments.json:
        print(json.dumps(records, indent=1))
    return 0


def _jobs(arguments: argparse.Namespace) -> List[Job]:
    if arguments.workspace_mb < 1:
        raise ConfigError("--workspace-mb: must be at least 1")
    if arguments.dla is not None and arguments.dla < 0:
        raise ConfigError("--dla: must be 0 or more")
    return [
        _job(arguments, *found)
        for found in select(arguments.models, arguments.model, arguments.network)
    ]


def _job(arguments: argparse.Namespace, name: str, network: Network, recipe: Recipe) -> Job:
    folder = arguments.models / arguments.model
    path = folder / network.file
    if not path.is_file():
        raise NoInputError(f"{path}: is missing; `edge-tools get {arguments.model}` makes it")
    chosen = arguments.batch is not None
    request = BuildRequest(
        model=arguments.model,
        network=name,
        folder=folder,
        stem=path.stem,
        precision=arguments.precision,
        batch=parse_batch(arguments.batch) if chosen else default_batch(recipe.family),
        batch_chosen=chosen,
        workspace_mb=arguments.workspace_mb,
        dla=arguments.dla,
        sparse=arguments.sparse,
        timing_cache=arguments.timing_cache,
        calibration=recipe.calibration,
    )
    return request, read_onnx_file(path), network


def require_gpu(machine: Machine) -> Gpu:
    """The GPU to build for.

    Raises:
        UnavailableError: this machine has no usable GPU.
    """
    if machine.gpu is None:
        raise UnavailableError(machine.no_gpu)
    return machine.gpu


def build(
    trt: Any, job: Job, models: Path, machine: Machine, gpu: Gpu, quiet: bool
) -> Dict[str, Any]:
    """Build one engine; write it and its build record.

    Raises:
        EdgeError: a file is missing, the plan is refused, or the build fails; nothing is written.
    """
    request, source, network = job
    version = str(trt.__version__)
    if request.timing_cache is None:
        path = tensorrt.timing_cache_path(models, version, gpu.compute_capability)
        request = replace(request, timing_cache=path)
    planned = plan_build(request, source, network, version, has_libraries())
    ready(planned)
    if not quiet:
        print(show.intro(planned, gpu))
    source, data, nodes = graph(planned, source)
    phases = names.has("IProgressMonitor", names.parse(version))
    with BuildProgress(f"building {request.engine.name}", phases, quiet) as watch:
        built = tensorrt.build(trt, planned, data, nodes, watch.on_phase)
    record = describe(request, source, planned, built, machine, watch.elapsed_s)
    _write(planned, built, record)
    if not quiet:
        print(show.outcome(planned, record))
    return record


def ready(planned: BuildPlan) -> None:
    """Raise if a plan cannot be run.

    Raises:
        ConfigError: this TensorRT cannot build it. NoInputError: a file must be made first.
    """
    if planned.refused:
        raise ConfigError(planned.refused)
    if planned.missing:
        raise NoInputError(planned.missing[0])


def graph(planned: BuildPlan, source: OnnxFile) -> Tuple[OnnxFile, bytes, List[str]]:
    """The file that a plan parses, the bytes for the parser, and the names of the nodes."""
    raw, model = read_onnx(planned.onnx)
    source = replace(source, path=planned.onnx, data=raw)
    if planned.half:
        model = to_fp16(model)
    if planned.half or name_nodes(model):
        raw = model.SerializeToString()
    return source, raw, [f"{node.name} ({node.op_type})" for node in model.graph.node]


def _write(planned: BuildPlan, built: tensorrt.Built, record: Dict[str, Any]) -> None:
    cache: Optional[Path] = planned.timing_cache
    if cache is not None and built.timing_cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_whole(cache, built.timing_cache, READABLE)
    write_whole(planned.engine, built.engine, READABLE)
    text = json.dumps(record, indent=1) + "\n"
    write_whole(record_path(planned.engine), text.encode(), READABLE)
