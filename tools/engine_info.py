"""`edge-tools engine-info`: facts of an engine or ONNX file, and whether it can run here.

An engine is never loaded, because an engine file is executable code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from edge.errors import DataError, EdgeError, NoInputError
from tools.engines import onnx_info
from tools.engines.compatibility import installed_tensorrt, judge
from tools.engines.machine import read_machine
from tools.engines.record import read_gate, read_record
from tools.engines.request import read_onnx

HELP = "show what an .engine or .onnx file is and whether it can run on this machine"
SHOWN = 8
BLOCK = 1 << 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("file", type=Path, help="an .engine or .onnx file")
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="public key of the operator: check that the manifest is signed with it",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the facts of a file."""
    found = examine(arguments.file, arguments.key)
    print(json.dumps(found, indent=1) if arguments.json else "\n".join(_lines(found)))
    return 0


def examine(path: Path, key_file: Optional[Path] = None) -> Dict[str, Any]:
    """Facts of one file, as JSON values.

    Args:
        path: an engine or ONNX file.
        key_file: public key of the operator, to verify the signature of the manifest with.

    Raises:
        NoInputError: the file or the key does not exist. ConfigError: the key is not a public key.
        DataError: the file is neither an engine nor ONNX, or is empty.
    """
    kinds = {".engine": _engine, ".plan": _engine, ".onnx": _onnx}
    if path.suffix not in kinds:
        raise DataError(f"{path}: is neither an .engine nor an .onnx file")
    if not path.is_file():
        raise NoInputError(f"{path}: no such file")
    size, digest, head = fingerprint(path)
    if size == 0:
        raise DataError(f"{path}: is empty; make it again")
    general = {"file": str(path), "bytes": size, "sha256": digest}
    general["signed"] = signed(path, digest, key_file)
    return {**general, **kinds[path.suffix](path, digest, head)}


def fingerprint(path: Path) -> Any:
    """Size in bytes, sha256 and first four bytes of a file, read block by block."""
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            head = head or block[:4]
            size += len(block)
            digest.update(block)
    return size, digest.hexdigest(), head


def signed(path: Path, digest: str, key_file: Optional[Path]) -> str:
    """Whether the manifest of the models folder lists a file, and whether it is signed."""
    root = path.resolve().parent.parent
    # Imported here because cryptography prints a warning on Python 3.8.
    from edge.keys.trust import MANIFEST, Trust, load_key

    key = None if key_file is None else load_key(key_file)
    if not (root / MANIFEST).is_file():
        return "no: the models folder has no manifest; `edge-tools sign` makes one"
    try:
        files = _listed(root / MANIFEST) if key is None else Trust(root, key).files
    except EdgeError as error:
        return f"no: {error}"
    wanted = files.get(f"{path.resolve().parent.name}/{path.resolve().name}")
    if wanted is None:
        return "no: the manifest does not list it; `edge-tools sign` adds it"
    if wanted != digest:
        return "no: it was changed after the manifest was made"
    if key is None:
        return "the manifest lists this hash; --key OPERATOR.pub checks that it is signed"
    return f"yes: the manifest lists this hash and is signed with {key_file}"


def _listed(manifest: Path) -> Dict[str, Any]:
    """Names and hashes of a manifest whose signature is not checked.

    Raises:
        DataError: the file is not a manifest.
    """
    try:
        files = json.loads(manifest.read_bytes())["files"]
    except (ValueError, KeyError, TypeError, RecursionError):
        files = None
    if not isinstance(files, dict):
        raise DataError("the manifest is damaged; `edge-tools sign` makes a new one")
    return files


def _engine(path: Path, digest: str, head: bytes) -> Dict[str, Any]:
    record = read_record(path)
    here = installed_tensorrt()
    verdict = judge(record, digest, read_machine(), here)
    if record is not None and record.get("gate") is None:
        record["gate"] = _gate_of(record, read_gate(path.with_suffix(".gate.json")))
    return {
        "kind": "TensorRT engine",
        "magic": head.hex(),
        "record": record,
        "fits": verdict.fits,
        "reasons": list(verdict.reasons),
        "remarks": list(verdict.remarks),
    }


def _gate_of(record: Dict[str, Any], gate: Any) -> Any:
    """A gate record made after the engine; None if it is of another network than the engine's."""
    known = gate if isinstance(gate, dict) else {}
    proven = [known[k] for k in ("sha256", "fp32_sha256") if k in known]
    return gate if not proven or record["onnx"]["sha256"] in proven else None


def _onnx(path: Path, digest: str, head: bytes) -> Dict[str, Any]:
    _, model = read_onnx(path)
    return {"kind": "ONNX", **onnx_info.describe(model), "ranges": onnx_info.ranges(model)}


def _lines(found: Dict[str, Any]) -> List[str]:
    size_mb = found["bytes"] / 1e6
    lines = [
        f"{found['file']}: {found['kind']}, {size_mb:.1f} MB",
        f"  sha256      {found['sha256']}",
        f"  signed      {found['signed']}",
    ]
    return lines + (_onnx_lines(found) if found["kind"] == "ONNX" else _engine_lines(found))


def _engine_lines(found: Dict[str, Any]) -> List[str]:
    words = {True: "yes", False: "NO", None: "unknown"}
    lines = [f"  first bytes {found['magic']}", f"  fits here   {words[found['fits']]}"]
    lines += [f"              {reason}" for reason in found["reasons"] + found["remarks"]]
    record: Optional[Dict[str, Any]] = found["record"]
    if record is None:
        return lines
    gpu, build = record["machine"]["gpu"], record["build"]
    jetpack = record["machine"]["jetpack"] or "none"
    flags = ", ".join(build["builder_flags"]) or "none"
    typed = "strongly typed" if build["strongly_typed"] else "weakly typed"
    ranges = record["calibration"]["set"] if record["calibration"] else "none"
    return lines + [
        f"  model       {record['model']}, network {record['network']}, {record['precision']}",
        f"  built from  {record['onnx']['file']} {record['onnx']['sha256'][:16]}",
        f"  built for   {gpu['name']}, compute capability {gpu['compute_capability']}",
        f"  built with  TensorRT {record['tensorrt']}, JetPack {jetpack}, {record['made_by']}, "
        f"in {record['build_s']} s",
        f"  build       {build['route']}, {typed}; flags: {flags}",
        f"  calibration {ranges}",
        f"  layers      {len(record['layers']) if record['layers'] is not None else 'unknown'}",
        f"  gate        {_gate(record['gate'])}",
    ]


def _gate(gate: Any) -> str:
    return "not run; `edge-tools verify`" if gate is None else json.dumps(gate)[:200]


def _onnx_lines(found: Dict[str, Any]) -> List[str]:
    operators = [f"{count} {name}" for name, count in found["operators"].items()]
    rest = f" and {len(operators) - SHOWN} more kinds" if len(operators) > SHOWN else ""
    macs = found["macs_per_sample"]
    lines = [f"  opset       {found['opset']}", f"  precision   {found['precision']}"]
    for key in ("inputs", "outputs"):
        lines += [f"  {key:<12}{v['name']}: {v['type']} {v['shape']}" for v in found[key]]
    lines += [
        f"  operators   {', '.join(operators[:SHOWN])}{rest}",
        f"  parameters  {found['parameters'] / 1e6:.2f} M",
        f"  computes    {'unknown: dynamic sizes' if macs is None else f'{macs / 1e9:.3f} GMAC'}"
        " per sample",
    ]
    if found["ranges"]:
        count = len(found["ranges"])
        lines.append(f"  quantized   {found['qdq_pairs']} Q/DQ pairs, {count} activations")
    return lines
