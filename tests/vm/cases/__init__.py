"""The cases by name, in the order of `make vm-test`."""

from __future__ import annotations

from typing import Dict

from tests.vm.cases.box import box
from tests.vm.cases.changes import bundle, provision, upgrade
from tests.vm.cases.disk import disk
from tests.vm.cases.kernel import kernel
from tests.vm.cases.power import power
from tests.vm.cases.process import process
from tests.vm.trial import Case

CASES: Dict[str, Case] = {
    "box": box,
    "process": process,
    "power": power,
    "bundle": bundle,
    "provision": provision,
    "upgrade": upgrade,
    "kernel": kernel,
    "disk": disk,
}
