"""The depth image that an aligned depth camera would give: millimetres in 16 bit, 0 = nothing.

The people and things come from the z-buffer of the picture; behind them is the floor, up to the
range of such cameras.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, TempError
from tools.render.paint.floor import ray_grid
from tools.render.paint.raster import FAR, SAMPLES
from tools.render.scene.camera import PINHOLE, Camera
from tools.render.scene.stage import Shot

FARTHEST_M = 9.0
SCHEMA = "depth/1"
FILE = "depth.json"


def depth_of(shot: Shot) -> np.ndarray:
    """[H,W] u16 mm along the optical axis.

    Raises:
        ConfigError: the picture is none of a pinhole.
    """
    camera = shot.camera
    if camera.lens != PINHOLE:
        raise ConfigError("depth: the lens must be a pinhole; add --lens pinhole")
    nearest = shot.drawn.depth.reshape(camera.height, SAMPLES, camera.width, SAMPLES)
    solid_m = nearest[:, 0, :, 0]  # one ray of a pixel, never a mean over an edge
    floor_m = _floor_m(camera)
    depth_m = np.where(solid_m < FAR / 2, solid_m, floor_m)
    seen = (depth_m > 0) & (depth_m < FARTHEST_M)
    return np.where(seen, np.rint(depth_m * 1000), 0).astype(np.uint16)


def _floor_m(camera: Camera) -> np.ndarray:
    """[H,W] depth of the floor; 0 above the horizon."""
    rays = ray_grid(camera)
    along = rays @ camera.rotation[2].astype(np.float32)  # depth of a ray of length 1
    down = np.minimum(rays[..., 2], -1e-6)
    found = along * np.float32(camera.position[2]) / -down
    return np.where(rays[..., 2] < -1e-3, found, 0)


def start(folder: Path, camera: Camera, fps: float) -> None:
    """Make the folder of a clip's depth images, with the camera's numbers."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    numbers = {
        "schema": SCHEMA,
        "width": camera.width,
        "height": camera.height,
        "fx": camera.focal_px,
        "fy": camera.focal_px,
        "ppx": camera.centre[0],
        "ppy": camera.centre[1],
        "depth_scale_m": 0.001,
        "fps": fps,
    }
    write_whole(folder / FILE, (json.dumps(numbers, indent=1) + "\n").encode(), READABLE)


def write(folder: Path, frame: int, shot: Shot) -> None:
    """Write the image of one frame.

    Raises:
        TempError: it cannot be written.
    """
    path = folder / f"{frame:06d}.png"
    if not cv2.imwrite(str(path), depth_of(shot)):
        raise TempError(f"{path}: cannot be written; is the disk full?")
