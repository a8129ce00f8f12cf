"""Chooses what executes each network, and replaces it by a better engine while the loop runs.

An engine whose build record fits this machine serves at once. If there is none, the ONNX file
serves on the CPU, in the runtime that is faster there (edge.loop.cpu_runtime). Meanwhile an engine
is built in another process, loaded and warmed up in another thread, and takes over between two
frames. Every decision is a `Choice`, which is logged and published in the status.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from edge import plug
from edge.errors import EdgeError, NoInputError, UnavailableError
from edge.loop.cpu_runtime import CpuRuntimes
from edge.loop.cpu_verdicts import Verdicts
from edge.loop.engine_build import Build, build
from edge.loop.engine_fit import Judged, engine_path, judge
from edge.recipe import Network, tool_line
from edge.runtime import Read, Runner, RunnerOptions, open_runner
from edge.runtime._core_pool import CorePool
from edge.runtime._swappable import SwappableRunner
from edge.settings.config import Runtime
from edge.threads import NonCriticalThread

log = logging.getLogger(__name__)

Shapes = Mapping[str, Tuple[int, ...]]
# By precision, those of engines that may serve until the wanted engine exists: slower and never
# less exact.
FINER = {"int8": ("fp16", "fp32"), "fp16": ("fp32",), "fp32": ()}


@dataclass(frozen=True)
class Choice:
    """What executes a network, and why."""

    runtime: str  # trt | ort | openvino
    file: str  # name of the engine or of the ONNX file
    why: str
    next: str = ""  # state of the engine that will replace it: waiting | building | loading


@dataclass(frozen=True)
class _Job:
    """An engine that is to be built."""

    name: str
    folder: Path
    network: str
    engine: Path
    shapes: Shapes
    runner: SwappableRunner


class Engines:
    """Opens networks, and builds missing engines in a thread.

    Args:
        settings: the section [runtime] of the configuration.
        read: gives a file's bytes, or refuses it.
        signed: whether `read` refuses files that the operator did not sign.
        build: builds an engine.
        verdicts: which of the CPU's runtimes was faster at earlier starts; None = none is kept.
    """

    def __init__(
        self,
        settings: Runtime,
        read: Read,
        signed: bool = False,
        build: Build = build,
        verdicts: Optional[Verdicts] = None,
    ) -> None:
        self.choices: Dict[str, Choice] = {}
        self.changes = 0  # decisions so far
        self._settings = settings
        self._read = read
        self._signed = signed
        self._build = build
        self._cpu = CpuRuntimes(settings.prefer, settings.bf16, verdicts or Verdicts(None))
        self._jobs: List[_Job] = []
        self._here: Optional[Dict[str, Any]] = None
        self._no_gpu = ""
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def open(
        self,
        folder: Path,
        name: str,
        network: Network,
        shapes: Shapes,
        pool: Optional[CorePool] = None,
    ) -> Runner:
        """Open what executes a network at first.

        Args:
            folder: of the model.
            name: of the network in the recipe.
            network: its part of the recipe.
            shapes: of one sample of each input.
            pool: executes samples on the CPU together with other networks; None = all cores.

        Raises:
            NoInputError: there is neither an engine nor an ONNX file. UnavailableError: the
            configuration demands an engine and none fits. DataError, ConfigError: a file cannot be
            used.
        """
        full = f"{folder.name}/{name}"
        if self._settings.prefer in ("onnx", "openvino"):
            why = f'runtime.prefer = "{self._settings.prefer}"'
            return self._open_onnx(full, folder, network, shapes, why, pool)
        precision = self._settings.precision
        judged = self._judge(folder, network, precision)
        if not judged.against:
            try:
                return self._open_engine(full, judged, shapes, "its build record fits this machine")
            except EdgeError as error:
                judged = Judged(judged.path, (str(error),), rebuild=not self._signed)
        why = "; ".join(judged.against)
        if self._settings.prefer == "engine":
            raise UnavailableError(
                f'{judged.path}: {why}; runtime.prefer = "engine" demands one: `edge-tools build '
                f"{folder.name} --network {name} --precision {precision}`"
            )
        slower = self._open_slower(full, folder, network, shapes, why)
        runner = SwappableRunner(
            slower or self._open_onnx(full, folder, network, shapes, why, pool)
        )
        if judged.rebuild and self._may_build(full):
            self._jobs.append(_Job(full, folder, name, judged.path, shapes, runner))
            self._change(full, next="waiting")
        return runner

    def start(self) -> None:
        """Begin to build missing engines; may be called twice."""
        if self._jobs and self._thread is None:
            self._thread = NonCriticalThread(target=self._work, name="engines", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop building; may be called twice. Runners are closed by the caller of `open`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def report(self) -> Dict[str, Dict[str, str]]:
        """The choices as plain values, for the status message."""
        return {name: dict(vars(choice)) for name, choice in sorted(self.choices.items())}

    def _judge(self, folder: Path, network: Network, precision: str) -> Judged:
        path = engine_path(folder, network.file, precision)
        here = self._machine()
        if here is None:
            return Judged(path, (self._no_gpu,))
        return judge(path, here, self._read)

    def _machine(self) -> Optional[Dict[str, Any]]:
        """This machine, as an engine must fit it; None if engines cannot run here."""
        if self._here is None and not self._no_gpu:
            try:
                self._here = plug.load("runtime", "trt").machine()
            except EdgeError as error:
                self._no_gpu = str(error)
        return self._here

    def _options(self, dla_core: Optional[int] = None) -> RunnerOptions:
        settings = self._settings
        return RunnerOptions(
            settings.threads, settings.max_batch, dla_core=dla_core, preprocess=settings.preprocess
        )

    def _open_slower(
        self, full: str, folder: Path, network: Network, shapes: Shapes, why: str
    ) -> Optional[Runner]:
        for precision in FINER[self._settings.precision]:
            judged = self._judge(folder, network, precision)
            if not judged.against:
                try:
                    reason = f"{why}; an engine in {precision} serves instead"
                    return self._open_engine(full, judged, shapes, reason)
                except EdgeError as error:
                    log.info("%s: %s", full, error)
        return None

    def _open_engine(self, full: str, judged: Judged, shapes: Shapes, why: str) -> Runner:
        runner = open_runner(judged.path, shapes, self._options(judged.dla_core), self._read)
        log.info("loaded %s", judged.path)
        self._decide(full, Choice("trt", judged.path.name, why))
        return runner

    def _open_onnx(
        self,
        full: str,
        folder: Path,
        network: Network,
        shapes: Shapes,
        why: str,
        pool: Optional[CorePool],
    ) -> Runner:
        path, precision = serving_file(folder, network, self._settings.precision)
        options = replace(self._options(), pool=pool)
        found = self._cpu.open(path, shapes, options, self._read, network.bf16)
        log.info("loaded %s", path)
        if precision != self._settings.precision:
            why += f"; on the CPU {precision} serves instead of {self._settings.precision}"
        why += f"; {found.why}" if found.why else ""
        self._decide(full, Choice(found.runtime, path.name, why))
        return found.runner

    def _may_build(self, full: str) -> bool:
        if not self._settings.build:
            self._change(full, why=self.choices[full].why + "; runtime.build = false")
        elif self._signed:
            hint = "; with trust.key_file an engine is built and signed by the operator"
            self._change(full, why=self.choices[full].why + hint)
        return self._settings.build and not self._signed

    def _decide(self, full: str, choice: Choice) -> None:
        self.choices[full] = choice
        self.changes += 1
        under_way = f"; an engine: {choice.next}" if choice.next else ""
        log.info(
            "%s: %s executes %s: %s%s", full, choice.runtime, choice.file, choice.why, under_way
        )

    def _change(self, full: str, **fields: str) -> None:
        self._decide(full, replace(self.choices[full], **fields))

    def _work(self) -> None:
        for job in self._jobs:
            if self._stop.is_set():
                return
            try:
                self._replace(job)
            except EdgeError as error:
                why = "the program is ending" if self._stop.is_set() else str(error)
                self._change(job.name, why=f"no engine: {why}", next="")

    def _replace(self, job: _Job) -> None:
        """Build the engine, load it, let it take over, and close the runner before it."""
        self._change(job.name, next="building")
        self._build(job.folder, job.network, self._settings.precision, self._stop)
        self._change(job.name, next="loading")
        judged = judge(job.engine, self._here or {}, self._read)
        if judged.against:
            raise UnavailableError("; ".join(judged.against))
        runner = open_runner(job.engine, job.shapes, self._options(judged.dla_core), self._read)
        refused = job.runner.offer(runner)
        if refused:
            raise UnavailableError(f"{job.engine}: {refused}")
        while not job.runner.taken.wait(0.1):
            if self._stop.is_set():
                return
        job.runner.retire()
        self._decide(job.name, Choice("trt", job.engine.name, "built on this machine just now"))


def network_file(folder: Path, network: Network, precision: str) -> Path:
    """The ONNX file of a network in a precision.

    Raises:
        NoInputError: it does not exist; the message names the command that makes it.
    """
    path = folder / network.file
    if precision != "fp32":
        path = path.with_suffix(f".{precision}{path.suffix}")
    if path.is_file():
        return path
    if precision == "fp32":
        raise NoInputError(f"{path}: is missing; `{tool_line('get', folder)}` makes it")
    raise NoInputError(
        f"{path}: is missing; `edge-tools quantize {folder.name}` on a workstation makes it"
    )


def serving_file(folder: Path, network: Network, precision: str) -> Tuple[Path, str]:
    """The ONNX file that the CPU executes, and its precision: FP32 if there is none in FP16.

    Raises:
        NoInputError: it does not exist; the message names the command that makes it.
    """
    if precision == "fp16" and not (folder / network.file).with_suffix(".fp16.onnx").is_file():
        precision = "fp32"
    return network_file(folder, network, precision), precision
