"""What the doctor tells of one thing."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: str  # ok | warn | fail; fail = the program cannot do its job
    found: str
    fix: str = ""  # what to do; told unless it is ok
