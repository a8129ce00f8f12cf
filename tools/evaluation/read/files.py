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
        self._by_name: Optional[Dict[str, Optional[Path]]] = None

    def find(self, name: str) -> Optional[Path]:
        """The file of a name, with or without its folders; None: there is none.

        Where the name's folder exists, the file must be in it: one of the same name elsewhere is
        another picture. A file elsewhere counts if it is the only one of its name.
        """
        plain = name.replace("\\", "/")
        beside = self._given.parent / "images"
        wheres = (self._given, self._given / "images", beside, self._folder)
        for where in wheres:
            path = where / plain.lstrip("/")
            if _is_file(path):
                return path
        if _is_file(Path(plain)) and Path(plain).is_absolute():
            return Path(plain)
        folder, _, last = plain.rpartition("/")
        if folder.strip("/.") and any(_is_folder(where / folder.lstrip("/")) for where in wheres):
            return None
        return self._names().get(last)

    def _names(self) -> Dict[str, Optional[Path]]:
        if self._by_name is None:
            self._by_name = {}
            for folder, _, files in os.walk(self._folder):
                if len(self._by_name) > _MOST:
                    break
                for name in files:
                    known = name in self._by_name
                    self._by_name[name] = None if known else Path(folder) / name
        return self._by_name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or with a zero in it
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
