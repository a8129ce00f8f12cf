"""The machine's figures from a made tree of the kernel's files and from a fake jetson-stats."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from edge.doctor.finding import OK, WARN
from edge.doctor.heat import heat
from edge.errors import UnavailableError
from edge.health import Health
from edge.messages import Builder
from edge.publish._exposition import Exposition
from edge.settings.config import Config
from edge.settings.sections import Telemetry as Settings
from edge.telemetry import reader as telemetry
from edge.telemetry.reader import Telemetry
from edge.telemetry.sysfs import Reading, Sysfs
from tests.fakes.jtop_fake import PUBLIC, JtopException, Service
from tests.waiting import GIVE_UP_S

HWMON = "sys/class/hwmon"
ORIN: Dict[str, str] = {
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "63625",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
    "sys/class/thermal/thermal_zone1/temp": "59093",
    "sys/class/thermal/thermal_zone2/type": "off-thermal",
    "sys/class/thermal/thermal_zone2/temp": "",
    "sys/class/thermal/thermal_zone3/temp": "1000",
    "sys/class/thermal/cooling_device0/type": "pwm-fan",
    "sys/class/thermal/cooling_device0/cur_state": "3",
    "sys/class/thermal/cooling_device1/type": "cpu-throttle-alert",
    "sys/class/thermal/cooling_device1/cur_state": "0",
    "sys/class/thermal/cooling_device2/type": "devfreq-17000000.gpu",
    "sys/class/thermal/cooling_device2/cur_state": "0",
    "sys/class/thermal/cooling_device3/type": "hot-surface-alert",
    "sys/class/thermal/cooling_device3/cur_state": "1",
    f"{HWMON}/hwmon0/name": "soctherm_oc",
    f"{HWMON}/hwmon0/oc1_event_cnt": "0",
    f"{HWMON}/hwmon0/oc1_throt_en": "1",
    f"{HWMON}/hwmon0/oc2_event_cnt": "4",
    f"{HWMON}/hwmon0/oc2_throt_en": "1",
    f"{HWMON}/hwmon0/oc3_event_cnt": "27390",
    f"{HWMON}/hwmon0/oc3_throt_en": "1",
    f"{HWMON}/hwmon1/name": "ina3221",
    f"{HWMON}/hwmon1/in1_label": "VDD_IN",
    f"{HWMON}/hwmon1/in1_input": "5016",
    f"{HWMON}/hwmon1/curr1_input": "1500",
    f"{HWMON}/hwmon1/curr1_max": "3000",
    f"{HWMON}/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    f"{HWMON}/hwmon1/in2_input": "5000",
    f"{HWMON}/hwmon1/curr2_input": "400",
    f"{HWMON}/hwmon1/in3_label": "NC",
    f"{HWMON}/hwmon1/in3_input": "0",
    f"{HWMON}/hwmon1/curr3_input": "0",
    f"{HWMON}/hwmon1/in7_label": "sum of shunt voltages",
    f"{HWMON}/hwmon2/name": "nvme",
    f"{HWMON}/hwmon2/in1_label": "not a rail",
    "sys/class/devfreq/15340000.vic/cur_freq": "115200000",
    "sys/class/devfreq/17000000.gpu/cur_freq": "918000000",
    "sys/class/devfreq/17000000.gpu/device/load": "734",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400",
    "sys/devices/system/cpu/cpu10/cpufreq/scaling_cur_freq": "729600",
    "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq": "729600",
    "sys/devices/system/cpu/cpu3/online": "0",
    "proc/meminfo": "MemTotal:  7802880 kB\nMemFree: 1 kB\nMemAvailable:  3706880 kB\n"
    "SwapTotal: 3901440 kB\nSwapFree: 3900416 kB\nHugePages_Total: 0\n",
    "var/lib/nvpmodel/status": "pmode:0002",
    "etc/nvpmodel.conf": "< PARAM TYPE=FILE NAME=CPU_ONLINE >\n"
    "< POWER_MODEL ID=1 NAME=25W >\nGPU MAX_FREQ 918000000\n"
    "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n",
}


def put(root: Path, files: Dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return root


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    return put(tmp_path, ORIN)


def test_an_orin_is_read_from_its_files(orin: Path) -> None:
    assert Sysfs(orin).read() == Reading(
        "sysfs",
        temperatures_c={"cpu-thermal": 63.625, "gpu-thermal": 59.093},
        power_mw={"VDD_IN": 7524.0, "VDD_CPU_GPU_CV": 2000.0, "total": 7524.0},
        clocks_mhz={"gpu": 918.0, "cpu0": 1510.4, "cpu2": 729.6, "cpu10": 729.6},
        load_percent={"gpu": 73.4},
        ram_mb={"total": 7620.0, "used": 4000.0, "swap_total": 3810.0, "swap_used": 1.0},
        power_mode="MAXN_SUPER",
        throttled=[],
        over_current={"oc1": 0, "oc2": 4, "oc3": 27390},
    )


def test_a_xavier_names_its_gpu_in_the_device_tree_and_has_no_rail_of_the_whole(
    tmp_path: Path,
) -> None:
    files = {
        "sys/class/devfreq/17000000.gv11b/cur_freq": "1377000000",
        "sys/class/devfreq/a/device/of_node/name": "nvdec\0",
        f"{HWMON}/hwmon4/name": "ina3221x",
        f"{HWMON}/hwmon4/in1_label": "GPU",
        f"{HWMON}/hwmon4/in1_input": "19000",
        f"{HWMON}/hwmon4/curr1_input": "100",
        f"{HWMON}/hwmon4/in2_label": "CPU",
        f"{HWMON}/hwmon4/in2_input": "19000",
        f"{HWMON}/hwmon4/curr2_input": "50",
        "var/lib/nvpmodel/status": "pmode:0007",
    }
    reading = Sysfs(put(tmp_path, files)).read()
    assert reading.clocks_mhz == {"gpu": 1377.0}
    assert reading.load_percent == {}
    assert reading.power_mw == {"GPU": 1900.0, "CPU": 950.0, "total": 2850.0}
    assert reading.power_mode == "7", "no list of names"


def test_a_machine_that_says_nothing_or_nonsense_is_no_error(tmp_path: Path) -> None:
    assert Sysfs(tmp_path / "nowhere").read() == Reading()
    nonsense = {name: "" if "meminfo" in name else "\x00-?" for name in ORIN}
    (tmp_path / "sys/class/thermal/thermal_zone9/temp").mkdir(parents=True)
    assert Sysfs(put(tmp_path, nonsense)).read() == Reading()
    (tmp_path / "proc/meminfo").write_bytes(b"MemTotal: many kB\nMemAvailable:\n\xff: 1\n")
    assert Sysfs(tmp_path).read().ram_mb == {}


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"sys/class/thermal/cooling_device1/cur_state": "1"}, ["cpu-throttle-alert"]),
        ({"sys/class/thermal/cooling_device2/cur_state": "5"}, ["devfreq-17000000.gpu"]),
        (
            {
                "sys/class/thermal/cooling_device4/type": "Processor",
                "sys/class/thermal/cooling_device4/cur_state": "2",
            },
            ["Processor"],
        ),
        ({f"{HWMON}/hwmon1/curr1_input": "3000"}, []),
        ({f"{HWMON}/hwmon1/curr1_input": "3001"}, ["current of VDD_IN"]),
        ({"sys/class/thermal/cooling_device0/cur_state": "9"}, []),
    ],
)
def test_what_slows_the_machine_down_is_named(files: Dict[str, str], told: Any, orin: Path) -> None:
    assert Sysfs(put(orin, files)).read().throttled == told


def test_a_device_may_go_while_its_folder_is_listed(
    orin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when something with a sensor is unplugged; the reader's thread must live on."""
    real = Path.glob

    def glob(folder: Path, pattern: str) -> Any:
        if "oc" in pattern or pattern.startswith("in"):
            raise FileNotFoundError(2, "No such file or directory", str(folder))
        return real(folder, pattern)

    whole = Sysfs(orin).read()
    monkeypatch.setattr(Path, "glob", glob)
    reading = Telemetry(Settings(source="sysfs"), orin).read()
    assert whole.power_mw
    assert (reading.power_mw, reading.over_current) == ({}, {})
    assert reading.temperatures_c == whole.temperatures_c


def test_over_current_is_a_rise_of_a_serious_circuit(orin: Path) -> None:
    machine = Telemetry(Settings(source="sysfs"), orin)
    assert machine.read().throttled == [], "what was before is no reason"
    put(orin, {f"{HWMON}/hwmon0/oc3_event_cnt": "27400"})
    assert machine.read().throttled == [], "spikes of an instant are told, and that is all"
    assert machine.report()["over_current"]["oc3"] == 27400
    put(orin, {f"{HWMON}/hwmon0/oc2_event_cnt": "5"})
    assert machine.read().throttled == ["over-current oc2"]
    assert machine.read().throttled == [], "it did not rise again"
    (orin / f"{HWMON}/hwmon0/oc2_event_cnt").unlink()
    assert machine.read().throttled == []
    put(orin, {f"{HWMON}/hwmon0/oc2_event_cnt": "9"})
    assert machine.read().throttled == [], "its driver was loaded again: nothing is known before"
    put(orin, {f"{HWMON}/hwmon0/oc1_event_cnt": "1", f"{HWMON}/hwmon0/oc1_throt_en": "0"})
    assert machine.read().throttled == [], "this circuit was told not to throttle"


# jetson-stats


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()
    monkeypatch.setitem(sys.modules, "jtop", made.module)
    sys.modules.pop("edge.telemetry.jtop", None)
    yield made
    sys.modules.pop("edge.telemetry.jtop", None)


def test_what_is_asked_of_jtop_is_in_every_version(service: Service) -> None:
    assert set(service.says) <= PUBLIC


def test_jtop_says_what_it_knows_and_the_files_the_rest(service: Service, orin: Path) -> None:
    put(orin, {"sys/class/thermal/cooling_device1/cur_state": "1"})
    machine = Telemetry(Settings(every_s=0.5), orin)
    assert machine.read() == Reading(
        "jtop",
        temperatures_c={"CPU": 51.4, "GPU": 48.25},
        power_mw={"VDD_GPU_SOC": 3182.0, "VIN_SYS_5V0": 3611.0, "total": 6793.0},
        clocks_mhz={"gpu": 1236.8, "cpu0": 1190.4},
        load_percent={"gpu": 73.4},
        ram_mb={"total": 62841.4, "used": 8192.0, "swap_total": 31420.7, "swap_used": 1.0},
        power_mode="MODE_50W",
        throttled=["cpu-throttle-alert"],
        over_current={"oc1": 0, "oc2": 4, "oc3": 27390},
    )
    assert [c.interval_user for c in service.clients] == [0.5]
    machine.read()
    assert len(service.clients) == 1, "one connection, kept"


@pytest.mark.parametrize("mode", [None, JtopException("no nvpmodel here")])
def test_a_board_without_power_modes_and_sensors(
    mode: Any, service: Service, tmp_path: Path
) -> None:
    service.says.update(nvpmodel=mode, power={})
    machine = Telemetry(Settings(), tmp_path)
    assert machine.read().telemetry == "jtop"
    assert machine.reading.power_mode == ""
    assert machine.reading.power_mw == {}


FAILURES = [
    JtopException("The jtop.service is not active. Please run:\nsudo systemctl restart jtop"),
    JtopException("Mismatch version jtop service: [4.2.0] and client: [7.2.2]."),
    ConnectionResetError(104, "Connection reset by peer"),
    EOFError(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda e: type(e).__name__)
def test_a_service_that_is_down_is_one_line_and_the_files(
    failure: Exception, service: Service, orin: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    service.down = failure
    machine = Telemetry(Settings(), orin)
    for _ in range(3):
        assert machine.read() == Sysfs(orin).read()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("machine figures come from the kernel's files: jtop")
    assert "\n" not in caplog.messages[0]
    assert len(service.clients) == 1, "it is not asked again at once"


def test_a_service_that_goes_and_comes_back(
    service: Service, orin: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(telemetry, "RETRY_S", 0.0)
    machine = Telemetry(Settings(), orin)
    sources = [machine.read().telemetry]
    service.down = JtopException("Lost connection with jtop server")
    sources += [machine.read().telemetry, machine.read().telemetry]
    service.down = None
    sources.append(machine.read().telemetry)
    assert sources == ["jtop", "sysfs", "sysfs", "jtop"]
    assert service.clients[0].closed == 1
    assert len(caplog.messages) == 3, "there, gone, there"


@pytest.mark.parametrize("lacks", ["temperature", "power", "gpu", "cpu", "memory"])
@pytest.mark.parametrize("other", [None, {}, {"x": 1}, [3]])
def test_another_version_s_words_are_no_crash(
    lacks: str, other: Any, service: Service, orin: Path
) -> None:
    service.says[lacks] = other
    machine = Telemetry(Settings(), orin)
    reading = machine.read()
    assert reading.telemetry in ("jtop", "sysfs")
    assert reading.ram_mb
    assert reading.temperatures_c, "what one does not say, the other does"


def test_without_the_package_the_files_serve(
    orin: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "jtop", None)
    monkeypatch.delitem(sys.modules, "edge.telemetry.jtop", raising=False)
    with pytest.raises(ImportError):
        importlib.import_module("edge.telemetry.jtop")
    with pytest.raises(UnavailableError, match="pip install jetson-stats"):
        telemetry.open_jtop(1.0)
    assert Telemetry(Settings(), orin).read() == Sysfs(orin).read()
    assert caplog.messages == [], "nobody misses it on a laptop"
    assert Telemetry(Settings(source="jtop"), orin).read() == Sysfs(orin).read()
    assert len(caplog.messages) == 1, "who asked for it is told"


def test_sysfs_alone_when_told_so(service: Service, orin: Path) -> None:
    assert Telemetry(Settings(source="sysfs"), orin).read().telemetry == "sysfs"
    assert service.clients == []


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + GIVE_UP_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_thread_reads_again_and_leaves_its_service(service: Service, orin: Path) -> None:
    machine = Telemetry(Settings(every_s=0.1), orin)
    machine.start()
    until(lambda: machine.reading.telemetry == "jtop")
    put(orin, {"sys/class/thermal/cooling_device1/cur_state": "1"})
    until(lambda: machine.reading.throttled)
    machine.close()
    machine.close()
    until(lambda: service.clients[0].closed == 1)


def test_closing_what_never_began_is_fine(tmp_path: Path) -> None:
    Telemetry(Settings(), tmp_path).close()


# The doctor


def test_the_doctor_tells_the_heat(service: Service, orin: Path) -> None:
    (finding,) = heat(Config(telemetry=Settings(source="sysfs")), orin)
    assert finding.state == OK
    assert finding.found == (
        "64 C at cpu-thermal, 7.5 W, power mode MAXN_SUPER (the kernel's files)"
    )
    put(orin, {"sys/class/thermal/cooling_device1/cur_state": "1"})
    (finding,) = heat(Config(), orin)
    assert finding.state == WARN
    assert finding.found.endswith("MODE_50W, throttled: cpu-throttle-alert (jetson-stats)")
    assert service.clients[0].closed == 1, "it does not stay"


def test_the_doctor_misses_the_jtop_that_was_asked_for(service: Service, tmp_path: Path) -> None:
    service.down = JtopException("The jtop.service is not active.")
    found = heat(Config(telemetry=Settings(source="jtop")), tmp_path)
    assert [(f.what, f.state) for f in found] == [("heat", OK), ("jtop", WARN)]
    assert found[0].found == "no figures on this machine (the kernel's files)"


# What becomes of it


def test_a_full_reading_fits_the_contract_and_the_scraper(
    orin: Path, contract: Callable[[str, Dict[str, Any]], None]
) -> None:
    put(orin, {"sys/class/thermal/cooling_device1/cur_state": "1"})
    machine = Telemetry(Settings(source="sysfs"), orin)
    machine.read()
    loop: Dict[str, Any] = {"runs": {}, "dropped": {}, "reconnects": {}, "sinks": []}
    message = Builder("hall").metrics({**Health().report(), **loop, **machine.report()})
    contract(message.topic, json.loads(message.body))
    page = Exposition().page(message.payload).decode()
    assert 'edge_power_watts{rail="VDD_IN"} 7.524' in page
    assert 'edge_clock_hertz{clock="gpu"} 918000000.0' in page
    assert 'edge_over_current_total{circuit="oc3"} 27390.0' in page
    assert 'edge_temperature_celsius{zone="cpu-thermal"} 63.625' in page


def test_before_the_first_reading_it_fits_too(
    tmp_path: Path, contract: Callable[[str, Dict[str, Any]], None]
) -> None:
    loop: Dict[str, Any] = {"runs": {}, "dropped": {}, "reconnects": {}, "sinks": []}
    record = {**Health().report(), **loop, **Telemetry(Settings(), tmp_path).report()}
    message = Builder("hall").metrics(record)
    contract(message.topic, json.loads(message.body))
