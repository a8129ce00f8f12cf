"""Make a rendered set: pictures or clips, one job each, in several processes.

Each picture or clip has its own random numbers from seed, split and number. So the result does not
depend on the number of processes, and a longer run begins with the same pictures.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, DataError, TempError
from tools.progress import Progress
from tools.render.body.files import LICENCE
from tools.render.body.mesh import load as load_body
from tools.render.motion.acts import SPLITS, captured, require_known
from tools.render.recipe import CLIPS, Recipe
from tools.render.scene import environment
from tools.render.scene.backdrop import Backdrops
from tools.render.scene.layout import paths, places
from tools.render.scene.stage import Stage
from tools.render.truth import coco, sheet
from tools.render.truth.clip import SUFFIX, write_clip
from tools.render.truth.labels import labels_of

SHEET_TILES = 24
JPEG_QUALITY = 92
SHEET, RECORD = "sheet.png", "synth.json"
_POLL_S = 0.2


@dataclass(frozen=True)
class Order:
    """A set to make.

    Attributes:
        name: of the set; clips are called after it.
        recipe: of the set.
        folder: where to.
        split: tune | report.
        seed: of all random choices.
        backgrounds: the user's own pictures and videos; empty = drawn rooms.
        workers: processes.
        quiet: show no progress.
        depth: write depth images beside clips.
    """

    name: str
    recipe: Recipe
    folder: Path
    split: str
    seed: int
    backgrounds: Tuple[Path, ...] = ()
    workers: int = 1
    quiet: bool = False
    depth: bool = False  # clips get depth images


@dataclass(frozen=True)
class Made:
    """What was made."""

    pictures: int  # or frames of clips
    people: int
    clips: List[str]
    sheet: Path


Row = Dict[str, Any]
_steps: List[Callable[[], None]] = []  # of this process: called after each picture


def make(order: Order) -> Made:
    """Make a set; a folder of an earlier run of `synth` is replaced.

    The clips of a run of the same order that was interrupted are kept.

    Raises:
        ConfigError: a motion is unknown, or people have no room. NoInputError: no such background.
        DataError: a background cannot be read, or the folder holds other files.
        EdgeError: the body cannot be fetched.
    """
    _check(order)
    load_body(order.quiet)
    if not _interrupted(order):
        _clear(order)
    write_whole(order.folder / RECORD, record(order, finished=False), READABLE)
    clips = order.recipe.kind == CLIPS
    if not clips:
        (order.folder / coco.IMAGES).mkdir(exist_ok=True)
    each = max(1, round(order.recipe.seconds * order.recipe.fps)) if clips else 1
    job = _clip if clips else _picture
    label, unit = f"drawing {order.recipe.kind}", "frames" if clips else "pictures"
    with Progress(label, order.recipe.count * each, unit, order.quiet) as bar:
        rows = _run(job, order, bar)
    if not clips:
        coco.save(order.folder, rows, order.recipe.description)
    tiles = [r["tile"] for r in rows if r["tile"] is not None][:SHEET_TILES]
    sheet.save(order.folder / SHEET, tiles)
    write_whole(order.folder / RECORD, record(order, finished=True), READABLE)
    people = sum(len(r["annotations"]) for r in rows)
    frames = sum(int(r.get("frames", 1)) for r in rows)
    return Made(frames, people, [r["video"] for r in rows if clips], order.folder / SHEET)


def _check(order: Order) -> None:
    """Find mistakes before anything is drawn or taken away."""
    if order.depth and (order.recipe.kind != CLIPS or order.recipe.view.lenses != ["pinhole"]):
        raise ConfigError("--depth: is for clips of a pinhole; add --lens pinhole, or take a clip")
    captured(order.quiet)
    for motion in order.recipe.motions:
        require_known(motion, order.split)
    still = [False] * order.recipe.people[1]
    if order.recipe.kind == CLIPS:
        paths(seed_of(order, 0), still, order.recipe.spread_m)
    else:
        places(seed_of(order, 0), len(still), order.recipe.spread_m)
    if order.backgrounds:
        _backdrops(order)
    elif "environment" in order.recipe.backdrops:
        environment.panorama(environment.files(order.quiet)[0])


def seed_of(order: Order, number: int) -> np.random.Generator:
    """Random numbers of one picture or clip."""
    return np.random.default_rng([order.seed, SPLITS.index(order.split), number])


def _backdrops(order: Order) -> Optional[Backdrops]:
    if not order.backgrounds:
        return None
    return _read_backdrops(order.backgrounds, order.recipe.view.width, order.recipe.view.height)


@lru_cache(maxsize=1)
def _read_backdrops(paths: Tuple[Path, ...], width: int, height: int) -> Backdrops:
    return Backdrops(list(paths), width, height)


def _picture(order: Order, number: int) -> Row:
    stage = Stage(order.recipe, order.split, seed_of(order, number), _backdrops(order), False)
    shot = stage.shoot()
    labels = labels_of(shot)
    name = f"{number:06d}.jpg"
    data = cv2.imencode(".jpg", shot.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    (order.folder / coco.IMAGES / name).write_bytes(data.tobytes())
    _count()
    return {
        "image": {
            "id": number + 1,
            "file_name": f"{coco.IMAGES}/{name}",
            "width": shot.image.shape[1],
            "height": shot.image.shape[0],
            "license": 1,
        },
        "annotations": [coco.annotation(label, number + 1, 0) for label in labels],
        "scene": coco.scene_record(f"{coco.IMAGES}/{name}", stage, labels, order.split),
        "tile": sheet.tile(shot.image, labels) if number < SHEET_TILES else None,
    }


def _clip(order: Order, number: int) -> Row:
    rng = seed_of(order, number)
    recipe = order.recipe
    if recipe.rates:
        recipe = replace(recipe, fps=float(rng.choice(recipe.rates)))
    stage = Stage(recipe, order.split, rng, _backdrops(order), True)
    name = f"{order.name}-{number:03d}"
    head = _drawn(order, name) or write_clip(
        order.folder, name, stage, order.split, _count, order.depth
    )
    shot = stage.shoot(recipe.seconds * 0.6)
    tile = sheet.tile(shot.image, labels_of(shot)) if number < SHEET_TILES else None
    return {
        "video": head["video"],
        "annotations": head["people"],
        "frames": head["frames"],
        "tile": tile,
    }


def _interrupted(order: Order) -> bool:
    """Whether the folder holds a part of just this order."""
    told = order.folder / RECORD
    return told.is_file() and told.read_bytes() == record(order, finished=False)


def _drawn(order: Order, name: str) -> Optional[Dict[str, Any]]:
    """The first line of the truth of a clip that an interrupted run has finished."""
    truth = order.folder / f"{name}{SUFFIX}"
    if order.depth or not truth.is_file() or not truth.with_name(f"{name}.mp4").is_file():
        return None
    with truth.open(encoding="utf-8") as lines:
        head: Dict[str, Any] = json.loads(lines.readline())
    for _ in range(int(head["frames"])):
        _count()
    return head


def _clear(order: Order) -> None:
    """Make a folder for the set; of an earlier set only what `synth` wrote is taken away.

    Raises:
        DataError: the folder holds something, and no `synth.json` says that it is a set.
    """
    folder = order.folder
    folder.mkdir(parents=True, exist_ok=True)
    old = list(folder.iterdir())
    if old and not (folder / RECORD).is_file():
        raise DataError(f"{folder}: is not empty, and no set of synth; name another folder")
    ours = re.compile(rf"{re.escape(order.name)}-\d+(\.mp4|{re.escape(SUFFIX)})")
    depths = re.compile(rf"{re.escape(order.name)}-\d+\.depth")
    names = {coco.ANNOTATIONS, coco.SCENES, SHEET}
    for path in old:
        if path.name == coco.IMAGES or depths.fullmatch(path.name):
            shutil.rmtree(path)
        elif path.name in names or ours.fullmatch(path.name):
            path.unlink()


def record(order: Order, finished: bool) -> bytes:
    """Content of `synth.json`: how the set is made, and whether it is all there."""
    content = {
        "made_by": f"edge-tools synth {__version__}",
        "split": order.split,
        "seed": order.seed,
        "backgrounds": [str(path) for path in order.backgrounds],
        "licence": LICENCE,
        "recipe": asdict(order.recipe),
        "finished": finished,
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _count() -> None:
    for step in _steps:
        step()


def _begin(counter: Any, stop: Any) -> None:
    """Prepare a worker process: it counts its pictures, and ends when the parent says so."""

    def step() -> None:
        with counter.get_lock():
            counter.value += 1
        if stop.is_set():
            raise TempError("interrupted")

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers it
    cv2.setNumThreads(1)
    _steps[:] = [step]


def _run(job: Callable[[Order, int], Row], order: Order, bar: Progress) -> List[Row]:
    """Rows of all pictures or clips, in order."""
    if order.workers == 1 or order.recipe.count == 1:
        _steps[:] = [bar.update]
        try:
            return [job(order, number) for number in range(order.recipe.count)]
        finally:
            _steps.clear()
    counter = multiprocessing.get_context("spawn").Value("q", 0)
    with _pool(order, counter) as pool:
        jobs = [pool.submit(_several, job, order, numbers) for numbers in _shares(order)]
        waiting = set(jobs)
        while waiting:
            done, waiting = wait(waiting, _POLL_S)
            bar.update(counter.value - bar.done)
            for future in done:
                future.result()
        return [row for future in jobs for row in future.result()]


@contextlib.contextmanager
def _pool(order: Order, counter: Any) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    workers = min(order.workers, order.recipe.count)
    pool = ProcessPoolExecutor(workers, context, _begin, (counter, stop))
    try:
        yield pool
    except BaseException:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def _shares(order: Order) -> Iterator[Sequence[int]]:
    size = 1 if order.recipe.kind == CLIPS else 16
    for first in range(0, order.recipe.count, size):
        yield range(first, min(first + size, order.recipe.count))


def _several(job: Callable[[Order, int], Row], order: Order, numbers: Sequence[int]) -> List[Row]:
    return [job(order, number) for number in numbers]


def default_workers() -> int:
    """One process for each core that this program may use."""
    return len(os.sched_getaffinity(0))
