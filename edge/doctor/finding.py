"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was checked."""

    what: str
    state: str  # ok | warn | fail; fail = the program cannot do its job
    found: str
    fix: str = ""  # what to do; printed unless the state is ok
