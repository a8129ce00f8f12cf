"""The link of the page on the terminal, and the page in the browser of a desktop."""

from __future__ import annotations

import os
import sys
import webbrowser


def show(link: str, in_browser: bool) -> None:
    """Print the link, and open it if the machine has a desktop."""
    print(f"open {link}\n(works once; Ctrl-C ends the viewer)", flush=True)
    if in_browser and not (_desktop() and webbrowser.open(link)):
        print("edge-tools: there is no browser on this machine's desktop", file=sys.stderr)


def _desktop() -> bool:
    """Whether a browser with a window can start; one in the terminal would hide our output."""
    windows = sys.platform != "linux" or os.environ.get("WSL_DISTRO_NAME")
    return bool(windows or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def next_link(link: str) -> None:
    """Print the link for another browser."""
    print(f"a browser was let in; for another one: {link}", flush=True)
