"""The models: whether they are there, may be loaded, and have an engine that fits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import List, Optional

from edge import plug
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.doctor.service import STATE
from edge.durable import find_state_dir
from edge.errors import EdgeError
from edge.loop import cpu_runtime, cpu_verdicts
from edge.loop.assemble import default_models, models_dir, trusted_read
from edge.loop.cpu_verdicts import Verdicts
from edge.loop.engine_fit import engine_path, judge
from edge.loop.engines import serving_file
from edge.recipe import Network, Recipe, load_recipe, tool_line
from edge.runtime import Read
from edge.settings.config import Config


def models(settings: Config) -> List[Finding]:
    """A finding for each model, and for each engine of its networks."""
    names = (settings.detect.model, settings.pose.model)
    return [f for name in names if name != "none" for f in _model(settings, name)]


def _model(settings: Config, name: str) -> List[Finding]:
    what = f"model {name}"
    root = Path(settings.models.dir or default_models())
    try:
        models_dir(settings)
        read = trusted_read(root, settings.trust.key_file)
        recipe = load_recipe(root / name, read)
        for network in recipe.networks.values():
            read(serving_file(root / name, network, settings.runtime.precision)[0])
    except EdgeError as error:
        unsigned = settings.trust.key_file and "sign" in str(error)
        fix = "edge-tools sign --key operator.key" if unsigned else tool_line("get", root / name)
        return [Finding(what, FAIL, str(error), fix)]
    signed = ", signed" if settings.trust.key_file else ""
    found = [Finding(what, OK, f"{root / name}{signed}")]
    for network_name, network in recipe.networks.items():
        engine = _engine(settings, root / name, network_name, network, read)
        found += engine or _cpu(settings, root / name, network_name, recipe, read)
    return found


def _engine(
    settings: Config, folder: Path, name: str, network: Network, read: Read
) -> List[Finding]:
    """The engine of a network; none where this machine has no GPU for engines."""
    if settings.runtime.prefer in ("onnx", "openvino"):
        return []
    what = f"engine {folder.name}/{name}"
    try:
        here = plug.load("runtime", "trt").machine()
    except EdgeError as error:
        if settings.runtime.prefer == "engine":
            return [
                Finding(what, FAIL, str(error), "install what is missing, or change runtime.prefer")
            ]
        return []
    path = engine_path(folder, network.file, settings.runtime.precision)
    judged = judge(path, here, read)
    if not judged.against:
        return [Finding(what, OK, str(path))]
    state = FAIL if settings.runtime.prefer == "engine" else WARN
    command = f"{tool_line('build', folder)} --network {name}"
    fix = f"{command} --precision {settings.runtime.precision}"
    return [Finding(what, state, "; ".join(judged.against), fix)]


def _cpu(settings: Config, folder: Path, name: str, recipe: Recipe, read: Read) -> List[Finding]:
    """Which of the CPU's runtimes executes a network, as the last start found."""
    what, runtime = f"runtime {folder.name}/{name}", settings.runtime
    if runtime.prefer == "onnx":
        return []
    if not cpu_runtime.installed():
        state = FAIL if runtime.prefer == "openvino" else WARN
        why = "OpenVINO is not installed" + ("" if state == FAIL else "; ONNX Runtime serves")
        return [Finding(what, state, why, "pip install 'openvino>=2024.4'")]
    if runtime.prefer == "openvino":
        return [Finding(what, OK, 'openvino, by runtime.prefer = "openvino"')]
    network = recipe.networks[name]
    data = read(serving_file(folder, network, runtime.precision)[0])
    options = cpu_runtime.cpu_options(runtime, len(recipe.networks))
    sha256 = hashlib.sha256(data).hexdigest()
    key = cpu_runtime.verdict_key(sha256, options, runtime.bf16 and network.bf16)
    verdict = Verdicts(_state(settings)).get(key)
    if verdict is None:
        return [Finding(what, OK, "not measured yet: OpenVINO or ONNX Runtime, at the next start")]
    return [Finding(what, OK, f"{verdict.runtime}, {cpu_runtime.told(verdict)}")]


def _state(settings: Config) -> Optional[Path]:
    """The folder of the verdicts; that of the service where the settings name none."""
    named = find_state_dir(settings.state.dir)
    return named or (STATE if STATE.is_dir() else cpu_verdicts.folder(""))
