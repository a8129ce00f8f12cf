"""The training loop: the rate of each step, resuming, early stop, averaged weights, memory."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator

import numpy as np
import pytest
import torch

from edge.errors import ConfigError, DataError
from tests.tools.training.training_cases import Tiny, labels, tiny_run
from tests.waiting import until
from tools.training.fit import blend, loop, state
from tools.training.fit.average import Average
from tools.training.fit.recipe import RECIPES, named, rate_factor

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labels(tmp_path_factory.mktemp("labels"), ("a", "b", "c"))


def weights(run: loop.Run) -> Dict[str, torch.Tensor]:
    return run.trainee.module.state_dict()


def assert_same(one: Dict[str, torch.Tensor], other: Dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(v, other[k]) for k, v in one.items())


def test_the_rate_rises_stays_and_falls_as_a_cosine() -> None:
    tune, published = named("tune"), named("rtmpose")
    warm = tune.warm_steps
    factors = [rate_factor(tune, s, 1000) for s in range(1000)]
    assert factors[0] == pytest.approx(1 / (warm + 1))
    assert max(factors) == factors[warm] == 1
    assert factors[-1] == pytest.approx(tune.floor, abs=1e-3)
    middle = (1000 + warm) // 2
    assert factors[middle] == pytest.approx((1 + tune.floor) / 2, abs=1e-3)
    assert rate_factor(published, 4999, 10000) == 1  # flat to the middle
    assert rate_factor(published, 9999, 10000) == pytest.approx(0.05, abs=1e-3)


def test_recipes_are_those_that_are_named() -> None:
    article = named("article")
    assert (article.rate, article.batch, article.epochs) == (1e-3, 32, 140)
    published = named("rtmpose")
    assert published.rate == pytest.approx(4e-3 * published.batch / 1024)
    with pytest.raises(ConfigError, match="tune, article, rtmpose"):
        named("adam")
    assert all(r.name == name for name, r in RECIPES.items())


def test_training_lowers_the_error(coco: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(named("tune"), rate=0.01, patience=99)
    run = tiny_run(tmp_path, coco, 40, recipe)
    before = loop.error_of(run.trainee, weights(run), run.judged, "cpu")
    last = loop.fit(run)
    after = loop.error_of(run.trainee, weights(run), run.judged, "cpu")
    assert last.done
    assert after == pytest.approx(last.best_error, rel=1e-5)
    assert after < 0.7 * before
    rows = [
        json.loads(row)
        for row in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert rows[0]["loss"] > rows[-2]["loss"]
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed_gives_the_same_weights(
    coco: Path, tmp_path: Path, seed: int
) -> None:
    whole = tiny_run(tmp_path / "whole", coco, 24)
    loop.fit(whole)
    rng = np.random.default_rng(seed)
    saved, killed = sorted(rng.integers(1, 23, 2).tolist())

    class Killed(Exception):
        pass

    def dies() -> bool:
        """No state is written after `saved`; the process ends at `killed`."""
        step = int(broken.plan.setdefault("asked", 0))
        broken.plan["asked"] = step + 1
        if step >= saved:
            broken.save_every_s = 1e9
        if step >= killed:
            raise Killed
        return False

    broken = tiny_run(tmp_path / "cut", coco, 24)
    plan = dict(broken.plan)
    broken.stop = dies
    with pytest.raises(Killed):
        loop.fit(broken)
    again = tiny_run(tmp_path / "cut", coco, 24, plan=plan)
    loop.fit(again)
    assert_same(weights(whole), weights(again))
    texts = [(tmp_path / n / "metrics.jsonl").read_text(encoding="utf-8") for n in ("whole", "cut")]
    assert texts[0] == texts[1]


_PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.tools.training.training_cases import tiny_run
from tools.training.fit import loop
loop.fit(tiny_run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
"""


def test_a_real_kill_in_the_middle_costs_nothing(coco: Path, tmp_path: Path) -> None:
    """SIGKILL at a moment that nobody chose: the state on disk is whole, the end the same."""
    folder = tmp_path / "cut"
    folder.mkdir()
    command = [sys.executable, "-c", _PROGRAM, str(folder), str(coco), "100000"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        until(lambda: (folder / state.FILE).is_file(), "a state")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = state.load(folder, {"seed": 3})
    assert reached is not None
    assert not reached.done
    steps = reached.step + 5
    plain = tiny_run(tmp_path / "whole", coco, 100000)
    cut = tiny_run(folder, coco, 100000)
    for run in (plain, cut):
        inner = loop._Loop(run)
        while inner.now.step < steps:
            inner.step()
    assert_same(weights(plain), weights(cut))


def test_a_folder_of_another_run_is_refused(coco: Path, tmp_path: Path) -> None:
    loop.fit(tiny_run(tmp_path, coco, 3))
    with pytest.raises(ConfigError, match="other seed; give another --out"):
        loop.fit(tiny_run(tmp_path, coco, 3, plan={"seed": 4}))
    (tmp_path / state.FILE).write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataError, match="is damaged; --restart"):
        loop.fit(tiny_run(tmp_path, coco, 3))


def test_it_stops_when_nothing_gets_better(coco: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(named("tune"), rate=1e-12, patience=2, average=0.0)
    last = loop.fit(tiny_run(tmp_path, coco, 500, recipe))
    assert last.done
    assert last.step < 100


def test_a_stop_in_between_is_no_end(coco: Path, tmp_path: Path) -> None:
    asked = iter([False] * 5 + [True] * 5)
    last = loop.fit(tiny_run(tmp_path, coco, 30, stop=lambda: next(asked)))
    assert (last.step, last.done) == (5, False)
    assert loop.fit(tiny_run(tmp_path, coco, 30)).done


def test_a_loss_that_is_not_finite_is_one_line(coco: Path, tmp_path: Path) -> None:
    run = tiny_run(tmp_path, coco, 5)
    with torch.no_grad():
        next(run.trainee.module.parameters()).fill_(float("nan"))
    with pytest.raises(DataError, match=r"step 0: .* smaller --rate"):
        loop.fit(run)


def test_a_trained_network_keeps_its_statistics(coco: Path, tmp_path: Path) -> None:
    for trained in (False, True):
        run = tiny_run(tmp_path / str(trained), coco, 6)
        run.trainee.trained = trained
        before = weights(run)["1.running_mean"].clone()
        loop.fit(run)
        assert torch.equal(weights(run)["1.running_mean"], before) == trained


def test_averaged_weights_follow_slowly_and_keep_statistics() -> None:
    module = Tiny().module
    average = Average(module, 0.9, {})
    first = average.weights["0.bias"].clone()
    with torch.no_grad():
        module[0].bias.add_(1.0)
        module[1].num_batches_tracked.add_(7)
    average.update(10_000)
    assert torch.allclose(average.weights["0.bias"], first + 0.1)
    assert int(average.weights["1.num_batches_tracked"]) == 7


def test_the_time_that_is_left_is_told() -> None:
    text = loop.time_left(100, 1000, 12.0)
    assert text == "training: step 100 of 1000, 12.00 s a step, at most 3 h 0 min left"
    assert loop.time_left(999, 1000, 0.1).endswith("at most 1 min left")


@pytest.mark.soak
def test_memory_is_flat_over_20000_steps(coco: Path, tmp_path: Path) -> None:
    _assert_flat(coco, tmp_path, 20_000)


def test_memory_is_flat(coco: Path, tmp_path: Path) -> None:
    _assert_flat(coco, tmp_path, 300)


def _assert_flat(coco: Path, tmp_path: Path, steps: int) -> None:
    recipe = dataclasses.replace(named("tune"), patience=10**6)
    run = tiny_run(tmp_path, coco, steps, recipe, save_every_s=1e9)
    inner = loop._Loop(run)
    sizes = []
    while not inner.now.done:
        inner.step()
        if inner.now.step in (steps // 3, steps):
            sizes.append(_resident_kb())
    assert sizes[1] - sizes[0] < 8192


def _resident_kb() -> int:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    line: Any = next(row for row in text.splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1])


def test_weights_between_old_and_new_keep_most_of_the_gain(coco: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(named("tune"), rate=0.01, patience=99)
    run = tiny_run(tmp_path, coco, 40, recipe)
    loop.fit(run)
    new = {k: v.clone() for k, v in weights(run).items()}
    old = Tiny()
    share, errors = blend.blend(run.trainee, old, run.judged, "cpu")
    assert share in (*blend.SHARES, 1.0)
    gain = errors["0"] - errors["1"]
    assert errors["0"] - errors[f"{share:g}"] >= blend.KEPT * gain
    now, before = weights(run), old.module.state_dict()
    for name in ("0.weight", "4.bias"):
        wanted = before[name] + share * (new[name] - before[name])
        assert torch.allclose(now[name], wanted, atol=1e-6)
    # A training that gained nothing on the stop recordings is left as it is, for the verdict.
    worse, _ = blend.blend(Tiny(), run.trainee, run.judged, "cpu")
    assert worse == 1.0


def test_the_average_of_a_weight_that_does_not_move_is_that_weight() -> None:
    """Else a frozen trunk drifts by rounding, and `share` sends all of it."""
    module = torch.nn.Linear(50, 50)
    average = Average(module, 0.95, {})
    for step in range(40):
        average.update(step)
    assert all(torch.equal(average.weights[k], v) for k, v in module.state_dict().items())
