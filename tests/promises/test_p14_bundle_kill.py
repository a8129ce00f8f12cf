"""Death at every change of the disk that a bundle switch makes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.bundle.file import write_bundle
from edge.bundle.slots import Slots, State
from edge.commands.replay_window import ReplayWindow
from edge.keys.trust import Trust
from tests.promises.sudden_death import WAYS, dies_at, points
from tests.promises.whole_daemon import MODELS

KEY = Ed25519PrivateKey.generate()


def bundle(path: Path, version: int) -> Path:
    """Models that tell which version they are of."""
    root = path.parent / f"models{version}"
    shutil.copytree(MODELS, root)
    for recipe in root.glob("*/model.toml"):
        recipe.write_text(
            recipe.read_text(encoding="utf-8") + f"\n# version {version}\n", encoding="utf-8"
        )
    with path.open("wb") as out:
        files = {p.relative_to(root).as_posix(): p for p in root.glob("*/*")}
        write_bundle(out, files, version, "", KEY)
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A state directory in which version 1 is confirmed, in slot a."""
    home = tmp_path / "old"
    slots = Slots(home / "bundles")
    slots.switch(*slots.install(bundle(tmp_path / "1.bundle", 1), KEY.public_key()))
    slots.confirm()
    bundle(tmp_path / "2.bundle", 2)
    return home


def version_of(slots: Slots, slot: str) -> int:
    """Which version lies whole and signed in a slot; 0 = the installation's."""
    folder = slots.path(slot)
    if folder is None:
        return 0
    trust = Trust(folder, KEY.public_key())
    texts = [trust.read(folder / name) for name in sorted(trust.files)]
    assert len(texts) == 4
    found: Set[bytes] = {t.rsplit(b"# version ", 1)[1] for t in texts if b"# version " in t}
    assert len(found) == 1, "models of two versions are mixed"
    return int(found.pop())


def check(home: Path, allowed: List[State], tmp_path: Path) -> State:
    """Old or new, never broken: and the next bundle can be installed."""
    slots = Slots(home / "bundles")
    state = slots.state()
    assert state in allowed, state
    assert version_of(slots, state.active) == state.version
    if not state.confirmed:
        assert version_of(slots, state.previous) == state.previous_version, "the way back is whole"
        slots.confirm()
    elif state.version < 2:
        slots.switch(*slots.install(tmp_path / "2.bundle", KEY.public_key()))
        assert version_of(slots, slots.state().active) == 2
    return state


V1 = State("a", 1, floor=1)
TRIAL = State("b", 2, False, 1, "a", 1, 1)
Work = Callable[[Path, Path], None]


def take(home: Path, file: Path) -> None:
    slots = Slots(home / "bundles")
    slots.switch(*slots.install(file, KEY.public_key()))


def confirm(home: Path, file: Path) -> None:
    Slots(home / "bundles").confirm()


def roll_back(home: Path, file: Path) -> None:
    Slots(home / "bundles").roll_back("for the test")


def start(home: Path, file: Path) -> None:
    Slots(home / "bundles").begin(3)


SWITCHES: Dict[str, Any] = {
    "take": (take, [], [V1, TRIAL]),
    "confirm": (confirm, [take], [TRIAL, State("b", 2, floor=2)]),
    "roll_back": (roll_back, [take], [TRIAL, TRIAL.back("for the test")]),
    "start": (start, [take], [TRIAL, State("b", 2, False, 2, "a", 1, 1)]),
    "last start": (
        start,
        [take, start, start],
        [State("b", 2, False, 3, "a", 1, 1), TRIAL.back("3 starts, and it was never confirmed")],
    ),
}


@pytest.mark.parametrize("name", sorted(SWITCHES))
def test_death_at_any_point_of_a_switch_leaves_old_or_new(
    name: str, old: Path, tmp_path: Path, soak: bool, figures: Any
) -> None:
    """P14: killed at every write, rename and fsync of a bundle switch: old or new, never broken."""
    work, before, allowed = SWITCHES[name]
    file = tmp_path / "2.bundle"
    for earlier in before:
        earlier(old, file)

    def fresh() -> Path:
        home = tmp_path / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(old, home)
        return home

    home = fresh()
    total = points(lambda: work(home, file))
    assert Slots(home / "bundles").state() == allowed[-1]
    seen: Set[State] = set()
    deaths = 0
    for nth, way in enumerate(WAYS):
        for at in range(1, total + 1):
            if not soak and at < total - 6 and at % len(WAYS) != nth:
                continue  # the short form: each point by one way, the last by all
            home = fresh()
            assert dies_at(lambda home=home: work(home, file), at, way)  # type: ignore[misc]
            seen.add(check(home, allowed, tmp_path))
            deaths += 1
    home = fresh()
    assert not dies_at(lambda: work(home, file), total + 1, "kill")
    assert seen == set(allowed), "deaths before and after the switch were among them"
    figures("P14", switch=name, points=total, deaths=deaths, broken=0)


def test_death_while_a_command_is_remembered(tmp_path: Path, figures: Any) -> None:
    """P14: the numbers of commands obeyed are the old or the new ones, and never unreadable."""
    path = tmp_path / "obeyed.json"
    ReplayWindow(path).add(100)
    kept = path.read_bytes()
    total = points(lambda: ReplayWindow(path).add(200))
    used: Set[bool] = set()
    for way in WAYS:
        for at in range(1, total + 1):
            for one in (path, path.with_suffix(".witness")):
                one.write_bytes(kept)
            assert dies_at(lambda: ReplayWindow(path).add(200), at, way)
            memory = ReplayWindow(path, lambda: 10**30)
            assert memory.used(100)
            assert not memory.used(300), "it was not taken for damaged"
            used.add(memory.used(200))
    assert used == {False, True}
    figures("P14", switch="command memory", points=total, deaths=total * len(WAYS), broken=0)
