"""The command lines of systemd/BOX.md, by the place that they are for."""

from __future__ import annotations

import re
from typing import Dict, List

from tests.vm.image import ROOT


def blocks() -> Dict[str, List[str]]:
    """Lines of each block of shell, without its comments at the end and its empty lines."""
    text = (ROOT / "systemd/BOX.md").read_text("utf-8")
    found = re.findall(r"<!-- (on .*?) -->\n```sh\n(.*?)```", text, re.DOTALL)
    whole = {where: lines.replace("\\\n", "").splitlines() for where, lines in found}
    return {where: [li for li in lines if li and li[0] != "#"] for where, lines in whole.items()}
