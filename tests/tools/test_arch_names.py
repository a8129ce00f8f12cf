"""The registry: which networks there are, what they want, and how names are read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edge import skeletons
from edge.errors import ConfigError
from tools.arch import build, describe, names
from tools.arch.catalog import COCO
from tools.arch.priors import boxes_of_distances, boxes_of_offsets, grid

WANTED = [
    *[f"rtmpose-{size}-wholebody" for size in "tsml"],
    "rtmpose-l-wholebody-384x288",
    *[f"dwpose-{size}" for size in "tsml"],
    "dwpose-l-384x288",
    *[f"rtmw-{size}" for size in "mlx"],
    "rtmw-l-384x288",
    "rtmw-x-384x288",
    *[f"rtmpose-{size}-body17" for size in "tsml"],
    *[f"rtmpose-{size}-body26" for size in "tsml"],
    "rtmdet-nano-person",
    "rtmdet-m-person",
    *[f"rtmdet-{size}" for size in ("tiny", "s", "m")],
    *[f"yolox-{size}" for size in ("nano", "tiny", "s", "m", "l")],
    *[f"rtmo-{size}" for size in "sml"],
]


def test_names() -> None:
    assert set(WANTED) <= set(names())
    assert all(describe(name).name == name for name in names())


@pytest.mark.parametrize("name", names())
def test_description_is_whole(name: str) -> None:
    about = describe(name)
    assert about.family in ("simcc", "rtmdet", "yolox", "rtmo")
    assert about.pixels.channels in ("rgb", "bgr")
    assert min(about.pixels.std) > 0
    assert about.width_px % 32 == 0
    assert about.height_px % 32 == 0
    assert bool(about.skeleton) != (about.family in ("rtmdet", "yolox"))
    assert not about.classes or about.classes[0] == "person"
    if about.skeleton:
        assert len(skeletons.get(about.skeleton)) in (17, 26, 133, 136)


def test_coco() -> None:
    assert len(COCO) == len(set(COCO)) == 80


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("rtmpose-m_wholebody_256x192", "rtmpose-m-wholebody"),
        ("RTMPose-L-WholeBody-384x288", "rtmpose-l-wholebody-384x288"),
        ("rtmdet-nano_person_320x320", "rtmdet-nano-person"),
        ("yolox-tiny_coco80_416x416", "yolox-tiny"),
        ("rtmo-s_coco17_640x640", "rtmo-s"),
        ("rtmw-x_wholebody_384x288", "rtmw-x-384x288"),
        ("dwpose-l-wholebody", "dwpose-l"),
    ],
)
def test_other_spellings(said: str, meant: str) -> None:
    assert describe(said).name == meant


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("rtmpose-m-wholebodi", "rtmpose-m-wholebody"),
        ("rtmpose-m-wholebody-384x288", "rtmpose-l-wholebody-384x288"),
        ("rtmdet-nano-person-640x640", "rtmdet-nano-person"),
        ("zzz", "edge-tools export --list"),
        ("", "edge-tools export --list"),
    ],
)
def test_unknown_name_gets_a_hint(said: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        describe(said)


@pytest.mark.parametrize("size", [(100, 192), (0, 32), (256, 190)])
def test_input_sizes_must_fit_the_strides(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        build("yolox-nano", size)


def test_images_of_another_size_are_refused() -> None:
    """Reshaped blindly they would come out as another number of images."""
    network = build("yolox-nano", (64, 64))
    with pytest.raises(ValueError, match=r"expected images of \(64, 64\)"):
        network(torch.zeros(1, 3, 64, 128))


def test_networks_are_built_in_evaluation_mode_at_any_size() -> None:
    network = build("rtmdet-nano-person", (64, 96))
    assert not any(module.training for module in network.modules())
    with torch.no_grad():
        outputs = network(torch.zeros(2, 3, 64, 96))
    cells = 8 * 12 + 4 * 6 + 2 * 3
    assert outputs["boxes"].shape == (2, cells, 4)
    assert outputs["scores"].shape == (2, cells, 1)


def test_fewer_cells_than_candidates() -> None:
    network = build("rtmo-t", (64, 64))
    with torch.no_grad():
        outputs = network(torch.zeros(3, 3, 64, 64))
    assert outputs["keypoints"].shape == (3, 20, 17, 2)
    assert outputs["boxes"].shape == (3, 20, 4)


def test_missing_keypoints_are_put_where_mmpose_puts_them() -> None:
    """A maximum that is not above 0 is a miss: bin -1, half a pixel left of and above the input."""
    network = build("rtmpose-t-body17", (64, 64))
    with torch.no_grad():
        network.head.cls_x.weight.zero_()
        outputs = network.fused(torch.rand(1, 3, 64, 64))
    assert bool((outputs["keypoints"] == -0.5).all())


def test_grid_is_row_by_row() -> None:
    points, strides = grid((64, 96), (16, 32), centred=False)
    x, y = points[0].numpy()
    assert x[:7].tolist() == [0, 16, 32, 48, 64, 80, 0]
    assert y[:7].tolist() == [0, 0, 0, 0, 0, 0, 16]
    assert strides[0, 0, [0, 23, 24]].tolist() == [16, 16, 32]
    centres, _ = grid((64, 96), (16, 32), centred=True)
    assert centres[0, 0, 0] == 7.5
    assert centres[0, 0, -1] == 64 + 15.5


def test_boxes() -> None:
    points = torch.tensor([[[10.0], [20.0]]])
    sides = torch.tensor([[[1.0], [2.0], [3.0], [4.0]]])
    assert boxes_of_distances(points, sides)[0, 0].tolist() == [9, 18, 13, 24]
    offsets = torch.tensor([[[0.5], [-0.5], [0.0], [float(np.log(2))]]])
    boxes = boxes_of_offsets(points, torch.tensor([[[8.0]]]), offsets)
    np.testing.assert_allclose(boxes[0, 0].numpy(), [10, 8, 18, 24], rtol=1e-6)
