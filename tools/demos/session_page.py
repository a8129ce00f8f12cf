"""The page of an exercise demo: what `edge-tools report` makes of its messages."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

from edge.durable import READABLE, write_whole
from edge.settings import config
from tools.demos.files import Files
from tools.reports.exercises import exercises
from tools.reports.page import page
from tools.reports.recorded import read


def session_page(title: str) -> Callable[[Files], Dict[str, Path]]:
    """Makes the page, unless nothing was counted."""

    def pages(files: Files) -> Dict[str, Path]:
        if not files.messages.exists():
            return {}
        found = read(files.messages, config.load(files.config))
        made = exercises(found, None, None)
        if not made:
            return {}
        write_whole(files.page, page(found, made, title).encode(), READABLE)
        return {"report": files.page}

    return pages
