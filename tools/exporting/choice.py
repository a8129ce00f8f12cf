"""Select frames and people, and convert their keypoints."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Sequence

import numpy as np

from edge.errors import ConfigError
from tools.exporting.sight import Sight


@dataclass(frozen=True)
class Choice:
    """What is exported; an empty sequence means all."""

    cameras: Sequence[str] = ()  # or scenes
    people: Sequence[int] = ()
    device: str = ""
    begin: str = ""  # as of `parse_time`
    end: str = ""
    skeleton: str = ""  # convert to this set; empty = as recorded
    in_space: Optional[bool] = None  # scenes only, cameras only; None = both

    def applied(self, sights: Iterable[Sight]) -> Iterator[Sight]:
        """The chosen frames; a frame whose people are all left out stays, without people.

        Raises:
            ConfigError: a time that cannot be read, or no such skeleton.
        """
        begin_ns, end_ns = -math.inf, math.inf
        first_ns: Optional[int] = None
        for sight in sights:
            if first_ns is None:
                first_ns = sight.t_utc_ns
                begin_ns = parse_time(self.begin, first_ns, -math.inf)
                end_ns = parse_time(self.end, first_ns, math.inf)
            if begin_ns <= sight.t_utc_ns < end_ns and self._is_wanted(sight):
                yield self._of_people(sight)

    def _is_wanted(self, sight: Sight) -> bool:
        if self.in_space is not None and sight.in_space != self.in_space:
            return False
        if self.device and sight.device != self.device:
            return False
        return not self.cameras or sight.camera in self.cameras

    def _of_people(self, sight: Sight) -> Sight:
        if self.people:
            sight = sight.of(np.isin(sight.ids, self.people))
        return sight.converted(self.skeleton) if self.skeleton else sight


def parse_time(text: str, first_ns: int, default_ns: float) -> float:
    """A time in UTC ns.

    Args:
        text: seconds since the first frame ("90.5"), or a date of ISO 8601; one without zone is of
            this machine's zone. Empty = the default.
        first_ns: UTC of the first frame.
        default_ns: for an empty text.

    Raises:
        ConfigError: it is neither.
    """
    if not text:
        return default_ns
    try:
        return first_ns + round(float(text) * 1e9)
    except ValueError:
        pass
    try:
        date = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ConfigError(
            f"{text!r}: give seconds since the first frame, or a date like 2026-11-30T12:00:00"
        ) from error
    return date.timestamp() * 1e9
