"""The sites of the trial: cameras, lenses, rooms, light and movements differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

HELD_OUT = ("rendered-walks-010", "rendered-walks-011")  # a site's own test, as it would choose it


@dataclass(frozen=True)
class Site:
    """A place with one camera.

    Attributes:
        name: of the site.
        camera: options of `edge-tools synth`.
        motions: what people do there.
        lights: of its room.
    """

    name: str
    camera: Tuple[str, ...]
    motions: Tuple[str, ...]
    lights: str


SITES = (
    Site(
        "north",
        ("--camera-m", "2.6", "--distance-m", "2", "--fov-deg", "95", "--lens", "radial"),
        ("trip", "slip", "walk", "sit", "pick_up"),
        "lamp",
    ),
    Site(
        "south",
        ("--camera-m", "1.2", "--distance-m", "3.5", "--fov-deg", "70", "--lens", "pinhole"),
        ("squat", "lunge", "jumping_jack", "walk"),
        "lamp",
    ),
    Site(
        "west",
        ("--camera-m", "2.9", "--distance-m", "1.2", "--fov-deg", "120", "--lens", "fisheye"),
        ("lie_down", "sit", "walk", "faint"),
        "infrared",
    ),
    Site(
        "east",
        ("--camera-m", "2.0", "--distance-m", "4.5", "--fov-deg", "60", "--lens", "pinhole"),
        ("walk", "run", "stand", "wave"),
        "dim",
    ),
)
# Part of a site's recordings -> split of `synth`, seed of the first site, clips. The splits share
# no body, no captured motion and no random number.
PARTS = {"train": ("tune", 10, 12), "report": ("report", 90, 6)}


def rooms(folder: str) -> List[str]:
    """The command that draws an empty room for each site."""
    words = ["synth", "rendered-empty", "--count", str(len(SITES)), "--seed", "1"]
    return [*words, "--size", "640", "480", "--out", folder, "--workers", "1", "--json"]


def public(seed: int, folder: str) -> List[str]:
    """The command that draws people who belong to no site."""
    words = ["synth", "rendered-clean", "--split", "tune", "--seed", str(seed), "--count", "24"]
    return [*words, "--out", folder, "--workers", "1", "--json"]


def recordings(number: int, part: str, room: str, folder: str) -> List[str]:
    """The command that draws a site's recordings.

    Args:
        number: of the site.
        part: train or report.
        room: picture of the empty room.
        folder: of the result.
    """
    site, (split, seed, count) = SITES[number], PARTS[part]
    words = ["synth", "rendered-walks", "--split", split, "--seed", str(seed + number)]
    words += ["--count", str(count), "--seconds", "4", "--fps", "3", "--people", "1", "2"]
    words += ["--size", "640", "480", "--background", room, *site.camera, "--lights", site.lights]
    return [*words, "--motions", *site.motions, "--out", folder, "--workers", "1", "--json"]
