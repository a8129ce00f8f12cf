"""Names of the files that the tools write beside a network's FP32 file in a model folder."""

from __future__ import annotations

from pathlib import Path

from edge.recipe import Network


def candidate_path(folder: Path, network: Network, precision: str) -> Path:
    """The network in another precision, `<stem>.int8.onnx`; the file may be missing."""
    path = folder / network.file
    return path.with_suffix(f".{precision}{path.suffix}")


def ranges_path(candidate: Path) -> Path:
    """The ranges file of an INT8 network, `<stem>.ranges.json`."""
    return candidate.with_suffix("").with_suffix(".ranges.json")


def gate_record_path(candidate: Path) -> Path:
    """The record of the accuracy gate, `<stem>.int8.gate.json`."""
    return candidate.with_suffix(".gate.json")


def refused_path(candidate: Path) -> Path:
    """A network that failed its gate, kept to look at or to try again."""
    return candidate.with_suffix(f".refused{candidate.suffix}")
