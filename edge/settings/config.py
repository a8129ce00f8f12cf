"""The one configuration file: every key, its default, its range, its meaning."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List

from edge.errors import ConfigError, NoInputError
from edge.settings import credentials
from edge.settings.schema import build, key, name_problem
from edge.settings.sections import Bundle, Commands, Record, State
from edge.settings.toml_text import show

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Config", "build", "load", "read_toml", "show"]
# Names that stand where a camera's does in topics, or that events of the box itself carry.
RESERVED = ("ack", "answer", "cmd", "device", "metrics", "status")


@dataclass(frozen=True)
class Camera:
    """One source of frames."""

    source: str = key(help="URI: file:// rtsp:// v4l2:// csi:// synthetic://")
    name: str = key(
        "",
        "topic name; empty = cam0, cam1, ... in this order",
        check=lambda v: name_problem(v) if v else None,
    )


@dataclass(frozen=True)
class Capture:
    """How cameras are supervised."""

    buffers: int = key(6, "frames in each camera's ring; the loop holds up to four", 5, 16)
    stall_s: float = key(3.0, "no frame for so long = stalled", 0.2, 60)
    timeout_s: float = key(5.0, "give up opening or reading after this", 0.5, 60)
    backoff_max_s: float = key(5.0, "longest wait between two tries to reconnect", 0.1, 600)
    max_megapixels: float = key(64.0, "larger pictures are refused", 0.1, 256)


@dataclass(frozen=True)
class Models:
    """Where networks are."""

    dir: str = key("", "folder of models; empty = /var/lib/edge/engines, else ./engines")


@dataclass(frozen=True)
class Trust:
    """Who may say which networks are loaded."""

    key_file: str = key("", "public key; set = only files of a manifest signed with it are loaded")


@dataclass(frozen=True)
class Detect:
    """Who is in view."""

    model: str = key(
        "yolov4-tiny",
        "a folder of the models folder, or none for one-stage poses",
        check=name_problem,
    )
    min_score: float = key(0.35, "weaker boxes are dropped", 0, 1)
    nms_iou: float = key(0.5, "boxes that overlap more are one person", 0, 1)
    every: int = key(5, "look for new people in every n-th frame of a camera", 1, 300)
    calm_s: float = key(0.5, "but not sooner than this while all are followed, nobody new", 0, 10)
    still_s: float = key(2.0, "nor than this while nothing stirs where nobody is; 0 = off", 0, 60)
    max_people: int = key(50, "per frame, best first", 1, 1000)


@dataclass(frozen=True)
class Pose:
    """What skeleton they have."""

    model: str = key("blazepose", "a folder of the models folder", check=name_problem)
    min_score: float = key(0.3, "a person below this is not published", 0, 1)
    skeleton: str = key("", "convert to this skeleton; empty = the model's own")


@dataclass(frozen=True)
class Runtime:
    """What executes the networks."""

    prefer: str = key(
        "auto",
        "auto = an engine that fits this machine, else ONNX",
        choices=("auto", "engine", "onnx"),
    )
    precision: str = key("fp32", "which file of a model to load", choices=("fp32", "fp16", "int8"))
    threads: int = key(0, "CPU threads of a network, or of a cascade; 0 = all cores", 0, 256)
    max_batch: int = key(32, "larger batches run in chunks", 1, 256)
    build: bool = key(True, "build a missing engine beside the loop, where nothing must be signed")
    preprocess: str = key(
        "auto",
        "crops by the GPU's kernel or OpenCV; auto = kernel if it fits",
        choices=("auto", "kernel", "opencv"),
    )


@dataclass(frozen=True)
class Track:
    """How people keep their number."""

    high_score: float = key(0.6, "boxes above it are matched first", 0, 1)
    low_score: float = key(0.1, "boxes below it are ignored", 0, 1)
    new_score: float = key(0.4, "a new person starts above it", 0, 1)
    min_hits: int = key(2, "frames seen before a person is published", 1, 100)
    max_gap_s: float = key(1.0, "an unseen person is forgotten after this", 0.05, 60)
    oks_weight: float = key(0.6, "share of keypoint similarity against box overlap", 0, 1)


@dataclass(frozen=True)
class Smooth:
    """How keypoints stop trembling. Units are person heights (H) and seconds."""

    enabled: bool = key(True, "off = raw keypoints")
    q: float = key(8.0, "acceleration people may show, H per s^2: larger follows faster", 1e-3, 1e3)
    r: float = key(0.008, "measurement noise at score 1, in H", 1e-5, 1)
    gate: float = key(25.0, "chi-square (2 dof) above which a measurement is refused", 1, 1e6)
    min_score: float = key(0.3, "weaker keypoints are not believed", 0, 1)
    coast_frames: int = key(8, "frames a lost keypoint is carried on", 0, 100)


@dataclass(frozen=True)
class Publish:
    """Where results go."""

    sinks: List[str] = key(
        ["jsonl:-"], "mqtt:// mqtts:// jsonl:PATH (- = stdout) prometheus://127.0.0.1"
    )
    codec: str = key("json", "of frame messages", choices=("json", "cbor"))
    metrics_s: float = key(10.0, "pause between two metrics messages", 0.5, 3600)
    frame_expiry_s: int = key(2, "a broker drops live frames older than this", 1, 3600)


@dataclass(frozen=True)
class Mqtt:
    """The broker connection; host, port and user stand in the sink's URI."""

    protocol: str = key("5", "5 or 3.1.1", choices=("5", "3.1.1"))
    keepalive_s: int = key(15, "a silent broker or box is given up within 1.6 times this", 2, 3600)
    password_file: str = key("", "file with the password (never in this file)")
    ca_file: str = key("", "authority that signed the broker's certificate; empty = the system's")
    cert_file: str = key("", "this device's certificate")
    key_file: str = key("", "its key")
    reconnect_max_s: float = key(30.0, "longest wait between two tries", 0.1, 600)


@dataclass(frozen=True)
class Outbox:
    """Where events wait until they are acknowledged."""

    path: str = key(
        "",
        "file, one for each broker; empty = outbox.db in the state directory, "
        "in memory where there is none",
    )
    ack: str = key(
        "broker",
        "who must have an event: the broker, or a consumer that answers (MQTT 5)",
        choices=("broker", "consumer"),
    )
    answer_s: float = key(5.0, "a consumer that has not answered by then is asked again", 0.1, 600)
    max_mb: int = key(
        32,
        "size of the file, reserved at the first start; full = the least urgent, "
        "oldest events are given up, counted and told",
        4,
        4096,
    )
    urgent: List[str] = key(["fall"], "kinds of events given up last")
    minor: List[str] = key([], "kinds of events given up first")


@dataclass(frozen=True)
class Telemetry:
    """How the machine is: temperatures, power, clocks, throttling."""

    source: str = key(
        "auto",
        "auto = jtop where it runs, else the kernel's files",
        choices=("auto", "jtop", "sysfs"),
    )
    every_s: float = key(2.0, "pause between two readings", 0.1, 60)


@dataclass(frozen=True)
class Degrade:
    """What live cameras are done without, step by step in this order, and when it comes back."""

    when: List[str] = key(
        ["throttled", "behind"], "reasons; empty = never", choices=("throttled", "behind")
    )
    after_s: float = key(3.0, "a reason must last so long", 0, 600)
    hold_s: float = key(5.0, "no two steps come closer", 0.5, 600)
    recover_s: float = key(20.0, "over for so long = one step back", 0.5, 3600)
    recover_max_s: float = key(
        600.0, "the longest that grows where steps back do not last", 0.5, 86400
    )
    detect_times: List[int] = key([2, 4], "first the detector looks so many times rarer", 2, 100)
    part_limits: List[int] = key([4, 1], "then so many people a step get hands and a face", 1, 1000)
    rate_shares: List[float] = key(
        [0.75, 0.5, 0.33, 0.25], "then this share of frames is taken", 0.01, 0.99
    )


@dataclass(frozen=True)
class Config:
    """The whole file."""

    device: str = key("edge", "name of this box in topics", check=name_problem)
    cameras: List[Camera] = key([], "one [[cameras]] table each")
    capture: Capture = key(Capture)
    models: Models = key(Models)
    trust: Trust = key(Trust)
    detect: Detect = key(Detect)
    pose: Pose = key(Pose)
    runtime: Runtime = key(Runtime)
    track: Track = key(Track)
    smooth: Smooth = key(Smooth)
    rules: List[Dict[str, Any]] = key([], "one [[rules]] table each: kind, cameras, its options")
    publish: Publish = key(Publish)
    mqtt: Mqtt = key(Mqtt)
    outbox: Outbox = key(Outbox)
    state: State = key(State)
    commands: Commands = key(Commands)
    bundle: Bundle = key(Bundle)
    record: Record = key(Record)
    telemetry: Telemetry = key(Telemetry)
    degrade: Degrade = key(Degrade)


def read_toml(path: Path, read: Callable[[Path], bytes] = Path.read_bytes) -> Dict[str, Any]:
    """The tables of a TOML file; `read` gives its bytes.

    Raises:
        NoInputError: there is no such file. ConfigError: it is not TOML; names the line.
    """
    try:
        text = read(path).decode("utf-8-sig")  # editors of Windows begin files with a mark
    except OSError as error:
        raise NoInputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not a text file in UTF-8") from error
    try:
        return dict(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid TOML: nested too deeply") from error


def load(path: Path) -> Config:
    """Read, check and complete a configuration file.

    Raises:
        NoInputError, ConfigError: one line that starts with the file.
    """
    table = read_toml(path)
    try:
        return complete(build(Config, table))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def complete(config: Config) -> Config:
    """Give every camera a name, find credentials, and check what crosses sections.

    Raises:
        ConfigError: two cameras of one name, one with a name that topics need, or a rule for a
            camera that is not there.
    """
    cameras = [
        dataclasses.replace(c, name=c.name or f"cam{i}") for i, c in enumerate(config.cameras)
    ]
    names = [c.name for c in cameras]
    for i, name in enumerate(names):
        if name in RESERVED:
            raise ConfigError(
                f"cameras[{i}].name: {name!r} has another meaning in topics; choose another name"
            )
        if name in names[:i]:
            raise ConfigError(f"cameras[{i}].name: {name!r} is taken by an earlier camera")
    for i, rule in enumerate(config.rules):
        watched = rule.get("cameras", [])
        if not isinstance(watched, list):
            raise ConfigError(f"rules[{i}].cameras: expected a list of names, got {watched!r}")
        for name in watched:
            if name not in names:
                raise ConfigError(
                    f"rules[{i}].cameras: no camera {name!r}; there are: {', '.join(names)}"
                )
    return credentials.located(dataclasses.replace(config, cameras=cameras))
