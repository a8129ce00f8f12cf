"""`edge-tools reference`: make the pages of the docs that list every key and every message."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.durable import READABLE, write_whole
from edge.errors import DataError, NoInputError
from tools.pages import configuration, contract, site

HELP = "make docs/configuration.md and docs/contract.md of the program"
DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {"configuration.md": configuration.text, "contract.md": contract.text}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--out", type=Path, default=DOCS, metavar="DIR", help="default: docs/")
    parser.add_argument(
        "--site", type=Path, metavar="DIR", help="make all pages of the docs as HTML in DIR, too"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is old")


def run(arguments: argparse.Namespace) -> int:
    """Write the pages, or compare them."""
    for name, make in PAGES.items():
        path, text = arguments.out / name, make()
        if arguments.check:
            if not path.is_file() or path.read_text("utf-8") != text:
                raise DataError(f"{path}: is old; run `edge-tools reference`")
            continue
        try:
            write_whole(path, text.encode(), READABLE)
        except OSError as error:
            raise NoInputError(f"{error.filename}: {error.strerror}") from error
        print(path)
    if arguments.site:
        pages = site.build(arguments.site.resolve())
        print(f"{len(pages)} pages; {arguments.site / 'html' / 'index.html'}")
    return 0
