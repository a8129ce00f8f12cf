"""The made files of the contract are up to date, whole, and say what the schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
from jsonschema import Draft202012Validator

from edge import skeletons
from tests.edge.publish.test_contract import GOOD
from tools import contract
from tools.__main__ import main

MADE = {contract.BUNDLE: contract.bundle, contract.SKELETONS: contract.sets}


@pytest.mark.parametrize("name", MADE)
def test_what_is_committed_is_what_the_command_writes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract", "--out", str(tmp_path)]) == 0
    made: Callable[[], Dict[str, Any]] = MADE[name]
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == made()
    assert (tmp_path / name).read_text(encoding="utf-8") == (contract.FOLDER / name).read_text(
        encoding="utf-8"
    ), "run: edge-tools contract --out edge/publish/contract"


def nodes(node: Any) -> Iterator[Dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from nodes(child)


def test_the_bundle_refers_to_no_other_file_and_names_every_object() -> None:
    document = contract.bundle()
    assert document["asyncapi"] == "3.0.0"
    for node in nodes(document):
        assert node.get("$ref", "#").startswith("#")
    for message in document["components"]["messages"].values():
        for node in nodes(message["payload"]):
            if node.get("type") == "object":
                assert node["title"].isidentifier()


@pytest.mark.parametrize("message", ["frame", "event", "state", "metrics", "status"])
def test_a_bundled_schema_takes_what_the_schemas_take(message: str) -> None:
    schema = contract.bundle()["components"]["messages"][message]["payload"]
    good = next(v for k, v in GOOD.items() if k.split("/")[0] == message)
    Draft202012Validator(schema).validate(good)
    for key in good:
        without = {k: v for k, v in good.items() if k != key}
        assert not Draft202012Validator(schema).is_valid(without) or key not in schema["required"]


def test_skeletons_say_what_a_consumer_needs() -> None:
    told = contract.sets()["skeletons"]
    assert set(told) == set(skeletons.names())
    for name, one in told.items():
        count = len(skeletons.get(name))
        assert len(one["points"]) == len(set(one["points"])) == count
        assert sorted(i for part in one["parts"].values() for i in part) == list(range(count))
        assert [one["mirror"][i] for i in one["mirror"]] == list(range(count))
        assert len(one["edges"]) == len(one["colours"]) > 0
        assert all(0 <= i < count for edge in one["edges"] for i in edge)


def test_a_folder_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract", "--out", str(tmp_path / "none")]) == 66
    assert (
        capsys.readouterr().err == f"edge-tools: {tmp_path / 'none'}: no such folder; create it\n"
    )
