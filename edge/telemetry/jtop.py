"""jetson-stats: what its service says about a Jetson. Imported only where the package is there."""

from __future__ import annotations

import multiprocessing
import queue
from typing import Any, Dict, Mapping

from jtop import JtopException, jtop

from edge.errors import UnavailableError
from edge.telemetry.sysfs import memory_mb

_OFFLINE_C = -256  # jetson-stats's word for a sensor that is off
# What comes out of it: its own error, those of the connection to its service, and those of a
# service that speaks another version's language.
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
    """A connection to its service (major versions 4 to 7).

    Args:
        every_s: how often the service is to measure.

    Raises:
        UnavailableError: it does not run, may not be asked, or is of another version.
    """

    def __init__(self, every_s: float) -> None:
        try:
            self._jtop = jtop(interval=every_s)
            self._jtop.start()
        except _FAILURES as error:
            raise UnavailableError(f"jtop.service: {_line(error)}") from error
        self._closed = False

    def read(self) -> Dict[str, Any]:
        """Fields of a Reading that it knows.

        Raises:
            UnavailableError: the connection is over, or it says what no version known to us says.
        """
        try:
            if not self._jtop.ok(spin=True):
                raise UnavailableError("jtop.service: ended")
            return {name: value for name, value in _fields(self._jtop).items() if value}
        except _FAILURES as error:
            raise UnavailableError(f"jtop.service: {_line(error)}") from error

    def close(self) -> None:
        """Leave; may be called twice."""
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
    """In mW; a board without sensors says nothing at all."""
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
    """In MHz, of the cores that are on."""
    clocks_khz = {f"cpu{i}": c.get("freq", {}).get("cur") for i, c in enumerate(cpu["cpu"])}
    return {name: round(khz / 1e3, 1) for name, khz in clocks_khz.items() if khz is not None}


def _memory(memory: Any) -> Dict[str, float]:
    ram, swap = memory["RAM"], memory["SWAP"]
    return memory_mb(ram["tot"], ram["used"], swap["tot"], swap["used"])


def _power_mode(source: Any) -> str:
    """Its name; a board without power modes raises, or says None."""
    try:
        model = source.nvpmodel
    except JtopException:
        return ""
    return "" if model is None else str(model.name)


def _line(error: BaseException) -> str:
    """One line of whatever it was."""
    return " ".join((str(error) or type(error).__name__).split())
