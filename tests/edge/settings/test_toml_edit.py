"""Editing a person's TOML: one key changes, everything else stays byte for byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.settings.toml_edit import set_key
from edge.settings.toml_text import tomllib  # type: ignore[attr-defined]

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # The key is there: its line alone changes, and keeps its comment.
        ('[mqtt]\na = "x" # why\nb = 1\n', '[mqtt]\na = "new" # why\nb = 1\n'),
        ('[ mqtt ]\na = "x"\n', '[ mqtt ]\na = "new"\n'),
        ('  [mqtt]  # head\n    a = "x"\n', '  [mqtt]  # head\n    a = "new"\n'),
        ('["mqtt"]\n"a" = "x"\n', '["mqtt"]\n"a" = "new"\n'),
        ("['mqtt']\n'a' = 'x'\n", "['mqtt']\n'a' = \"new\"\n"),
        ('mqtt.a = "x"\nc = 1\n[x]\n', 'mqtt.a = "new"\nc = 1\n[x]\n'),
        ('mqtt = { a = "x", b = 1 }\n', 'mqtt = { a = "new", b = 1 }\n'),
        ('[mqtt]\r\na = "x"\r\nb = 1\r\n', '[mqtt]\r\na = "new"\r\nb = 1\r\n'),
        ('[mqtt]\na = [\n  "x", # why\n]\nb = 1\n', '[mqtt]\na = "new"\nb = 1\n'),
        ("[mqtt]\na = '''\nx\n[mqtt]\n'''\nb = 1\n", '[mqtt]\na = "new"\nb = 1\n'),
        # It has the value already: not a byte changes.
        ("[mqtt]\na   =   'new'", "[mqtt]\na   =   'new'"),
        # It is commented out: the comment becomes the key.
        ('[mqtt]\n# words\n#  a = "x"\nb = 1\n', '[mqtt]\n# words\na = "new"\nb = 1\n'),
        ("  [mqtt]\n    # a = 1\n", '  [mqtt]\n    a = "new"\n'),
        ("[mqtt]\n# a = 1\na = 2\n", '[mqtt]\n# a = 1\na = "new"\n'),
        # A sentence, another key or another section's comment is not this key.
        (
            "[mqtt]\nb = 1\n# a = it was so\n# aa = 1\n[x]\n# a = 1\n",
            '[mqtt]\nb = 1\na = "new"\n# a = it was so\n# aa = 1\n[x]\n# a = 1\n',
        ),
        # It is not there: a new line below the section's last key, above what heads the next one.
        (
            "[mqtt]\nb = 1 # why\n\n# about x\n[x]\nc = 1\n",
            '[mqtt]\nb = 1 # why\na = "new"\n\n# about x\n[x]\nc = 1\n',
        ),
        ("[mqtt]\n\n# about x\n[x]\n", '[mqtt]\na = "new"\n\n# about x\n[x]\n'),
        ("  [mqtt]\n    b = 1\n  [x]\n", '  [mqtt]\n    b = 1\n    a = "new"\n  [x]\n'),
        ("  [ mqtt ]\n\n[x]\n", '  [ mqtt ]\n  a = "new"\n\n[x]\n'),
        ("[mqtt]\nb = [\n  1,\n]\n", '[mqtt]\nb = [\n  1,\n]\na = "new"\n'),
        ("[mqtt]\r\nb = 1\r\n", '[mqtt]\r\nb = 1\r\na = "new"\r\n'),
        ("[mqtt]\nb = 1\n[[x]]\n[mqtt.c]\n", '[mqtt]\nb = 1\na = "new"\n[[x]]\n[mqtt.c]\n'),
        ("[mqtt]", '[mqtt]\na = "new"\n'),
        ("[mqtt]\nb = 1", '[mqtt]\nb = 1\na = "new"\n'),
        ("mqtt.b = 1\nc = 1\n", 'mqtt.b = 1\nmqtt.a = "new"\nc = 1\n'),
        # The section is not there.
        ("b = 1\n", 'b = 1\n\n[mqtt]\na = "new"\n'),
        ("[[x]]\nb = 1\r\n", '[[x]]\nb = 1\r\n\n[mqtt]\na = "new"\n'),
        ("\ufeffb = 1\r\n[x]\r\n", '\ufeffb = 1\r\n[x]\r\n\r\n[mqtt]\r\na = "new"\r\n'),
        # What looks like the section or the key inside a string is neither.
        (
            'b = """\n[mqtt]\na = "x"\n"""\n[mqtt]\nc = 1\n',
            'b = """\n[mqtt]\na = "x"\n"""\n[mqtt]\nc = 1\na = "new"\n',
        ),
        (
            "[mqtt]\nb = '''\na = 1\n# a = 2\n'''\n",
            "[mqtt]\nb = '''\na = 1\n# a = 2\n'''\na = \"new\"\n",
        ),
    ],
)
def test_one_key_changes_and_the_rest_stays(before: str, after: str) -> None:
    assert set_key(before, "mqtt", "a", "new") == after
    assert set_key(after, "mqtt", "a", "new") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "a = 1\n"),
        ("# words\n[x]\nb = 1\n", "# words\na = 1\n\n[x]\nb = 1\n"),
        ("b = 2\n\n# about x\n[x]\na = 3\n", "b = 2\na = 1\n\n# about x\n[x]\na = 3\n"),
        ("# a = 2\n[[x]]\n", "a = 1\n[[x]]\n"),
        ("[x]\n# a = 2\n", "a = 1\n\n[x]\n# a = 2\n"),
    ],
)
def test_a_key_of_the_top_level(before: str, after: str) -> None:
    made = set_key(before, "", "a", 1)
    assert tomllib.loads(made) == tomllib.loads(after)
    assert [line for line in made.split("\n") if line] == [li for li in after.split("\n") if li]


@pytest.mark.parametrize("value", ['a"b\\c\nd', "ä", "", True, 7, 0.5, ["x", "y"], []])
def test_any_value_is_quoted_as_toml_wants(value: Any) -> None:
    for text in ("[mqtt]\na = 0\n", "[mqtt]\n", "[mqtt]\n# a = 0\n", "mqtt = {}\n", ""):
        assert tomllib.loads(set_key(text, "mqtt", "a", value))["mqtt"]["a"] == value


@pytest.mark.parametrize("text", ["nonsense", "mqtt = 1\n", "[[mqtt]]\na = 1\n", "[mqtt"])
def test_what_cannot_be_edited_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="cannot be edited") as error:
        set_key(text, "mqtt", "a", 1)
    assert "\n" not in str(error.value)


LINES = ["# x", "", "a = 1", "  # a = 2", "b = 3", "kind = 'x'", 'c = """', '"""', "mqtt.b = 1"]
HEADS = ["[mqtt]", " [ mqtt ]", "[publish]", "[[rules]]", "[publish.mqtt]"]
FILES = st.lists(st.sampled_from(LINES + HEADS), max_size=9)


@given(lines=FILES, ends=st.sampled_from(["\n", "\r\n"]), section=st.sampled_from(["", "mqtt"]))
def test_any_file_keeps_its_meaning_and_its_lines(
    lines: List[str], ends: str, section: str
) -> None:
    text = ends.join(lines) + ends
    try:
        expected: Dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    made = set_key(text, section, "a", "new")
    (expected.setdefault(section, {}) if section else expected)["a"] = "new"
    assert tomllib.loads(made) == expected
    assert set_key(made, section, "a", "new") == made
    kept = [line for line in text.split(ends) if "a = " not in line]
    assert not set(kept) - set(made.split(ends))
    assert ends == "\n" or made.count("\n") == made.count("\r\n")


def test_the_loop_does_not_load_the_editor() -> None:
    code = "import sys, edge.__main__, edge.service.daemon; assert 'tomlkit' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
