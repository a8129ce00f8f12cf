"""The pages are true: their links lead somewhere, their commands and targets exist."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

from edge.__main__ import parser as edge_parser
from tools.__main__ import load, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "systemd").glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"```(?:sh|bash|console)\n(.*?)```", re.DOTALL)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@lru_cache(maxsize=None)
def anchors(page: Path) -> Set[str]:
    """The anchors of headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#{1,6} +(.*)$", page.read_text("utf-8"), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        found.add(words)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    broken: List[str] = []
    for match in LINK.finditer(without_code(page.read_text("utf-8"))):
        target = match[1] or match[2]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (
            anchor and there.suffix == ".md" and anchor not in anchors(there)
        ):
            broken.append(target)
    assert not broken


def lines_of(page: Path) -> Iterator[str]:
    """The command lines of a page, continued lines joined, without comments."""
    for block in BLOCK.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = re.sub(r"(^|\s)#.*", "", line).strip()
            if words:
                yield words


def calls(line: str) -> Iterator[List[str]]:
    """The programs of a command line that are ours, with their arguments."""
    try:
        words = shlex.split(line.replace("$", ""))
    except ValueError:
        return
    call: List[str] = []
    for word in [*words, ";"]:
        if word in (";", "|", "&&", "||", "&", ">", "<"):
            if call:
                yield call
            call = []
        elif call or Path(word).name in ("edge", "edge-tools", "make"):
            call.append(word if call else Path(word).name)


@lru_cache(maxsize=None)
def options(command: Tuple[str, ...]) -> Set[str]:
    """All options of a command and its actions."""
    if command[0] == "edge":
        return of_parser(actions_of(edge_parser())[command[1]])
    parser = argparse.ArgumentParser()
    load(command[1]).add_arguments(parser)
    return of_parser(parser)


def actions_of(parser: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def of_parser(parser: argparse.ArgumentParser) -> Set[str]:
    found = {option for action in parser._actions for option in action.option_strings}
    for inner in actions_of(parser).values():
        found |= of_parser(inner)
    return found


@lru_cache(maxsize=None)
def targets() -> Set[str]:
    found: Set[str] = set()
    for line in re.findall(
        r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    ):
        found |= set(line.split())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_command_of_a_page_exists_with_its_options(name: str) -> None:
    wrong = []
    for line in lines_of(ROOT / name):
        for call in calls(line):
            wrong += [f"{line}: {problem}" for problem in problems(call)]
    assert not wrong


def problems(call: List[str]) -> Iterator[str]:
    program, words = call[0], call[1:]
    if program == "make":
        names = [w for w in words if not w.startswith("-") and "=" not in w]
        yield from (f"no target {n}" for n in names if n not in targets() and "/" not in n)
        return
    if not words or words[0].startswith("-") or words[0].isupper() or words[0] == "...":
        return
    known = options((program, words[0]))
    for word in words[1:]:
        option = word.split("=")[0]
        if re.fullmatch(r"--?[a-z][a-z0-9-]*", option) and option not in known:
            yield f"no option {option}"


def test_pages_that_are_made_are_current() -> None:
    assert main(["reference", "--check"]) == 0


def test_the_check_of_pages_finds_what_is_wrong(tmp_path: Path) -> None:
    assert list(problems(["make", "everything"])) == ["no target everything"]
    assert list(problems(["edge-tools", "get", "--nothing"])) == ["no option --nothing"]
    assert list(problems(["edge", "run", "--sink", "x", "--sinks", "y"])) == ["no option --sinks"]
    assert list(problems(["edge-tools", "get", "walker"])) == []
    assert [c[0] for c in calls(".venv/bin/edge run | .venv/bin/edge-tools listen")] == [
        "edge",
        "edge-tools",
    ]
    page = tmp_path / "p.md"
    page.write_text("[a](#there) [b](nowhere.md)\n\n## There\n", encoding="utf-8")
    assert anchors(page) == {"there"}
