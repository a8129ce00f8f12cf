"""The answer to a server that asks for user and password: Basic or Digest."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from typing import Dict, List, Optional, Tuple

_PAIR = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def authorization(
    asked: List[str], login: Tuple[str, str], method: str, target: str
) -> Optional[str]:
    """The Authorization header; None if the server asks for something else.

    Args:
        asked: its WWW-Authenticate headers; Digest is preferred, because it hides the password.
        login: user and password.
        method: GET.
        target: path and query of the request.
    """
    known = {text.partition(" ")[0].lower(): text.partition(" ")[2] for text in asked}
    if "digest" in known:
        found = _digest(_pairs(known["digest"]), login, method, target)
        if found is not None:
            return found
    if "basic" in known:
        return "Basic " + base64.b64encode(":".join(login).encode("utf-8")).decode("ascii")
    return None


def _pairs(text: str) -> Dict[str, str]:
    return {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PAIR.finditer(text)}


def _digest(
    asked: Dict[str, str], login: Tuple[str, str], method: str, target: str
) -> Optional[str]:
    """RFC 7616, section 3.4; without qop RFC 2069."""
    name = asked.get("algorithm", "MD5").upper()
    if name not in _HASHES or "nonce" not in asked:
        return None

    def hashed(*parts: str) -> str:
        return _HASHES[name](":".join(parts).encode("utf-8")).hexdigest()

    realm, nonce = asked.get("realm", ""), asked["nonce"]
    secret, what = hashed(login[0], realm, login[1]), hashed(method, target)
    fields = {"username": login[0], "realm": realm, "nonce": nonce, "uri": target}
    bare = {}
    if "auth" in [q.strip() for q in asked.get("qop", "").split(",")]:
        once = os.urandom(8).hex()
        fields["cnonce"] = once
        bare = {"qop": "auth", "nc": "00000001"}
        fields["response"] = hashed(secret, nonce, "00000001", once, "auth", what)
    elif "qop" in asked:
        return None
    else:
        fields["response"] = hashed(secret, nonce, what)
    if "opaque" in asked:
        fields["opaque"] = asked["opaque"]
    if "algorithm" in asked:
        bare["algorithm"] = asked["algorithm"]
    quoted = [f'{k}="{v}"' for k, v in fields.items()]
    return "Digest " + ", ".join(quoted + [f"{k}={v}" for k, v in bare.items()])
