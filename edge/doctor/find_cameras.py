"""`edge doctor --find-cameras`: ONVIF cameras in the local network, and their streams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import List, Optional, Tuple
from urllib.parse import quote

from edge.doctor._onvif import discovery
from edge.doctor._onvif.device import Camera, Login
from edge.doctor.finding import OK, WARN, Finding
from edge.errors import ConfigError, EdgeError, NoInputError

TOGETHER = 16
NONE = (
    "are they on, in this network, with ONVIF switched on? switches may keep multicast back, and "
    "a firewall may drop the answers (UDP to this machine)"
)
LOGIN = "edge doctor --find-cameras --login USER --password-file F also asks for its streams"


def login_of(user: Optional[str], password_file: Optional[Path]) -> Optional[Login]:
    """The login of the command line; None = without.

    Raises:
        ConfigError: one of the two is missing. NoInputError: the file cannot be read.
    """
    if not user and password_file is None:
        return None
    if not user or password_file is None:
        raise ConfigError("--login and --password-file go together")
    try:
        return Login(user, password_file.read_text("utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is no text"
        raise NoInputError(f"{password_file}: {why}") from error


def find(
    login: Optional[Login],
    listen_s: float = discovery.LISTEN_S,
    to: Tuple[str, int] = discovery.GROUP,
) -> List[Finding]:
    """Findings for each camera that answers.

    Args:
        login: with it each camera is asked for its streams.
        listen_s: for how long answers may come.
        to: where the probe goes.
    """
    found = discovery.find(listen_s, to)
    if not found:
        return [Finding("ONVIF cameras", WARN, "none answers", NONE)]
    with ThreadPoolExecutor(TOGETHER) as pool:
        return [f for some in pool.map(partial(_asked, login), found) for f in some]


def _asked(login: Optional[Login], found: discovery.Found) -> List[Finding]:
    what = f"camera at {found.host}"
    told = " ".join(dict.fromkeys(w for w in (found.name, found.model) if w)) or "without a name"
    if not found.service:
        return [
            Finding(what, WARN, f"{told}: names no service at its own address", "ask its maker")
        ]
    if login is None:
        return [Finding(what, OK, f"{told}; {LOGIN}")]
    try:
        streams = Camera(found.service, login).streams()
    except EdgeError as error:
        return [Finding(what, WARN, f"{told}: {error}", "check user, password and its clock")]
    if not streams:
        return [Finding(what, WARN, f"{told}: names no stream", "switch RTSP on in its settings")]
    user = quote(login.user, safe="")
    return [
        Finding(what, OK, f"{told}: {_shown(s.uri, user)} {s.width}x{s.height}") for s in streams
    ]


def _shown(uri: str, user: str) -> str:
    """As it stands in `[[cameras]] source`; the password is added by hand."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{user}@{rest}"
