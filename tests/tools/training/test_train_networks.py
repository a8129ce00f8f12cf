"""Networks that are trained: as the daemon runs them, with gradients, and back into files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ConfigError, DataError
from edge.models._blazepose import decode
from edge.recipe import load_recipe
from tests.tools.training.training_cases import standing
from tools import checkpoint
from tools.evaluation import point_sets
from tools.fetch.by_name import ensure_model
from tools.training.networks.blazepose import BlazePoseBody, refined
from tools.training.networks.onnx_graph import OnnxGraph
from tools.training.networks.simcc import SimccTrainee
from tools.training.networks.trainee import Goal


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run_onnx(data: Any, image: torch.Tensor) -> Dict[str, np.ndarray]:
    given = data if isinstance(data, bytes) else str(data)
    session = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: image.numpy()})))


@pytest.fixture(scope="module")
def model() -> Path:
    return ensure_model("blazepose")


@pytest.fixture(scope="module")
def body(model: Path) -> BlazePoseBody:
    return BlazePoseBody(model)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 1, (1, 3, 8, 8)).astype(np.float32))
    return torch.nn.functional.interpolate(coarse, size=(256, 256), mode="bilinear")


@pytest.fixture(scope="module")
def plain(model: Path, image: torch.Tensor) -> Dict[str, np.ndarray]:
    return run_onnx(model / "body.onnx", image)


def goal(points: Any, labelled: Any = None) -> Goal:
    places = torch.as_tensor(points, dtype=torch.float32)[None]
    weights = torch.ones(places.shape[:2])
    if labelled is not None:
        weights = torch.as_tensor(labelled, dtype=torch.float32)[None]
    return Goal(places, weights, weights, torch.ones_like(weights), torch.ones(1))


@pytest.mark.parametrize("name", ["hand", "face"])
def test_the_networks_of_the_cascade_run_as_in_the_runtime(model: Path, name: str) -> None:
    graph = OnnxGraph(model / f"{name}.onnx")
    side = graph.model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    wanted = run_onnx(model / f"{name}.onnx", image)
    with torch.no_grad():
        found = graph(image)
    for key, value in wanted.items():
        assert np.abs(found[key].numpy() - value).max() < 1e-3


def test_the_body_network_runs_as_in_the_runtime(
    body: BlazePoseBody, image: torch.Tensor, plain: Dict[str, np.ndarray]
) -> None:
    with torch.no_grad():
        found = body.forward(image)
    assert np.abs(found["landmarks"].numpy() - plain["landmarks"]).max() < 5e-3
    assert np.abs(found["heatmap"].numpy() - plain["heatmap"]).max() < 5e-3
    assert body.parameters == 3_167_640


def test_places_are_refined_as_the_daemon_does() -> None:
    rng = np.random.default_rng(1)
    heatmap = rng.normal(-2, 2, (2, 39, 64, 64)).astype(np.float32)
    places = rng.uniform(-20, 280, (2, 33, 2)).astype(np.float32)
    wanted = decode.refined(places, heatmap, 256)
    fine, clear = refined(torch.from_numpy(places), torch.from_numpy(heatmap), 256)
    found = torch.where(clear[..., None], fine, torch.from_numpy(places)).numpy()
    assert np.abs(found - wanted).max() < 1e-3
    assert 0.1 < float(clear.float().mean()) < 1


def test_a_frozen_stem_is_not_trained_and_gives_the_same(model: Path, image: torch.Tensor) -> None:
    network, old = BlazePoseBody(model), BlazePoseBody(model)
    with torch.no_grad():
        wanted = old.forward(image)
    network.freeze_stem()
    old.freeze_stem()
    outputs, before = network.both(old, image)
    assert all(torch.equal(value, wanted[name]) for name, value in before.items())
    assert torch.equal(outputs["landmarks"], wanted["landmarks"])
    assert not before["landmarks"].requires_grad
    target = standing((90, 30), (80, 200))
    places = torch.full((33, 2), 128.0)
    places[:17] = torch.from_numpy(target[:, :2]).float()
    parts = network.losses(outputs, before, goal(places))
    torch.stack(list(parts.values())).sum().backward()
    names = [n for n, p in network.module.named_parameters() if p.grad is not None]
    assert network.parameters < 3_167_640
    assert len(names) == len(network.groups(1.0)[0]["params"])


def test_what_is_not_labelled_is_held(model: Path, image: torch.Tensor) -> None:
    """One labelled ankle moves; the old answers hold the rest, and cost nothing at first."""
    network, old = BlazePoseBody(model), BlazePoseBody(model)
    network.freeze_stem()
    old.freeze_stem()
    labelled = np.zeros(33)
    labelled[27] = 1
    outputs, before = network.both(old, image)
    first = before["landmarks"].reshape(39, 5)
    places = first[:33, :2] + torch.tensor([40.0, 0.0])
    parts = network.losses(outputs, before, goal(places, labelled))
    assert float(parts["old"].detach()) == pytest.approx(0, abs=1e-6)
    assert float(parts["places"].detach()) == pytest.approx(40 - 1.5, abs=0.1)
    moved = {**outputs, "landmarks": outputs["landmarks"].detach() + 10}
    held = network.losses(moved, before, goal(places, labelled))
    assert float(held["old"].detach()) > 1
    optimiser = torch.optim.Adam(network.groups(1.0)[0]["params"], 2e-5)
    for _ in range(20):
        outputs, before = network.both(old, image)
        # In a picture of nothing, the old network is sure of no point.
        before["landmarks"].reshape(1, 39, 5)[..., 3:] = 6.0
        parts = network.losses(outputs, before, goal(places, labelled))
        optimiser.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        optimiser.step()
    now = network.forward(image)["landmarks"].detach().reshape(39, 5)
    step = (now - first)[:33, :2].norm(dim=1)
    assert float((places - now[:33, :2])[27].norm()) < 20
    # Heel and toes follow their ankle.
    others = np.delete(step.numpy(), [27, 29, 31])
    assert float(step[27]) > 2 * float(np.median(others))


def test_weights_go_back_into_the_same_graph(
    model: Path, image: torch.Tensor, plain: Dict[str, np.ndarray], tmp_path: Path
) -> None:
    network = BlazePoseBody(model)
    with torch.no_grad():
        list(network.module.parameters())[-1].add_(0.5)
    network.write(tmp_path, {"made_by": "a test"})
    recipe = load_recipe(tmp_path)
    assert set(recipe.networks) == {"body", "hand", "face"}
    assert all(n.weights is None and n.sha256 for n in recipe.networks.values())
    assert recipe.scores == load_recipe(model).scores
    found = run_onnx(tmp_path / "body.onnx", image)
    with torch.no_grad():
        wanted = network.forward(image)
    changed = [n for n in plain if np.abs(found[n] - plain[n]).max() > 1e-6]
    assert changed
    assert all(np.abs(found[n] - wanted[n].numpy()).max() < 5e-3 for n in plain)
    notes = {p.key: p.value for p in onnx.load(str(tmp_path / "body.onnx")).metadata_props}
    assert notes["made_by"] == "a test"


def test_the_square_of_a_known_person_is_the_daemons(body: BlazePoseBody) -> None:
    points = np.zeros((33, 3), np.float32)
    order = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
    points[order] = standing((100, 40))
    box = np.array([100, 40, 180, 240], np.float32)
    size = np.array([640, 480], np.float32)
    new = body.region(points, box, size, 1.0)
    assert new.centre == pytest.approx([140, 140])
    assert (new.width_px, new.turn) == (250, 0)
    known = body.region(points, box, size, 0.0)
    assert known.centre == pytest.approx([140, 144], abs=3)
    assert abs(known.turn) < 0.1
    alone = np.zeros_like(points)
    alone[27] = [150, 230, 2]
    assert body.region(alone, box, size, 0.0).width_px == 250


def write_graph(path: Path, operator: str, **options: Any) -> Path:
    weight = numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "w")
    node = helper.make_node(operator, ["input", "w"], ["out"], **options)
    sides = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("input", "out")]
    graph = helper.make_graph([node], "g", sides[:1], sides[1:], [weight])
    onnx.save(helper.make_model(graph), str(path))
    return path


def test_graphs_that_cannot_be_trained_are_refused_by_operator(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="operator ConvTranspose cannot be trained here"):
        OnnxGraph(write_graph(tmp_path / "a.onnx", "ConvTranspose"))
    with pytest.raises(DataError, match="auto_pad"):
        OnnxGraph(write_graph(tmp_path / "b.onnx", "Conv", auto_pad="SAME_UPPER"))
    (tmp_path / "c.onnx").write_bytes(b"no graph")
    with pytest.raises(DataError, match="is no ONNX file"):
        OnnxGraph(tmp_path / "c.onnx")


# SimCC ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint_133(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "rtmpose.pth"
    network = SimccTrainee("rtmpose-t-wholebody", None, seed=7)
    torch.save({"state_dict": network.module.state_dict()}, str(path))
    return path


def test_a_checkpoint_is_loaded_whole(checkpoint_133: Path) -> None:
    network = SimccTrainee("rtmpose-t-wholebody", checkpoint_133)
    state = checkpoint.read_state(checkpoint_133)
    assert all(torch.equal(v, state[k]) for k, v in network.module.state_dict().items())
    assert network.fresh == []
    assert network.trained


def test_a_head_of_other_points_keeps_the_trunk_and_the_known_rows(checkpoint_133: Path) -> None:
    network = SimccTrainee("rtmpose-t-wholebody", checkpoint_133, "halpe26", seed=1)
    old, new = checkpoint.read_state(checkpoint_133), network.module.state_dict()
    changed = [k for k, v in new.items() if v.shape != old[k].shape]
    assert changed == ["head.final_layer.weight", "head.final_layer.bias"]
    assert all(torch.equal(v, old[k]) for k, v in new.items() if k not in changed)
    names = [point_sets.named(n).names for n in ("wholebody133", "halpe26")]
    for place, name in enumerate(names[1]):
        row = new["head.final_layer.weight"][place]
        if name in names[0]:
            assert torch.equal(row, old["head.final_layer.weight"][names[0].index(name)])
    neck = new["head.final_layer.weight"][names[1].index("neck")]
    shoulders = old["head.final_layer.weight"][[5, 6]].mean(0)
    assert torch.allclose(neck, shoulders)
    shares = [(len(g["params"]), g["share"]) for g in network.groups(0.3)]
    assert shares[1] == (2, 1.0)
    assert shares[0][1] == 0.3


def test_a_checkpoint_of_another_trunk_is_refused(checkpoint_133: Path) -> None:
    with pytest.raises(DataError, match="does not fit rtmpose-s-wholebody"):
        SimccTrainee("rtmpose-s-wholebody", checkpoint_133)
    with pytest.raises(ConfigError, match="is of the family rtmdet"):
        SimccTrainee("rtmdet-nano-person", None)


def test_the_simcc_loss_is_least_at_the_label() -> None:
    network = SimccTrainee("rtmpose-t-body17", None)
    labels = torch.full((1, 17, 2), 100.0)
    losses = []
    for off in (0, 4, 40):
        logits = {}
        for name, bins in (("simcc_x", 384), ("simcc_y", 512)):
            at = torch.arange(bins)[None, None] - 2 * (100 + off)
            logits[name] = torch.exp(-0.5 * (at / 5.0) ** 2).expand(1, 17, bins).contiguous()
        assert network.places(logits)[0, 0].tolist() == [100 + off, 100 + off]
        losses.append(float(network.losses(logits, {}, goal(labels[0]))["places"]))
    assert losses[0] < losses[1] < losses[2]
    none = network.losses(logits, logits, goal(labels[0], np.zeros(17)))
    assert float(none["places"]) == 0
    assert float(none["old"]) == pytest.approx(0, abs=1e-4)


def test_a_trained_simcc_network_is_a_model_of_the_daemon(tmp_path: Path) -> None:
    network = SimccTrainee("rtmpose-t-body17", None, seed=2)
    network.write(tmp_path, {})
    recipe = load_recipe(tmp_path)
    assert (recipe.family, recipe.skeleton) == ("simcc", "coco17")
    crops = np.random.default_rng(0).integers(0, 256, (1, 256, 192, 3), np.uint8)
    image = network.input_of(crops)
    found = run_onnx(tmp_path / "network.onnx", image)
    with torch.no_grad():
        wanted = network.forward(image)
    assert np.abs(found["simcc_x"] - wanted["simcc_x"].numpy()).max() < 1e-2
    assert re.fullmatch("[0-9a-f]{64}", recipe.networks["main"].sha256)


def test_the_head_is_what_only_some_outputs_need(
    model: Path, image: torch.Tensor, plain: Dict[str, np.ndarray]
) -> None:
    body = BlazePoseBody(model)
    body.freeze_trunk()
    learned = body.graph.learned()
    graph = onnx.load(str(model / "body.onnx")).graph
    users = {name: node for node in graph.node for name in node.input}
    # Landmarks and the heatmap are made of the head's layers; the first convolution is not.
    for output in ("landmarks", "heatmap"):
        (last,) = [n for n in graph.node if output in n.output]
        while last.op_type != "Conv":
            (last,) = [n for n in graph.node if last.input[0] in n.output]
        assert last.input[1] in learned
    assert graph.node[0].input[1] not in learned
    assert {users[name].op_type for name in learned} == {"Conv"}
    assert sum(p.numel() for p in body.module.parameters()) > 1.8 * body.parameters
    # The order of computing has changed, the answer has not.
    old = BlazePoseBody(model)
    old.freeze_trunk()
    with torch.no_grad():
        found, before = body.both(old, image)
    assert torch.equal(found["landmarks"], before["landmarks"])
    names = {graph: name for name, graph in body.network.outputs.items()}
    for name, value in plain.items():
        np.testing.assert_allclose(found[names.get(name, name)], value, rtol=1e-3, atol=1e-3)


def test_the_trunk_of_a_network_without_weights_cannot_be_kept() -> None:
    trainee = SimccTrainee("rtmpose-t-wholebody", None)
    with pytest.raises(ConfigError, match="--only-head"):
        trainee.freeze_trunk()
    trainee.trained = True
    trainee.freeze_trunk()
    named = dict(trainee.network.named_parameters())
    assert {name.split(".")[0] for name, p in named.items() if p.requires_grad} == {"head"}
