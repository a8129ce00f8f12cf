"""Sections of the configuration about the box and its rooms: trust, state, scenes, health."""

from dataclasses import dataclass
from typing import List

from edge.settings.schema import key, name_problem


@dataclass(frozen=True)
class Trust:
    """Which files of models may be loaded."""

    key_file: str = key(
        "", "public key; if set, only files in a manifest that is signed with it are loaded"
    )


@dataclass(frozen=True)
class State:
    """Where commands seen, model bundles and recordings survive a restart."""

    dir: str = key("", "writable folder; empty = the state directory that systemd gives, else none")


@dataclass(frozen=True)
class Commands:
    """Signed commands that come over the broker, and those of this machine's users."""

    allow: List[str] = key(
        [],
        "commands that are obeyed: restart reload rate snapshot calibrate-record update session; "
        "empty = none",
    )
    key_file: str = key("", "public key that verifies commands; empty = trust.key_file")
    max_age_s: int = key(60, "older commands are refused; the box's clock must be right", 5, 3600)
    record_max_mb: int = key(64, "upper limit of what calibrate-record keeps", 1, 4096)
    local: bool = key(
        False,
        "obey `edge session` on this machine, through a Unix socket in systemd's run folder or the "
        "state directory that only the daemon's user and root can open",
    )


@dataclass(frozen=True)
class Bundle:
    """Model bundles: two slots in the state directory, so that the old one can return."""

    enabled: bool = key(False, "load models from the newest bundle; needs trust.key_file")
    confirm_frames: int = key(
        300, "a new bundle is kept after this many steps without a failure", 1, 1000000
    )
    max_tries: int = key(3, "failed starts of a new bundle before the old one returns", 1, 100)


@dataclass(frozen=True)
class Record:
    """Recordings of poses, without pixels, for `edge-tools replay`."""

    max_mb: int = key(
        0, "size of the ring of recordings in the state directory; 0 = off", 0, 1000000
    )
    max_days: float = key(
        0.0,
        "recordings are removed after so many days, also while recording is off; at most an eighth "
        "of this time early; 0 = only when the ring is full",
        0,
        36500,
    )


@dataclass(frozen=True)
class Telemetry:
    """What is measured of the machine: temperatures, power, clocks, throttling."""

    source: str = key(
        "auto",
        "auto = jtop (jetson-stats) if it runs, else the kernel's files",
        choices=("auto", "jtop", "sysfs"),
    )
    every_s: float = key(2.0, "pause between two readings", 0.1, 60)


@dataclass(frozen=True)
class AdaptiveRate:
    """Fewer steps a second of live cameras while everybody moves slowly."""

    slow_hz: int = key(0, "steps per second while all move slowly; 0 = off", 0, 120)
    below_h_s: float = key(
        0.15, "slow: no joint is faster than this, in standing heights a second", 0.01, 10
    )
    above_h_s: float = key(0.3, "a faster joint brings the full rate back at once", 0.01, 10)
    after_s: float = key(2.0, "how long all must have moved slowly", 0.1, 600)


@dataclass(frozen=True)
class Degrade:
    """How live cameras do less while the machine is throttled or too slow.

    Levels follow each other: the detector runs less often, then hands and faces of fewer people,
    then a lower frame rate.
    """

    when: List[str] = key(
        ["throttled", "behind"],
        "reasons to go to the next level; empty = never",
        choices=("throttled", "behind"),
    )
    after_s: float = key(3.0, "how long a reason must last before the next level", 0, 600)
    hold_s: float = key(5.0, "minimum time between two levels", 0.5, 600)
    recover_s: float = key(20.0, "time without a reason before one level back", 0.5, 3600)
    recover_max_s: float = key(
        600.0,
        "upper limit of recover_s; it doubles whenever a level back did not last",
        0.5,
        86400,
    )
    detect_times: List[int] = key([2, 4], "factors on the detector's pauses", 2, 100)
    part_limits: List[int] = key(
        [4, 1], "people of a step who get hands and a face, after detect_times", 1, 1000
    )
    rate_shares: List[float] = key(
        [0.75, 0.5, 0.33, 0.25], "shares of the frame rate, after part_limits", 0.01, 0.99
    )


@dataclass(frozen=True)
class Scene:
    """Several calibrated cameras of one room: who is who between them, and joints in metres."""

    name: str = key(help="name in topics: poses/v1/DEVICE/scene/NAME/frame", check=name_problem)
    calibration: str = key(
        help="calibration of the cameras: .toml of calibrate-cameras or Pose2Sim, Qualisys' "
        ".qca.txt, a file of OpenCV, or a folder with one file of OpenCV a camera"
    )
    cameras: List[str] = key([], "names of its cameras, two or more; empty = all")
    views: List[str] = key(
        [], "what the calibration calls these cameras, in their order; empty = the same names"
    )
    unit_m: float = key(
        0.0,
        "metres in the calibration's unit of length; 0 = the format's own: Qualisys 0.001, else 1",
        0,
        1000,
    )
    max_gap_ms: float = key(
        100.0,
        "keypoints are interpolated between frames of a camera that are this far apart at most; "
        "a camera without a frame for longer is left out",
        1,
        2000,
    )
    delays_ms: List[float] = key(
        [], "by how much the times of each camera are late, in their order; empty = none"
    )
    hold_bones: bool = key(
        True, "upper and lower limbs keep the length that was learned of the person"
    )


@dataclass(frozen=True)
class Crowd:
    """What is done differently where many people, or small ones, are in view."""

    tiles: int = key(
        6,
        "most tiles of a frame in which the detector looks at a crowd or at small people, if it "
        "can; 0 = none",
        0,
        16,
    )
    look_ms: float = key(
        2000.0,
        "no tiles if a look at a frame would take more time of the processor, all cores together",
        1,
        60000,
    )
    whole_people: int = key(
        8,
        "people of a frame who get hands and a face, the others have body and feet: those whom a "
        "rule names, near a zone, and large; 0 = everybody",
        0,
        1000,
    )
    sparse_people: int = key(
        30,
        "from so many people in a frame on, all but whole_people of them are looked at in turns, "
        "and have head and shoulders only; 0 = never",
        0,
        1000,
    )
