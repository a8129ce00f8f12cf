"""Known problems of TensorRT versions and boards, printed before a long build.

Sources: NVIDIA's support matrices and release notes for each version; other reports are named.
"""

from __future__ import annotations

from typing import Callable, List, Tuple

from tools.engines.names import NEWEST, Version
from tools.engines.request import BuildRequest, OnnxFile

Check = Callable[[BuildRequest, OnnxFile, Version], bool]


def _int8(request: BuildRequest) -> bool:
    return request.precision == "int8"


# Message, and whether it applies.
KNOWN: List[Tuple[str, Check]] = [
    (
        "this TensorRT is newer than the newest that was tried (11.4)",
        lambda r, s, v: v[:2] > NEWEST,
    ),
    (
        "operators newer than opset 17 may be refused by TensorRT 8; export with opset 17",
        lambda r, s, v: v < (9,) and s.opset > 17,
    ),
    (
        "on Xavier (sm_72), TensorRT 8.5.2 of JetPack 5 is the last one; the GPU has no 2:4 "
        "sparsity, no TF32 and no BF16",
        lambda r, s, v: v < (8, 6),
    ),
    (
        "2:4 sparsity is faster only on Ampere (Orin) and later, and only with weights that were "
        "pruned along their input channels",
        lambda r, s, v: r.sparse,
    ),
    (
        "TensorRT 10.3 of JetPack 6: crashes of INT8 builds are reported (ultralytics 23841, "
        "DeepStream-Yolo 585); if it crashes, use --precision fp16 or JetPack 7.2",
        lambda r, s, v: v[:2] == (10, 3) and _int8(r),
    ),
    (
        "TensorRT 11 has no FP16 and INT8 flags: the graph says the types; 11.0 to 11.4.0 do not "
        "support Jetson",
        lambda r, s, v: v >= (11,),
    ),
    (
        "layers that would overflow in FP16 (normalisation, softmax) are set to FP32",
        lambda r, s, v: r.precision != "fp32" and bool(s.fragile) and r.dla is None,
    ),
    (
        "a DLA runs one batch size; layers that it cannot run go to the GPU, which copies data",
        lambda r, s, v: r.dla is not None,
    ),
    (
        "a DLA takes INT8 ranges from the calibration cache, not from Q/DQ nodes, and so quantizes "
        "every layer: check the accuracy with `edge-tools verify`",
        lambda r, s, v: r.dla is not None and _int8(r) and v < (11,),
    ),
    (
        "Xavier and Orin have two DLA cores, 0 and 1; Thor and Orin Nano have none",
        lambda r, s, v: r.dla is not None,
    ),
]


def cautions(request: BuildRequest, source: OnnxFile, version: Version) -> Tuple[str, ...]:
    """Messages that apply to a build."""
    return tuple(text for text, applies in KNOWN if applies(request, source, version))
