"""A network that would read another file is refused, wherever and however it says so."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import DataError
from edge.runtime._onnx_file import check_stands_alone

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
HERE = Path("some/model.onnx")


def varint(number: int, bytes_at_least: int = 1) -> bytes:
    out = bytearray()
    while True:
        byte, number = number & 127, number >> 7
        more = number or len(out) + 1 < bytes_at_least
        out.append(byte | (128 if more else 0))
        if not more:
            return bytes(out)


def field(number: int, data: bytes, long: int = 1) -> bytes:
    return varint(number << 3 | 2, long) + varint(len(data), long) + data


def entry(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


EXTERNAL = field(8, b"w") + b"\x10\x01"  # name, data_type = FLOAT
SPELLINGS = {
    "plain": EXTERNAL + field(13, entry(b"location", b"w.bin")) + b"\x70\x01",
    "key after value": EXTERNAL
    + field(13, field(2, b"w.bin") + field(1, b"location"))
    + b"\x70\x01",
    "long numbers": EXTERNAL
    + field(13, entry(b"location", b"w.bin"), 5)
    + varint(14 << 3, 5)
    + b"\x81\x00",
    "key twice": EXTERNAL
    + field(13, field(1, b"offset") + field(2, b"w.bin") + field(1, b"location"))
    + b"\x70\x01",
    "entry without location": EXTERNAL + field(13, b""),
    "location alone": EXTERNAL + b"\x70\x01",
    "location of another type": EXTERNAL + field(14, b"\x01"),
    "location first": b"\x70\x01" + EXTERNAL,
}


def model(graph: bytes) -> bytes:
    return b"\x08\x08" + field(7, graph)


def within(attribute: int, tensor: bytes) -> bytes:
    """A graph whose one node has an attribute that holds a tensor or a graph."""
    return field(1, field(4, b"Constant") + field(5, field(attribute, tensor)))


def places(tensor: bytes) -> Dict[str, bytes]:
    graph = field(5, tensor)
    sparse = field(1, tensor)
    return {
        "initializer": model(graph),
        "second graph, merged": model(b"") + field(7, graph),
        "sparse values": model(field(15, sparse)),
        "sparse indices": model(field(15, field(2, tensor))),
        "attribute t": model(within(5, tensor)),
        "attribute tensors": model(within(10, tensor)),
        "graph of a loop": model(within(6, graph)),
        "graphs of an attribute": model(within(11, graph)),
        "graph in a graph in a graph": model(within(6, within(6, within(6, graph)))),
        "sparse attribute": model(within(22, sparse)),
        "sparse attributes": model(within(23, sparse)),
        "function": model(b"") + field(25, field(7, field(5, field(5, tensor)))),
        "default of a function": model(b"") + field(25, field(11, field(5, tensor))),
        "training graph": model(b"") + field(20, field(1, graph)),
        "training step": model(b"") + field(20, field(2, graph)),
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", places(b""))
def test_weights_elsewhere_are_refused(place: str, spelling: str) -> None:
    with pytest.raises(DataError, match="keeps weights in another file; save it as one file"):
        check_stands_alone(places(SPELLINGS[spelling])[place], HERE)


@pytest.mark.parametrize("place", places(b""))
def test_weights_inside_are_taken(place: str) -> None:
    # The words of the key stand in raw data and in names, where they mean nothing.
    words = entry(b"location", b"w.bin")
    inside = EXTERNAL + field(9, field(13, words) + b"\x70\x01") + field(12, words) + b"\x70\x00"
    check_stands_alone(places(inside)[place], HERE)


def test_our_own_networks_are_taken() -> None:
    networks = [p for p in GOLDEN.rglob("*.onnx") if p.name != "conv_external.onnx"]
    assert len(networks) > 5
    for network in networks:
        check_stands_alone(network.read_bytes(), network)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\x20\0\0\0ORTM" + b"\0" * 32, "ONNX Runtime's own format; save it as ONNX"),
        (model(field(1, field(4, b"EPContext"))), "compiled part"),
        (model(b"")[:-1] + b"\x05ab", "cut off"),
        (b"\x08", "cut off"),
        (b"\x0b\x0c", "wire type 3"),
        (b"\xff" * 12, "too long"),
    ],
)
def test_other_files_are_refused_with_their_reason(data: bytes, why: str) -> None:
    with pytest.raises(DataError, match=why) as raised:
        check_stands_alone(data, HERE)
    assert str(raised.value).startswith(f"{HERE}: ")
    assert "\n" not in str(raised.value)


def test_graphs_nested_without_end_are_refused() -> None:
    graph = field(5, EXTERNAL)
    for _ in range(200):
        graph = within(6, graph)
    with pytest.raises(DataError, match="nested too deeply"):
        check_stands_alone(model(graph), HERE)


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_but_pass_or_be_refused(data: bytes) -> None:
    with contextlib.suppress(DataError):
        check_stands_alone(data, HERE)
