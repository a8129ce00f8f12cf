"""Figures of the machine from the kernel's files; what the machine lacks is left out.

Sources: the kernel's documentation (thermal/sysfs-api, hwmon/sysfs-interface, hwmon/ina3221,
cpu-freq, devfreq, filesystems/proc); for cooling devices, over-current counters and power modes,
NVIDIA's Jetson Linux Developer Guide, "Platform Power and Performance".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

# Cooling devices that slow processors down; fans and hot-surface alerts do not.
_BRAKES = re.compile(r"cpufreq|devfreq|throttle-alert|^Processor$")
_GPUS = re.compile(r"(^|\.)(gpu|ga10b|gv11b|gp10b)$")
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")  # rails that feed all others
_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>")


@dataclass(frozen=True)
class Reading:
    """The state of the machine at one time; names are the machine's own, unknown figures empty."""

    telemetry: str = "sysfs"  # source of the figures: jtop | sysfs
    temperatures_c: Dict[str, float] = field(default_factory=dict)
    power_mw: Dict[str, float] = field(default_factory=dict)  # rails, and `total`
    clocks_mhz: Dict[str, float] = field(default_factory=dict)  # gpu, cpu0 ...
    load_percent: Dict[str, float] = field(default_factory=dict)  # gpu
    ram_mb: Dict[str, float] = field(default_factory=dict)  # total used swap_total swap_used
    power_mode: str = ""
    throttled: List[str] = field(default_factory=list)  # what throttles the machine now
    over_current: Dict[str, int] = field(default_factory=dict)  # events since boot


class Sysfs:
    """Reads the kernel's files.

    Args:
        root: the folder in place of /.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._thermal = root / "sys/class/thermal"
        self._hwmon = root / "sys/class/hwmon"

    def read(self) -> Reading:
        """Read all figures."""
        gpu_mhz, gpu_percent = self._gpu()
        power_mw, over = self._power()
        return Reading(
            temperatures_c=self._temperatures_c(),
            power_mw=power_mw,
            clocks_mhz={**gpu_mhz, **self._cpus()},
            load_percent=gpu_percent,
            ram_mb=self._memory(),
            power_mode=self._power_mode(),
            throttled=self._brakes() + over,
            over_current=self._over_current(),
        )

    def _temperatures_c(self) -> Dict[str, float]:
        """Thermal zones by name; a zone that is off is left out."""
        found: Dict[str, float] = {}
        for zone in _found(self._thermal, "thermal_zone*"):
            name, milli_c = _text(zone / "type"), _whole(zone / "temp")
            if name is not None and milli_c is not None:
                found[name] = milli_c / 1000
        return found

    def _brakes(self) -> List[str]:
        """Cooling devices that slow processors down now."""
        return [
            kind
            for device in _found(self._thermal, "cooling_device*")
            for kind in [_text(device / "type") or ""]
            if _BRAKES.search(kind) and (_whole(device / "cur_state") or 0) > 0
        ]

    def _power(self) -> Tuple[Dict[str, float], List[str]]:
        """Power of each rail in mW, and the rails above their limit of average current."""
        rails: Dict[str, float] = {}
        over: List[str] = []
        for rail, chip, number in self._rails():
            volt_mv = _whole(chip / f"in{number}_input")
            current_ma = _whole(chip / f"curr{number}_input")
            if volt_mv is None or current_ma is None:
                continue
            rails[rail] = round(volt_mv * current_ma / 1000, 1)
            limit_ma = _whole(chip / f"curr{number}_max")
            if limit_ma and current_ma > limit_ma:
                over.append(f"current of {rail}")
        return with_total(rails), over

    def _rails(self) -> Iterator[Tuple[str, Path, int]]:
        """Label, chip and channel of each connected rail."""
        for chip in _found(self._hwmon, "hwmon*"):
            if not (_text(chip / "name") or "").startswith("ina"):
                continue
            for path in _found(chip, "in[1-3]_label"):
                label = _text(path)
                if label and label != "NC":
                    yield label, chip, int(path.name[2])

    def _over_current(self) -> Dict[str, int]:
        """Count of each over-current circuit that may throttle."""
        events: Dict[str, int] = {}
        chips = _found(self._hwmon, "hwmon*")
        for path in [p for chip in chips for p in _found(chip, "oc*_event_cnt")]:
            name = path.name.partition("_")[0]
            count = _whole(path)
            if count is not None and _whole(path.with_name(f"{name}_throt_en")) != 0:
                events[name] = count
        return events

    def _gpu(self) -> Tuple[Dict[str, float], Dict[str, float]]:
        """Clock in MHz and load in percent of the integrated GPU."""
        for device in _found(self._root / "sys/class/devfreq", "*"):
            names = (device.name, _text(device / "device/of_node/name") or "")
            if any(_GPUS.search(name.strip("\0")) for name in names):
                clock_hz, load = _whole(device / "cur_freq"), _whole(device / "device/load")
                clock = {"gpu": round(clock_hz / 1e6, 1)} if clock_hz is not None else {}
                return clock, {"gpu": load / 10} if load is not None else {}
        return {}, {}

    def _cpus(self) -> Dict[str, float]:
        """Clock of each core in MHz."""
        found: Dict[str, float] = {}
        for path in _found(self._root / "sys/devices/system/cpu", "cpu[0-9]*"):
            clock_khz = _whole(path / "cpufreq/scaling_cur_freq")
            if clock_khz is not None:
                found[path.name] = round(clock_khz / 1e3, 1)
        return dict(sorted(found.items(), key=lambda item: int(item[0][3:])))

    def _memory(self) -> Dict[str, float]:
        kib: Dict[str, int] = {}
        for line in (_text(self._root / "proc/meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            number = rest.split()[:1]
            if number and number[0].isdigit():
                kib[name] = int(number[0])
        if not {"MemTotal", "MemAvailable"} <= set(kib):
            return {}
        swap = kib.get("SwapTotal", 0)
        return ram_mb(
            kib["MemTotal"],
            kib["MemTotal"] - kib["MemAvailable"],
            swap,
            swap - kib.get("SwapFree", 0),
        )

    def _power_mode(self) -> str:
        """Name of the power mode, or its number if nvpmodel.conf does not name it."""
        status = re.search(r"pmode:(\d+)", _text(self._root / "var/lib/nvpmodel/status") or "")
        if status is None:
            return ""
        number = int(status.group(1))
        names = _MODE.findall(_text(self._root / "etc/nvpmodel.conf") or "")
        return next((name for i, name in names if int(i) == number), str(number))


def with_total(rails: Dict[str, float]) -> Dict[str, float]:
    """Rails in mW with their `total`: the rail of the whole board, else the sum."""
    if not rails:
        return {}
    whole = [rails[name] for name in _WHOLE_BOARD if name in rails]
    return {**rails, "total": round(whole[0] if whole else sum(rails.values()), 1)}


def ram_mb(
    total_kib: int, used_kib: int, swap_total_kib: int, swap_used_kib: int
) -> Dict[str, float]:
    """Memory in MiB, from KiB as the kernel counts."""
    names = ("total", "used", "swap_total", "swap_used")
    values = (total_kib, used_kib, swap_total_kib, swap_used_kib)
    return {name: round(value / 1024, 1) for name, value in zip(names, values)}


def _found(folder: Path, pattern: str) -> List[Path]:
    """The files of a folder, sorted by name; none if their device goes away meanwhile."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _text(path: Path) -> Optional[str]:
    """The text of a file; None if there is none, or its device is off."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None


def _whole(path: Path) -> Optional[int]:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None
