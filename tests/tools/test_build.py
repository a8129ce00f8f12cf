"""Plans and builds for six TensorRT versions, on a module that has just their names."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from edge.errors import ConfigError, DataError, NoInputError, TempError, UnavailableError
from edge.recipe import load_recipe
from tests.fakes.tensorrt_fake import VERSIONS, Fake, make, names
from tests.tools.engine_cases import LAPTOP, ORIN, models_folder, network
from tools import build as command
from tools.__main__ import main
from tools.engines import trt
from tools.engines.build_progress import BuildProgress
from tools.engines.machine import Machine
from tools.engines.plan import BuildPlan, plan_build
from tools.engines.request import BuildRequest, parse_batch, read_onnx_file
from tools.quant.cache import read_cache

OLD = [v for v in VERSIONS if not v.startswith("11")]
DLA = ["8.5.3.1", "8.6.1", "10.3.0"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return models_folder(tmp_path)


def planned(models: Path, version: str, precision: str = "fp16", **wishes: Any) -> BuildPlan:
    libraries = wishes.pop("has_libraries", True)
    recipe = load_recipe(models / "small")
    request = BuildRequest("small", "main", models / "small", "net", precision, (1, 4, 16))
    source = read_onnx_file(models / "small" / "net.onnx")
    return plan_build(
        replace(request, **wishes), source, recipe.networks["main"], version, libraries
    )


def built(fake: Fake, wanted: BuildPlan, say: Any = lambda *_: True) -> trt.Built:
    _, data, nodes = command.graph(wanted, read_onnx_file(wanted.onnx))
    return trt.build(fake, wanted, data, nodes, say)


def flag_names(fake: Fake, call: str) -> List[str]:
    return [arguments[0].name for arguments in fake.called(call)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("sparse", [False, True])
def test_what_is_built_is_what_was_planned(
    models: Path, version: str, precision: str, sparse: bool
) -> None:
    wanted = planned(models, version, precision, sparse=sparse, workspace_mb=77)
    fake = make(version)
    assert built(fake, wanted).engine.startswith(b"plan")
    assert flag_names(fake, "IBuilderConfig.set_flag") == list(wanted.builder_flags)
    assert flag_names(fake, "IBuilderConfig.clear_flag") == list(wanted.cleared_flags)
    [[bits]] = fake.called("Builder.create_network")
    kinds = names(version)["enums"]["NetworkDefinitionCreationFlag"]
    assert bits == sum(1 << kinds[name] for name in wanted.creation_flags)
    [[pool, size]] = fake.called("IBuilderConfig.set_memory_pool_limit")
    assert (pool.name, size) == ("WORKSPACE", 77 << 20)
    [shapes] = fake.called("IOptimizationProfile.set_shape")
    assert shapes == ("input", (1, 3, 12, 16), (4, 3, 12, 16), (16, 3, 12, 16))
    assert len(fake.called("IBuilderConfig.add_optimization_profile")) == 1
    assert not [call for call in fake.calls if call[0].startswith("Runtime")]


@pytest.mark.parametrize("version", VERSIONS)
def test_flags_of_each_version(models: Path, version: str) -> None:
    flags = {p: set(planned(models, version, p).builder_flags) for p in ("fp32", "fp16", "int8")}
    strong = {p: planned(models, version, p).creation_flags for p in flags}
    cleared = {p: planned(models, version, p).cleared_flags for p in flags}
    assert cleared == {"fp32": ("TF32",), "fp16": (), "int8": ()}, "TF32 is no FP32"
    if version.startswith("11"):
        assert flags == {"fp32": set(), "fp16": set(), "int8": set()}
        assert set(strong.values()) == {("STRONGLY_TYPED",)}
        return
    kept = {"PREFER_PRECISION_CONSTRAINTS"}
    assert flags == {"fp32": set(), "fp16": {"FP16"} | kept, "int8": {"FP16", "INT8"} | kept}
    assert set(strong.values()) == {("EXPLICIT_BATCH",)}


@pytest.mark.parametrize("version", OLD)
def test_layers_that_overflow_stay_in_fp32(models: Path, version: str) -> None:
    fake = make(version)
    built(fake, planned(models, version, "fp16"))
    assert planned(models, version).float32_layers == ("decode", "soft")
    assert fake.called("ILayer.precision") == [(fake.DataType.FLOAT,)] * 2
    assert fake.called("ILayer.set_output_type") == [(0, fake.DataType.FLOAT)] * 2


@pytest.mark.parametrize("version", VERSIONS)
def test_progress_reaches_the_watch_where_it_exists(models: Path, version: str) -> None:
    said: List[Any] = []
    built(make(version), planned(models, version), lambda *step: said.append(step) or True)
    assert bool(said) == (not version.startswith("8"))
    if said:
        assert said[0] == ("Building Engine", 0, 2)
        assert ("Tactics", 3, 3) in said


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
def test_a_build_can_be_ended(models: Path, version: str) -> None:
    with pytest.raises(TempError, match="built nothing"):
        built(make(version), planned(models, version), lambda *_: False)


@pytest.mark.parametrize("version", VERSIONS)
def test_layers_are_told_without_loading_the_engine(models: Path, version: str) -> None:
    fake = make(version)
    layers = built(fake, planned(models, version, "int8")).layers
    if version in ("10.13.3.9", "10.16.1.11", "11.4.0.106"):
        assert layers
        assert layers[0]["outputs"] == ["Row major Int8"]
    else:
        assert layers is None


@pytest.mark.parametrize("version", DLA)
def test_a_dla_gets_the_plain_network_and_a_cache_of_its_own_version(
    models: Path, version: str
) -> None:
    wanted = planned(models, version, "int8", dla=1)
    assert (wanted.route, wanted.onnx.name) == ("cache", "net.onnx")
    fake = make(version)
    built(fake, wanted)  # the fake refuses a cache with another version's header
    assert fake.called("IBuilderConfig.DLA_core") == [(1,)]
    assert fake.called("IBuilderConfig.default_device_type") == [(fake.DeviceType.DLA,)]
    assert "GPU_FALLBACK" in flag_names(fake, "IBuilderConfig.set_flag")
    [[_, least, usual, most]] = fake.called("IOptimizationProfile.set_shape")
    assert least == usual == most
    assert len(fake.called("IBuilderConfig.set_calibration_profile")) == 1


def test_the_cache_keeps_the_ranges(models: Path) -> None:
    fake = make("10.3.0")
    built(fake, planned(models, "10.3.0", "int8", dla=0))
    [[calibrator]] = fake.called("IBuilderConfig.int8_calibrator")
    (models / "cache").write_bytes(calibrator.read_calibration_cache())
    assert (
        (models / "cache")
        .read_text(encoding="utf-8")
        .startswith("TRT-100300-EntropyCalibration2\n")
    )
    assert read_cache(models / "cache") == pytest.approx({"input": 1.0, "c": 2.5})
    assert calibrator.get_batch(["input"]) is None


@pytest.mark.parametrize("version", ["10.13.3.9", "10.16.1.11", "11.4.0.106"])
def test_versions_without_a_dla_say_so(models: Path, version: str) -> None:
    assert "no DLA" in planned(models, version, "int8", dla=0).refused
    assert not planned(models, version, "int8").refused


def test_dla_wishes_that_cannot_be(models: Path) -> None:
    assert "INT8 and FP16 only" in planned(models, "8.5.3.1", "fp32", dla=0).refused
    with pytest.raises(ConfigError, match="must be equal; try --batch 4"):
        planned(models, "8.5.3.1", dla=0, batch_chosen=True)
    with pytest.raises(UnavailableError, match="has 0 DLA cores, so no core 1"):
        built(make("10.3.0", dla_cores=0), planned(models, "10.3.0", dla=1))


@pytest.mark.parametrize("version", OLD)
def test_without_cublas_and_cudnn_only_other_kernels_are_tried(models: Path, version: str) -> None:
    fake = make(version)
    built(fake, planned(models, version, has_libraries=False))
    sources = names(version)["enums"]["TacticSource"]
    wanted = 1 << sources["EDGE_MASK_CONVOLUTIONS"] | 1 << sources["JIT_CONVOLUTIONS"]
    assert fake.called("IBuilderConfig.set_tactic_sources") == [(wanted,)]
    fake = make(version)
    built(fake, planned(models, version))
    assert not fake.called("IBuilderConfig.set_tactic_sources")


def test_cautions(models: Path) -> None:
    assert "JetPack 6" in " ".join(planned(models, "10.3.0", "int8").cautions)
    assert "JetPack 6" not in " ".join(planned(models, "10.3.0", "fp16").cautions)
    assert "sm_72" in " ".join(planned(models, "8.5.2").cautions)
    assert "2:4" in " ".join(planned(models, "10.3.0", sparse=True).cautions)
    assert "newer than the newest" in " ".join(planned(models, "11.5").cautions)
    assert "DLA" in " ".join(planned(models, "8.5.2", "int8", dla=0).cautions)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_graph_is_one_line_with_the_node(models: Path, version: str) -> None:
    fake = make(version, parser_errors=[(3, "no importer\nfor this"), (99, "and that")])
    with pytest.raises(DataError) as caught:
        built(fake, planned(models, version))
    text = str(caught.value)
    assert "\n" not in text
    assert f"TensorRT {version} refuses it: node " in text
    assert "no importer for this" in text
    assert "body (Conv)" in text or "node3 (Conv)" in text


@pytest.mark.parametrize("version", VERSIONS)
def test_no_engine_is_one_line(models: Path, version: str) -> None:
    with pytest.raises(TempError, match="built nothing: interrupted, or out of memory"):
        built(make(version, builds=False), planned(models, version))


def test_the_last_error_of_tensorrt_is_told(models: Path) -> None:
    wanted = replace(planned(models, "10.3.0", "int8"), builder_flags=("FP16",))
    with pytest.raises(TempError, match="Int8 precision has not been enabled"):
        built(make("10.3.0"), wanted)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_builder_that_cannot_start_is_one_line(models: Path, version: str) -> None:
    with pytest.raises(UnavailableError, match="cannot start: CUDA initialization failure"):
        built(make(version, driver=False), planned(models, version))


def test_the_fake_refuses_what_a_version_has_not() -> None:
    fake = make("11.4.0.106")
    for wrong in ("fake.BuilderFlag.INT8", "fake.IInt8EntropyCalibrator2", "fake.nothing"):
        with pytest.raises(AttributeError):
            eval(wrong, {"fake": fake})
    config = make("8.5.3.1").IBuilderConfig()
    with pytest.raises(AttributeError, match="progress_monitor"):
        config.progress_monitor = None
    with pytest.raises(AttributeError, match="phase_stop"):
        type("M", (make("10.3.0").IProgressMonitor,), {"phase_stop": lambda self: None})


@pytest.mark.parametrize("version", VERSIONS)
def test_what_failed_its_gate_is_built_in_fp16(models: Path, version: str) -> None:
    small = models / "small"
    (small / "net.int8.onnx").write_bytes((small / "net.onnx").read_bytes())
    wanted = planned(models, version, "int8")
    assert (wanted.route, wanted.engine.name) == ("fp16", "net.int8.engine")
    assert "INT8" not in wanted.builder_flags
    assert "failed its accuracy gate" in wanted.cautions[0]
    assert built(make(version), wanted).engine


def test_nodes_without_names_are_kept_in_fp32_too(models: Path) -> None:
    path = models / "small" / "net.onnx"
    model = network()
    for node in model.graph.node:
        node.name = ""
    path.write_bytes(model.SerializeToString())
    fake, wanted = make("10.3.0"), planned(models, "10.3.0")
    assert wanted.float32_layers == ("Mul_6", "Softmax_2")
    built(fake, wanted)
    assert len(fake.called("ILayer.precision")) == 2


# The command line.


def use(monkeypatch: pytest.MonkeyPatch, fake: Optional[Fake], machine: Machine = ORIN) -> None:
    def load() -> Any:
        assert fake is not None, "TensorRT was touched"
        return fake

    monkeypatch.setattr(trt, "load", load)
    monkeypatch.setattr(command, "read_machine", lambda: machine)


def run(models: Path, *more: str) -> int:
    return main(["build", "small", "--models", str(models), *more])


@pytest.mark.parametrize("version", VERSIONS)
def test_engine_record_and_timings_are_written(
    models: Path, version: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, make(version))
    folder = models / "small"
    (folder / "net.int8.gate.json").write_text('{"passed": true}', encoding="utf-8")
    assert run(models, "--precision", "int8", "--batch", "1,2,5") == 0
    assert "0.0 MB in" in capsys.readouterr().out
    engine = (folder / "net.int8.engine").read_bytes()
    record = json.loads((folder / "net.int8.engine.json").read_text(encoding="utf-8"))
    assert record["engine"] == {
        "file": "net.int8.engine",
        "sha256": hashlib.sha256(engine).hexdigest(),
        "bytes": len(engine),
    }
    onnx_hash = hashlib.sha256((folder / "net.int8.onnx").read_bytes()).hexdigest()
    assert record["onnx"]["sha256"] == onnx_hash
    assert record["machine"]["gpu"]["compute_capability"] == "8.7"
    assert (record["machine"]["jetpack"], record["tensorrt"]) == ("6.2", version)
    assert record["build"]["profile"]["input"][2] == [5, 3, 12, 16]
    assert record["calibration"]["sha256"] == hashlib.sha256(b"seed = 1\n").hexdigest()
    assert record["ranges"]["file"] == "net.ranges.json"
    assert record["gate"] == {"passed": True}
    assert (record["layers"] is None) == ("layers_why" in record)
    assert (models / ".timing" / f"trt{version}-sm87.timing").read_bytes() == b"timetimed"
    assert not list(folder.glob(".*")), "no half-written file is left"


def test_timings_are_used_again_and_foreign_ones_replaced(
    models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache, fake = tmp_path / "t.timing", make("8.5.3.1")
    use(monkeypatch, fake)
    for content in (b"timed before", b"garbage"):
        cache.write_bytes(content)
        assert run(models, "--timing-cache", str(cache)) == 0
    given = [call[0] for call in fake.called("IBuilderConfig.create_timing_cache")]
    assert given == [b"timed before", b"garbage", b""]
    assert cache.read_bytes() == b"timetimed"
    record = json.loads((models / "small" / "net.fp16.engine.json").read_text(encoding="utf-8"))
    assert "another TensorRT or GPU" in record["notes"][0]


def test_without_a_gpu_one_line_and_nothing_is_touched(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, None, LAPTOP)
    assert run(models) == 69
    assert capsys.readouterr().err == f"edge-tools: {LAPTOP.no_gpu}\n"


def test_without_tensorrt_one_line(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "read_machine", lambda: ORIN)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert run(models) == 69
    [line] = capsys.readouterr().err.splitlines()
    assert "TensorRT cannot be imported" in line


def test_a_failed_build_leaves_the_old_engine(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = models / "small" / "net.fp16.engine"
    old.write_bytes(b"old")
    use(monkeypatch, make("10.3.0", builds=False))
    assert run(models) == 75
    assert old.read_bytes() == b"old"
    assert not (models / "small" / "net.fp16.engine.json").exists()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_dry_run_needs_nothing_and_covers_every_version(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, None, LAPTOP)
    (models / "small" / "net.int8.onnx").unlink()
    assert run(models, "--precision", "int8", "--dry-run") == 0
    text = capsys.readouterr().out
    assert [v for v in VERSIONS if f"TensorRT {v}: net.int8.onnx -> " in text] == list(VERSIONS)
    assert text.count("MISSING") == len(VERSIONS)
    assert text.count("builder flags FP16, INT8") == 5
    assert run(models, "--dry-run", "--tensorrt", "8.5.2", "--json") == 0
    [one] = json.loads(capsys.readouterr().out)
    assert (one["tensorrt"], one["creation_flags"]) == ("8.5.2", ["EXPLICIT_BATCH"])


def test_the_dry_run_of_a_version_is_the_plan_of_its_build(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in VERSIONS:
        assert run(models, "--dry-run", "--tensorrt", version, "--json", "--sparse") == 0
        [shown] = json.loads(capsys.readouterr().out)
        use(monkeypatch, make(version))
        monkeypatch.setattr(command, "has_libraries", lambda: True)
        assert run(models, "--json", "--sparse") == 0
        [record] = json.loads(capsys.readouterr().out)
        settings: Dict[str, Any] = record["build"]
        del settings["timing_cache"]
        assert settings == {key: shown[key] for key in settings}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--tensorrt", "10.3"], 78, "needs --dry-run"),
        (["--dry-run", "--tensorrt", "8.4.1"], 78, "too old"),
        (["--dry-run", "--tensorrt", "new"], 78, "is not a version"),
        (["--network", "other"], 78, "it has: main"),
        (["--batch", "4,2,1"], 78, "is not MIN,OPT,MAX"),
        (["--batch", "many"], 78, "is not MIN,OPT,MAX"),
        (["--batch", "0"], 78, "is not MIN,OPT,MAX"),
        (["--workspace-mb", "0"], 78, "at least 1"),
        (["--dla", "-1"], 78, "--dla: must be 0 or more"),
        (["--models", "/nowhere"], 66, "no such model"),
    ],
)
def test_mistakes(
    models: Path, arguments: List[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(models, *arguments) == code
    [line] = capsys.readouterr().err.splitlines()
    assert text in line


def test_missing_files_name_the_command_that_makes_them(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, make("10.3.0"))
    (models / "small" / "net.int8.onnx").unlink()
    assert run(models, "--precision", "int8") == 66
    assert "`edge-tools quantize small` makes it" in capsys.readouterr().err
    (models / "small" / "net.onnx").write_bytes(b"\x08\x07 no network")
    assert run(models) == 65
    (models / "small" / "net.onnx").unlink()
    assert run(models) == 66
    assert "`edge-tools get small` makes it" in capsys.readouterr().err


def test_fixed_and_open_sizes(tmp_path: Path) -> None:
    fixed = models_folder(tmp_path / "fixed", network(2))
    assert planned(fixed, "10.3.0").profile == {}
    assert built(make("10.3.0"), planned(fixed, "10.3.0")).engine
    with pytest.raises(ConfigError, match="fixed batch of 2"):
        planned(fixed, "10.3.0", batch_chosen=True)
    free = models_folder(tmp_path / "free", network("n", (3, "h", "w")))
    assert planned(free, "10.3.0").profile["input"][0] == (1, 3, 12, 16)
    toml = free / "small" / "model.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + 'input = "other"\n', encoding="utf-8")
    with pytest.raises(NoInputError, match="more dynamic sizes"):
        planned(free, "10.3.0")


def test_batches() -> None:
    assert parse_batch("1,8,32") == (1, 8, 32)
    assert parse_batch("4") == (4, 4, 4)


# The display of a long build.


def test_progress_only_grows_and_ends_at_all() -> None:
    with BuildProgress("x", phases=True, quiet=True) as watch:
        done = []
        for phase, step, steps in [
            ("all", 0, 2),
            ("one", 0, 4),
            ("one", 2, 4),
            ("one", 4, 4),
            ("two", 0, 2),
            ("all", 1, 2),
            ("three", 1, 2),
            ("all", 2, 2),
        ]:
            assert watch.on_phase(phase, step, steps)
            done.append(watch._progress.done)
    assert done == sorted(done)
    assert done[2:4] == [250, 500]
    assert done[-1] == 1000


def test_an_interrupt_ends_the_build_between_two_steps(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = make("10.3.0")
    use(monkeypatch, fake)
    before = signal.getsignal(signal.SIGINT)
    starts = fake._phases

    class Interrupting(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return super().__iter__()

    fake._phases = Interrupting(starts)
    assert run(models) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert not (models / "small" / "net.fp16.engine").exists()


def test_an_interrupt_is_told_at_the_next_step_and_raised_at_the_end() -> None:
    before = signal.getsignal(signal.SIGINT)
    answers = []

    def interrupted_build() -> None:
        with BuildProgress("x", phases=True, quiet=True) as watch:
            answers.append(watch.on_phase("all", 0, 2))
            os.kill(os.getpid(), signal.SIGINT)
            answers.append(watch.on_phase("all", 1, 2))
            answers.append(signal.getsignal(signal.SIGINT) is signal.SIG_DFL)

    with pytest.raises(KeyboardInterrupt):
        interrupted_build()
    assert answers == [True, False, True], "a second interrupt would end the process"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_tensorrt_without_steps_can_only_be_ended_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with BuildProgress("x", phases=False, quiet=True):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
