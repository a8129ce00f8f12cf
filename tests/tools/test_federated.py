"""Federated averaging: what is refused, what the average is, and that only parameters travel."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, List

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from onnx import TensorProto, helper, numpy_helper

from edge.errors import DataError
from edge.keys.trust import load_key
from edge.recipe import load_recipe
from tools.__main__ import main
from tools.federated import model, weights
from tools.federated.averaging import average, epsilon_of, judged, shares_of
from tools.federated.file import HEAD, Moved, read, write
from tools.fetch.files import sha256_of
from tools.signing import load_secret

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
    (base / "model.toml").write_text(RECIPE, encoding="utf-8")
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
    made = average(sites, clip=4.0)
    np.testing.assert_allclose(made.step, 1.0, rtol=1e-5)  # both are 4 long now
    noisy = average(sites, clip=4.0, noise=2.0, seed=1)
    assert noisy.epsilon == pytest.approx(epsilon_of(2.0))
    assert epsilon_of(2.0) == pytest.approx(0.125 + 2 * (0.125 * np.log(1e5)) ** 0.5)
    # Two sites of one size: one can change the mean by half of twice the bound.
    assert 4 < np.std(noisy.step - made.step) < 16


@pytest.mark.parametrize(
    "options",
    [["--noise", "1"], ["--noise", "1", "--clip", "1", "--method", "median"]]
    + [["--noise", "1", "--clip", "1", "--reference", "x"]],
)
def test_noise_is_refused_where_its_epsilon_would_be_wrong(
    place: Path, capsys: Any, options: List[str]
) -> None:
    files = share(place, "north", np.ones(16)) + share(place, "south", np.ones(16))
    assert averaged(place, files, *options) == 78
    assert "--noise" in capsys.readouterr().err


def test_noise_leaves_limits_of_the_network_alone(place: Path) -> None:
    """Only what operators learn is moved: noise on a limit or a scale would break a network."""
    base = place / "engines" / "base" / "body.onnx"
    graph = network(np.zeros(16))
    graph.graph.initializer.append(numpy_helper.from_array(np.float32([6.0]), "limit"))
    graph.graph.node[0].output[0] = "plain"
    graph.graph.node.append(helper.make_node("Clip", ["plain", "", "limit"], ["y"]))
    onnx.save(graph, str(base))
    model = onnx.load(str(base))
    assert [w.name for w in weights.trained(model)] == ["w", "b"]


def test_a_quiet_liar_is_refused_by_its_direction() -> None:
    """Random, and as long as the others, so neither too long nor too far."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, 5000)
    moves = {n: shared + rng.normal(0, 1, 5000) for n in "abc"}
    moves["liar"] = rng.normal(0, 2**0.5, 5000)
    moves["against"] = -shared + rng.normal(0, 1, 5000)
    sites = [Moved(n, "b", 1, ("w",), ((5000,),), np.float32(v)) for n, v in moves.items()]
    used, refused = judged(sites)
    assert [site.site for site in used] == ["a", "b", "c"]
    assert [name for name, why in refused if "direction" in why] == ["liar", "against"]


def test_a_site_cannot_say_that_it_is_everybody() -> None:
    np.testing.assert_allclose(shares_of([100, 200]), [1 / 3, 2 / 3])
    shares = shares_of([100, 100, 100, 10**9])
    np.testing.assert_allclose(shares, [1 / 7, 1 / 7, 1 / 7, 4 / 7])


def test_what_did_not_move_does_not_travel(place: Path, capsys: Any) -> None:
    head = np.zeros(16)
    head[12:] = 1.0
    files = share(place, "north", head)
    assert "4 weights of 1 layers" in capsys.readouterr().out
    files += share(place, "south", np.ones(16))
    assert averaged(place, files, "--clip", "100") == 0
    wanted = np.full(16, 0.5)
    wanted[12:] = 1.0
    np.testing.assert_allclose(result(place), wanted)
    model = place / "engines" / "own-still"
    model.mkdir()
    onnx.save(network(np.zeros(16)), str(model / "body.onnx"))
    words = ["share", "own-still", "--base", "base", "--models", str(place / "engines")]
    words += ["--site", "north", "--examples", "1", "--key", str(place / "north.key")]
    assert main(words) == 65
    assert "has the weights of base" in capsys.readouterr().err


def test_examples_are_those_that_training_has_counted(place: Path, capsys: Any) -> None:
    share(place, "north", np.ones(16))
    told = place / "engines" / "own-north" / "trained_on.json"
    words = ["share", "own-north", "--base", "base", "--models", str(place / "engines"), "--json"]
    words += [
        "--site",
        "north",
        "--key",
        str(place / "north.key"),
        "--out",
        str(place / "n.params"),
    ]
    capsys.readouterr()
    assert main(words) == 78, "no --examples, and nothing counted"
    assert "give --examples" in capsys.readouterr().err
    told.write_text(json.dumps({"from": "base", "people": {"train": {"a": 7, "b": 5}}}), "utf-8")
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 12
    told.write_text(json.dumps({"from": "other", "people": {"train": {"a": 7}}}), "utf-8")
    assert main(words) == 78
    assert "began with other; give --base other" in capsys.readouterr().err
    told.write_text("{", "utf-8")
    assert main(words) == 65


def test_a_site_with_foreign_weights_is_refused(place: Path, capsys: Any) -> None:
    files = share(place, "north", np.ones(16)) + share(place, "south", np.ones(16))
    south = read(Path(files[1]), load_key(place / "south.pub"))
    for names, shapes in ((("w", "x"), SHAPES), (("w", "w"), (SHAPES[0], (4,)))):
        moved = dataclasses.replace(south, names=names, shapes=shapes)
        write(Path(files[1]), moved, load_secret(place / "south.key"))
        assert averaged(place, files) == 65
        assert "south: has other weights than the base" in capsys.readouterr().err


def test_a_site_that_is_worse_on_the_reference_is_refused(
    place: Path, capsys: Any, monkeypatch: Any
) -> None:
    """The daemon's code judges; here a model is worth the mean of its weights, turned around."""

    def oks_of(folder: Path, truths: Any, label: str, quiet: bool) -> List[float]:
        made, _ = weights.load(folder / "body.onnx")
        return [0.5 - 0.1 * float(weights.vector(made).mean()) for _ in truths]

    monkeypatch.setattr(model, "oks_of", oks_of)
    monkeypatch.setattr("tools.average.open_all", lambda paths: list(paths))
    files = share(place, "a", np.full(16, 0.01))
    files += share(place, "evil", np.full(16, 0.3))
    capsys.readouterr()
    assert averaged(place, files, "--reference", "labels", "--clip", "100") == 0
    assert "evil: refused, it loses 6.0% of the OKS of the reference" in capsys.readouterr().out
    np.testing.assert_allclose(result(place), np.full(16, 0.01), rtol=1e-5)
    assert averaged(place, files, "--reference", "labels", "--force", "--most-lost", ".1") == 0
    assert averaged(place, files, "--reference", "labels", "--force", "--most-lost", "2") == 78


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
