"""How many cameras and people a board takes, as predicted."""

from __future__ import annotations

from typing import List, Sequence

from tools.prediction.boards import Mode
from tools.prediction.fitted import BAND
from tools.prediction.loop_step import Case, predict

MOST_PEOPLE = 50
CAMERAS = (1, 2, 4, 8)


def most_people(case: Case, target_fps: float, band: float = 1.0) -> int:
    """The most people of each camera at which every camera still has a rate; 0 = none.

    Args:
        case: board, networks and cameras; its number of people is not used.
        target_fps: frames of each camera in a second.
        band: factor by which the prediction may be too fast.
    """
    low, high = 0, MOST_PEOPLE
    while low < high:
        people = (low + high + 1) // 2
        if predict(case._replace(people=people)).fps >= target_fps * band:
            low = people
        else:
            high = people - 1
    return low


def table(case: Case, found: Sequence[Mode], target_fps: float) -> List[str]:
    """A table in Markdown: a row for each board and mode, a column for each number of cameras.

    A cell is `SURE to LIKELY`: people of each camera at the slow end of the error band, and as
    predicted.

    Args:
        case: the networks.
        found: boards in power modes.
        target_fps: frames of each camera in a second.
    """
    heads = [f"{n} camera{'s' * (n > 1)}" for n in CAMERAS]
    lines = ["| board, mode | " + " | ".join(heads) + " |", "|---" * (1 + len(CAMERAS)) + "|"]
    for mode in found:
        cells = [_cell(case._replace(mode=mode, cameras=n), target_fps) for n in CAMERAS]
        lines.append(f"| {mode.board} {mode.name} | " + " | ".join(cells) + " |")
    return lines


def _cell(case: Case, target_fps: float) -> str:
    sure, likely = (most_people(case, target_fps, band) for band in (BAND, 1.0))
    if not likely:
        return "-"
    top = f"{likely}+" if likely == MOST_PEOPLE else str(likely)
    return top if sure == likely else f"{sure} to {top}"
