"""What tests of several folders share, and the list of Pythons at the end of `make test`."""

from __future__ import annotations

import json
import logging
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from hypothesis import settings

from tests.ends import between_ends
from tests.waiting import SOAK, Slowness

# A loaded machine is no failure of the code: no example has a time limit. The same code gives the
# same result: `--hypothesis-profile=search` looks for examples that nobody tried yet.
settings.register_profile("house", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None)
settings.load_profile("house")

# A shell lets what it runs in the background ignore SIGINT, and so would every process that a test
# starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The program sets up the log; a test that runs it in its own process must not keep that."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in before and not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--ends",
        action="store_true",
        help="of each test, run only the first and the last set of parameters",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Tests of `make soak` only are left out of `make test`, which counts them.

    The longest tests come first: one that begins last would leave the other workers idle.
    """
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
    left_out = [i for i in items if i.get_closest_marker("soak") and not SOAK]
    if config.getoption("ends"):
        left_out += between_ends(items)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        names = {i.nodeid for i in left_out}
        items[:] = [i for i in items if i.nodeid not in names]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What runs on which Python, as tests/run.sh knows it; what does not run is loud."""
    lines = os.environ.get("EDGE_PYTHONS", "").splitlines()
    if lines:
        terminalreporter.section("Pythons")
    for line in lines:
        loud = "NOT RUN" in line
        terminalreporter.write_line(line, red=loud, bold=loud)


@pytest.fixture
def slowness() -> Iterator[Slowness]:
    """Measured while the test runs; what was promised in seconds is multiplied by its `worst`."""
    measured = Slowness()
    measured.start()
    yield measured
    measured.stop()


MADE = ("bundle", "skeletons")  # by `edge-tools contract`, not schemas themselves
CONTRACT = Path(__file__).resolve().parent.parent / "edge/publish/contract"
Check = Callable[[str, Dict[str, Any]], None]


@pytest.fixture(scope="session")
def contract() -> Check:
    """Checks a record against the schema that the AsyncAPI document gives its topic."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    schemas = {
        p.name: json.loads(p.read_text("utf-8"))
        for p in CONTRACT.glob("*.json")
        if p.stem not in MADE
    }
    document = schemas.pop("asyncapi.json")
    registry: Any = Registry().with_resources(
        (name, Resource.from_contents(schema)) for name, schema in schemas.items()
    )
    validators = {name: Draft202012Validator({"$ref": name}, registry=registry) for name in schemas}

    def check(topic: str, record: Dict[str, Any]) -> None:
        levels = topic.split("/")
        fits = []
        for channel in document["channels"].values():
            wanted = channel["address"].split("/")
            same = len(wanted) == len(levels) and all(
                w == have or (w[0] == "{" and have == record.get(w.strip("{}"), have))
                for w, have in zip(wanted, levels)
            )
            fits += list(channel["messages"].values()) if same else []
        names = {
            document["components"]["messages"][f["$ref"].split("/")[-1]]["payload"]["schema"][
                "$ref"
            ]
            for f in fits
        }
        assert len(names) == 1, f"{topic}: described by {len(names)} schemas"
        validators[names.pop().replace("./", "")].validate(record)

    return check


@pytest.fixture
def broker() -> Iterator[Any]:
    """A real mosquitto, fresh for each test; installed when that is possible, never skipped."""
    from tools.mqtt.broker import Broker, install_mosquitto

    assert install_mosquitto(), "these tests need mosquitto: apt install mosquitto"
    with Broker("mosquitto") as started:
        yield started
