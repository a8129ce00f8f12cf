"""A `jtop` module with the shape of jetson-stats 4.3.2 and 7.2.2 and no service behind it.

Names, units and what is optional are those of the package's own documentation of `jtop.jtop`;
the values are those of an AGX Orin that somebody uses.
"""

from __future__ import annotations

import types
from typing import Any, Dict, Iterator, List, Optional

# Public attributes of jtop.jtop that both versions have, threading.Thread's left out.
PUBLIC = {
    "attach",
    "board",
    "close",
    "cpu",
    "detach",
    "disk",
    "engine",
    "fan",
    "gpu",
    "interval",
    "interval_user",
    "jetson_clocks",
    "json",
    "local_interfaces",
    "loop_for_ever",
    "memory",
    "nvpmodel",
    "ok",
    "power",
    "processes",
    "restore",
    "run",
    "start",
    "stats",
    "temperature",
    "uptime",
}


class JtopException(Exception):
    def __init__(self, message: str, errors: str = "") -> None:
        super().__init__(message, errors)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Table:
    """jetson-stats's GenericInterface: reads like a dict and is none."""

    def __init__(self, data: Dict[str, Any]) -> None:
        self._data = data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def items(self) -> Any:
        return self._data.items()

    def values(self) -> Any:
        return self._data.values()

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, default)


class Mode:
    """jetson-stats's NVPModel."""

    id, name = 3, "MODE_50W"

    def __eq__(self, other: object) -> bool:
        return other in (self.id, self.name)

    __hash__ = None  # type: ignore[assignment]


def board() -> Dict[str, Any]:
    rail = {"type": "INA3221", "warn": 32760, "crit": 32760}
    core = {
        "online": True,
        "governor": "schedutil",
        "model": "",
        "user": 1.0,
        "nice": 0.0,
        "system": 1.0,
        "idle": 98.0,
        "freq": {"min": 115200, "max": 2201600, "cur": 1190400},
        "info_freq": {"min": 115200, "max": 2201600, "cur": 1190400},
    }
    return {
        "temperature": {
            "CPU": {"temp": 51.4, "online": True},
            "CV0": {"temp": -256, "online": False},
            "GPU": {"temp": 48.25, "online": True, "max": 84.0, "crit": 104.5},
        },
        "power": {
            "rail": {
                "VDD_GPU_SOC": {
                    **rail,
                    "volt": 19408,
                    "curr": 164,
                    "power": 3182,
                    "avg": 3182,
                    "online": True,
                },
                "VIN_SYS_5V0": {
                    **rail,
                    "volt": 5016,
                    "curr": 720,
                    "power": 3611,
                    "avg": 3600,
                    "online": True,
                },
                "USB": {"type": "USB", "volt": 0, "curr": 0, "power": 0, "avg": 0, "online": False},
            },
            "tot": {"power": 6793, "avg": 6782},
        },
        "gpu": Table(
            {
                "gpu": {
                    "type": "integrated",
                    "status": {
                        "railgate": False,
                        "tpc_pg_mask": False,
                        "3d_scaling": True,
                        "load": 73.4,
                    },
                    "freq": {
                        "governor": "nvhost_podgov",
                        "cur": 1236750,
                        "max": 1300500,
                        "min": 306000,
                        "GPC": [1236000],
                    },
                    "power_control": "auto",
                }
            }
        ),
        "cpu": {"total": {"user": 1.0}, "cpu": [core, {"online": False, "model": ""}]},
        "memory": Table(
            {
                "RAM": {
                    "tot": 64349644,
                    "used": 8388608,
                    "free": 50000000,
                    "buffers": 1,
                    "cached": 2,
                    "shared": 3,
                    "lfb": 9,
                },
                "SWAP": {"tot": 32174816, "used": 1024, "cached": 0, "table": {}},
            }
        ),
        "nvpmodel": Mode(),
    }


class Service:
    """What the fake's clients find: set `down` or change `says` to break it."""

    def __init__(self) -> None:
        self.says = board()
        self.down: Optional[Exception] = None
        self.clients: List[Any] = []

    @property
    def module(self) -> types.ModuleType:
        """To be put at sys.modules["jtop"]."""
        service = self

        class jtop(_Client):
            _service = service

        module = types.ModuleType("jtop")
        module.jtop, module.JtopException = jtop, JtopException  # type: ignore[attr-defined]
        return module


class _Client:
    _service: Service

    def __init__(self, interval: float = 1.0) -> None:
        self.interval_user, self.started, self.closed = float(interval), False, 0
        self._service.clients.append(self)

    def start(self) -> None:
        self._check()
        self.started = True

    def ok(self, spin: bool = False) -> bool:
        assert spin, "without it, the call blocks"
        assert self.started
        self._check()
        return not self.closed

    def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self._service.down is not None:
            raise self._service.down

    def __getattr__(self, name: str) -> Any:
        says = self.__class__._service.says
        if name not in PUBLIC or name not in says:
            raise AttributeError(name)
        if isinstance(says[name], Exception):
            raise says[name]
        return says[name]
