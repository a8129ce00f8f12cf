"""Cameras, z-buffer, visibility and boxes: the truth of what is drawn."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.render.body.person import Person
from tools.render.body.posing import Pose
from tools.render.paint.floor import ray_grid
from tools.render.paint.look import Look, apply
from tools.render.paint.picture import NOBODY, Drawn, Solid, paint, solid_of
from tools.render.recipe import of_table
from tools.render.scene.camera import FISHEYE, LENSES, PINHOLE, RADIAL, Camera, focal_px, towards
from tools.render.scene.layout import draw_camera
from tools.render.scene.lights import draw_light
from tools.render.scene.props import box
from tools.render.scene.stage import Shot
from tools.render.truth.labels import HIDDEN, OUTSIDE, SEEN, Label, labels_of

PAPER = np.full(3, 0.8, np.float32)


def camera(
    eye: List[float], target: List[float], lens: int = PINHOLE, k1: float = 0.0, fov: float = 60
) -> Camera:
    place = np.array(eye)
    turn = towards(place, np.array(target), 0.1)
    return Camera(240, 200, focal_px(240, fov, lens), turn, place, lens, k1)


def drawn(solids: List[Solid], seen_by: Camera) -> Drawn:
    image = np.zeros((seen_by.height, seen_by.width, 3), np.uint8)
    light = draw_light(np.random.default_rng(0), "day")
    return paint(image, ray_grid(seen_by), seen_by, light, solids)


def standing(x: float = 0.0, y: float = 0.0, turn_deg: float = 0.0):  # type: ignore[no-untyped-def]
    person = Person(np.random.default_rng(3), child_share=0)
    cos, sin = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    axes = np.tile([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]], (15, 1, 1))
    posed = person.posed(Pose(axes))
    move = np.array([x, y, -posed.vertices[:, 2].min()], np.float32)
    posed.vertices[:] += move
    posed.keypoints[:] += move
    return person, posed


def truth(people, seen_by: Camera, more: List[Solid]) -> List[Label]:  # type: ignore[no-untyped-def]
    solids = [solid_of(*p) for p in people]
    buffers = drawn(solids + more, seen_by)
    blank = np.zeros((1, 1, 3), np.uint8)
    return labels_of(
        Shot(blank, buffers, seen_by, [p for _, p in people], list(range(len(people))))
    )


@given(
    st.sampled_from(range(3)),
    st.floats(-0.25, 0.08),
    st.floats(20, 115),
    st.floats(-1, 1),
    st.floats(-1, 1),
)
def test_rays_are_inverse_to_projection(
    lens: int, k1: float, fov: float, x: float, y: float
) -> None:
    """On the part of the picture that the lens can see."""
    seen_by = camera([1, -4, 2], [0, 0, 1], lens, k1 if lens == RADIAL else 0, fov)
    pixel = np.array([[119.5 + 119.5 * x, 99.5 + 99.5 * y]])
    ray = seen_by.rays(pixel)
    again, depth = seen_by.project(seen_by.position + 3 * ray)
    largest = seen_by.radius_limit * (1 + seen_by.k1 * seen_by.radius_limit**2)
    if np.hypot(*(pixel[0] - seen_by.centre)) / seen_by.focal_px < 0.97 * largest:
        assert depth[0] > 0
        assert np.abs(again - pixel).max() < 0.05


def test_a_drawn_lens_sees_something_in_every_corner() -> None:
    view = of_table({"description": "x", "view": {"lenses": ["radial"], "fov_deg": [60, 110]}}, "x")
    people = np.random.default_rng(0).normal(size=(200, 3)) * 0.3 + [0, 0, 1]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        seen_by = draw_camera(rng, view.view, people, people, 0.0, False)
        corners = np.array([[0.0, 0], [383, 0], [0, 383], [383, 383]])
        _, depth = seen_by.project(seen_by.position + 5 * seen_by.rays(corners))
        assert (depth > 0).all(), seen_by.k1


@pytest.mark.parametrize("lens", range(3), ids=LENSES)
def test_the_ray_grid_is_the_camera_s(lens: int) -> None:
    seen_by = camera([1, -4, 2], [0, 0, 1], lens, -0.1 if lens == RADIAL else 0)
    grid = ray_grid(seen_by)
    v, u = np.mgrid[0:200:37, 0:240:41]
    rays = seen_by.rays(np.stack([u.ravel(), v.ravel()], axis=1).astype(float))
    assert np.abs(grid[v.ravel(), u.ravel()] - rays).max() < 1e-4


def test_what_is_behind_the_camera_has_no_place() -> None:
    for lens in (PINHOLE, RADIAL):
        _, depth = camera([0, -4, 1], [0, 0, 1], lens, -0.1).project(np.array([[0, -6.0, 1]]))
        assert depth[0] == 0


@pytest.mark.parametrize("lens", range(3), ids=LENSES)
@pytest.mark.parametrize("place", [(0, 0, 1.0), (1.2, 0.3, 1.6), (-1.0, 0.5, 0.4)])
def test_a_drawn_point_lies_where_the_truth_says(lens: int, place: tuple) -> None:  # type: ignore[type-arg]
    """Within half a pixel: the centre of a small cube's pixels and its projection."""
    seen_by = camera([0.2, -4, 1.3], [0, 0, 1], lens, -0.12 if lens == RADIAL else 0, 70)
    cube = box(np.full(3, 0.06), np.array(place), np.eye(3), PAPER)
    rows, columns = np.nonzero(drawn([cube], seen_by).owner == 0)
    middle = np.array([columns.mean(), rows.mean()]) / 2 - 0.25
    wanted, _ = seen_by.project(np.array([place]))
    assert np.abs(middle - wanted[0]).max() < 0.5


@pytest.mark.parametrize("lens", range(3), ids=LENSES)
def test_mesh_points_reproject_within_half_a_pixel(lens: int) -> None:
    """A sample, sent back along its ray by its depth, lies on the surface at its own place."""
    person, posed = standing()
    seen_by = camera([3, 0.5, 1.4], [0, 0, 0.9], lens, -0.1 if lens == RADIAL else 0)
    buffers = drawn([solid_of(person, posed)], seen_by)
    pixels, depth = seen_by.project(posed.vertices.astype(float))
    at = np.rint(pixels * 2 + 0.5).astype(int)
    fine = (depth > 0) & (at >= 0).all(1) & (at[:, 0] < 480) & (at[:, 1] < 400)
    near = np.zeros(len(at))
    near[fine] = buffers.depth[at[fine, 1], at[fine, 0]]
    front = np.nonzero(fine & (np.abs(near - depth) < 0.003))[0]
    assert len(front) > 500
    rays = seen_by.rays((at[front] - 0.5) / 2)
    axis = seen_by.rotation[2] if lens != FISHEYE else None
    length = near[front] / (rays @ axis if axis is not None else 1.0)
    again, _ = seen_by.project(seen_by.position + rays * length[:, None])
    error_px = np.abs(again - pixels[front]).max(1)
    assert error_px.max() < 0.5


def test_the_nearer_thing_is_seen() -> None:
    far = box(np.full(3, 1.0), np.array([0, 2.0, 1]), np.eye(3), PAPER)
    near = box(np.full(3, 0.4), np.array([0, 0, 1.0]), np.eye(3), PAPER)
    seen_by = camera([0, -4, 1], [0, 0, 1])
    for solids in ([far, near], [near, far]):
        owner = drawn(solids, seen_by).owner
        assert owner[200, 240] == solids.index(near)
        assert owner[0, 0] == NOBODY


def test_a_face_is_hidden_from_behind() -> None:
    front = truth([standing()], camera([3.5, 0, 1.5], [0, 0, 0.9]), [])[0]
    back = truth([standing()], camera([-3.5, 0, 1.5], [0, 0, 0.9]), [])[0]
    inner = slice(23 + 27, 91)
    assert (front.visible[inner] == SEEN).mean() > 0.9
    assert (back.visible[inner] == HIDDEN).all()
    for label in (front, back):
        limbs = label.visible[[5, 6, 7, 8, 11, 12, 13, 14, 15, 16]]
        assert (limbs == SEEN).all(), "they are seen from both sides"
        assert (label.visible > OUTSIDE).all()


def test_things_and_people_in_front_hide() -> None:
    seen_by = camera([3.5, 0, 1.5], [0, 0, 0.9])
    table = box(np.array([0.3, 2.0, 0.8]), np.array([1.0, 0, 0.4]), np.eye(3), PAPER)
    label = truth([standing()], seen_by, [table])[0]
    assert (label.visible[[13, 14, 15, 16]] == HIDDEN).all(), "knees and ankles"
    assert (label.visible[[0, 5, 6]] == SEEN).all()
    front, back = truth([standing(0.8, 0.12), standing()], seen_by, [])
    assert (front.visible[[5, 6, 11, 12, 15, 16]] == SEEN).all()
    assert (back.visible[5:13] == HIDDEN).mean() > 0.7
    assert back.area_px < 0.5 * front.area_px


def test_what_the_edge_cuts_off_is_outside() -> None:
    label = truth([standing()], camera([2.5, 0, 1.5], [0, 0, 1.9], fov=40), [])[0]
    assert (label.visible[[15, 16]] == OUTSIDE).all()
    assert label.visible[0] == SEEN
    assert label.box[3] == pytest.approx(199.5, abs=0.51)
    assert label.whole < 0.8


def test_the_box_holds_the_person_tightly() -> None:
    person, posed = standing()
    seen_by = camera([3.5, 0, 1.5], [0, 0, 0.9])
    label = truth([(person, posed)], seen_by, [])[0]
    shown = np.unique(person.surface.faces[(person.surface.shown[person.surface.faces] > 0).all(1)])
    pixels, _ = seen_by.project(posed.vertices[shown].astype(float))
    assert np.abs(label.box[:2] - pixels.min(0)).max() < 1.5
    assert np.abs(label.box[2:] - pixels.max(0)).max() < 1.5
    assert label.whole > 0.9
    assert 0.2 < label.area_px / np.prod(label.box[2:] - label.box[:2]) < 0.8


def test_somebody_who_is_not_seen_has_no_label() -> None:
    wall = box(np.array([0.1, 6.0, 6.0]), np.array([1.0, 0, 1.0]), np.eye(3), PAPER)
    assert truth([standing()], camera([3.5, 0, 1.5], [0, 0, 0.9]), [wall]) == []


def test_people_cast_shadows_on_the_floor() -> None:
    seen_by = camera([3, -2, 2.2], [0, 0, 0.6])
    image = np.full((200, 240, 3), 160, np.uint8)
    light = draw_light(np.random.default_rng(0), "day")
    buffers = paint(image, ray_grid(seen_by), seen_by, light, [solid_of(*standing())])
    free = (buffers.owner.reshape(200, 2, 240, 2) == NOBODY).all((1, 3))
    assert (image[free].max(1) < 130).sum() > 50
    assert (image[free] == 160).all(1).mean() > 0.5, "the rest stays as it was"


def test_infrared_is_grey_and_noise_is_repeatable() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    look = Look(noise=3.0, infrared=True, blur_px=0.6, motion_px=4.0, jpeg=0)
    one, same = (apply(image.copy(), look, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one, same)
    assert np.ptp(one.astype(int), axis=2).max() <= 1


def test_blur_does_not_move_a_picture() -> None:
    image = np.zeros((65, 65, 3), np.uint8)
    image[32, 32] = 255
    for length in (3.0, 4.0, 7.5):
        for angle in (0.0, 30.0, 90.0, 135.0):
            look = Look(motion_px=length, motion_deg=angle)
            smeared = apply(image.copy(), look, np.random.default_rng(0))[..., 0].astype(float)
            rows, columns = np.mgrid[0:65, 0:65]
            middle = [(smeared * axis).sum() / smeared.sum() for axis in (rows, columns)]
            assert np.abs(np.array(middle) - 32).max() < 0.3
