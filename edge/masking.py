"""Secrets in addresses are masked before anything is shown.

Cameras carry passwords in many spellings: as user info, as query values of any name (`psw`,
`loginpas`, `auth`), as parameters in the path. No list of names is complete, so all of them are
masked. `EdgeError` masks its text, the log masks every line, `config.show` masks every value: what
this program shows has passed through here.
"""

from __future__ import annotations

import re
from typing import Match

MASK = "***"
# Schemes of this machine: their queries are options of ours and hold no secret.
_LOCAL = ("v4l2", "csi", "synthetic", "mpu6050", "realsense")
_URI = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*)://([^\s'\"<>`|]+)")
_QUOTED = re.compile(r"(['\"])([A-Za-z][A-Za-z0-9+.-]*://.*?)\1")  # may contain spaces
# User info without "://" after its scheme: it was forgotten, or one slash is missing.
_BARE = re.compile(r"[^\s:/@'\"\[(<]+:(?!//)[^\s@'\"]+@(?=[\w\[])")
_PARAMETER, _MASKED_PARAMETER = re.compile(r"([\w.~%-]+=)[^&;/?,]*"), rf"\g<1>{MASK}"
_CLOSING = ".,;:!?)]}"


def masked_uri(uri: str) -> str:
    """One whole address without its secrets.

    User and password become `***`, and so does every value in query and path. A password may
    contain slashes, question marks and at signs: everything before the last at sign is masked. The
    addresses of a file and of local cameras keep their options.
    """
    scheme, mark, body = uri.partition("://")
    if not mark:
        return _without_user(uri)
    if scheme.lower() == "file":
        return uri  # a path may contain any character
    if scheme.lower() in _LOCAL:
        path, question, query = body.partition("?")
        return f"{scheme}://{_without_user(path)}{question}{query}"
    return f"{scheme}://{_masked_body(_without_user(body))}"


def masked_value(value: str) -> str:
    """The value of a key: as a whole it may be one address, whose password has any character."""
    return masked_uri(value) if "://" in value else masked(value)


def masked(text: str) -> str:
    """Any text, with `masked_uri` applied to every address in it."""
    if "@" in text:
        text = _BARE.sub(f"{MASK}@", text)
    if "://" not in text:
        return text
    return _URI.sub(_masked_match, _QUOTED.sub(_masked_quoted, text))


def _masked_quoted(match: Match[str]) -> str:
    quote, uri = match.groups()
    return f"{quote}{masked_uri(uri)}{quote}"


def _masked_match(match: Match[str]) -> str:
    uri = match.group()
    end = len(uri.rstrip(_CLOSING))
    return masked_uri(uri[:end]) + uri[end:]


def _without_user(body: str) -> str:
    _, at, after = body.rpartition("@")
    return f"{MASK}@{after}" if at else body


def _masked_body(body: str) -> str:
    path, question, query = body.partition("?")
    host, slash, path = path.partition("/")
    path = _PARAMETER.sub(_MASKED_PARAMETER, path)
    query = "&".join(_masked_pair(pair) for pair in query.split("&"))
    return f"{_masked_host(host)}{slash}{path}{question}{query}"


def _masked_host(host: str) -> str:
    """Without a port that is none: it is a password that was cut off at a slash or a space."""
    name, colon, port = host.rpartition(":")
    no_port = bool(colon) and not port.isdigit() and not host.endswith("]") and bool(port)
    return f"{name}:{MASK}" if no_port else host


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    if equals:
        return f"{name}={MASK}"
    return MASK if pair else ""
