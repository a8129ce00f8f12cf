"""`edge-tools sign`: write and sign the manifest of a models folder."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Dict, List

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.durable import READABLE, write_whole
from edge.errors import DataError, NoInputError
from edge.keys.trust import MANIFEST, MAX_FILE_BYTES, SCHEMA, SIGNATURE, Trust, read_once
from edge.runtime._onnx_file import check_stands_alone
from tools import places
from tools.signing import load_secret

HELP = "list the files of a models folder with their hashes and sign the list"
SUFFIXES = (".toml", ".onnx", ".engine", ".json", ".cache")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--models", type=Path, default=places.models(), help="models folder")
    parser.add_argument("--key", type=Path, required=True, help="secret key of `keygen`")
    parser.add_argument("--check", action="store_true", help="only verify the existing manifest")
    parser.add_argument("--json", action="store_true", help="print the manifest")


def run(arguments: argparse.Namespace) -> int:
    """Sign the folder, or verify all signed files."""
    key = load_secret(arguments.key)
    root = arguments.models
    if not root.is_dir():
        raise NoInputError(f"{root}: no such folder")
    if not arguments.check:
        sign(root, key)
    names = verify(root, key)
    if arguments.json:
        print((root / MANIFEST).read_text(encoding="utf-8"))
    else:
        verb = "verified" if arguments.check else "signed"
        print(f"{root / MANIFEST}: {verb}, {len(names)} files")
    return 0


def sign(root: Path, key: Ed25519PrivateKey) -> None:
    """Write the manifest and its signature, each by one rename.

    Between the two renames the old signature does not match the new manifest. A reader refuses such
    a folder; it never accepts a file that was not signed.
    """
    for path in signable(root):
        if root.resolve() not in path.resolve().parents:
            raise DataError(f"{path.parent}: is a link out of {root}; copy the folder into it")
    files = {p.relative_to(root).as_posix(): digest(p) for p in signable(root)}
    if not files:
        raise DataError(f"{root}: nothing to sign; it contains no model.toml, .onnx or .engine")
    manifest = json.dumps({"schema": SCHEMA, "files": files}, indent=1, sort_keys=True).encode()
    write_whole(root / MANIFEST, manifest, READABLE)
    write_whole(root / SIGNATURE, key.sign(manifest), READABLE)


def signable(root: Path) -> List[Path]:
    """Files of models, sorted, without links and hidden files: the daemon never loads those."""
    found = (p for s in SUFFIXES for p in root.glob(f"*/*{s}"))
    return sorted(p for p in found if p.is_file() and not p.is_symlink() and p.name[0] != ".")


def digest(path: Path) -> str:
    """The sha256 of a file in hex.

    Raises:
        DataError: the network would load other files, which the signature does not cover.
    """
    data = read_once(path, MAX_FILE_BYTES)
    if path.suffix == ".onnx":
        check_stands_alone(data, path)
    return hashlib.sha256(data).hexdigest()


def verify(root: Path, key: Ed25519PrivateKey) -> Dict[str, str]:
    """Check all signed files, read like the daemon reads them; returns names and hashes."""
    trust = Trust(root, key.public_key())
    for name in trust.files:
        trust.read(root / name)
    return trust.files
