"""Cameras and sensors of the kernel: vivid behind v4l2://, i2c-stub behind mpu6050://."""

from __future__ import annotations

import json
import time
from typing import Any, Dict
from urllib.parse import quote

from tests.vm.image import ROOT
from tests.vm.machine import Machine
from tests.vm.trial import Trial

VIVID = (
    "modprobe vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0x0,0x0 multiplanar=1,1"
)
CAMERA = "/dev/video0"
FORMATS = ("YUYV", "UYVY", "NV12", "BGR3", "GREY")
SIZES = ((320, 180), (640, 360), (1280, 720), (1920, 1080), (3840, 2160))
DRIVER = "/sys/bus/platform/drivers/vivid"
ADDRESS = 0x68
WHO_AM_I, ACCEL_Z = 0x75, 0x3F
SENSOR = """\
[[sensors]]
name = "shank"
source = "mpu6050://{bus}?fifo=off&self_test=off&hz=20"
"""


def kernel(trial: Trial) -> None:
    machine = trial.machine()
    machine.sh("systemctl stop edge")
    machine.sh(VIVID)
    machine.put(ROOT / "tests/vm/grab.py", "/root/grab.py")
    formats(trial, machine)
    refusals(trial, machine)
    trial.provision(machine)
    unplug(trial, machine)
    sensor(trial, machine)


def grab(machine: Machine, options: str) -> Dict[str, Any]:
    """What grab.py says of the camera with these options."""
    uri = quote(f"v4l2://{CAMERA}?{options}", safe="/:?=&")
    text = machine.out(f"/usr/lib/edge/venv/bin/python /root/grab.py '{uri}'")
    found: Dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


def formats(trial: Trial, machine: Machine) -> None:
    """Each format, then each size; frames without a copy where the driver takes our memory."""
    for name in FORMATS:
        found = grab(machine, f"width=640&height=360&format={name}")
        trial.check(found.get("format") == name, f"{name}: {found}")
        trial.check(found["shape"][:2] == [360, 640], f"{name}: {found}")
        trial.check(found["spread"] > 5.0, f"{name}: the picture is empty: {found}")
    trial.row(
        "pixel formats of vivid", tried=len(FORMATS), held=len(FORMATS), note=" ".join(FORMATS)
    )
    for width, height in SIZES:
        options = f"width={width}&height={height}&format=BGR3&memory=userptr"
        found = grab(machine, options)
        trial.check(found.get("shape") == [height, width, 3], f"{options}: {found}")
        trial.check(found["copies"] == 0, f"{options}: {found}")
    note = "320x180 to 3840x2160, USERPTR, no copy"
    trial.row("sizes of vivid", tried=len(SIZES), held=len(SIZES), note=note)


def refusals(trial: Trial, machine: Machine) -> None:
    """What the camera cannot do is refused or said."""
    found = grab(machine, "format=MJPG")
    trial.check("MJPG" in found.get("error", ""), f"format=MJPG: {found}")
    trial.row("format=MJPG is refused", note=found["error"][:90].replace("|", "/"))
    found = grab(machine, "width=1280&height=720&fps=30&format=YUYV")
    warned = [w for w in found["said"] if w.startswith("WARNING") and "fps" in w]
    if found["rate_hz"] < 29.0:
        trial.check(warned, f"fewer frames a second than asked without a warning: {found}")
    trial.row("asked 30 fps at 1280x720", note=f"given {found['rate_hz']:g}, warned {len(warned)}")


def unplug(trial: Trial, machine: Machine) -> None:
    """Two cameras; one goes while it streams, and comes back."""
    second = '[[cameras]]\nname = "cam1"\nsource = "v4l2:///dev/video1?width=320&height=180"\n'
    trial.settings(machine, f"v4l2://{CAMERA}?width=320&height=180", second)
    begun_s = time.monotonic()
    machine.sh("systemctl restart edge")
    for name in ("cam0", "cam1"):
        wait(trial, machine, name, "ok", begun_s)
    trial.row("two cameras of vivid", time.monotonic() - begun_s)
    begun_s = time.monotonic()
    machine.sh(f"echo vivid.0 >{DRIVER}/unbind")
    wait(trial, machine, "cam0", "stalled", begun_s)
    gone_s = time.monotonic() - begun_s
    before = metric(trial, "frames", "cam1")
    machine.until(lambda: metric(trial, "frames", "cam1") != before, "frames of the other camera")
    begun_s = time.monotonic()
    machine.sh(f"echo vivid.0 >{DRIVER}/bind")
    wait(trial, machine, "cam0", "ok", begun_s)
    note = f"stalled is said after {gone_s:.1f} s"
    trial.row("camera unplugged while streaming, and back", time.monotonic() - begun_s, note=note)


def wait(trial: Trial, machine: Machine, camera: str, state: str, begun_s: float) -> None:
    """Until a camera has said a state after a time."""
    machine.until(
        lambda: trial.listener.state_of(camera, begun_s).get("state") == state,
        f"{camera} {state}",
        0.2,
    )


def metric(trial: Trial, name: str, of: str, begun_s: float = 0.0) -> Any:
    """An entry of the last metrics message after a time; 0 = there is none."""
    messages = trial.listener.since(begun_s, "/metrics")
    return messages[-1].get(name, {}).get(of, 0) if messages else 0


def sensor(trial: Trial, machine: Machine) -> None:
    """An MPU-6050 that lies still, 1 g on its z axis; it is plugged in while the program runs."""
    machine.sh("modprobe i2c-dev")
    plug = f"modprobe i2c-stub chip_addr={ADDRESS:#x} && udevadm settle"
    bus = machine.out(f"{plug}; i2cdetect -l | sed -n 's/^i2c-\\([0-9]*\\).*SMBus stub.*/\\1/p'")
    machine.sh("rmmod i2c-stub")
    trial.settings(machine, more=SENSOR.format(bus=f"/dev/i2c-{bus}"))
    begun_s = time.monotonic()
    machine.sh("systemctl restart edge")
    lost = "a sensor that lacks is told"
    machine.until(lambda: metric(trial, "sensor_states", "shank", begun_s) == "lost", lost)
    begun_s = time.monotonic()
    machine.sh(plug)
    for register, value in ((WHO_AM_I, 0x68), (ACCEL_Z, 0x10)):
        machine.sh(f"i2cset -y {bus} {ADDRESS:#x} {register:#x} {value:#x}")
    samples = "samples of the sensor"
    machine.until(lambda: metric(trial, "sensor_samples", "shank", begun_s) > 20, samples)
    note = "the service ran before its adapter was there"
    trial.row("MPU-6050 of i2c-stub plugged in: samples", time.monotonic() - begun_s, note=note)
