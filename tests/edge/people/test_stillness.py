"""Motion outside known people, in scenes with texture, noise and changes of exposure."""

from __future__ import annotations

import tracemalloc
from typing import Any, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.people.stillness import Stillness
from edge.structures import LAYOUTS, Frame

NOBODY = np.zeros((0, 4), np.float32)
SIZE = (640, 480)


def texture(size: Tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """A room [H,W] u8: patches of 16 px of other brightness, lit from one side."""
    rng = np.random.default_rng(seed)
    width, height = size
    patches = rng.integers(70, 150, (height // 16 + 1, width // 16 + 1))
    room = np.kron(patches, np.ones((16, 16)))[:height, :width] + np.linspace(0, 40, width)
    return room.astype(np.uint8)


def frame(grey: np.ndarray, layout: str = "bgr") -> Frame:
    """A picture of that brightness in a layout of the sources."""
    height, width = grey.shape
    flat = np.full((height, width), 128, np.uint8)
    images = {
        "bgr": lambda: np.stack([flat, grey, flat], 2),
        "rgb": lambda: np.stack([flat, grey, flat], 2),
        "gray": lambda: grey,
        "nv12": lambda: np.concatenate((grey, flat[: height // 2])),
        "yuyv": lambda: np.stack([grey, flat], 2),
    }
    return Frame(images[layout](), 0, 0, "a", layout=layout)


def noisy(grey: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(grey + rng.normal(0, sigma, grey.shape)), 0, 255).astype(np.uint8)


def person(grey: np.ndarray, x: int, y: int, tall: int, by: int = 30) -> np.ndarray:
    """The same room with a person whose clothes are darker than the background by `by`."""
    there = grey.astype(int)
    there[y : y + tall, max(x, 0) : x + tall // 3] -= by
    return np.clip(there, 0, 255).astype(np.uint8)


def boxes(*rows: Any) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def share(then: Frame, now: Frame, known: np.ndarray = NOBODY) -> float:
    stillness = Stillness()
    stillness.remember(then, known)
    return stillness.share(now, known)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_tells_who_came(layout: str) -> None:
    room = texture()
    assert share(frame(room, layout), frame(room, layout)) == 1.0
    assert share(frame(room, layout), frame(person(room, 300, 200, 80), layout)) == 0.0


def test_gray_with_a_channel_is_gray() -> None:
    room = texture()
    there = person(room, 300, 200, 80)
    then, now = (Frame(g[..., None], 0, 0, "a", layout="gray") for g in (room, there))
    assert share(then, now) == 0.0
    assert share(then, then) == 1.0


@pytest.mark.parametrize("sigma", [0, 5, 10])
@pytest.mark.parametrize("tall", [60, 120, 240])
def test_noise_is_nobody_and_hides_nobody(sigma: float, tall: int) -> None:
    room = texture()
    then = frame(noisy(room, sigma, 1))
    seen = [share(then, frame(noisy(room, sigma, seed))) for seed in range(2, 10)]
    assert seen == [1.0] * 8
    there = person(room, 400, 150, tall, by=60)
    seen = [share(then, frame(noisy(there, sigma, seed))) for seed in range(2, 6)]
    assert seen == [0.0] * 4


@pytest.mark.parametrize("change", [-25, 25, 0.9, 1.1])
def test_exposure_is_nobody(change: float) -> None:
    room = texture()
    brighter = room * change if isinstance(change, float) else room.astype(int) + change
    now = np.clip(brighter, 0, 255).astype(np.uint8)
    assert share(frame(room), frame(now)) == 1.0
    assert share(frame(room), frame(person(now, 300, 200, 120, by=60))) == 0.0


@pytest.mark.parametrize("pan", [1, 3, 10, 60])
def test_a_moving_camera_is_never_still(pan: int) -> None:
    room = texture((800, 480))
    assert share(frame(room[:, :640]), frame(room[:, pan : 640 + pan])) == 0.0


def test_a_picture_too_noisy_to_tell_is_not_still() -> None:
    room = texture()
    assert share(frame(noisy(room, 25, 1)), frame(noisy(room, 25, 2))) == 0.0


def test_slow_people_add_up_until_they_are_seen() -> None:
    """Frames are compared with the remembered one, so 2 px a frame become motion in time."""
    room = texture()
    stillness = Stillness()
    stillness.remember(frame(room), NOBODY)
    still = [stillness.share(frame(person(room, x, 180, 180)), NOBODY) for x in range(-60, 0, 2)]
    assert still[0] == 1.0
    assert still.index(0.0) < 12, "before a quarter of them is in the picture"
    assert not any(still[12:])


def test_known_people_may_move_in_and_near_their_boxes() -> None:
    room = texture()
    stillness = Stillness()
    stillness.remember(frame(person(room, 200, 150, 240)), boxes([200, 150, 280, 390]))
    now = person(person(room, 250, 150, 240), 340, 240, 60)  # ... and hold something out
    part = stillness.share(frame(now), boxes([250, 150, 330, 390]))
    assert 0.5 < part < 0.8, "what was hidden then or is now tells nothing"
    assert stillness.share(frame(now), NOBODY) == 0.0, "they left their box, so they are motion"
    other = person(now, 520, 200, 100)
    assert stillness.share(frame(other), boxes([250, 150, 330, 390])) == 0.0


def test_boxes_that_are_no_numbers_hide_nothing() -> None:
    room = texture()
    bad = boxes([np.nan] * 4, [-np.inf, 0, np.inf, 480], [0, 0, 1e30, 1e30], [50, 50, 20, 20])
    assert share(frame(room), frame(room), bad) > 0.98
    assert share(frame(room), frame(person(room, 300, 200, 100)), bad) == 0.0


def test_nothing_is_said_where_people_hide_the_picture() -> None:
    room = frame(texture())
    assert share(room, room, boxes([0, 0, 640, 480])) == 0.0
    assert share(room, room, boxes([20, 0, 620, 480])) == 0.0


def test_another_size_and_a_first_frame_are_not_still() -> None:
    stillness = Stillness()
    assert stillness.share(frame(texture()), NOBODY) == 0.0
    stillness.remember(frame(texture()), NOBODY)
    assert stillness.share(frame(texture((480, 640))), NOBODY) == 0.0
    assert stillness.share(frame(texture((642, 480))), NOBODY) == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(1, 700), st.sampled_from(LAYOUTS))
def test_any_size_works(width: int, height: int, layout: str) -> None:
    if layout == "nv12":
        height += height % 2
    room = texture((width, height))
    answer = share(frame(room, layout), frame(room, layout), boxes([1, 2, 3, 4]))
    assert 0.0 <= answer <= 1.0
    assert answer > 0.9 or min(width, height) < 100


def test_the_frame_is_neither_kept_nor_copied() -> None:
    """The image is borrowed: writing into its buffer later changes nothing."""
    room = texture((1280, 720))
    then, now = frame(room), frame(room.copy())
    stillness = Stillness()
    stillness.remember(then, NOBODY)
    then.image[:] = 0
    tracemalloc.start()
    try:
        assert stillness.share(now, NOBODY) == 1.0
        assert tracemalloc.get_traced_memory()[1] < now.image.nbytes / 10
    finally:
        tracemalloc.stop()
