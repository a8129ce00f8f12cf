"""TensorFlow.js models become ONNX: the trunk on a small model, the decoding, the real network."""

from __future__ import annotations

import base64
import json
from typing import Any, Dict, List, Tuple

import numpy as np
import onnxruntime
import pytest
import torch

from edge.errors import ConfigError, DataError
from edge.recipe import load_recipe
from tests.tools.network_cases import pixels_of
from tools.convert import _movenet, tfjs
from tools.convert._tfjs_operators import Tensor
from tools.convert.graph import BATCH, GraphBuilder
from tools.convert.network import members_of
from tools.fetch.archives import read_members
from tools.fetch.by_name import ENGINES
from tools.fetch.cache import cached_archive
from tools.fetch.sources import archive_of_weights

HEAD_CHANNELS = {
    "center": 1,
    "box_scale": 2,
    "box_offset": 2,
    "heatmap": 17,
    "regress": 34,
    "offset": 34,
}


def decoder_session(height: int, width: int) -> Any:
    """The decoding alone, its six heads as inputs."""
    graph = GraphBuilder("decoding")
    heads = {}
    for name, channels in HEAD_CHANNELS.items():
        graph.input(name, [BATCH, channels, height, width])
        heads[name] = Tensor(name, channels, height, width)
    model = graph.finish(_movenet.append(graph, heads))
    return onnxruntime.InferenceSession(model.SerializeToString())


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def published_decoding(heads: Dict[str, np.ndarray]) -> np.ndarray:
    """[6, 56] of one image, people and keypoints one by one, as the published graph has it.

    The Gaussian is FP32 as there: where it is 0 for all cells, the first cell is the answer.
    """
    height, width = heads["center"].shape[1:]
    score = sigmoid(heads["center"][0])
    padded = np.pad(score, 2, constant_values=-1)
    highest = np.max(
        [padded[y : y + height, x : x + width] for y in range(5) for x in range(5)], axis=0
    )
    peaks = np.where(np.abs(score - highest) < 1.0132789611816406e-06, score, 0)
    best = np.argsort(-peaks.reshape(-1), kind="stable")[:6]
    seen, boxes = [], []
    rows, columns = np.mgrid[:height, :width]
    for cell in best:
        y, x = divmod(int(cell), width)
        box, weight = box_and_weights(heads, y, x, rows, columns)
        boxes.append(box)
        seen.append(weight)
    return np.stack(
        [
            person(heads, seen, i, boxes[i], float(peaks.reshape(-1)[cell]))
            for i, cell in enumerate(best)
        ]
    )


def box_and_weights(
    heads: Dict[str, np.ndarray], y: int, x: int, rows: np.ndarray, columns: np.ndarray
) -> Tuple[np.ndarray, np.ndarray]:
    height, width = rows.shape
    centre = np.array([y, x]) + heads["box_offset"][:, y, x]
    half = np.maximum(heads["box_scale"][:, y, x], 0) / 2
    limit = np.array([height, width])
    low, high = (np.clip(edge, 0, limit) for edge in (centre - half, centre + half))
    inside = (rows >= low[0]) & (rows < high[0]) & (columns >= low[1]) & (columns < high[1])
    weights = []
    for k in range(17):
        rough = np.array([y, x]) + heads["regress"][2 * k : 2 * k + 2, y, x]
        away = (rows - rough[0]) ** 2 + (columns - rough[1]) ** 2
        near = np.exp((-away / (0.300048828125 * min(height, width))).astype(np.float32))
        weights.append(sigmoid(heads["heatmap"][k]) * near * inside)
    return np.concatenate([low, high]) / np.tile(limit, 2), np.stack(weights)


def person(
    heads: Dict[str, np.ndarray], seen: List[np.ndarray], i: int, box: np.ndarray, centre: float
) -> np.ndarray:
    limit, points, scores = seen[i].shape[1:], [], []
    for k in range(17):
        y, x = np.unravel_index(seen[i][k].argmax(), limit)
        place = np.array([y, x]) + heads["offset"][2 * k : 2 * k + 2, y, x]
        scores.append(max(weights[k, y, x] for weights in seen))
        points.append([*(place / limit), scores[-1]])
    counted = [s for s in scores if s > 0.126953125]
    total = centre * sum(counted) / max(1, len(counted))
    return np.concatenate([np.concatenate(points), box, [total]])


def assert_same_people(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found[:, 2:51:3], expected[:, 2:51:3], atol=2e-5)
    np.testing.assert_allclose(found[:, 51:], expected[:, 51:], atol=2e-5)
    seen = np.repeat(expected[:, 2:51:3] > 1e-6, 3, axis=1)  # where nothing is, FP32 has no place
    assert seen.any()
    np.testing.assert_allclose(found[:, :51][seen], expected[:, :51][seen], atol=2e-5)


def random_heads(seed: int, height: int, width: int) -> Dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    heads = {k: random.normal(0, 1.5, (c, height, width)) for k, c in HEAD_CHANNELS.items()}
    heads["box_scale"] = random.uniform(-2, 1.5 * width, (2, height, width))
    heads["regress"] *= 4
    return {name: values.astype(np.float32) for name, values in heads.items()}


@pytest.mark.parametrize(("height", "width"), [(16, 16), (8, 24), (40, 24)])
def test_a_batch_is_decoded_as_the_published_graph_decodes_one_image(
    height: int, width: int
) -> None:
    session = decoder_session(height, width)
    images = [random_heads(seed, height, width) for seed in range(4)]
    batch = {name: np.stack([image[name] for image in images]) for name in HEAD_CHANNELS}
    (people,) = session.run(None, batch)
    assert people.shape == (4, 6, 56)
    for found, image in zip(people, images):
        assert_same_people(found, published_decoding(image))


def test_an_empty_picture_has_nobody_and_nothing_breaks() -> None:
    heads = {name: np.full((1, c, 8, 8), -30, np.float32) for name, c in HEAD_CHANNELS.items()}
    (people,) = decoder_session(8, 8).run(None, heads)
    assert np.isfinite(people).all()
    assert people[0, :, 55].max() < 1e-6


def text(value: str) -> Dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def convolution(name: str, op: str, inputs: List[str], **how: Any) -> Dict[str, Any]:
    stride = [str(how.get("stride", 1))] * 2
    fused = [base64.b64encode(f.encode()).decode() for f in how.get("fused", ())]
    return {
        "name": name,
        "op": op,
        "input": inputs,
        "attr": {
            "strides": {"list": {"i": ["1", *stride, "1"]}},
            "padding": text("SAME"),
            "data_format": text("NHWC"),
            "fused_ops": {"list": {"s": fused}},
        },
    }


def small_model() -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """A trunk with every operator, in place of MoveNet's six heads."""
    random = np.random.default_rng(1)
    shapes = {"w0": (3, 3, 3, 8), "b0": (8,), "w1": (3, 3, 8, 1), "b1": (8,), "w2": (1, 1, 8, 8)}
    shapes.update({f"h_{name}": (1, 1, 8, c) for name, c in HEAD_CHANNELS.items()})
    weights = {k: (random.normal(0, 0.4, s)).astype(np.float16) for k, s in shapes.items()}
    for name in ("w1", "h_box_scale"):
        weights[name] = np.abs(weights[name])  # so that boxes have an extent
    relu6 = ("BiasAdd", "Relu6")
    resize = {"align_corners": {"b": False}, "half_pixel_centers": {"b": True}}
    nodes = [
        convolution("c0", "_FusedConv2D", ["in", "w0", "b0"], stride=2, fused=relu6),
        convolution(
            "c1", "FusedDepthwiseConv2dNative", ["c0", "w1", "b1"], stride=2, fused=("BiasAdd",)
        ),
        convolution("c2", "_FusedConv2D", ["c1", "w2", "b1"], fused=("BiasAdd", "Relu")),
        {"name": "up", "op": "ResizeBilinear", "input": ["c2", "^size"], "attr": resize},
        {"name": "sum", "op": "AddV2", "input": ["up", "c0"]},
        convolution("d", "DepthwiseConv2dNative", ["sum", "w1"], stride=2),
    ]
    renamed = {"in": _movenet.BACKBONE_INPUT}
    for name in HEAD_CHANNELS:
        nodes.append(convolution(_movenet.BACKBONE_OUTPUTS[name], "Conv2D", ["d", f"h_{name}"]))
    for node in nodes:
        node["input"] = [renamed.get(i, i) for i in node["input"]]
    manifest = [
        {
            "name": k,
            "shape": list(w.shape),
            "dtype": "float32",
            "quantization": {"dtype": "float16"},
        }
        for k, w in weights.items()
    ]
    model = {"modelTopology": {"node": nodes}, "weightsManifest": [{"weights": manifest}]}
    return model, weights


def packed(model: Dict[str, Any], weights: Dict[str, np.ndarray]) -> Tuple[bytes, bytes]:
    return json.dumps(model).encode(), b"".join(w.tobytes() for w in weights.values())


def same(image: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """TensorFlow's SAME padding of an even-sided image."""
    total = kernel - stride if stride > 1 else kernel - 1
    before = total // 2
    after = total - before
    return torch.nn.functional.pad(image, (before, after, before, after))


def small_model_in_torch(weights: Dict[str, np.ndarray], image: np.ndarray) -> Dict[str, Any]:
    """The same trunk written with PyTorch's operators."""
    conv = torch.nn.functional.conv2d
    w = {k: torch.from_numpy(v.astype(np.float32)) for k, v in weights.items()}
    full = {k: v.permute(3, 2, 0, 1) for k, v in w.items() if v.ndim == 4}
    depth = w["w1"].permute(2, 3, 0, 1)
    c0 = conv(same(torch.from_numpy(image), 3, 2), full["w0"], w["b0"], 2).clamp(0, 6)
    c1 = conv(same(c0, 3, 2), depth, w["b1"], 2, groups=8)
    c2 = conv(c1, full["w2"], w["b1"]).relu()
    up = torch.nn.functional.interpolate(c2, scale_factor=2, mode="bilinear", align_corners=False)
    d = conv(same(up + c0, 3, 2), depth, None, 2, groups=8)
    return {name: conv(d, full[f"h_{name}"]).numpy() for name in HEAD_CHANNELS}


def test_the_trunk_is_translated_operator_by_operator() -> None:
    model, weights = small_model()
    converted = tfjs.convert(*packed(model, weights), "small", (64, 32), "movenet-multipose")
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    images = np.random.default_rng(2).normal(0, 1, (3, 3, 32, 64)).astype(np.float32)
    (people,) = session.run(None, {"input": images})
    heads = small_model_in_torch(weights, images)
    for i, found in enumerate(people):
        expected = published_decoding({name: values[i] for name, values in heads.items()})
        assert_same_people(found, expected)


def broken(change: str) -> Tuple[bytes, bytes]:
    model, weights = small_model()
    nodes = model["modelTopology"]["node"]
    if change == "operator":
        nodes[4]["op"] = "Bessel"
    if change == "missing node":
        nodes[4]["input"][1] = "nowhere"
    if change == "padding":
        nodes[0]["attr"]["padding"] = {"s": "%%%"}
    if change == "activation":
        nodes[0]["attr"]["fused_ops"]["list"]["s"][1] = text("Elu")["s"]
    if change == "weights":
        nodes[2]["input"][1] = "c1"
    if change == "circle":
        nodes[0]["input"][0] = "c2"
    text_bytes, shards = packed(model, weights)
    if change == "shards":
        shards = shards[:-100]
    return text_bytes, shards + (b"\0\0" if change == "rest" else b"")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("operator", "operator Bessel is not supported; supported: AddV2"),
        ("missing node", "no node nowhere"),
        ("padding", "operator _FusedConv2D cannot be read"),
        ("activation", "fused Elu is not supported"),
        ("weights", "c1 is not a constant"),
        ("circle", "operator _FusedConv2D cannot be read"),
        ("shards", "is not a TensorFlow.js graph model, or damaged"),
        ("rest", "is not a TensorFlow.js graph model, or damaged"),
    ],
)
def test_bad_models_are_answered_in_one_line(change: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        tfjs.convert(*broken(change), "small", (64, 64), "movenet-multipose")
    assert str(caught.value).startswith("small: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [b"", b"{", b"[]", b"null", b'{"modelTopology": {}}'])
def test_what_is_no_graph_model_is_refused(model: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: is not a TensorFlow.js graph model, or damaged$"):
        tfjs.convert(model, b"", "x", (64, 64), "movenet-multipose")


def test_sizes_and_heads_that_cannot_be() -> None:
    small = packed(*small_model())
    with pytest.raises(ConfigError, match="width and height must be multiples of 32"):
        tfjs.convert(*small, "small", (100, 64), "movenet-multipose")
    with pytest.raises(ConfigError, match="no head called yolo; known heads: movenet-multipose"):
        tfjs.convert(*small, "small", (64, 64), "yolo")


def test_the_real_network_finds_the_woman_in_the_picture() -> None:
    weights = load_recipe(ENGINES / "movenet-multipose").networks["main"].weights
    assert weights is not None
    files = read_members(
        cached_archive(archive_of_weights(weights), quiet=True), members_of(weights)
    )
    model, shards = (files[n] for n in sorted(files, reverse=True))
    converted = tfjs.convert(model, shards, "movenet", (256, 256), "movenet-multipose")
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    image = (pixels_of(256, 256) * 0.007843017578125 - 1).astype(np.float32).transpose(2, 0, 1)
    (people,) = session.run(None, {"input": np.stack([image[:, :, ::-1], image])})
    points = people[1, 0, :51].reshape(17, 3)
    assert people[1, 0, 55] > 0.3
    # By eye on the picture: nose, then the two ankles.
    np.testing.assert_allclose(points[0, :2], [0.13, 0.49], atol=0.04)
    ankles = points[15:17][np.argsort(points[15:17, 1]), :2]
    np.testing.assert_allclose(ankles, [[0.89, 0.33], [0.91, 0.68]], atol=0.05)
    assert abs(people[0, 0, 1] + people[1, 0, 1] - 1) < 0.03, "the mirror image has its own row"
