"""Encode message records as JSON or CBOR, and decode them.

A record is a dict of plain JSON values in which a list of integers may be a NumPy vector. In CBOR
such a vector is a typed array of RFC 8746, little-endian: tag 77 for 16 bits, 78 for 32 bits.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping

import cbor2
import numpy as np

from edge.errors import DataError, InternalError

try:
    import orjson
except ImportError:  # only faster; some boards have no wheel of it
    orjson = None  # type: ignore[assignment]

JSON = "application/json"
CBOR = "application/cbor"
TYPED = {77: "<i2", 78: "<i4"}  # RFC 8746 section 2.1: sint16 and sint32, little-endian
_TAGS: Dict[Any, int] = {np.dtype(name): tag for tag, name in TYPED.items()}


def _list_of(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _json_stdlib(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(
        record, default=_list_of, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8")


def _json_orjson(record: Mapping[str, Any]) -> bytes:
    return orjson.dumps(record, _list_of, orjson.OPT_SERIALIZE_NUMPY)


to_json: Callable[[Mapping[str, Any]], bytes] = _json_orjson if orjson else _json_stdlib


def to_cbor(record: Mapping[str, Any]) -> bytes:
    """Encode a record as CBOR, integer vectors as typed arrays."""
    return cbor2.dumps(record, default=_typed)


def _typed(encoder: Any, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} is no CBOR value")
    encoder.encode(cbor2.CBORTag(_TAGS[value.dtype], value.tobytes()))


def plain(value: Any, where: str) -> Any:
    """Convert a value to plain JSON types, which every codec can write.

    NumPy scalars and arrays become numbers and lists. A number that is not finite becomes null.
    Characters that UTF-8 cannot encode become escape sequences.

    Args:
        value: from a rule or a report.
        where: its name, for the error message.

    Raises:
        InternalError: JSON has no type for the value or a part of it.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, Mapping):
        return {plain(str(k), where): plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, where) for v in value]
    what = "a number beyond 64 bits" if isinstance(value, int) else type(value).__name__
    raise InternalError(f"{where}: {what} is no JSON value")


def read(body: bytes, content_type: str = JSON) -> Dict[str, Any]:
    """Decode a message as a subscriber receives it; typed arrays become lists.

    Args:
        body: the payload.
        content_type: JSON or CBOR.

    Raises:
        DataError: the bytes are not a record in that content type.
    """
    try:
        record = _lists(cbor2.loads(body)) if content_type == CBOR else json.loads(body)
    except (ValueError, cbor2.CBORDecodeError, RecursionError) as error:
        raise DataError(f"not a message in {content_type}: {error}") from error
    if not isinstance(record, dict):
        raise DataError(f"not a message in {content_type}: no object at its top")
    return record


def _lists(value: Any) -> Any:
    if isinstance(value, cbor2.CBORTag):
        if value.tag not in TYPED or not isinstance(value.value, bytes):
            raise ValueError(f"tag {value.tag} is none of the contract's")
        return np.frombuffer(value.value, TYPED[value.tag]).tolist()
    if isinstance(value, Mapping):
        return {str(k): _lists(v) for k, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, (list, tuple)) else value
