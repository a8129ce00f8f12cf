"""The models: whether they are there, may be loaded, and have an engine that fits."""

from __future__ import annotations

from pathlib import Path
from typing import List

from edge import plug
from edge.doctor.finding import FAIL, OK, WARN, Finding
from edge.errors import EdgeError
from edge.loop.assemble import default_models, models_dir, trusted_read
from edge.loop.engine_fit import engine_path, judge
from edge.loop.engines import serving_file
from edge.recipe import Network, load_recipe, tool_line
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
        found += _engine(settings, root / name, network_name, network, read)
    return found


def _engine(
    settings: Config, folder: Path, name: str, network: Network, read: Read
) -> List[Finding]:
    """The engine of a network; none where this machine has no GPU for engines."""
    if settings.runtime.prefer == "onnx":
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
