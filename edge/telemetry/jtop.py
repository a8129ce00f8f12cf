"""Figures of a Jetson from jetson-stats. Imported only where that package is installed."""

from __future__ import annotations

import multiprocessing
import queue
from typing import Any, Dict, Mapping

from jtop import JtopException, jtop

from edge.errors import UnavailableError
from edge.telemetry.sysfs import ram_mb

_OFFLINE_C = -256  # what jetson-stats gives for a sensor that is off
# What its calls raise: its own error, errors of the connection to its service, and errors over
# answers of a service of another version.
_FAILURES = (
    JtopException,
    OSError,
    EOFError,
    queue.Empty,
    multiprocessing.ProcessError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
)


class Jtop:
    """A connection to jtop.service (major versions 4 to 7).

    Args:
        every_s: pause between two measurements of the service.

    Raises:
        UnavailableError: the service does not run, refuses this user, or has another version.
    """

    def __init__(self, every_s: float) -> None:
        try:
            self._jtop = jtop(interval=every_s)
            self._jtop.start()
        except _FAILURES as error:
            raise UnavailableError(f"jtop.service: {_line(error)}") from error
        self._closed = False

    def read(self) -> Dict[str, Any]:
        """The fields of a Reading that the service knows.

        Raises:
            UnavailableError: the connection ended, or the answer has an unknown form.
        """
        try:
            if not self._jtop.ok(spin=True):
                raise UnavailableError("jtop.service: ended")
            return {name: value for name, value in _fields(self._jtop).items() if value}
        except _FAILURES as error:
            raise UnavailableError(f"jtop.service: {_line(error)}") from error

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if not self._closed:
            self._closed = True
            self._jtop.close()


def _fields(source: Any) -> Dict[str, Any]:
    gpu_mhz, gpu_percent = _gpu(source.gpu)
    return {
        "telemetry": "jtop",
        "temperatures_c": {
            name: float(t["temp"])
            for name, t in source.temperature.items()
            if t.get("online", True) and t["temp"] > _OFFLINE_C
        },
        "power_mw": _power(source.power),
        "clocks_mhz": {**gpu_mhz, **_cpus(source.cpu)},
        "load_percent": gpu_percent,
        "ram_mb": _memory(source.memory),
        "power_mode": _power_mode(source),
    }


def _power(power: Mapping[str, Any]) -> Dict[str, float]:
    """In mW; empty on a board without sensors."""
    rails = {n: float(r["power"]) for n, r in power.get("rail", {}).items() if r.get("online", 1)}
    total = {"total": float(power["tot"]["power"])} if rails or power.get("tot") else {}
    return {**rails, **total}


def _gpu(gpus: Any) -> Any:
    for gpu in gpus.values():
        if gpu.get("type", "integrated") == "integrated":
            clock_khz, load = gpu["freq"].get("cur"), gpu["status"].get("load")
            clock = {"gpu": round(clock_khz / 1e3, 1)} if clock_khz is not None else {}
            return clock, {"gpu": float(load)} if load is not None else {}
    return {}, {}


def _cpus(cpu: Mapping[str, Any]) -> Dict[str, float]:
    """Clock of each core in MHz; cores that are off are left out."""
    clocks_khz = {f"cpu{i}": c.get("freq", {}).get("cur") for i, c in enumerate(cpu["cpu"])}
    return {name: round(khz / 1e3, 1) for name, khz in clocks_khz.items() if khz is not None}


def _memory(memory: Any) -> Dict[str, float]:
    ram, swap = memory["RAM"], memory["SWAP"]
    return ram_mb(ram["tot"], ram["used"], swap["tot"], swap["used"])


def _power_mode(source: Any) -> str:
    """Its name; jtop raises, or gives None, on a board without power modes."""
    try:
        model = source.nvpmodel
    except JtopException:
        return ""
    return "" if model is None else str(model.name)


def _line(error: BaseException) -> str:
    """The error's text in one line."""
    return " ".join((str(error) or type(error).__name__).split())
