"""The record of the accuracy gate, beside the file that it is about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict

from edge.durable import READABLE, new_file, write_whole
from tools.fetch.files import sha256_of
from tools.model_files import gate_record_path, refused_path

FLOAT = "float"  # FP16 if the runtime has it, else FP32


def restore_fp32(candidate: Path, original: Path) -> None:
    """Replace a candidate that failed its gate by the FP32 network; the candidate is kept."""
    with original.open("rb") as source, new_file(candidate, READABLE) as file:
        shutil.copyfileobj(source, file)
        file.flush()  # a full disk shows here, before the candidate is moved
        candidate.replace(refused_path(candidate))


def write(candidate: Path, original: Path, network: str, proof: Dict[str, Any]) -> Path:
    """Write the record of one network.

    Args:
        candidate: file of the network.
        original: its FP32 file.
        network: its name.
        proof: result for the whole model.
    """
    sha256, fp32 = sha256_of(candidate), sha256_of(original)
    record = {
        "network": network,
        "file": candidate.name,
        "sha256": sha256,
        "fp32_sha256": fp32,
        "precision": FLOAT if sha256 == fp32 else proof["asked"],
        **proof,
    }
    path = gate_record_path(candidate)
    write_whole(path, (json.dumps(record, indent=1) + "\n").encode(), READABLE)
    return path
