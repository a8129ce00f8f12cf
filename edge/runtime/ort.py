"""ONNX Runtime: the plug for any machine's CPU."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Mapping, Tuple

from edge.errors import DataError
from edge.runtime._contract import Read, RunnerOptions, read_plain
from edge.runtime._onnx_file import check_stands_alone
from edge.runtime._ort.runner import OrtRunner
from edge.runtime._ort.session import open_session


def open_runner(
    path: Path,
    shapes: Mapping[str, Tuple[int, ...]],
    options: RunnerOptions,
    read: Read = read_plain,
) -> OrtRunner:
    """Load an ONNX file; see `edge.runtime.open_runner`.

    The bytes are read once and ONNX Runtime gets no path, so a graph cannot reach other files.
    """
    data = read(path)
    check_stands_alone(data, path)
    session = open_session(data, path, threads=1 if options.pool else options.threads)
    try:
        for name in shapes:
            names = [i.name for i in session.get_inputs()]
            if name not in names:
                raise DataError(f"{path}: no input {name!r}; there are: {', '.join(names)}")
        digest = hashlib.sha256(data).hexdigest()
        return OrtRunner(session, shapes, options.max_batch, str(path), digest, options.pool)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is damaged: a name in it is not valid text") from error
