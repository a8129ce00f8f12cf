"""`edge-tools distill`: train a small pose network with the answers of a large one."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import ConfigError
from tools import train

HELP = "train a small pose network with the answers of a large one, on your own labels"

EXAMPLES = """\
  edge-tools distill labels/ --name small --arch rtmpose-t-wholebody \\
      --teacher dwpose-l --teacher-checkpoint dw-l.pth
Student and teacher read crops of one size; points go by name. Labels may be few: where nothing is
labelled, the teacher's answers count. All options of `edge-tools train` hold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    train.add_arguments(parser)
    parser.epilog = EXAMPLES
    parser.add_argument("--teacher", metavar="NAME", help="architecture of the large network")
    parser.add_argument(
        "--teacher-checkpoint", type=Path, metavar="F.pth", help="weights of the large network"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train the student; the exit code is that of `train`."""
    if not arguments.check:
        for name in ("arch", "teacher", "teacher_checkpoint"):
            if not getattr(arguments, name):
                raise ConfigError(f"--{name.replace('_', '-')}: is missing")
    return train.run(arguments)
