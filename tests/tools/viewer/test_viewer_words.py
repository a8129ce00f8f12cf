"""Both languages of the page say the same, and every event of the contract has its sentence."""

from __future__ import annotations

import json
import re
from typing import Dict, List, Set

import pytest

from tools.viewer.server import PAGE

CONTRACT = PAGE.parents[2] / "edge/publish/contract/event.json"


def languages(text: str, key: str) -> Dict[str, List[str]]:
    """The keys of the tables `en` and `zh` of a script."""
    english, chinese = re.split(r"^  zh: \{$", text.partition("\n  en: {\n")[2], flags=re.M)[:2]
    return {
        "en": re.findall(key, english.partition("\n  },")[0]),
        "zh": re.findall(key, chinese.partition("\n  },")[0]),
    }


def test_every_word_is_there_in_both_languages() -> None:
    found = languages((PAGE / "words.js").read_text("utf-8"), r"(?:^|, |\n)\s*(\w+): [\"\[]")
    assert len(found["en"]) > 80
    assert sorted(found["en"]) == sorted(found["zh"])


def test_every_word_that_the_page_asks_for_is_there() -> None:
    known = set(languages((PAGE / "words.js").read_text("utf-8"), r"(\w+): [\"\[]")["en"])
    asked: Set[str] = set()
    for path in PAGE.glob("*.js"):
        asked |= set(re.findall(r"\bt\(\"(\w+)\"", path.read_text("utf-8")))
    asked |= set(re.findall(r'data-t="(\w+)"', (PAGE / "index.html").read_text("utf-8")))
    assert len(asked) > 40
    assert asked <= known, asked - known


@pytest.mark.parametrize("name", ["en", "zh"])
def test_every_event_has_a_sentence(name: str) -> None:
    text = (PAGE / "sayings.js").read_text("utf-8")
    found = set(languages(text, r'(?:"([\w ]+)"|\b(\w+)): "')[name])
    said = {" ".join(parts).strip() for parts in found}
    for kind, about in json.loads(CONTRACT.read_text("utf-8"))["$defs"].items():
        action = about["properties"].get("action", {})
        for word in action.get("enum", [action.get("const", "")]):
            assert f"{kind} {word}".strip() in said, "add a sentence to sayings.js"
