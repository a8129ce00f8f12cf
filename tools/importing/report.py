"""The result of `edge-tools import` as text."""

from __future__ import annotations

from typing import Any, Dict

from tools.importing.request import DETECTORS


def text(facts: Dict[str, Any]) -> str:
    """`ImportResult.facts` as lines for a terminal."""
    outputs = ", ".join(f"{n} {['batch', *s]}" for n, s in facts["outputs"].items())
    size = f"{facts['bytes'] / 1e6:.1f} MB, {facts['parameters'] / 1e6:.1f} M parameters"
    slot = "detect" if facts["family"] in DETECTORS else "pose"
    rows = [
        ("model", facts["folder"]),
        ("network", f"{facts['family']}, {size}, opset {facts['opset']}"),
        ("input", facts["input"]),
        ("outputs", outputs.replace("'", "")),
        ("batch", f"{facts['batch']}; two together differ by {facts['batch_difference']:.1g}"),
        ("run", f"two frames of noise in {facts['two_frames_ms']} ms"),
        *(("note", note) for note in facts["notes"]),
        ("next", f'set {slot}.model = "{facts["name"]}" in the configuration'),
    ]
    if facts["skeleton"]:
        rows.insert(2, ("skeleton", facts["skeleton"]))
    if facts["names"]:
        rows.insert(-1, ("names", ", ".join(f"{a} = {b}" for a, b in facts["names"].items())))
    return "\n".join(f"{name:<9} {value}" for name, value in rows)
