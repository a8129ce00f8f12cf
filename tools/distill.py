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
  edge-tools distill labels/ --name small2 --arch rtmpose-t-wholebody --stage 2 \\
      --checkpoint out/train/small/state.pt
Stage 2 is for the student of the first: its trunk stays, and a new head learns from the old one, in
a fifth of the epochs. Student and teacher read crops of one size; points go by name. Labels may be
few: where nothing is labelled, the teacher's answers count. All options of `train` hold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    train.add_arguments(parser)
    parser.epilog = EXAMPLES
    parser.add_argument("--teacher", metavar="NAME", help="architecture of the large network")
    parser.add_argument(
        "--teacher-checkpoint", type=Path, metavar="F.pth", help="weights of the large network"
    )
    parser.add_argument("--stage", type=int, choices=(1, 2), default=1, help="of DWPose's two (1)")


def run(arguments: argparse.Namespace) -> int:
    """Train the student; the exit code is that of `train`."""
    if not arguments.check:
        second = arguments.stage == 2
        needed = ("arch", "checkpoint") if second else ("arch", "teacher", "teacher_checkpoint")
        for name in needed:
            if not getattr(arguments, name):
                raise ConfigError(f"--{name.replace('_', '-')}: is missing")
        if second and (arguments.teacher or arguments.teacher_checkpoint):
            raise ConfigError("--stage 2: the student of --checkpoint is its own teacher")
    return train.run(arguments)
