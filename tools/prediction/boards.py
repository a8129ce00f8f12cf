"""Peak rates of the boards in each power mode.

Sources. Clocks, powered TPCs (two multiprocessors each) and memory caps of the modes: NVIDIA's own
nvpmodel files p3701-0000, p3701-0004, p3767-0000 and p3767-0003 (plain and "super") for the Orins;
the power-management chapter of NVIDIA's Jetson Linux developer guide R32.7 for AGX Xavier, whose
30 W and 15 W rows are quoted from memory: compare with `nvpmodel -q` on a board. A mode without a
cap has the module's published maximum: 1377 MHz AGX Xavier, 1301 and 930 MHz AGX Orin 64 and 32 GB,
918 (super 1173) MHz Orin NX, 625 (super 1020) MHz Orin Nano. Memory: published width times two
transfers a clock (136.5, 204.8, 102.4 and 68 GB/s at full clock). Products per multiprocessor and
clock follow from the published peaks: Xavier 11 TFLOPS FP16 and 22 TOPS INT8 on 8 multiprocessors,
AGX Orin 42.5 TFLOPS FP16 and 85 TOPS INT8, both dense, on 16. DLAs are left out: no network of
this project runs on them by default.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple


class Chip(NamedTuple):
    """Multiply-accumulates per multiprocessor and clock."""

    name: str
    tensor_fp16: int
    tensor_int8: int
    cuda_fp16: int  # for depthwise convolutions, which cannot use tensor cores


VOLTA = Chip("volta", 512, 1024, 128)
AMPERE = Chip("ampere", 1024, 2048, 256)


class Mode(NamedTuple):
    """A board in a power mode."""

    board: str
    name: str
    chip: Chip
    multiprocessors: int
    clock_mhz: float
    memory_gb_s: float

    @property
    def key(self) -> str:
        """`<board>:<mode>`."""
        return f"{self.board}:{self.name}"

    def int8_tops(self) -> float:
        """Dense INT8 peak of the tensor cores, in 10^12 operations per second."""
        per_clock = 2 * self.multiprocessors * self.chip.tensor_int8
        return per_clock * self.clock_mhz / 1e6


# Board -> chip, memory width in bits, modes: (name, multiprocessors, GPU MHz, memory MHz).
Rows = List[Tuple[str, int, float, float]]
BOARDS: Dict[str, Tuple[Chip, int, Rows]] = {
    "agx-xavier": (
        VOLTA,
        256,
        [
            ("MAXN", 8, 1377, 2133),
            ("30W", 8, 900, 1600),
            ("15W", 8, 670, 1333),
            ("10W", 4, 520, 1066),
        ],
    ),
    "agx-orin-64": (
        AMPERE,
        256,
        [
            ("MAXN", 16, 1301, 3200),
            ("50W", 16, 816, 3200),
            ("30W", 8, 612, 3200),
            ("15W", 6, 408, 2133),
        ],
    ),
    "agx-orin-32": (
        AMPERE,
        256,
        [
            ("MAXN", 14, 930, 3200),
            ("40W", 14, 816, 3200),
            ("30W", 8, 612, 3200),
            ("15W", 6, 408, 2133),
        ],
    ),
    "orin-nx-16": (
        AMPERE,
        128,
        [
            ("MAXN-SUPER", 8, 1173, 3200),
            ("MAXN", 8, 918, 3200),
            ("25W", 8, 408, 3200),
            ("15W", 4, 612, 3200),
            ("10W", 4, 612, 2133),
        ],
    ),
    "orin-nano-8": (
        AMPERE,
        128,
        [
            ("MAXN-SUPER", 8, 1020, 3200),
            ("25W", 8, 918, 3200),
            ("15W", 8, 625, 2133),
            ("7W", 4, 408, 2133),
        ],
    ),
}


def _modes() -> Dict[str, Mode]:
    found = {}
    for board, (chip, bits, rows) in BOARDS.items():
        for name, multiprocessors, clock_mhz, memory_mhz in rows:
            gb_s = memory_mhz * 2 * bits / 8 / 1e3
            mode = Mode(board, name, chip, multiprocessors, clock_mhz, gb_s)
            found[mode.key] = mode
    return found


MODES: Dict[str, Mode] = _modes()


def modes(board: str) -> List[Mode]:
    """The modes of a board (`agx-orin-64`), fastest first, or one mode (`agx-orin-64:30W`)."""
    return [m for key, m in MODES.items() if board.lower() in (m.board, key.lower())]
