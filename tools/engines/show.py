"""Build plans and results as text."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from tools.engines.machine import Gpu
from tools.engines.plan import BuildPlan

ROUTES = {
    "fp32": "FP32",
    "fp16": "FP16 and FP32, chosen layer by layer",
    "qdq": "INT8 where the graph has Q/DQ nodes, else FP16 and FP32",
    "cache": "INT8 with ranges of a calibration cache, else FP16",
}


def plans(found: Sequence[BuildPlan]) -> str:
    """One text for several plans."""
    return "\n\n".join("\n".join(_plan(p)) for p in found)


def _plan(plan: BuildPlan) -> List[str]:
    lines = [f"TensorRT {plan.tensorrt}: {plan.onnx.name} -> {plan.engine}"]
    rows = [(key, value) for key, value in _rows(plan) if value]
    lines += [f"  {key:<14}{value}" for key, value in rows]
    lines += [f"  note: {text}" for text in plan.cautions]
    lines += [f"  MISSING: {text}" for text in plan.missing]
    return lines + ([f"  NOT POSSIBLE: {plan.refused}"] if plan.refused else [])


def _rows(plan: BuildPlan) -> List[Any]:
    typed = "strongly: as the graph says" if plan.strongly_typed else "weakly: as the flags allow"
    if plan.half:
        typed += "; FP16 casts are added to it"
    kept = f"{len(plan.float32_layers)} layers" if plan.float32_layers else ""
    profile = [f"{n} {' / '.join(map(_shape, s))}" for n, s in plan.profile.items()]
    return [
        ("computes", ROUTES[plan.route]),
        ("typed", typed),
        ("network flags", ", ".join(plan.creation_flags)),
        ("builder flags", ", ".join(plan.builder_flags)),
        ("cleared flags", ", ".join(plan.cleared_flags)),
        ("kept in FP32", kept),
        ("ranges", plan.ranges),
        ("profile", "; ".join(profile) or "fixed sizes, none needed"),
        ("workspace", f"{plan.workspace_mb} MB"),
        ("device", "GPU" if plan.dla is None else f"DLA core {plan.dla}, the rest on the GPU"),
        ("kernels from", ", ".join(plan.tactic_sources)),
        ("timing cache", plan.timing_cache),
    ]


def _shape(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def intro(plan: BuildPlan, gpu: Gpu) -> str:
    """Text before a build."""
    what = f"{gpu.name} (compute capability {gpu.compute_capability})"
    return "\n".join([f"for {what}; first builds take 4 to 10 minutes", *_plan(plan)])


def outcome(plan: BuildPlan, record: Dict[str, Any]) -> str:
    """Text after a build."""
    size_mb = record["engine"]["bytes"] / 1e6
    lines = [f"{plan.engine}: {size_mb:.1f} MB in {record['build_s']} s"]
    lines += [f"  note: {text}" for text in record["notes"]]
    if record["gate"] is None:
        lines.append(f"  next: edge-tools verify {record['model']}, then edge-tools sign")
    return "\n".join(lines)
