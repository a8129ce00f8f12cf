"""Records to bytes and back."""

from __future__ import annotations

import importlib.util
import json
from typing import Any, Dict

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import codec
from edge.errors import DataError, InternalError

ORJSON = importlib.util.find_spec("orjson") is not None
WRITERS = [codec._json_stdlib] + ([codec._json_orjson] if ORJSON else [])
words = st.text(max_size=8) | st.text(st.characters(codec=None), max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def test_the_fast_writer_is_used_where_it_is_installed() -> None:
    assert codec.to_json is (codec._json_orjson if ORJSON else codec._json_stdlib)


@given(st.dictionaries(words, values, max_size=4))
def test_whatever_a_rule_says_survives_every_codec(data: Dict[str, Any]) -> None:
    record = codec.plain(data, "data")
    for write in WRITERS:
        assert codec.read(write(record)) == record
    assert codec.read(codec.to_cbor(record), codec.CBOR) == record


@pytest.mark.parametrize("write", WRITERS)
def test_vectors_are_lists_in_json(write: Any) -> None:
    record = {"a": np.array([1, -2, 30000], "<i2"), "b": np.array([2**31 - 1], "<i4")}
    assert write(record) == b'{"a":[1,-2,30000],"b":[2147483647]}'


def test_vectors_are_typed_arrays_in_cbor() -> None:
    record = {"a": np.array([1, -2], "<i2"), "b": np.array([2**31 - 1], "<i4")}
    body = codec.to_cbor(record)
    # RFC 8746: tag 77 is sint16, 78 sint32, both little-endian, around a byte string.
    assert body == bytes.fromhex("a2 6161 d84d 44 0100feff 6162 d84e 44 ffffff7f")
    assert codec.read(body, codec.CBOR) == {"a": [1, -2], "b": [2**31 - 1]}


def test_plain_makes_json_of_numpy_and_of_what_is_not_finite() -> None:
    data = {
        1: np.float32(0.5),
        "n": np.int64(3),
        "v": np.arange(2),
        "t": (1, 2),
        "bad": [float("nan"), np.float64("inf"), np.array([-np.inf])],
        "yes": np.bool_(True),
    }
    assert codec.plain(data, "x") == {
        "1": 0.5,
        "n": 3,
        "v": [0, 1],
        "t": [1, 2],
        "bad": [None, None, [None]],
        "yes": True,
    }


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}, 1j, 2**63, -(2**64)])
def test_what_json_has_no_word_for_is_named(value: Any) -> None:
    with pytest.raises(InternalError, match=r"data of event fall\.why: .* is no JSON value"):
        codec.plain({"why": value}, "data of event fall")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", codec.JSON),
        (b"{", codec.JSON),
        (b"[1]", codec.JSON),
        (b"\xff\xfe", codec.JSON),
        (b"[" * 100_000, codec.JSON),
        (b"", codec.CBOR),
        (b"\xa1", codec.CBOR),
        (b"\x01", codec.CBOR),
        (b"\xa1\x61a\xd8\x4d\x43abc", codec.CBOR),
        (b"\xa1\x61a\xd8\x63\x40", codec.CBOR),
        (b"\xa1\x61a\xd8\x4d\x01", codec.CBOR),
    ],
)
def test_bytes_that_are_no_message_are_refused_in_one_line(body: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=r"^not a message in application/") as caught:
        codec.read(body, kind)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for kind in (codec.JSON, codec.CBOR):
        try:
            assert isinstance(codec.read(body, kind), dict)
        except DataError:
            continue


def test_cbor_here_is_what_the_library_reads_without_us() -> None:
    body = codec.to_cbor({"keypoints": np.array([5, 6, 7], "<i2"), "n": [1]})
    tagged = cbor2.loads(body)["keypoints"]
    assert (tagged.tag, tagged.value) == (77, b"\x05\x00\x06\x00\x07\x00")
    assert json.loads(codec.to_json({"n": [1]})) == {"n": [1]}
