"""Checkpoints: what official files carry is read, anything else is one clear line."""

from __future__ import annotations

import io
import pickle
import random
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Dict, Iterator

import numpy as np
import pytest
import torch

from edge.errors import DataError, EdgeError, NoInputError, UnavailableError
from tools import checkpoint
from tools.arch import Network, build, megvii

NAME = "yolox-nano"


@pytest.fixture(scope="module")
def network() -> Network:
    """One for all: every test that loads into it loads all of it."""
    return build(NAME, (64, 64))


@pytest.fixture
def state(network: Network) -> Dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    return {
        k: torch.rand(v.shape, generator=source) if v.is_floating_point() else v.clone()
        for k, v in network.state_dict().items()
    }


def saved(content: Any, folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(content, str(path))
    return path


def check_loaded(network: Network, path: Path, state: Dict[str, torch.Tensor]) -> None:
    checkpoint.load(network, path, NAME)
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    "around",
    [
        lambda state: state,
        lambda state: OrderedDict(state),
        lambda state: {"state_dict": state, "meta": {"epoch": 3, "classes": ["person"]}},
        lambda state: {"model": state, "optimizer": {"state": {}}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {f"module.{k}": v for k, v in state.items()},
        lambda state: {
            "ema_state_dict": dict(
                {f"module.{k}": v for k, v in state.items()}, steps=torch.tensor(3)
            )
        },
        lambda state: {"state_dict": dict(state, **{"data_preprocessor.std": torch.ones(3, 1, 1)})},
        lambda state: dict(state, ema_backbone_stem_conv_weight=torch.zeros(3)),
        lambda state: {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
    ],
)
def test_what_trainers_save(
    around: Any, network: Network, state: Dict[str, torch.Tensor], tmp_path: Path
) -> None:
    state = {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
    check_loaded(network, saved(around(state), tmp_path), state)


def test_averaged_copy_is_taken(
    network: Network, state: Dict[str, torch.Tensor], tmp_path: Path
) -> None:
    both = {k: torch.zeros_like(v) for k, v in state.items()}
    both.update({f"ema_model.module.{k}": v for k, v in state.items()})
    check_loaded(network, saved({"state_dict": both}, tmp_path), state)


def test_old_file_format(network: Network, state: Dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save(state, str(path), _use_new_zipfile_serialization=False)
    check_loaded(network, path, state)


@pytest.fixture
def foreign() -> Iterator[types.ModuleType]:
    """A trainer's own library, there when the file is written, gone when it is read."""
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self) -> None:
            self.history = np.arange(3.0)

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    names = ("mmengine", "mmengine.logging", module.__name__)
    sys.modules.update(dict.fromkeys(names, module))
    yield module
    for name in names:
        sys.modules.pop(name, None)


def test_arrays_and_logs_beside_the_weights(
    network: Network, state: Dict[str, torch.Tensor], tmp_path: Path, foreign: Any
) -> None:
    """As mmpose writes: arrays of the data set in `meta`, training logs in `message_hub`."""
    meta = {"dataset_meta": {"sigmas": np.ones(133, np.float32), "names": np.array(["a"], object)}}
    hub = {"log_scalars": {"loss": foreign.HistoryBuffer()}, "lr": np.float64(0.1)}
    content = {"state_dict": state, "meta": meta, "message_hub": hub}
    path = saved(content, tmp_path)
    for name in ("mmengine", "mmengine.logging", foreign.__name__):
        sys.modules.pop(name)
    if not hasattr(torch.serialization, "get_safe_globals"):
        with pytest.raises(UnavailableError, match=r"needs torch 2\.4"):
            checkpoint.load(network, path, NAME)
        return
    before = set(torch.serialization.get_safe_globals())
    check_loaded(network, path, state)
    assert set(torch.serialization.get_safe_globals()) == before


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> Any:
        import os

        return os.system, ("touch pwned",)


@pytest.mark.parametrize("place", ["meta", "state_dict"])
def test_code_is_refused_by_name(
    place: str, state: Dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content: Dict[str, Any] = {"state_dict": state, "meta": {}}
    content[place] = dict(content[place], x=Evil())
    with pytest.raises(DataError, match=r"system.*only tensors are read") as caught:
        checkpoint.read_state(saved(content, tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pwned").exists()


def test_unknown_class_is_refused_by_name(state: Dict[str, torch.Tensor], tmp_path: Path) -> None:
    content = {"state_dict": state, "meta": types.SimpleNamespace(a=1)}
    with pytest.raises(DataError, match=r"types\.SimpleNamespace"):
        checkpoint.read_state(saved(content, tmp_path))


def test_missing_file() -> None:
    with pytest.raises(NoInputError, match="no such checkpoint"):
        checkpoint.read_state(Path("nowhere.pth"))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 64, b"PK\x03\x04", b"not a checkpoint at all", b"\x80\x02}q\x00."],
)
def test_no_checkpoint(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x\.pth") as caught:
        checkpoint.read_state(path)
    assert "\n" not in str(caught.value)


def test_file_that_holds_itself(tmp_path: Path) -> None:
    content: Dict[str, Any] = {}
    content["model"] = content
    with pytest.raises(DataError, match="contains no parameters"):
        checkpoint.read_state(saved(content, tmp_path))


@pytest.mark.parametrize("content", [3, [1, 2], {}, {"state_dict": {}}, {"state_dict": {"a": 1}}])
def test_no_parameters(content: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="contains no parameters"):
        checkpoint.read_state(saved(content, tmp_path))


def check_answer(path: Path) -> None:
    """Tensors, or one line of ours."""
    said = ""
    try:
        found = checkpoint.read_state(path)
        assert all(isinstance(v, torch.Tensor) for v in found.values())
    except EdgeError as error:
        said = str(error)
    assert "\n" not in said


def test_damaged_files(tmp_path: Path) -> None:
    """Cut off or changed anywhere: an error of ours, or other numbers; never a traceback."""
    buffer = io.BytesIO()
    torch.save({"state_dict": {"a.weight": torch.arange(6.0)}, "meta": {"b": [1, "c"]}}, buffer)
    whole, source, path = buffer.getvalue(), random.Random(0), tmp_path / "x.pth"
    for _ in range(150):
        data = bytearray(whole[: source.randrange(len(whole))] if source.random() < 0.3 else whole)
        for _ in range(source.randrange(1, 6)):
            if data:
                data[source.randrange(len(data))] = source.randrange(256)
        path.write_bytes(bytes(data))
        check_answer(path)


def test_damaged_pickles(tmp_path: Path) -> None:
    """The same, with the archive around it intact."""
    source, path = random.Random(1), tmp_path / "x.pth"
    torch.save({"state_dict": {"a": torch.arange(6.0)}, "b": (1, 2.0, {"c": None})}, str(path))
    with zipfile.ZipFile(str(path)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("data.pkl"))
    for _ in range(150):
        data = bytearray(members[pickled])
        for _ in range(source.randrange(1, 4)):
            data[source.randrange(len(data))] = source.randrange(256)
        with zipfile.ZipFile(str(path), "w") as archive:
            for name, content in members.items():
                archive.writestr(name, bytes(data) if name == pickled else content)
        check_answer(path)


def fitted(network: Network, state: Dict[str, torch.Tensor]) -> str:
    with pytest.raises(DataError) as caught:
        checkpoint.fit(network, state, "F.pth: does not fit: ")
    return str(caught.value)


def test_strictness(network: Network, state: Dict[str, torch.Tensor]) -> None:
    first = next(iter(state))
    less = {k: v for k, v in state.items() if not k.startswith("neck.out_convs")}
    assert "missing: neck.out_convs.0.conv.weight, " in fitted(network, less)
    assert "and 15 more" in fitted(network, less)
    assert "unexpected: neck.extra" in fitted(network, dict(state, **{"neck.extra": torch.ones(1)}))
    wider = dict(state, **{first: torch.ones(7, 12, 3, 3)})
    assert f"{first} [7, 12, 3, 3] instead of [16, 12, 3, 3]" in fitted(network, wider)
    wild = dict(state, **{first: torch.full((16, 12, 3, 3), float("nan"))})
    assert f"not finite: {first}" in fitted(network, wild)
    assert "missing: " in fitted(network, {"a": torch.ones(1)})


def test_failed_fit_leaves_the_network(network: Network, state: Dict[str, torch.Tensor]) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    fitted(network, dict(state, extra=torch.ones(1)))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_shared_tensors_must_agree() -> None:
    detector = build("rtmdet-tiny", (64, 64))
    state = {k: v.clone() for k, v in detector.state_dict().items()}
    state["bbox_head.cls_convs.1.0.conv.weight"] += 1
    assert "different under its other key: bbox_head.cls_convs.1.0.conv.weight" in fitted(
        detector, state
    )


def test_expanded_tensor_is_no_bomb(network: Network, state: Dict[str, torch.Tensor]) -> None:
    """A few bytes that claim to be terabytes are told apart by their shape, before any copy."""
    first = next(iter(state))
    huge = torch.zeros(1).expand(1 << 40)
    assert "instead of" in fitted(network, dict(state, **{first: huge}))


def as_megvii(key: str) -> str:
    """Our own keys the other way round."""
    places = sorted(megvii.PLACES.items(), key=lambda pair: -len(pair[1]))
    for there, here in places:
        if key.startswith(here):
            inside = key[len(here) :]
            if megvii.CSP.match(here[here.index(".") + 1 :] + inside):
                parts = {v: k for k, v in megvii.CSP_PARTS.items()}
                part = next((p for p in parts if inside.startswith(p) or f".{p}" in inside), None)
                inside = inside.replace(part, parts[part], 1) if part else inside
            for mine, other in megvii.SEPARABLE_PARTS.items():
                inside = inside.replace(other, mine)
            return there + inside
    raise AssertionError(key)


def test_files_of_megvii(network: Network, state: Dict[str, torch.Tensor], tmp_path: Path) -> None:
    theirs = {as_megvii(k): v for k, v in state.items()}
    assert "backbone.backbone.dark2.1.m.0.conv2.dconv.conv.weight" in theirs
    assert "backbone.C3_n4.conv3.bn.bias" in theirs
    assert "backbone.backbone.dark5.1.conv1.conv.weight" in theirs
    assert "backbone.backbone.dark5.2.conv1.conv.weight" in theirs
    assert "head.reg_preds.2.bias" in theirs
    check_loaded(network, saved({"start_epoch": 300, "model": theirs}, tmp_path), state)


def test_tar_is_refused(tmp_path: Path) -> None:
    """The oldest format, which weights_only did not always hold back from running code."""
    path = tmp_path / "x.pth"
    with tarfile.open(str(path), "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(DataError, match="is a tar"):
        checkpoint.read_state(path)


def test_protocol_4_pickles(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.ones(2)}, str(path), pickle_protocol=4)
    with pytest.raises(DataError, match="a pickle protocol other"):
        checkpoint.read_state(path)


def test_plain_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": np.ones(3)}))
    with pytest.raises(DataError, match=r"x\.pkl"):
        checkpoint.read_state(path)
