"""The pages as a site of HTML files that needs nothing from outside (Sphinx, MyST, Furo)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import List

from edge import __version__
from edge.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
ORDER = {
    "Start": ("README", "README.zh", "docs/getting-started", "docs/install", "systemd/BOX"),
    "Use": (
        "docs/cookbook",
        "docs/rules",
        "docs/sensors",
        "docs/cameras",
        "docs/scenes",
        "docs/viewer",
        "docs/home-assistant",
        "docs/exports",
        "docs/fleet",
        "docs/troubleshooting",
    ),
    "Models": ("docs/int8", "docs/training", "docs/rendered", "docs/runtimes"),
    "Reference": ("docs/configuration", "docs/sources", "docs/messages", "docs/contract"),
    "Measured": ("docs/promises", "docs/measured", "docs/accuracy", "docs/hardware"),
    "Inside": (
        "docs/architecture",
        "docs/decisions",
        "docs/security",
        "CONTRIBUTING",
        "SECURITY",
        "CHANGELOG",
    ),
}
CONF = f"""\
project, release, language = "edge-pose", "{__version__}", "en"
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "edge-pose {__version__}"
html_show_sphinx = html_show_copyright = html_copy_source = False
suppress_warnings = ["misc.highlighting_failure"]
"""
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def build(out: Path) -> List[Path]:
    """Make the site; returns its pages.

    Args:
        out: folder; `src` in it gets the sources.

    Raises:
        DataError: Sphinx finds a mistake, such as a link that leads nowhere.
    """
    from sphinx.cmd.build import build_main

    source, html = out / "src", out / "html"
    for folder in (source, html):
        shutil.rmtree(str(folder), ignore_errors=True)
    _stage(source)
    arguments = ["-q", "-W", "--keep-going", "-b", "html", str(source), str(html)]
    if build_main(arguments):
        raise DataError("the pages have mistakes; the lines above name them")
    return sorted(html.rglob("*.html"))


def _stage(source: Path) -> None:
    """Copy the pages and what they link to, and write an index."""
    known = [name for names in ORDER.values() for name in names]
    pages = [ROOT / f"{name}.md" for name in known if (ROOT / f"{name}.md").is_file()]
    for page in pages:
        text = page.read_text("utf-8")
        target = source / page.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        for link in _LINK.findall(text):
            _stage_file((page.parent / link).resolve(), source)
    (source / "conf.py").write_text(CONF, "utf-8")
    (source / "index.md").write_text(_index(), "utf-8")


def _stage_file(path: Path, source: Path) -> None:
    """Copy a file that a page shows or links to."""
    inside = path.is_file() and ROOT in path.parents
    if inside and path.suffix != ".md":
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(path), str(target))


def _index() -> str:
    parts = ["# edge-pose\n\nCameras in; whole-body poses and events out, over MQTT.\n"]
    for title, names in ORDER.items():
        there = [name for name in names if (ROOT / f"{name}.md").is_file()]
        parts.append(f"```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n\n" + "\n".join(there))
        parts.append("```\n")
    return "\n".join(parts)
