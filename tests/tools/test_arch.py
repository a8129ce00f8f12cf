"""Our definitions against mmpose and mmdet: their key names, their numbers, in float64."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tests.tools import arch_rule
from tests.tools.thin_reference import KEYS_ONLY
from tools.arch import Network, build
from tools.arch.dcc import PADDING
from tools.arch.rtmo import Rtmo
from tools.arch.simcc import SimccNetwork
from tools.checkpoint import fit

TOLERANCE = 1e-6  # the references are stored as float32
GOLDEN = sorted(path.stem for path in arch_rule.GOLDEN.glob("*.npz"))
WHOLE = sorted(path.stem for path in arch_rule.WHOLE.glob("*.npz"))
# What mmpose's own softmax adds to its sum; ours adds nothing.
DCC_TOLERANCE = 2e-8


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Waiting for each other's threads is what tests beside these would do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def loaded(name: str, golden: Any, size: Any) -> Network:
    """A network with the golden file's weights, every normalisation by the batch's statistics."""
    network = build(name, size)
    shapes, tied = arch_rule.parse_keys(golden["keys"].tobytes())
    fresh = network.state_dict()
    stored = {k: fresh[k].numpy() for k in shapes if k.split(".")[-1] in arch_rule.STORED}
    fit(network, arch_rule.state_of(shapes, tied, stored), "")
    network.double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    return network


@pytest.mark.parametrize("name", GOLDEN)
def test_recorded_outputs(name: str) -> None:
    """The recording normalised by its batch too, so that no statistics need storing."""
    golden = np.load(arch_rule.GOLDEN / f"{name}.npz")
    size = tuple(int(n) for n in golden["size_hw"])
    network = loaded(name, golden, size)
    with torch.no_grad():
        outputs = network.raw(arch_rule.image(*size))
    for key, output in outputs.items():
        kept = output[tuple(slice(None, None, step) for step in golden["step_" + key].tolist())]
        assert arch_rule.relative_error(kept, golden[key]) < TOLERANCE, key


@pytest.mark.parametrize("name", [n for n in GOLDEN if n.startswith("rtmo")])
def test_recorded_coordinates(name: str) -> None:
    golden = np.load(arch_rule.GOLDEN / f"{name}.npz")
    network = loaded(name, golden, tuple(int(n) for n in golden["size_hw"]))
    assert isinstance(network, Rtmo)
    place = torch.from_numpy(golden["given_cs"]).double()
    half = place[:, 2:] / PADDING / 2
    boxes = torch.cat((place[:, :2] - half, place[:, :2] + half), 1)
    points = torch.from_numpy(golden["given_grid"]).double()
    with torch.no_grad():
        got = network.head.dcc(torch.from_numpy(golden["given_vec"]).double(), boxes, points)
    assert arch_rule.relative_error(got, golden["dcc"]) < DCC_TOLERANCE + TOLERANCE


def everything(network: Network, image: torch.Tensor) -> Dict[str, torch.Tensor]:
    """All maps and decoded outputs by the reference's names."""
    top_down = isinstance(network, SimccNetwork)
    maps = network.backbone(image)
    seen = maps[-1:] if top_down and not hasattr(network, "neck") else maps
    found = {f"backbone_{i}": m for i, m in enumerate(seen)}
    if hasattr(network, "neck"):
        found.update({f"neck_{i}": m for i, m in enumerate(network.neck(maps))})
    found.update(network.raw(image))
    if top_down:
        return dict(found, **network.fused(image))
    decoded = network.decode(image)
    names = ("decoded_bboxes", "decoded_scores", "decoded_keypoint_scores", "vectors")
    found.update(zip(names, decoded))
    if not isinstance(network, Rtmo):
        found["decoded_scores"] = found["decoded_person_scores"] = decoded[1][:, 0]
        strides = network.strides[0].expand(2, -1)
        found["decoded_priors"] = torch.cat((network.points[0], strides)).T
    else:
        found["decoded_priors"], found["decoded_strides"] = (
            network.points[0].T,
            network.strides[0, 0],
        )
    return found


@pytest.mark.parametrize("name", WHOLE)
def test_every_key_has_its_place(name: str) -> None:
    """Key names, shapes and the number of parameters are those of mmpose and mmdetection."""
    golden = np.load(arch_rule.WHOLE / f"{name}.npz")
    shapes, tied = arch_rule.parse_keys(golden["keys"].tobytes())
    assert not tied, "each key of these has a tensor of its own"
    network = build(name)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == shapes
    assert sum(p.numel() for p in network.parameters()) == golden["parameters"]


@pytest.mark.parametrize("name", [n for n in WHOLE if n not in KEYS_ONLY])
def test_every_stage_equals_the_reference(name: str) -> None:
    """Backbone, neck, head and decoding with stored statistics, as in a network that runs."""
    golden = dict(np.load(arch_rule.WHOLE / f"{name}.npz"))
    network = build(name)
    fit(network, stored_state(golden), "")
    size = tuple(int(n) for n in golden["size_hw"])
    with torch.no_grad():
        found = everything(network.double(), arch_rule.image(*size))
        if isinstance(network, Rtmo):
            check_people(network, found, golden)
    names = [key[len("step_") :] for key in golden if key.startswith("step_")]
    assert len(names) >= 5
    for key in names:
        kept = found[key][tuple(slice(None, None, n) for n in golden[f"step_{key}"].tolist())]
        assert arch_rule.relative_error(kept, golden[key]) < TOLERANCE, key


def stored_state(golden: Dict[str, np.ndarray]) -> Dict[str, torch.Tensor]:
    """A checkpoint by the rule, with the recorded buffers one after another in their places."""
    shapes, tied = arch_rule.parse_keys(golden["keys"].tobytes())
    buffers, at, stored = golden["buffers"], 0, {}
    for key, shape in shapes.items():
        if key.split(".")[-1] in arch_rule.STORED:
            size = int(np.prod(shape))
            stored[key] = buffers[at : at + size].reshape(shape)
            at += size
    assert at == len(buffers)
    return arch_rule.state_of(shapes, tied, stored)


def check_people(network: Rtmo, found: Any, golden: Dict[str, np.ndarray]) -> None:
    """The recording holds some cells only."""
    index = torch.from_numpy(golden["decoded_index"]).long()
    batch = torch.arange(2)[:, None]
    for key in ("decoded_bboxes", "decoded_scores", "decoded_keypoint_scores"):
        assert arch_rule.relative_error(found[key][batch, index], golden[key]) < TOLERANCE, key
    vectors, boxes = found["vectors"][batch, index], found["decoded_bboxes"][batch, index]
    points = network.points[0].T[index]
    for i in range(2):
        got = network.head.dcc(vectors[i], boxes[i], points[i])
        assert arch_rule.relative_error(got, golden["decoded_keypoints"][i]) < TOLERANCE


def test_recordings_cover_each_kind() -> None:
    kinds = ("rtmpose", "rtmw", "rtmdet-nano", "rtmdet-m", "yolox-nano", "yolox-s", "rtmo")
    assert all(any(name.startswith(kind) for name in GOLDEN) for kind in kinds)
    kinds = ("rtmpose", "rtmdet", "yolox", "rtmo")  # type: ignore[assignment]
    assert all(any(name.startswith(kind) for name in WHOLE) for kind in kinds)


def test_wrong_numbers_are_noticed() -> None:
    """The comparison above can fail: one changed weight shows."""
    golden = np.load(arch_rule.GOLDEN / "rtmdet-nano-person.npz")
    network = loaded("rtmdet-nano-person", golden, (128, 128))
    with torch.no_grad():
        network.backbone.stem[0].conv.weight[0, 0, 0, 0] += 0.01
        output = network.raw(arch_rule.image(128, 128))["bbox_0"]
    kept = output[tuple(slice(None, None, step) for step in golden["step_bbox_0"].tolist())]
    assert arch_rule.relative_error(kept, golden["bbox_0"]) > TOLERANCE
