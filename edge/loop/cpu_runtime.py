"""Chooses between ONNX Runtime and OpenVINO for a network on the CPU, by a short measurement.

Which one is faster depends on the CPU and on the network: INT8 costs time in ONNX Runtime on the
CPUs where it saves half in OpenVINO. So both execute single samples in turn, once; the verdict is
kept (edge.loop.cpu_verdicts) until the network, a version or the CPU changes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from edge import plug
from edge.errors import EdgeError
from edge.loop.cpu_verdicts import Verdict, Verdicts
from edge.runtime import Read, Runner, RunnerOptions, open_runner
from edge.runtime._core_pool import CorePool
from edge.settings.config import Runtime

log = logging.getLogger(__name__)

Shapes = Mapping[str, Tuple[int, ...]]
_TINY_S = 0.0005  # of one sample: below this it is not worth to load a second library
_FEWEST, _MOST = 7, 25  # rounds of a measurement
_BUDGET_S = 0.5  # of a measurement, when it has its fewest rounds
_ENOUGH = 3  # rounds, where one runtime takes less than _FAR of the other's time in all of them
_FAR = 0.75
_CLEARLY = 0.95  # OpenVINO is taken below this share of ONNX Runtime's time
_CPU_INFO = Path("/proc/cpuinfo")


class Opened(NamedTuple):
    """A network on the CPU."""

    runner: Runner
    runtime: str  # ort | openvino
    why: str  # empty = nothing to tell


class CpuRuntimes:
    """Opens ONNX files for the CPU.

    Args:
        prefer: `runtime.prefer`: onnx = ONNX Runtime, openvino = OpenVINO, else the faster one.
        bf16: `runtime.bf16`: whether networks may be executed in BF16 that allow it.
        verdicts: of earlier starts.
    """

    def __init__(self, prefer: str, bf16: bool, verdicts: Verdicts) -> None:
        self._prefer = prefer
        self._bf16 = bf16
        self._verdicts = verdicts

    def open(
        self, path: Path, shapes: Shapes, options: RunnerOptions, read: Read, bf16: bool
    ) -> Opened:
        """Open a network.

        Args:
            path: the ONNX file.
            shapes: of one sample of each input.
            options: how it is executed; its runtime is chosen here.
            read: gives the file's bytes, or refuses it.
            bf16: whether this network may be executed in BF16 (`bf16` of its recipe).

        Raises:
            NoInputError, DataError, ConfigError: the file cannot be used. UnavailableError:
            runtime.prefer demands OpenVINO, and it is not installed.
        """
        if self._prefer == "onnx":
            return Opened(open_runner(path, shapes, options, read), "ort", "")
        data = read(path)  # read once: the bytes that are judged are the bytes that are loaded

        def once(path: Path) -> bytes:
            return data

        if self._prefer == "openvino":
            faster = _openvino(options, self._bf16 and bf16)
            runner = open_runner(path, shapes, faster, once)
            return Opened(
                runner, "openvino", f"float layers in {'BF16' if faster.bf16 else 'FP32'}"
            )
        return self._open_faster(path, shapes, options, once, bf16, hashlib.sha256(data))

    def _open_faster(
        self, path: Path, shapes: Shapes, options: RunnerOptions, read: Read, bf16: bool, sha: Any
    ) -> Opened:
        key = verdict_key(sha.hexdigest(), options, self._bf16 and bf16)
        known = self._verdicts.get(key) if installed() else None
        if known is not None and known.runtime == "openvino":
            try:
                faster = replace(options, onnx="openvino", bf16=known.bf16)
                return Opened(open_runner(path, shapes, faster, read), "openvino", told(known))
            except EdgeError as error:
                why = f"OpenVINO was faster here but fails: {error}"
                return Opened(open_runner(path, shapes, options, read), "ort", why)
        plain = open_runner(path, shapes, options, read)
        if known is not None:
            return Opened(plain, "ort", told(known))
        if min(plain.trial_s() for _ in range(3)) < _TINY_S:
            return Opened(plain, "ort", "")
        if not installed():
            return Opened(plain, "ort", "OpenVINO is not installed")
        try:
            faster = _openvino(options, self._bf16 and bf16)
            other = open_runner(path, shapes, faster, read)
        except EdgeError as error:
            return Opened(plain, "ort", f"OpenVINO does not serve: {error}")
        try:
            verdict = measure(plain, other, faster.bf16)
        except EdgeError as error:
            other.close()
            return Opened(plain, "ort", f"OpenVINO does not serve: {error}")
        self._verdicts.put(key, verdict)
        if verdict.runtime == "ort":
            other.close()
            return Opened(plain, "ort", told(verdict))
        plain.close()
        return Opened(other, "openvino", told(verdict))


def cpu_options(settings: Runtime, networks: int) -> RunnerOptions:
    """How the networks of a model are executed on the CPU; a single network uses all cores.

    Args:
        settings: the section [runtime].
        networks: how many the model has.
    """
    cores = settings.threads or len(os.sched_getaffinity(0))
    pool = CorePool(cores) if networks > 1 else None
    return RunnerOptions(settings.threads, settings.max_batch, pool=pool)


def told(verdict: Verdict) -> str:
    """A verdict as one line for people."""
    float_type = " with BF16" if verdict.bf16 else ""
    return (
        f"measured here: OpenVINO{float_type} takes {verdict.ratio:.2f} of ONNX Runtime's "
        f"{verdict.ort_ms:.1f} ms"
    )


def installed() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    try:
        return importlib.util.find_spec("openvino") is not None
    except ValueError:  # a module without a spec: it is there
        return True


def measure(plain: Runner, other: Runner, bf16: bool) -> Verdict:
    """Let two runners execute single samples in turn, for about half a second.

    Neighbours on a busy machine disturb both alike, so the verdict is the median of the ratios of
    neighbouring executions.

    Args:
        plain: of ONNX Runtime.
        other: of OpenVINO.
        bf16: whether that one computes in BF16.

    Raises:
        DataError: a network failed.
    """
    for runner in (plain, other, plain, other):
        runner.trial_s()
    times: List[Tuple[float, float]] = []
    end = time.monotonic() + _BUDGET_S
    while not _plain(times) and (
        len(times) < _FEWEST or (len(times) < _MOST and time.monotonic() < end)
    ):
        first, second = (plain, other) if len(times) % 2 else (other, plain)
        took = {id(runner): runner.trial_s() for runner in (first, second)}
        times.append((took[id(plain)], took[id(other)]))
    both = np.array(times)
    ratio = float(np.median(both[:, 1] / both[:, 0]))
    runtime = "openvino" if ratio <= _CLEARLY else "ort"
    return Verdict(runtime, bf16, round(ratio, 3), round(float(np.median(both[:, 0])) * 1e3, 3))


def _plain(times: Sequence[Tuple[float, float]]) -> bool:
    """Whether one runtime was far ahead in all rounds, so that more of them would tell nothing."""
    ratios = [other / plain for plain, other in times]
    return len(ratios) >= _ENOUGH and (max(ratios) < _FAR or min(ratios) > 1 / _FAR)


def _openvino(options: RunnerOptions, bf16: bool) -> RunnerOptions:
    """The same options for OpenVINO; BF16 only where the CPU has it.

    Raises:
        UnavailableError: OpenVINO cannot be imported.
    """
    library = plug.load("runtime", "openvino")
    return replace(options, onnx="openvino", bf16=bf16 and library.computes_bf16())


def verdict_key(sha256: str, options: RunnerOptions, bf16: bool) -> str:
    """All that a verdict depends on, as a hash.

    Args:
        sha256: of the network's file.
        options: how it is executed.
        bf16: whether it may be executed in BF16.
    """
    cores = len(os.sched_getaffinity(0))
    pooled = options.pool.cores if options.pool is not None else 0
    versions = [_version("onnxruntime"), _version("openvino")]
    parts = [sha256, *versions, _cpu(), str((cores, options.threads, pooled, bf16))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    """The CPU's model and its instructions, as Linux tells them of the first core."""
    try:
        first = _CPU_INFO.read_text("utf-8", "replace").split("\n\n")[0]
    except OSError:
        return ""
    telling = ("model name", "flags", "Features", "CPU implementer", "CPU part", "CPU variant")
    return "\n".join(line for line in first.split("\n") if line.startswith(telling))
