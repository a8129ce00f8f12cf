"""TFLite networks become ONNX that gives LiteRT's numbers, on real crops and for every network."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Dict

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from edge.recipe import load_recipe
from tests.tools.network_cases import CUSTOM_OPERATORS, OTHERS, pixels_of, thinned
from tools.convert import tflite
from tools.convert._tflite_file import TfliteFile
from tools.convert.graph import same_pads
from tools.convert.verify import enlarged, sampled
from tools.fetch.archives import read_members
from tools.fetch.by_name import ENGINES, ensure_model
from tools.fetch.cache import cached_archive
from tools.fetch.sources import archive_of_weights

GOLDEN = Path(__file__).parent / "golden"
POINT = {"body": 5, "hand": 3, "face": 3}  # numbers of one landmark
BODY = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
FACE = "mediapipe/modules/face_landmark/face_landmark.tflite"
BODY_OUTPUTS = {"landmarks": "Identity", "score": "Identity_1", "world": "Identity_4"}


@pytest.fixture(scope="module")
def members() -> Dict[str, bytes]:
    weights = load_recipe(ENGINES / "blazepose").networks["body"].weights
    assert weights is not None
    archive = cached_archive(archive_of_weights(weights), quiet=True)
    return read_members(archive, [*OTHERS, CUSTOM_OPERATORS, BODY, FACE])


def run(model: onnx.ModelProto, images: np.ndarray) -> Dict[str, np.ndarray]:
    """Outputs for [N, height, width, 3] pixels 0..255."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    samples = np.ascontiguousarray((images / 255).astype(np.float32).transpose(0, 3, 1, 2))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": samples})))


@pytest.mark.parametrize(("name", "size"), [("body", 256), ("hand", 224), ("face", 192)])
def test_real_crops_give_litert_numbers(name: str, size: int) -> None:
    model = onnx.load(str(ensure_model("blazepose", quiet=True) / f"{name}.onnx"))
    with np.load(GOLDEN / f"tflite_{name}.npz") as golden:
        crop = enlarged(golden["image"], size, size)
        found = run(model, np.stack([crop[:, ::-1], crop, crop[::-1]]))
        for output, values in found.items():
            expected = golden[output].reshape(-1)
            scale = max(1.0, float(np.abs(expected).max()))  # depths reach several hundred px
            assert np.abs(thinned(values)[1].reshape(-1) - expected).max() < 2e-5 * scale, output
            if output == "landmarks":
                across = np.abs(values[1] - expected).reshape(-1, POINT[name])[:, :2]
                assert across.max() < 1e-3, "px of the crop"
    confident = found.get("score", found.get("presence"))
    assert confident is not None
    assert confident[1, 0] > 0.9, "the crop shows what the network is for"


@pytest.mark.parametrize("member", OTHERS, ids=lambda member: Path(member).stem)
def test_every_network_of_the_wheel_gives_litert_numbers(
    members: Dict[str, bytes], member: str
) -> None:
    model = tflite.convert(members[member], {}, member)
    height, width = (d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[2:])
    found = run(model, pixels_of(height, width)[None])
    with np.load(GOLDEN / "tflite_others.npz") as golden:
        for output, values in found.items():
            expected = golden[f"{member}:{output}"]
            scale = max(1.0, float(np.abs(expected).max()))
            assert np.abs(sampled(values[0]) - expected).max() < 2e-5 * scale, output


def test_the_graph_is_what_quantizers_and_tensorrt_want(members: Dict[str, bytes]) -> None:
    model = tflite.convert(members[BODY], BODY_OUTPUTS, "body")
    assert [opset.version for opset in model.opset_import] == [17]
    assert model.ir_version == 8
    assert [output.name for output in model.graph.output] == list(BODY_OUTPUTS)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    kinds = {node.op_type for node in model.graph.node}
    assert kinds == {"Conv", "Clip", "Add", "MaxPool", "Sigmoid", "Reshape"}
    for weight in model.graph.initializer:
        assert not weight.external_data
        assert weight.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT64)


def test_outputs_that_nobody_wants_are_cut_with_their_layers(members: Dict[str, bytes]) -> None:
    everything = tflite.convert(members[BODY], {}, "body")
    wanted = tflite.convert(members[BODY], BODY_OUTPUTS, "body")
    kinds = [node.op_type for node in everything.graph.node]
    assert "Resize" in kinds  # the decoder of the mask and the heat map
    assert len(wanted.graph.node) < 0.8 * len(kinds)


def test_an_unknown_output_is_answered_with_those_there_are(members: Dict[str, bytes]) -> None:
    with pytest.raises(DataError, match=r"^body: no output Identity_9; it has Identity, Identity"):
        tflite.convert(members[BODY], {"landmarks": "Identity_9"}, "body")


def test_an_operator_that_is_not_known_is_named(members: Dict[str, bytes]) -> None:
    with pytest.raises(DataError, match=r"^face: operator MUL is not supported; supported: ADD, "):
        tflite.convert(members[CUSTOM_OPERATORS], {}, "face")


def test_custom_operators_have_their_own_names(members: Dict[str, bytes]) -> None:
    source = TfliteFile(members[CUSTOM_OPERATORS], "face")
    assert "TransformLandmarks" in {operator.name for operator in source.operators}


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x00" * 64, b"PK\x03\x04" + b"x" * 99])
def test_what_is_no_tflite_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^x: (is not a TFLite file|the TFLite file is damaged)"):
        tflite.convert(data, {}, "x")


def test_a_cut_file_is_refused(members: Dict[str, bytes]) -> None:
    whole = members[FACE]
    for length in (8, 9, 100, 5000, len(whole) // 2, len(whole) - 1000):
        with pytest.raises(DataError) as caught:
            tflite.convert(whole[:length], {}, "face")
        assert "\n" not in str(caught.value)


def test_damage_never_ends_in_anything_but_an_answer(members: Dict[str, bytes]) -> None:
    whole, dice = members[FACE], random.Random(5)
    answers = []
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(dice.choice((1, 8, 40))):
            damaged[len(whole) - 1 - dice.randrange(90000)] = dice.randrange(256)  # the tables
        try:
            tflite.convert(bytes(damaged), {}, "face")
        except DataError as error:
            answers.append(str(error))
    assert len(answers) > 10
    assert all(answer.startswith("face: ") for answer in answers)


@given(st.integers(1, 300), st.integers(1, 7), st.integers(1, 4))
def test_same_padding_gives_ceil_outputs_and_puts_the_odd_pixel_last(
    size: int, kernel: int, stride: int
) -> None:
    top, left, bottom, right = same_pads((size, size), (kernel, kernel), (stride, stride))
    assert (top, bottom) == (left, right)
    assert 0 <= bottom - top <= 1
    grown = size + top + bottom
    if grown >= kernel:
        assert (grown - kernel) // stride + 1 == -(-size // stride)
    if top + bottom:
        assert (grown - 1 - kernel) // stride + 1 < -(-size // stride), "no pixel too many"
