"""The configuration file: every key with its default, range and meaning."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from edge.errors import ConfigError
from edge.settings import cameras, credentials, floor, limbs, scenes
from edge.settings.cameras import Camera
from edge.settings.floor import Ground
from edge.settings.limbs import Joint, Sensor
from edge.settings.publishing import Mqtt, Outbox, Publish, Webhook
from edge.settings.schema import build, key, name_problem
from edge.settings.sections import (
    AdaptiveRate,
    Bundle,
    Commands,
    Crowd,
    Degrade,
    Record,
    Scene,
    State,
    Telemetry,
    Trust,
)
from edge.settings.toml_text import read_toml, show

__all__ = ["Camera", "Config", "build", "load", "read_toml", "show"]


@dataclass(frozen=True)
class Capture:
    """How cameras are opened, read and watched."""

    buffers: int = key(6, "frame buffers of each camera; the loop borrows at most 4", 5, 16)
    stall_s: float = key(3.0, "a camera without a frame for this long is stalled", 0.2, 60)
    timeout_s: float = key(5.0, "time limit for opening a camera and for each frame", 0.5, 60)
    backoff_max_s: float = key(5.0, "longest pause between two attempts to reconnect", 0.1, 600)
    max_megapixels: float = key(64.0, "pictures with more pixels are refused", 0.1, 256)
    decoder_max_mb: int = key(
        512, "memory of a network camera's decoder process, and of its frames", 32, 65536
    )


@dataclass(frozen=True)
class Models:
    """Where the models are."""

    dir: str = key("", "folder of models; empty = /var/lib/edge/engines, else ./engines")


@dataclass(frozen=True)
class Detect:
    """The person detector."""

    model: str = key(
        "hybrid",
        "name of a model; none = the pose model finds people itself",
        check=name_problem,
    )
    min_score: float = key(0.35, "boxes with a lower score are dropped", 0, 1)
    nms_iou: float = key(0.5, "of boxes that overlap more (IoU), the best one is kept", 0, 1)
    suppression: str = key(
        "box",
        "how people are known who were found twice: box = overlap of boxes; soft = Soft-NMS of "
        "boxes; pose, oks = likeness of poses, in one-stage models",
        choices=("box", "soft", "pose", "oks"),
    )
    every_s: float = key(
        0.16, "pause from one turn of the detector at a camera to the next; 0 = every frame", 0, 10
    )
    every: int = key(
        0, "run the detector on every n-th frame of a camera; 0 = every_s decides", 0, 300
    )
    calm_s: float = key(
        0.5,
        "minimum pause between detections while everyone is tracked and nobody new was found",
        0,
        10,
    )
    still_s: float = key(
        2.0,
        "longest pause between detections while nothing moves outside the known people; 0 = off",
        0,
        60,
    )
    max_people: int = key(50, "people in a frame; those with the best scores are kept", 1, 1000)


@dataclass(frozen=True)
class Pose:
    """The pose model, and what is published of its poses."""

    model: str = key("blazepose", "name of a model", check=name_problem)
    min_score: float = key(0.3, "people with a lower score are not published", 0, 1)
    skeleton: str = key("", "convert poses to this skeleton; empty = the model's own")
    every_s: float = key(
        0.0,
        "pause between runs of the network on a camera; meanwhile optical flow carries keypoints; "
        "0 = every frame",
        0,
        1,
    )
    flow: str = key(
        "lucas-kanade",
        "optical flow where every_s is not 0",
        choices=("lucas-kanade", "farneback"),
    )
    world: bool = key(
        False,
        "joints in metres from the middle of the hips, where the model measures them: for the "
        "rules rom and custom, and published as `world`",
    )


@dataclass(frozen=True)
class Runtime:
    """How networks are executed."""

    prefer: str = key(
        "auto",
        "auto = a TensorRT engine that fits this machine, else on the CPU the faster one of ONNX "
        "Runtime and OpenVINO; onnx = ONNX Runtime",
        choices=("auto", "engine", "onnx", "openvino"),
    )
    precision: str = key("fp32", "precision of the networks", choices=("fp32", "fp16", "int8"))
    bf16: bool = key(
        False,
        "OpenVINO computes float layers in BF16 where the CPU has it and the model allows it; "
        "faster, and 1 to 4 % less accurate",
    )
    threads: int = key(0, "CPU threads for networks; 0 = all cores", 0, 256)
    max_batch: int = key(32, "larger batches are split", 1, 256)
    build: bool = key(
        True, "build a missing engine while the loop runs; not where trust.key_file is set"
    )
    preprocess: str = key(
        "auto",
        "what cuts people out of frames: the GPU's kernel or OpenCV; auto = the kernel if it fits",
        choices=("auto", "kernel", "opencv"),
    )


@dataclass(frozen=True)
class Track:
    """How people keep their id from frame to frame."""

    high_score: float = key(0.6, "boxes above this score are matched first", 0, 1)
    low_score: float = key(0.1, "boxes below this score are ignored", 0, 1)
    new_score: float = key(0.4, "a box above this score may start a new person", 0, 1)
    min_hits: int = key(
        2,
        "a person is published after this many frames; after one if frames are further apart than "
        "confirm_s",
        1,
        100,
    )
    confirm_s: float = key(
        0.25, "a new person who is not seen again within this time is forgotten", 0.01, 60
    )
    max_gap_s: float = key(1.0, "a person who is not seen for this long is away", 0.05, 60)
    return_s: float = key(
        4.0,
        "a person who is not seen for this long is forgotten; until then the id may come back",
        0,
        60,
    )
    clothes: bool = key(True, "know people who come back by the colours of their clothes, too")
    moving_camera: bool = key(True, "follow the background of a camera that pans or shakes")


@dataclass(frozen=True)
class Smooth:
    """The filter of keypoints. Lengths are in heights of the person (H)."""

    enabled: bool = key(True, "false = keypoints as the model gives them")
    preset: str = key(
        "steady",
        "steady = the whole body at once, by the keys below; article = a Kalman filter of constant "
        "velocity with process noise .1 px2 and measurement noise .05 px2, in frames; one-euro = "
        "One-Euro at 8 Hz and 8 Hz for each height per second",
        choices=("steady", "article", "one-euro"),
    )
    q: float = key(
        10.0, "process noise, H/s^2: a larger value follows fast moves sooner", 1e-3, 1e3
    )
    r: float = key(0.008, "measurement noise at score 1, H: a larger value smooths more", 1e-5, 1)
    gate: float = key(
        8.0, "a smaller value takes more measurements for outliers, which count less", 1, 1e6
    )
    min_score: float = key(
        0.3, "a keypoint measured with a lower score keeps its earlier score, which falls", 0, 1
    )
    temporal: bool = key(False, "a small recurrent network corrects the filter's keypoints")
    coast_s: float = key(0.28, "a lost keypoint is predicted for this long", 0, 10)


@dataclass(frozen=True)
class Config:
    """The whole configuration file."""

    device: str = key(
        "edge", "name of this box in topics, and common name of its certificate", check=name_problem
    )
    cameras: List[Camera] = key([], "one [[cameras]] table for each camera")
    capture: Capture = key(Capture)
    models: Models = key(Models)
    trust: Trust = key(Trust)
    detect: Detect = key(Detect)
    pose: Pose = key(Pose)
    crowd: Crowd = key(Crowd)
    runtime: Runtime = key(Runtime)
    track: Track = key(Track)
    smooth: Smooth = key(Smooth)
    rules: List[Dict[str, Any]] = key(
        [], "one [[rules]] table for each rule: kind, cameras, and its own options"
    )
    scenes: List[Scene] = key([], "one [[scenes]] table for each room of calibrated cameras")
    grounds: List[Ground] = key([], "one [[grounds]] table for each camera whose floor is measured")
    sensors: List[Sensor] = key([], "one [[sensors]] table for each inertial sensor")
    joints: List[Joint] = key([], "one [[joints]] table for each joint that is measured")
    publish: Publish = key(Publish)
    mqtt: Mqtt = key(Mqtt)
    webhook: Webhook = key(Webhook)
    outbox: Outbox = key(Outbox)
    state: State = key(State)
    commands: Commands = key(Commands)
    bundle: Bundle = key(Bundle)
    record: Record = key(Record)
    telemetry: Telemetry = key(Telemetry)
    degrade: Degrade = key(Degrade)
    adaptive_rate: AdaptiveRate = key(AdaptiveRate)


def load(path: Path, grounds: bool = True) -> Config:
    """Read a configuration file, check it and complete it.

    Args:
        path: of the file.
        grounds: false = leave its [[grounds]] tables out, to make them again.

    Raises:
        NoInputError, ConfigError: one line that starts with the path.
    """
    table = read_toml(path)
    if not grounds:
        table.pop("grounds", None)
    try:
        return complete(build(Config, table))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def complete(config: Config) -> Config:
    """Name the cameras, locate credentials, and check what concerns several sections.

    Raises:
        ConfigError: two cameras have one name, a camera has a name that topics need, a mask is no
            polygon, or a rule or scene names a camera that is not there.
    """
    named = cameras.completed(config.cameras)
    names = [c.name for c in named]
    floor.check(config.grounds, names, [c.name for c in named if c.lens.given])
    for i, rule in enumerate(config.rules):
        watched = rule.get("cameras", [])
        if not isinstance(watched, list):
            raise ConfigError(f"rules[{i}].cameras: expected a list of names, got {watched!r}")
        for name in watched:
            if name not in names:
                raise ConfigError(
                    f"rules[{i}].cameras: no camera {name!r}; there are: {', '.join(names)}"
                )
    full = dataclasses.replace(
        config,
        cameras=named,
        scenes=scenes.completed(config.scenes, names),
        joints=limbs.completed(config.sensors, config.joints, names),
    )
    return credentials.located(full)
