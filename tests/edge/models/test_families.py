"""Each family declares what its models give."""

from __future__ import annotations

import typing

import pytest

from edge import plug
from edge.models import Gives


@pytest.mark.parametrize("family", plug.names("models"))
def test_a_family_declares_what_its_models_give(family: str) -> None:
    module = plug.load("models", family)
    made = typing.get_type_hints(module.load)["return"]
    assert isinstance(module.GIVES, Gives)
    assert made.gives is module.GIVES
