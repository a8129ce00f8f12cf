"""Carries our plans for TensorRT 11 out with NVIDIA's own builder, on a machine without a GPU.

    python rtx_build.py SITE_PACKAGES MODELS_FOLDER MODEL...

TensorRT-RTX has the Python interface of TensorRT 11.4, less `build_engine_with_config`; it wants to
be told for which GPU. One line of JSON per network and precision on standard output.
"""

import json
import sys
from pathlib import Path

from edge.errors import EdgeError
from edge.recipe import load_recipe
from tools import build as command
from tools.engines import trt
from tools.engines.plan import plan_build
from tools.engines.request import BuildRequest, default_batch, read_onnx_file

sys.path.append(sys.argv[1])
import tensorrt_rtx

VERSION = "11.4.0.106"


class Module:
    """TensorRT-RTX as the TensorRT whose interface it has."""

    __version__ = VERSION

    def __getattr__(self, name):
        return getattr(tensorrt_rtx, name)


class Build(trt._Build):
    def _configure(self, config):
        super()._configure(config)
        config.num_compute_capabilities = 1
        config.set_compute_capability(tensorrt_rtx.ComputeCapability.SM86, 0)

    def _execute(self, builder, network, config):
        data = builder.build_serialized_network(network, config)
        self._must(data)
        return bytes(data), None


def one(folder, name, network, family, precision):
    path = folder / network.file
    request = BuildRequest(
        folder.name,
        name,
        folder,
        path.stem,
        precision,
        default_batch(family),
        timing_cache=folder / "x.timing",
    )
    source = read_onnx_file(path)
    wanted = plan_build(request, source, network, VERSION)
    _, data, nodes = command.graph(wanted, source)
    steps = []
    said = {"file": path.name, "precision": precision, "half": wanted.half}
    try:
        made = Build(Module(), wanted, lambda *step: steps.append(step) or True).run(data, nodes)
        return {
            **said,
            "bytes": len(made.engine),
            "timings": len(made.timing_cache),
            "steps": len(steps),
            "error": "",
        }
    except EdgeError as error:
        return {**said, "bytes": 0, "error": str(error)}


for model in sys.argv[3:]:
    folder = Path(sys.argv[2]) / model
    recipe = load_recipe(folder)
    for name, network in recipe.networks.items():
        for precision in ("fp32", "fp16", "int8"):
            found = one(folder, name, network, recipe.family, precision)
            sys.stdout.write(json.dumps(found) + "\n")
