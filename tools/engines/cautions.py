"""What is known to go wrong with a version or a board, told before hours of building.

Sources: NVIDIA's support matrices and release notes for each version; issue reports are named.
"""

from __future__ import annotations

from typing import Callable, List, Tuple

from tools.engines.names import NEWEST, Version
from tools.engines.request import Request, Source

Check = Callable[[Request, Source, Version], bool]


def _int8(request: Request) -> bool:
    return request.precision == "int8"


# The message, and when it applies.
KNOWN: List[Tuple[str, Check]] = [
    (
        "this TensorRT is newer than any that was tried (11.4)",
        lambda r, s, v: v[:2] > NEWEST,
    ),
    (
        "operators newer than opset 17 may be refused by TensorRT 8; export with opset 17",
        lambda r, s, v: v < (9,) and s.opset > 17,
    ),
    (
        "on Xavier (sm_72) 8.5.2 of JetPack 5 is the last TensorRT, and 2:4 sparsity, TF32 and "
        "BF16 do not exist",
        lambda r, s, v: v < (8, 6),
    ),
    (
        "2:4 sparsity speeds up Ampere and later (Orin) only, and only weights that were pruned "
        "along their input channels",
        lambda r, s, v: r.sparse,
    ),
    (
        "JetPack 6's TensorRT 10.3: INT8 builds that crash are reported (ultralytics 23841, "
        "DeepStream-Yolo 585); if it does, use --precision fp16 or JetPack 7.2",
        lambda r, s, v: v[:2] == (10, 3) and _int8(r),
    ),
    (
        "TensorRT 11 has no FP16 and INT8 switches: types are written into the graph; 11.0 to "
        "11.4.0 do not support Jetson",
        lambda r, s, v: v >= (11,),
    ),
    (
        "layers that overflow in FP16 (normalisation, softmax) are asked to stay in FP32",
        lambda r, s, v: r.precision != "fp32" and bool(s.fragile) and r.dla is None,
    ),
    (
        "a DLA runs one batch size; layers that it cannot run go to the GPU, each a copy",
        lambda r, s, v: r.dla is not None,
    ),
    (
        "a DLA takes INT8 ranges from the calibration cache, not from Q/DQ nodes, so it quantizes "
        "every layer: check it with `edge-tools verify`",
        lambda r, s, v: r.dla is not None and _int8(r) and v < (11,),
    ),
    (
        "Xavier and Orin have two DLA cores, 0 and 1; Thor and Orin Nano have none",
        lambda r, s, v: r.dla is not None,
    ),
]


def cautions(request: Request, source: Source, version: Version) -> Tuple[str, ...]:
    """The lines that apply."""
    return tuple(text for text, applies in KNOWN if applies(request, source, version))
