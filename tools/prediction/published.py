"""Engine times that others measured on Jetsons: the data for the roofline's fit and its check.

A measurement is used if its board is certain, if it times one engine alone, and if the layers of
its network are known. It is the frames per second of back-to-back runs, else the mean latency. No
source states clocks: MAXN is assumed if a source says or implies the board's fastest mode.

torch2trt: NVIDIA-AI-IOT/torch2trt docs/benchmarks/jetson_xavier.md, FP16, throughput.
paddle: Paddle Lite's TensorRT page (TensorRT 7.1, MAXN), GPU columns.
ultralytics: its Jetson guide, YOLO11 at 640 px; AGX Orin 64 GB of 8.3.133, Orin NX 16 GB and Orin
Nano Super; times of its own loop around the engine.
idein: Idein/aicast_jetson_benchmark, trtexec on JetPack 5.1.2, whose fastest mode is 15 W.
choi: hokwangchoi/jetson-orin-nano-benchmarks, GPU time in MAXN SUPER.

Not fitted, only checked, because the kind of Xavier and its mode are not stated, or because a part
does not run in TensorRT:
trt_pose: NVIDIA-AI-IOT/trt_pose README.
kentaroy: kentaroy47/benchmark-FP32-FP16-INT8-with-TensorRT, "Jetson Xavier", timed from Python.
tkdnn: ceccocats/tkDNN issue 170 (JetPack 4.3) and, 335 FPS, 248 (TensorRT 7.1, nvpmodel 0); its
leaky activations are plug-ins of its own, which TensorRT cannot fuse.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from tools.prediction import known
from tools.prediction.layers import Layer
from tools.prediction.shapes import shapes


class Measurement(NamedTuple):
    """A published time."""

    source: str
    network: str
    mode: str  # key of boards.MODES
    precision: str
    batch: int
    ms: float  # for the whole batch
    fitted: bool = True  # False: only checked

    def layers(self) -> List[Layer]:
        """The layers of the network."""
        found = shapes().get(self.network)
        return known.layers_of(self.network) if found is None else found


# Frames per second.
TORCH2TRT = {
    "resnet18": 722,
    "resnet34": 396,
    "resnet50": 326,
    "resnet101": 175,
    "resnet152": 122,
    "vgg11": 201,
    "vgg13": 165,
    "vgg16": 139,
    "vgg19": 120,
    "mobilenet_v2": 723,
    "mnasnet@0.5": 883,
    "mnasnet@0.75": 751,
    "mnasnet@1.0": 667,
    "mnasnet@1.3": 573,
}
# Milliseconds in FP16, INT8.
ULTRALYTICS: Dict[str, Tuple[Tuple[float, float], ...]] = {
    "agx-orin-64:MAXN": ((2.60, 2.45), (3.68, 3.01), (6.79, 5.12), (8.11, 6.60), (13.66, 9.78)),
    "orin-nx-16:MAXN": ((4.85, 4.37), (7.55, 5.63), (14.45, 10.19), (18.53, 13.36), (35.99, 22.32)),
    "orin-nano-8:MAXN-SUPER": (
        (4.91, 3.91),
        (7.30, 5.25),
        (13.99, 9.58),
        (17.57, 12.37),
        (32.94, 20.72),
    ),
}
XAVIER = "agx-xavier:MAXN"
OTHERS = [
    Measurement("tkdnn", "yolov4-tiny", XAVIER, "fp16", 1, 3.48334, False),
    Measurement("tkdnn", "yolov4-tiny", XAVIER, "fp16", 4, 4 * 2.63374, False),
    Measurement("tkdnn", "yolov4-tiny", XAVIER, "int8", 1, 3.13312, False),
    Measurement("tkdnn", "yolov4-tiny", XAVIER, "int8", 4, 4 * 2.33578, False),
    Measurement("tkdnn", "yolov4-tiny", XAVIER, "fp16", 1, 1e3 / 335, False),
    Measurement("paddle", "resnet50", XAVIER, "fp16", 1, 3.15104),
    Measurement("paddle", "resnet50", XAVIER, "int8", 1, 2.26772),
    Measurement("paddle", "yolov3@608", XAVIER, "fp16", 1, 37.327),
    Measurement("paddle", "yolov3@608", XAVIER, "int8", 1, 24.5848),
    Measurement("idein", "yolox-s", "orin-nano-8:15W", "fp16", 1, 10.1824),
    Measurement("idein", "yolox-s", "orin-nano-8:15W", "int8", 1, 1e3 / 126.3),
    Measurement("choi", "yolov8n", "orin-nano-8:MAXN-SUPER", "fp16", 1, 4.43),
    Measurement("choi", "yolov8n", "orin-nano-8:MAXN-SUPER", "int8", 1, 3.49),
    Measurement("trt_pose", "trt_pose_resnet18", XAVIER, "fp16", 1, 1e3 / 251, False),
    Measurement("kentaroy", "resnet18@256", XAVIER, "fp16", 1, 2.161, False),
    Measurement("kentaroy", "resnet18@256", XAVIER, "int8", 1, 1.727, False),
    Measurement("kentaroy", "resnet34@256", XAVIER, "fp16", 1, 3.377, False),
    Measurement("kentaroy", "resnet34@256", XAVIER, "int8", 1, 2.703, False),
    Measurement("kentaroy", "resnet50@256", XAVIER, "fp16", 1, 4.446, False),
    Measurement("kentaroy", "resnet50@256", XAVIER, "int8", 1, 3.906, False),
]


def measurements() -> List[Measurement]:
    """All published measurements."""
    found = [
        Measurement("torch2trt", name, XAVIER, "fp16", 1, 1e3 / fps)
        for name, fps in TORCH2TRT.items()
    ]
    for mode, rows in ULTRALYTICS.items():
        for size, times in zip("nsmlx", rows):
            for precision, ms in zip(("fp16", "int8"), times):
                name = f"yolo11{size}"
                found.append(Measurement("ultralytics", name, mode, precision, 1, ms))
    return found + OTHERS
