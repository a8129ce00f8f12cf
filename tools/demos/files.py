"""The files that a demo writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class Files:
    """The files in the folder of a demo."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.config = self.folder / "edge.toml"
        self.video = self.folder / "poses.mp4"
        self.sheet = self.folder / "sheet.png"
        self.messages = self.folder / "messages.jsonl"
        self.page = self.folder / "page.html"
        self.log = self.folder / "daemon.log"

    def clear(self) -> None:
        """Make the folder and remove files of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.config, self.video, self.sheet, self.messages, self.page, self.log):
            if path.exists():
                path.unlink()
