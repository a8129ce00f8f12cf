"""A loop is built from its parts, attached to its extras and closed in order, whatever fails."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import pytest

from edge.errors import ConfigError, EdgeError
from edge.loop import build as build_room
from edge.loop.assemble import Models
from edge.loop.build import Installed, build
from edge.loop.parts import Extra, Receive, Running
from edge.publish import Publisher
from edge.settings import config

MODELS = Path(__file__).parents[1] / "golden" / "models"


class Told(Extra):
    """An extra that notes what is done with it."""

    def __init__(self, name: str, notes: List[str], fails: str = "") -> None:
        self.name, self.notes, self.fails = name, notes, fails

    def listen(self) -> Mapping[str, Receive]:
        return {f"{self.name}/+": lambda incoming: None}

    def attach(self, running: Running) -> None:
        self._note("attach")

    def close(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        self.notes.append(f"{self.name} {what}")
        if what == self.fails:
            raise ConfigError(f"{self.name}: no")


class Source(Installed):
    """The golden models, which note when they are closed."""

    def __init__(self, notes: List[str]) -> None:
        self.notes = notes

    def open(self, config: config.Config) -> Tuple[config.Config, Models]:
        made = Models(config)
        closed = made.close

        def close() -> None:
            self.notes.append("models close")
            closed()

        made.close = close  # type: ignore[method-assign]
        return config, made


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """What was closed, in order; cameras and sinks note it, too."""
    noted: List[str] = []
    for name in ("Cameras", "Publisher"):
        made = getattr(build_room, name)

        class Noting(made):  # type: ignore[misc,valid-type]
            what = name

            def close(self, *given: float) -> None:
                noted.append(" ".join([self.what, "close", *map(str, given)]))
                super().close(*given)

        monkeypatch.setattr(build_room, name, Noting)
    return noted


def settings(tmp_path: Path, **changes: Dict[str, Any]) -> config.Config:
    tables: Dict[str, Any] = {
        "cameras": [{"source": "synthetic://walk?width=64&height=48"}],
        "models": {"dir": str(MODELS)},
        "detect": {"model": "twobox", "every": 3},
        "pose": {"model": "standing"},
        "publish": {"sinks": [f"jsonl:{tmp_path}/out"]},
    }
    return config.complete(config.build(config.Config, {**tables, **changes}))


def test_parts_are_attached_in_order_and_closed_the_sinks_first(
    tmp_path: Path, notes: List[str]
) -> None:
    extras = [Told("one", notes), Told("two", notes)]
    with contextlib.ExitStack() as stack:
        running = build(settings(tmp_path), stack, Source(notes), extras, goodbye_s=lambda: 0.5)
        assert notes == ["one attach", "two attach"]
        assert running.pipeline.pacing.every == 3
        assert list(running.extras) == extras
    ends = ["Cameras close", "Publisher close 0.5", "two close", "one close", "models close"]
    assert notes[2:] == ends


def test_the_models_in_force_are_closed(tmp_path: Path, notes: List[str]) -> None:
    with contextlib.ExitStack() as stack:
        running = build(settings(tmp_path), stack, Source(notes))
        first = running.use(Models(settings(tmp_path)))
        first.close()
        notes.clear()
    assert "models close" not in notes, "those before are their owner's"
    assert running.models.runners["standing/main"] is not first.runners["standing/main"]


@pytest.mark.parametrize(
    ("changes", "models"),
    [
        ({"models": {"dir": "/nowhere"}}, []),
        ({"rules": [{"kind": "none"}]}, ["models close"]),
        ({"pose": {"model": "standing", "skeleton": "none"}}, ["models close"]),
        ({"publish": {"sinks": ["none:"]}}, ["models close"]),
    ],
)
def test_what_was_made_before_a_failure_is_closed(
    tmp_path: Path, notes: List[str], changes: Dict[str, Any], models: List[str]
) -> None:
    extras = [Told("one", notes), Told("two", notes)]
    with contextlib.ExitStack() as stack:
        with pytest.raises(EdgeError):
            build(settings(tmp_path, **changes), stack, Source(notes), extras)
        assert notes == [*models, "two close", "one close"]
    assert notes == [*models, "two close", "one close"], "the stack has nothing left to close"


@pytest.mark.parametrize("fails", ["attach", "close"])
def test_all_is_closed_even_if_an_extra_fails(tmp_path: Path, notes: List[str], fails: str) -> None:
    extras = [Told("one", notes, fails), Told("two", notes)]
    with pytest.raises(ConfigError, match="one: no"), contextlib.ExitStack() as stack:
        build(settings(tmp_path), stack, Source(notes), extras)
    assert "two attach" in notes or fails == "attach"
    assert notes[-3:] == ["two close", "one close", "models close"]
    assert "Cameras close" in notes


def test_sinks_listen_for_every_extra(
    tmp_path: Path, notes: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: List[Mapping[str, Any]] = []
    publisher = Publisher

    def made(*given: Any, listen: Mapping[str, Any]) -> Any:
        heard.append(listen)
        return publisher(*given, listen=listen)  # type: ignore[misc]

    monkeypatch.setattr(build_room, "Publisher", made)
    with contextlib.ExitStack() as stack:
        build(settings(tmp_path), stack, Installed(), [Told("a", notes), Told("b", notes)])
    assert sorted(heard[0]) == ["a/+", "b/+"]


def test_an_extra_that_needs_nothing_does_nothing(tmp_path: Path) -> None:
    class Idle(Extra):
        pass

    with contextlib.ExitStack() as stack:
        running = build(settings(tmp_path), stack, Installed(), [Idle()])
        running.extras[0].tick()
        assert dict(running.extras[0].report()) == {}
