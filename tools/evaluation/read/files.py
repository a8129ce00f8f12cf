"""Where the pictures of a data set are: names in label files are relative, or another system's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Optional

_MOST = 100_000  # files that are looked through for a name
_BESIDE = ("annotations", "labels")  # folders whose pictures lie in a folder beside them


class Pictures:
    """Finds pictures below a folder by the names that a label file gives them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.parent if folder.name in _BESIDE else folder
        self._given = folder
        self._by_name: Optional[Dict[str, Path]] = None

    def find(self, name: str) -> Optional[Path]:
        """The file of a name, with or without its folders; None: there is none."""
        plain = name.replace("\\", "/")
        beside = self._given.parent / "images"
        for where in (self._given, self._given / "images", beside, self._folder):
            path = where / plain.lstrip("/")
            if _is_file(path):
                return path
        if _is_file(Path(plain)) and Path(plain).is_absolute():
            return Path(plain)
        return self._names().get(plain.rpartition("/")[2])

    def _names(self) -> Dict[str, Path]:
        if self._by_name is None:
            self._by_name = {}
            for folder, _, files in os.walk(self._folder):
                if len(self._by_name) > _MOST:
                    break
                self._by_name.update((name, Path(folder) / name) for name in files)
        return self._by_name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero in it
        return False
