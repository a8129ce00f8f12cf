"""The C library's heap: blocks as large as weights go back to the system when they are freed.

By default glibc raises the size from which a block gets a mapping of its own, up to 32 MB, each
time such a block is freed (mallopt(3), M_MMAP_THRESHOLD). So from the second reload on, weights lie
in the heap between small blocks, and what is freed there is not given back: thirty reloads of
yolov4-tiny and blazepose took 330 to 770 MB. With a fixed size they stay at 220 MB.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_OWN_MAPPING_BYTES = 1 << 20  # the loop allocates no such block for each frame


def give_back_large_blocks() -> bool:
    """Fix the size from which a block gets a mapping of its own; false without glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    fixed = mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
    # Otherwise fixed at 128 kB: the top of the heap would come and go with every frame.
    return bool(fixed and mallopt(_M_TRIM_THRESHOLD, 2 * _OWN_MAPPING_BYTES))


def trim() -> bool:
    """Give the free pages of the whole heap back; false if there were none, or without glibc."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(malloc_trim is not None and malloc_trim(0))
