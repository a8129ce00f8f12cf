"""Federated averaging: what is refused, what the average is, and that only parameters travel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from edge.errors import DataError
from edge.recipe import load_recipe
from tools.__main__ import main
from tools.federated import weights
from tools.federated.averaging import average, epsilon_of
from tools.federated.file import HEAD, Moved, read, write
from tools.fetch.files import sha256_of

RECIPE = """
family = "simcc"
skeleton = "coco17"
[networks.body]
file = "body.onnx"
width = 48
height = 64
"""
SHAPES = ((4, 3), (4,))


def network(values: np.ndarray) -> onnx.ModelProto:
    """A network of 16 weights; its indices are no weights."""
    parts = np.split(np.float32(values), [12])
    initial = [numpy_helper.from_array(p.reshape(s), n) for p, s, n in zip(parts, SHAPES, "wb")]
    initial.append(numpy_helper.from_array(np.int64([0]), "axes"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    return helper.make_model(helper.make_graph([node], "g", [x], [y], initial))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    base = tmp_path / "engines" / "base"
    base.mkdir(parents=True)
    (base / "model.toml").write_text(RECIPE)
    onnx.save(network(np.zeros(16)), str(base / "body.onnx"))
    return tmp_path


def share(place: Path, site: str, values: np.ndarray, examples: int = 10) -> List[str]:
    """A site trains; its parameter file and its key come to `place`."""
    model = place / "engines" / f"own-{site}"
    model.mkdir(exist_ok=True)
    onnx.save(network(values), str(model / "body.onnx"))
    assert main(["keygen", str(place / site)]) == 0
    arguments = ["share", f"own-{site}", "--base", "base", "--models", str(place / "engines")]
    arguments += ["--site", site, "--examples", str(examples), "--key", str(place / f"{site}.key")]
    assert main([*arguments, "--out", str(place / f"{site}.params")]) == 0
    return [str(place / f"{site}.params")]


def averaged(place: Path, files: List[str], *more: str) -> int:
    arguments = ["average", *files, "--name", "all", "--base", "base", "--keys", str(place)]
    return main([*arguments, "--models", str(place / "engines"), *more])


def result(place: Path) -> np.ndarray:
    made, _ = weights.load(place / "engines" / "all" / "body.onnx")
    return weights.vector(made)


def test_sites_count_by_their_examples(place: Path, capsys: Any) -> None:
    one, other = np.linspace(0.1, 1, 16), np.linspace(1, 0.1, 16)
    files = share(place, "north", one, 30) + share(place, "south", other, 10)
    capsys.readouterr()
    assert averaged(place, files, "--clip", "100", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["used"], told["refused"], told["epsilon"]) == (["north", "south"], [], None)
    np.testing.assert_allclose(result(place), 0.75 * one + 0.25 * other, rtol=1e-5)
    made, _ = weights.load(place / "engines" / "all" / "body.onnx")
    assert numpy_helper.to_array(made.graph.initializer[2]).tolist() == [0], "no weight: as it was"
    recipe = load_recipe(place / "engines" / "all")
    assert recipe.networks["body"].sha256 == sha256_of(place / "engines" / "all" / "body.onnx")
    assert averaged(place, files) == 78
    assert "exists; --force replaces it" in capsys.readouterr().err
    assert averaged(place, files, "--force") == 0


def test_only_parameters_travel(place: Path, capsys: Any) -> None:
    share(place, "north", np.ones(16))
    content = (place / "north.params").read_bytes()
    length = HEAD.unpack(content[: HEAD.size])[1]
    assert len(content) == HEAD.size + length + 16 * 4
    head = json.loads(content[HEAD.size : HEAD.size + length])
    fields = ["base", "data", "examples", "names", "norm", "schema", "shapes", "site"]
    assert sorted(head) == fields


def test_a_poisoned_site_is_refused_by_name(place: Path, capsys: Any) -> None:
    rng = np.random.default_rng(0)
    honest = [np.full(16, 0.5) + rng.normal(0, 0.05, 16) for _ in range(4)]
    files = [f for i, v in enumerate(honest) for f in share(place, f"site{i}", v)]
    files += share(place, "evil", rng.normal(0, 8, 16))
    capsys.readouterr()
    assert averaged(place, files) == 0
    said = capsys.readouterr().out
    assert "evil: refused, it moved " in said
    np.testing.assert_allclose(result(place), np.full(16, 0.5), atol=0.08)
    honest_ones = [f for f in files if "evil" not in f]
    assert averaged(place, honest_ones, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["refused"] == []


@pytest.mark.parametrize("method", ["median", "trimmed"])
def test_robust_methods_outlive_one_liar_of_the_same_length(method: str) -> None:
    truth = np.full(16, 0.5, np.float32)
    sites = [Moved(f"s{i}", "b", 1, ("w",), ((16,),), truth) for i in range(3)]
    liar = truth.copy()
    liar[:2] = -0.5
    sites.append(Moved("liar", "b", 1, ("w",), ((16,),), liar))
    from tools.federated.averaging import _combined

    moves = np.stack([s.moved for s in sites])
    np.testing.assert_allclose(_combined(moves, np.full(4, 0.25), method), truth)


def test_a_long_move_is_cut_and_noise_tells_its_epsilon() -> None:
    long, short = np.full(16, 10, np.float32), np.full(16, 1, np.float32)
    sites = [Moved(n, "b", 1, ("w",), ((16,),), v) for n, v in (("a", long), ("c", short))]
    made = average(sites, "b", clip=4.0)
    np.testing.assert_allclose(made.step, 1.0, rtol=1e-5)  # both are 4 long now
    noisy = average(sites, "b", clip=4.0, noise=2.0, seed=1)
    assert noisy.epsilon == pytest.approx(epsilon_of(2.0))
    assert epsilon_of(2.0) == pytest.approx(0.125 + 2 * (0.125 * np.log(1e5)) ** 0.5)
    assert 1 < np.std(noisy.step - made.step) < 8


def test_foreign_changed_and_unfit_files_are_refused(place: Path, capsys: Any) -> None:
    files = share(place, "north", np.ones(16)) + share(place, "south", np.ones(16))
    good = Path(files[0]).read_bytes()
    for wrong in (good[:-1] + b"\x00", good[: HEAD.size], b"x" * 200, good + b"\x00" * 4):
        Path(files[0]).write_bytes(wrong)
        assert averaged(place, files) == 65
        assert files[0] in capsys.readouterr().err
    Path(files[0]).write_bytes(Path(files[1]).read_bytes())
    assert averaged(place, files) == 65, "signed by another site"
    assert "is not signed with the key of this site" in capsys.readouterr().err
    Path(files[0]).write_bytes(good)
    onnx.save(network(np.ones(16) * 0.1), str(place / "engines" / "base" / "body.onnx"))
    assert averaged(place, files) == 65
    assert "began with another base" in capsys.readouterr().err
    key = Ed25519PrivateKey.generate()
    broken = np.ones(16, np.float32)
    broken[3] = np.nan
    path = place / "nan.params"
    write(path, Moved("nan", "b", 1, ("w",), ((16,),), broken), key)
    with pytest.raises(DataError, match="no number"):
        read(path, key.public_key())
