"""`edge-tools sbom`: a software bill of materials in the form of CycloneDX.

With `--wheels` it lists the wheels of a Debian package, as `make deb` does; without, the packages
of this environment that the program needs. Weights of models are no part of the package:
`edge-tools get` says their licences.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path
from typing import List

from edge import __version__
from edge.durable import READABLE, write_whole
from edge.errors import ConfigError
from tools.bill import parts
from tools.bill.cyclonedx import document

HELP = "a software bill of materials (CycloneDX) of a package's wheels or of this environment"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="folder of wheels")
    parser.add_argument("--arch", default="", help="of the Debian package that they are for")
    parser.add_argument(
        "--depends", default="", metavar="TEXT", help="the field Depends of that package"
    )
    parser.add_argument("--out", type=Path, metavar="F", help="(default: standard output)")


def run(arguments: argparse.Namespace) -> int:
    """Make the document."""
    if (arguments.arch or arguments.depends) and arguments.wheels is None:
        raise ConfigError("--arch and --depends go with --wheels")
    found = parts.of_wheels(arguments.wheels) if arguments.wheels else parts.of_environment()
    made = document(found, __version__, _now_s(), arguments.arch, _names(arguments.depends))
    text = json.dumps(made, indent=1, sort_keys=True) + "\n"
    if arguments.out is None:
        print(text, end="")
    else:
        write_whole(arguments.out, text.encode(), READABLE)
    return 0


def _now_s() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), else now."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not given.isdecimal():
        raise ConfigError(f"SOURCE_DATE_EPOCH: {given!r}: use seconds of Unix time")
    return int(given) if given else int(time.time())


def _names(depends: str) -> List[str]:
    """Names in a field Depends, alternatives included, each once."""
    wanted = (re.sub(r"\(.*?\)", "", item).strip() for item in re.split(r"[,|]", depends))
    return list(dict.fromkeys(name for name in wanted if _PACKAGE.fullmatch(name)))
