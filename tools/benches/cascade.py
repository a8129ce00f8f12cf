"""Compare the CPU's runtimes: the cascade by default, and in ONNX Runtime in FP32."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping

from edge.errors import NoInputError
from tools.benches import Row, duel_of_both, row
from tools.benches._people import loop_of
from tools.benches.memory import read_video
from tools.benches.overhead import WHOLE
from tools.fetch.by_name import ensure_model, ensure_set

GOAL = 0.65
PEOPLE = (1, 5)
STEPS = 20  # short rounds: neighbours on a busy machine then disturb both sides alike
PLAIN = {"prefer": "onnx"}
OURS: Mapping[str, Mapping[str, Any]] = {
    "by default": {"prefer": "auto"},
    "OpenVINO in FP32": {"prefer": "openvino", "bf16": False},
    "OpenVINO in BF16": {"prefer": "openvino", "bf16": True},
    "OpenVINO in INT8": {"prefer": "openvino", "precision": "int8", "bf16": False},
    "OpenVINO in INT8 and BF16": {"prefer": "openvino", "precision": "int8", "bf16": True},
}


def run(models: Path, sets: Path, rounds: int) -> List[Row]:
    """Time of a frame with one and with five people; INT8 where it was quantized before."""
    for name in ("yolov4-tiny", "blazepose"):
        ensure_model(name, models)
    picture = read_video(ensure_set("walker", sets) / "demo.mp4", WHOLE + 1)[-1]
    rows: List[Row] = []
    for label, runtime in OURS.items():
        for people in PEOPLE:
            try:
                ours = loop_of(models, picture, 1, people, STEPS, runtime)
            except NoInputError:  # not quantized
                continue
            theirs = loop_of(models, picture, 1, people, STEPS, PLAIN)
            times = duel_of_both(ours.spent, theirs.spent, rounds)
            goal = GOAL if runtime["prefer"] == "auto" else None
            name = f"cascade: {label} / ONNX Runtime in FP32, {people} people"
            runtimes = ours.models.engines.report()
            rows.append(row(name, times["ratio"], "x", goal, runtimes=runtimes))
            rows.append(row(f"{name}, CPU time", times["cpu_ratio"], "x"))
            ours.close()
            theirs.close()
    return rows
