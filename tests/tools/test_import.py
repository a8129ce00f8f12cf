"""`edge-tools import`: small real networks in, models that the program runs out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.models import ModelOptions, input_shapes, load_model
from edge.recipe import Network, Recipe, load_recipe
from edge.runtime import RunnerOptions, open_runner
from edge.structures import Detections, Frame, Poses
from tools.__main__ import main
from tools.importing.recipe import to_toml

Shape = Tuple[int, ...]
SIMCC: Dict[str, Shape] = {"simcc_x": (17, 96), "simcc_y": (17, 128)}


def network(
    outputs: Dict[str, Shape],
    image: Sequence[Any] = ("batch", 3, 64, 48),
    dtype: int = TensorProto.FLOAT,
    baked: int = -1,
    notes: Optional[Dict[str, str]] = None,
    more_inputs: Sequence[str] = (),
) -> onnx.ModelProto:
    """The mean colour of the picture, times fixed weights, in the shapes wanted.

    `baked` is the batch that its Reshape nodes are written for; -1 = any.
    """
    rng = np.random.default_rng(0)
    planes = "input" if image[1] == 3 else "planes"
    nodes = (
        []
        if planes == "input"
        else [helper.make_node("Transpose", ["input"], ["planes"], perm=[0, 3, 1, 2])]
    )
    nodes += [
        helper.make_node("Cast", [planes], ["real"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["real"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["colour"]),
    ]
    weights, values = [], []
    for i, (name, shape) in enumerate(outputs.items()):
        matrix = rng.normal(size=(3, int(np.prod(shape)))).astype(np.float32)
        weights += [
            numpy_helper.from_array(matrix, f"w{i}"),
            numpy_helper.from_array(np.array([baked, *shape], np.int64), f"s{i}"),
        ]
        nodes += [
            helper.make_node("MatMul", ["colour", f"w{i}"], [f"flat{i}"]),
            helper.make_node("Reshape", [f"flat{i}", f"s{i}"], [name]),
        ]
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [image[0], *shape]))
    inputs = [helper.make_tensor_value_info("input", dtype, list(image))]
    inputs += [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in more_inputs]
    graph = helper.make_graph(nodes, "g", inputs, values, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, notes or {})
    return model


class Folder:
    """A file to import, and the folder of models."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.models, self.capsys = path / "My Net.onnx", path / "models", capsys

    def save(self, model: onnx.ModelProto) -> None:
        onnx.save(model, str(self.file))

    def run(self, *arguments: str) -> Tuple[int, str, str]:
        code = main(["import", str(self.file), "--models", str(self.models), *arguments])
        out, err = self.capsys.readouterr()
        return code, out, err

    def facts(self, *arguments: str) -> Dict[str, Any]:
        code, out, err = self.run("--json", *arguments)
        assert (code, err) == (0, "")
        return dict(json.loads(out))

    def refused(self, *arguments: str) -> Tuple[int, str]:
        """Exit code and the one line; nothing may be left behind."""
        before = self.listing()
        code, out, err = self.run(*arguments)
        assert code != 0
        assert out == ""
        assert err.startswith("edge-tools: ")
        assert err.count("\n") == 1
        assert self.listing() == before
        return code, err

    def listing(self) -> List[str]:
        return sorted(str(p.relative_to(self.models)) for p in self.models.rglob("*"))

    def model(self, name: str = "my-net") -> Any:
        folder = self.models / name
        recipe = load_recipe(folder)
        path = folder / recipe.networks["main"].file
        runner = open_runner(path, input_shapes(recipe)["main"], RunnerOptions())
        return load_model(recipe, {"main": runner}, ModelOptions(min_score=0.0)), runner


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Folder:
    return Folder(tmp_path, capsys)


def frames() -> List[Frame]:
    grey = np.random.default_rng(3).integers(0, 255, (2, 120, 160, 3), np.uint8)
    return [Frame(image, 0, 0, str(i)) for i, image in enumerate(grey)]


def candidates(skeleton: str = "coco17") -> List[Poses]:
    boxes = np.array([[10, 10, 60, 100], [70, 5, 120, 110]], np.float32)
    one = Poses.of_boxes(Detections(boxes, np.ones(2, np.float32)), 17, skeleton)
    return [one, one.take(np.array([1]))]


def test_a_pose_network_becomes_a_model_that_runs(folder: Folder) -> None:
    folder.save(network(SIMCC))
    code, out, err = folder.run("--family", "simcc", "--skeleton", "coco17", "--licence", "mine")
    assert (code, err) == (0, "")
    assert 'set pose.model = "my-net"' in out
    assert "simcc_x [batch, 17, 96]" in out
    assert folder.listing() == ["my-net", "my-net/model.onnx", "my-net/model.toml"]
    recipe = load_recipe(folder.models / "my-net")
    main_ = recipe.networks["main"]
    assert (recipe.skeleton, recipe.licence, main_.width, main_.height) == (
        "coco17",
        "mine",
        48,
        64,
    )
    assert main_.mean == [123.675, 116.28, 103.53]
    pose, runner = folder.model()
    found = pose(frames(), candidates())
    assert [len(f) for f in found] == [2, 1]
    assert runner.runs == 1


def test_the_skeleton_is_found_where_only_one_fits(folder: Folder) -> None:
    folder.save(network({"simcc_x": (133, 96), "simcc_y": (133, 128)}))
    assert folder.facts("--family", "simcc")["skeleton"] == "wholebody133"


def test_outputs_are_told_apart_by_their_shapes(folder: Folder) -> None:
    folder.save(network({"b": (17, 128), "a": (17, 96), "other": (5, 5, 5)}))
    facts = folder.facts("--family", "simcc", "--skeleton", "coco17")
    assert facts["names"] == {"simcc_x": "a", "simcc_y": "b"}
    assert len(folder.model()[0](frames(), candidates())) == 2


def test_outputs_of_one_shape_are_asked_for(folder: Folder) -> None:
    folder.save(network({"p": (17, 128), "q": (17, 128)}, ("batch", 3, 64, 64)))
    wish = ("--family", "simcc", "--skeleton", "coco17")
    code, line = folder.refused(*wish)
    assert code == 65
    assert "2 ways" in line
    assert "--output simcc_x=p --output simcc_y=q" in line
    facts = folder.facts(*wish, "--output", "simcc_x=q", "--output", "simcc_y=p")
    assert facts["names"] == {"simcc_x": "q", "simcc_y": "p"}
    _, line = folder.refused(*wish, "--name", "b", "--output", "simcc_x=z")
    assert "no output 'z'; the network has p [batch, 17, 128]" in line


def test_a_fixed_batch_is_opened_where_the_network_allows_it(folder: Folder) -> None:
    folder.save(network(SIMCC, (1, 3, 64, 48)))
    facts = folder.facts("--family", "simcc", "--skeleton", "coco17")
    assert facts["batch"] == "any"
    assert "opened" in facts["notes"][0]
    pose, runner = folder.model()
    pose(frames(), candidates())
    assert runner.runs == 1


def test_a_fixed_batch_that_is_written_into_the_network_stays(folder: Folder) -> None:
    folder.save(network(SIMCC, (1, 3, 64, 48), baked=1))
    facts = folder.facts("--family", "simcc", "--skeleton", "coco17")
    assert facts["batch"] == "1"
    assert "dynamic batch" in facts["notes"][0]
    pose, runner = folder.model()
    assert [len(f) for f in pose(frames(), candidates())] == [2, 1]
    assert runner.runs == 3, "one execution for each person"


def test_a_batch_that_is_open_in_name_only_is_refused_with_the_fix(folder: Folder) -> None:
    folder.save(network(SIMCC, baked=1))
    code, line = folder.refused("--family", "simcc", "--skeleton", "coco17")
    assert code == 65
    assert "dynamic_axes={'input': {0: 'batch'}}" in line


def test_an_open_size_is_asked_for_and_a_fixed_one_is_kept(folder: Folder) -> None:
    folder.save(network(SIMCC, ("batch", 3, "h", "w")))
    wish = ("--family", "simcc", "--skeleton", "coco17")
    assert "--width: the network leaves it open" in folder.refused(*wish)[1]
    assert folder.refused(*wish, "--width", "4", "--height", "64")[0] == 78
    folder.facts(*wish, "--width", "48", "--height", "64")
    folder.save(network(SIMCC))
    code, line = folder.refused(*wish, "--name", "b", "--width", "64")
    assert (code, "the network's input has 48 px, not 64" in line) == (78, True)


def test_movenet_takes_whole_numbers_channels_last(folder: Folder) -> None:
    folder.save(network({"rows": (6, 56)}, ("batch", 64, 96, 3), TensorProto.INT32))
    facts = folder.facts("--family", "movenet")
    assert facts["input"].startswith("input int32 [batch, 64, 96, 3] rgb, mean 0 0 0, std 1 1 1")
    assert (facts["names"], facts["skeleton"]) == ({"people": "rows"}, "coco17")
    assert len(folder.model()[0](frames(), [])) == 2


def test_settings_of_the_family_and_pixels_are_kept(folder: Folder) -> None:
    folder.save(network({"out": (17, 16, 12)}))
    folder.facts(
        "--family",
        "heatmap",
        "--option",
        "decode=udp",
        "--option",
        "padding=1.5",
        "--mean",
        "1",
        "2",
        "3",
        "--std",
        "4",
        "5",
        "6",
        "--channels",
        "bgr",
    )
    recipe = load_recipe(folder.models / "my-net")
    assert recipe.options == {"decode": "udp", "padding": 1.5}
    main_ = recipe.networks["main"]
    assert (main_.mean, main_.std, main_.channels) == ([1, 2, 3], [4, 5, 6], "bgr")


@pytest.mark.parametrize(
    ("family", "outputs", "image"),
    [
        ("yolov4", {"p": (255, 2, 3), "q": (255, 4, 6)}, ("batch", 3, 64, 96)),
        ("yolox", {"output": (126, 85)}, ("batch", 3, 64, 96)),
        ("yolox", {"x": (20, 4), "y": (20, 1)}, ("batch", 3, 64, 96)),
        ("rtmdet", {"d": (30, 5), "l": (30,)}, ("batch", 3, 64, 96)),
        ("rtmo", {"d": (30, 5), "k": (30, 17, 3)}, ("batch", 3, 64, 96)),
        (
            "rtmo",
            {"v": (30, 17), "s": (30,), "k": (30, 17, 2), "b": (30, 4)},
            ("batch", 3, 64, 96),
        ),
        ("bottomup", {"l": (34, 16, 24), "h": (17, 32, 48)}, ("batch", 3, 64, 96)),
        ("bottomup", {"heatmaps": (17, 16, 24), "pafs": (38, 16, 24)}, ("batch", 3, 64, 96)),
        ("bottomup", {"heatmaps": (17, 32, 48), "tags": (17, 16, 24)}, ("batch", 3, 64, 96)),
    ],
)
def test_every_family_can_be_imported(
    folder: Folder, family: str, outputs: Dict[str, Shape], image: Any
) -> None:
    folder.save(network(outputs, image))
    skeleton = ("--skeleton", "coco17") if family == "bottomup" else ()
    facts = folder.facts("--family", family, *skeleton)
    assert facts["batch"] == "any"
    model, runner = folder.model()
    found = model(frames(), []) if family in ("rtmo", "bottomup") else model(frames())
    assert len(found) == 2
    assert runner.runs == 1


def test_a_file_that_says_what_it_is_needs_no_arguments(folder: Folder) -> None:
    notes = {
        "family": "simcc",
        "skeleton": "coco17",
        "channels": "bgr",
        "mean": "1.5 2.5 3.5",
        "std": "not numbers",
    }
    folder.save(network(SIMCC, notes=notes))
    facts = folder.facts()
    assert "bgr, mean 1.5 2.5 3.5, std 58.395 57.12 57.375" in facts["input"]


def test_an_opset_newer_than_the_oldest_box_reads_is_told_of(folder: Folder) -> None:
    model = network(SIMCC)
    model.opset_import[0].version = 18
    folder.save(model)
    notes = folder.facts("--family", "simcc", "--skeleton", "coco17")["notes"]
    assert notes == ["opset 18: TensorRT 8.5 (JetPack 5) reads up to 17"]


def test_nothing_is_overwritten_unless_asked_and_stale_files_go(folder: Folder) -> None:
    folder.save(network(SIMCC))
    wish = ("--family", "simcc", "--skeleton", "coco17")
    folder.facts(*wish)
    code, line = folder.refused(*wish)
    assert (code, "--force" in line) == (78, True)
    (folder.models / "my-net/model.int8.onnx").write_bytes(b"made from the old one")
    folder.save(network(SIMCC, notes={"x": "y"}))
    before = (folder.models / "my-net/model.onnx").read_bytes()
    folder.facts(*wish, "--force")
    assert folder.listing() == ["my-net", "my-net/model.onnx", "my-net/model.toml"]
    assert (folder.models / "my-net/model.onnx").read_bytes() != before


def test_a_model_of_the_program_is_never_replaced(folder: Folder) -> None:
    folder.save(network(SIMCC))
    ours = Path(__file__).parents[2] / "engines/yolov4-tiny/model.toml"
    (folder.models / "yolov4-tiny").mkdir(parents=True)
    (folder.models / "yolov4-tiny/model.toml").write_text(
        ours.read_text(encoding="utf-8"), encoding="utf-8"
    )
    wish = ("--family", "simcc", "--skeleton", "coco17", "--name", "yolov4-tiny", "--force")
    assert "choose another --name" in folder.refused(*wish)[1]


def test_a_network_that_fails_leaves_the_old_model_alone(folder: Folder) -> None:
    folder.save(network(SIMCC))
    wish = ("--family", "simcc", "--skeleton", "coco17")
    folder.facts(*wish)
    folder.save(network({"simcc_x": (17, 96)}))
    assert "no output 'simcc_y'" in folder.refused(*wish, "--force")[1]
    assert len(folder.model()[0](frames(), candidates())) == 2


HALF = TensorProto.FLOAT16
WRONG = [
    (network(SIMCC), ("--family", "simcc", "--skeleton", "halpe26"), 78, "has 26 keypoints"),
    (network(SIMCC), ("--family", "simcc", "--skeleton", "coco18"), 78, "coco18"),
    (network(SIMCC), (), 78, "--family: is missing; give one of bottomup, heatmap, movenet"),
    (network(SIMCC), ("--family", "simcc", "--name", "../up"), 78, "--name: '../up'"),
    (network(SIMCC), ("--family", "simcc", "--std", "1", "0", "1"), 78, "--std: 0"),
    (network(SIMCC), ("--family", "simcc", "--option", "padding"), 78, "expected NAME=VALUE"),
    (network(SIMCC), ("--family", "simcc", "--option", "pading=2"), 78, "did you mean 'padding'"),
    (
        network({"output": (126, 85)}, ("batch", 3, 64, 96)),
        ("--family", "yolox", "--skeleton", "coco17"),
        78,
        "yolox finds boxes",
    ),
    (network({"o": (3, 3)}), ("--family", "heatmap"), 65, "no output 'heatmap'"),
    (network(SIMCC, more_inputs=["scale"]), ("--family", "simcc"), 65, "it has: input, scale"),
    (network(SIMCC, ("batch", 3, 64, 48), HALF), ("--family", "simcc"), 65, "float16"),
]


@pytest.mark.parametrize(("model", "arguments", "code", "text"), WRONG)
def test_what_does_not_fit_is_refused_in_one_line(
    folder: Folder, model: Any, arguments: Sequence[str], code: int, text: str
) -> None:
    folder.save(model)
    got, line = folder.refused(*arguments)
    assert (got, text in line) == (code, True), line


def grey_input() -> onnx.ModelProto:
    model = network(SIMCC)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    return model


def test_one_channel_is_not_a_picture(folder: Folder) -> None:
    folder.save(grey_input())
    code, line = folder.refused("--family", "simcc")
    assert (code, "three channels" in line) == (65, True)


GARBAGE = {
    "empty": b"",
    "text": b"this is no network\n" * 40,
    "zeros": bytes(5000),
    "truncated": network(SIMCC).SerializeToString()[:-2000],
    "half": network(SIMCC).SerializeToString()[:300],
    "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
}


@pytest.mark.parametrize("name", sorted(GARBAGE))
def test_a_file_that_is_no_network_is_refused(folder: Folder, name: str) -> None:
    folder.file.write_bytes(GARBAGE[name])
    code, line = folder.refused("--family", "simcc", "--skeleton", "coco17")
    assert code == 65
    assert "My Net.onnx: " in line


def test_a_file_that_is_not_there_or_no_file(folder: Folder) -> None:
    assert folder.refused("--family", "simcc")[0] == 66
    folder.file.mkdir()
    code, line = folder.refused("--family", "simcc")
    assert (code, "My Net.onnx" in line) == (66, True)


def test_a_file_larger_than_any_network_is_not_read(folder: Folder) -> None:
    folder.file.write_bytes(b"")
    os.truncate(str(folder.file), 2**31)
    code, line = folder.refused("--family", "simcc")
    assert (code, "2 GiB" in line) == (65, True)


def test_weights_in_another_file_are_refused(folder: Folder) -> None:
    onnx.save(
        network(SIMCC),
        str(folder.file),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    code, line = folder.refused("--family", "simcc", "--skeleton", "coco17")
    assert (code, "keeps weights in another file" in line) == (65, True)


def test_a_network_of_unknown_operators_is_refused(folder: Folder) -> None:
    model = network(SIMCC)
    model.graph.node[0].op_type = "NoSuchOperator"
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    folder.save(model)
    code, line = folder.refused("--family", "simcc", "--skeleton", "coco17")
    assert (code, "My Net.onnx" in line) == (65, True)


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=4))
def test_a_recipe_is_read_back_as_it_was_written(options: Dict[str, Any]) -> None:
    from edge.settings.toml_text import tomllib  # type: ignore[attr-defined]

    main_ = Network(file="model.onnx", width=48, height=64, outputs={"a": '\u00e9 "b"\n\x7f'})
    recipe = Recipe(family="simcc", networks={"main": main_}, options=options, skeleton="coco17")
    table = tomllib.loads(to_toml(recipe))
    assert table.get("options", {}) == options
    assert table["networks"]["main"]["outputs"] == main_.outputs
    assert table["networks"]["main"]["mean"] == main_.mean
