"""Which names of the TensorRT Python module exist in which version.

Listed are only names that some version from 8.5 to 11 lacks. Enum members are looked up by name
everywhere, because their numbers change between versions.
"""

from __future__ import annotations

import re
from typing import Dict, Tuple

from edge.errors import ConfigError

Version = Tuple[int, ...]

KNOWN = ("8.5.3.1", "8.6.1", "10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
OLDEST: Version = (8, 5)
NEWEST: Version = (11, 4)

# First version (major, minor) that has the name.
SINCE: Dict[str, Version] = {
    "IProgressMonitor": (10, 0),
    "IBuilderConfig.progress_monitor": (10, 0),
    "ParserError.node_name": (10, 0),
    "ParserError.node_operator": (10, 0),
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": (10, 0),
    "Builder.build_engine_with_config": (10, 13),
    "ExecutionContextAllocationStrategy": (10, 0),
    "ICudaEngine.device_memory_size_v2": (10, 0),
    "IExecutionContext.set_device_memory": (10, 0),
}
# First version that no longer has it.
GONE: Dict[str, Version] = {
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": (11, 0),
    "BuilderFlag.FP16": (11, 0),
    "BuilderFlag.INT8": (11, 0),
    "BuilderFlag.PREFER_PRECISION_CONSTRAINTS": (11, 0),
    "ILayer.precision": (11, 0),
    "ILayer.set_output_type": (11, 0),
    "IInt8EntropyCalibrator2": (11, 0),
    "IBuilderConfig.int8_calibrator": (11, 0),
    "IBuilderConfig.set_calibration_profile": (11, 0),
}


def has(name: str, version: Version) -> bool:
    """Whether a version has a name; names in neither table exist in all versions."""
    owner = name.split(".")[0]
    return all(SINCE.get(n, OLDEST) <= version < GONE.get(n, (999,)) for n in (owner, name))


def parse(text: str) -> Version:
    """`10.3.0` -> (10, 3, 0).

    Raises:
        ConfigError: the text is not a version, or the version is older than 8.5.
    """
    version = numbers(text)
    if not version:
        raise ConfigError(
            f"--tensorrt: {text!r} is not a version; known versions: {', '.join(KNOWN)}"
        )
    if version < OLDEST:
        raise ConfigError(f"TensorRT {text} is too old: use 8.5 (JetPack 5.1) to 11")
    return version


def numbers(text: str) -> Version:
    """Leading numbers of a version; empty if there are none."""
    match = re.match(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def cache_number(version: Version) -> int:
    """Number in the header of a calibration cache: 8502 for 8.5.2, 100300 for 10.3.0."""
    major, minor, patch = (*version, 0, 0)[:3]
    return major * 1000 + minor * 100 + patch if major < 10 else (major * 100 + minor) * 100 + patch
